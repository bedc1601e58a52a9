"""EBML by the examples of RFC 8794, and torn."""

from __future__ import annotations

import contextlib
import io
import zlib
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.matroska import ebml
from vidsr.media.matroska.ebml import EbmlError, Element, Field, read_content, read_head, split
from vidsr.media.matroska.ids import CRC32, VOID
from vidsr.media.matroska.layout import LARGEST_PART_BYTES, read_parts
from vidsr.media.read.truncation import missing_bytes


def test_sizes_may_be_written_in_more_bytes_than_they_need() -> None:
    # RFC 8794, 4.2: the number 2 in one to four bytes
    for size in (b"\x82", b"\x40\x02", b"\x20\x00\x02", b"\x10\x00\x00\x02"):
        assert list(split(b"\x42\x86" + size + b"\x00\x01")) == [Field(0x4286, b"\x00\x01")]


def test_all_ones_mean_an_unknown_size() -> None:
    # RFC 8794, 6.2: in any length
    for size in (b"\xff", b"\x7f\xff", b"\x01" + b"\xff" * 7):
        assert read_head(io.BytesIO(b"\x18\x53\x80\x67" + size), 0) == Element(
            0x18538067, 0, 4 + len(size), None
        )
        with pytest.raises(EbmlError):
            list(split(b"\x18\x53\x80\x67" + size))


def test_elements_are_written_as_short_as_they_can_be() -> None:
    assert ebml.element(0x4286, b"\x01") == b"\x42\x86\x81\x01"
    assert ebml.element(0xEC, bytes(126))[:2] == b"\xec\xfe"
    assert ebml.element(0xEC, bytes(127))[:3] == b"\xec\x40\x7f"  # 0xff would mean an unknown size
    assert ebml.unsigned(0xB9, 0) == Field(0xB9, b"\0")
    assert ebml.unsigned(0xB9, 256) == Field(0xB9, b"\1\0")


@pytest.mark.parametrize("length", [0, 2, 3, 127, 128, 129, 130, 16_500, 70_000])
def test_empty_space_has_the_length_that_is_asked_for(length: int) -> None:
    empty = ebml.void(length)
    assert len(empty) == length
    assert [field.id for field in split(empty)] == ([VOID] if length else [])


def test_checksums_come_first_and_are_of_all_that_follows() -> None:
    old = Field(CRC32, b"0000")
    content = ebml.checked((old, ebml.text(0x4D80, "me"), ebml.unsigned(0xB9, 1)))
    first, *rest = split(content)
    assert first == Field(CRC32, zlib.crc32(content[6:]).to_bytes(4, "little"))
    assert rest == [Field(0x4D80, b"me"), Field(0xB9, b"\1")]
    assert Field(0xA0, content).fields == rest


@given(st.lists(st.tuples(st.sampled_from([0xAE, 0x4286, 0x22B59C, 0x1654AE6B]), st.binary(max_size=300))))
def test_what_is_written_is_read(parts: list[tuple[int, bytes]]) -> None:
    fields = [Field(*part) for part in parts]
    assert list(split(ebml.joined(fields))) == fields


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_read_or_named(data: bytes) -> None:
    for read in (lambda: list(split(data)), lambda: read_head(io.BytesIO(data), 0)):
        with contextlib.suppress(EbmlError):
            read()


def test_content_that_is_cut_off_or_too_large_is_no_content() -> None:
    file = io.BytesIO(ebml.element(0xA0, bytes(10))[:-1])
    head = read_head(file, 0)
    assert head is not None
    with pytest.raises(EbmlError):
        read_content(file, head, 100)
    with pytest.raises(EbmlError):
        read_content(file, head, 9)
    assert read_head(file, 11) is None


def matroska(*parts: bytes) -> bytes:
    return ebml.element(0x1A45DFA3, b"") + ebml.element(0x18538067, b"".join(parts), 8)


def entry(number: int, position: int) -> Field:
    return ebml.master(
        0x4DBB, (Field(0x53AB, ebml.id_bytes(number)), Field(0x53AC, position.to_bytes(8, "big")))
    )


def table(*entries: tuple[int, int]) -> bytes:
    return ebml.element(0x114D9B74, ebml.joined(entry(*one) for one in entries))


INFO, TRACKS, CHAPTERS, TABLE = 0x1549A966, 0x1654AE6B, 0x1043A770, 0x114D9B74
CLUSTER = ebml.element(0x1F43B675, bytes(50))


def contents(path: Path, *numbers: int) -> dict[int, bytes]:
    return read_parts(path, dict.fromkeys(numbers, LARGEST_PART_BYTES))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.mkv"


def test_tables_of_contents_lead_behind_the_clusters_and_to_each_other(path: Path) -> None:
    first, second = table((TABLE, 0)), table((CHAPTERS, 0), (TABLE, 0))
    info, chapters = ebml.element(INFO, b"i"), ebml.element(CHAPTERS, b"c")
    place = len(first) + len(info) + len(CLUSTER)
    first = table((TABLE, place))
    second = table((CHAPTERS, place + len(second)), (TABLE, place))
    path.write_bytes(matroska(first, info, CLUSTER, second, chapters))
    assert contents(path, INFO, TRACKS, CHAPTERS) == {INFO: b"i", CHAPTERS: b"c"}
    path.write_bytes(matroska(first, info, CLUSTER, second, chapters)[:-1])
    assert contents(path, CHAPTERS) == {}


def test_one_part_that_is_torn_or_too_large_costs_no_other(path: Path) -> None:
    path.write_bytes(matroska(ebml.element(INFO, b"info"), ebml.element(CHAPTERS, b"some"), CLUSTER))
    assert read_parts(path, {INFO: 3, CHAPTERS: 4}) == {CHAPTERS: b"some"}
    path.write_bytes(matroska(ebml.element(INFO, b"info"), ebml.element(TRACKS, b"some"))[:-1])
    assert contents(path, INFO, TRACKS) == {INFO: b"info"}


@pytest.mark.parametrize("position", [0, 30, 10_000, 2**63, 2**64 - 1])
def test_tables_that_lead_nowhere_are_not_followed(path: Path, position: int) -> None:
    path.write_bytes(matroska(table((CHAPTERS, position), (TABLE, position)), CLUSTER))
    assert contents(path, CHAPTERS) == {}


class CountingFile(io.BytesIO):
    """A file that counts what is read of it."""

    bytes_read = reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read, self.reads = self.bytes_read + len(content), self.reads + 1
        return content


class Opened:
    """A path of such a file."""

    def __init__(self, content: bytes) -> None:
        self.file = CountingFile(content)

    def open(self, mode: str) -> CountingFile:
        assert mode == "rb"
        self.file.close = lambda: None  # type: ignore[method-assign]  # it is looked at afterwards
        return self.file


@pytest.mark.parametrize(("wanted", "size"), [(CHAPTERS, 2**25), (CHAPTERS, 10), (TABLE, 10), (TABLE, 2**19)])
def test_of_what_tables_promise_little_is_read(wanted: int, size: int) -> None:
    """4000 promises, of parts that are cut off, of something else, of tables that say nothing."""
    count, head = 4000, ebml.element(wanted, bytes(2**25), 4)[:8]
    odd = head[:4] + (size | 1 << 28).to_bytes(4, "big")
    behind = len(table(*[(wanted, 0)] * count))
    heads = odd * count + bytes(2**19)
    promises = table(*((wanted, behind + len(CLUSTER) + 8 * n) for n in range(count)))
    opened = Opened(matroska(promises, CLUSTER, heads if wanted == TABLE or size > 10 else bytes(len(heads))))
    contents(cast("Path", opened), CHAPTERS)
    # the table, a head for each of 500 places, and what 15 more tables hold
    assert opened.file.bytes_read < len(promises) + 510 * 12 + 15 * 2**19 + 100
    assert opened.file.reads < 530


def test_one_place_is_tried_once() -> None:
    opened = Opened(matroska(table(*[(CHAPTERS, 5)] * 4000), CLUSTER))
    assert contents(cast("Path", opened), CHAPTERS) == {}
    assert opened.file.reads < 10


def test_an_element_that_would_end_behind_the_file_is_not_read() -> None:
    file = CountingFile(ebml.element(0xA0, bytes(2**20))[:-1])
    head = read_head(file, 0)
    assert head is not None
    with pytest.raises(EbmlError, match="cut off"):
        read_content(file, head, 2**26)
    assert file.reads == 1


def test_a_million_elements_in_one_are_none() -> None:
    assert len(list(split(b"\xa0\x80" * 100_000))) == 100_000
    with pytest.raises(EbmlError, match="more elements"):
        list(split(b"\xa0\x80" * 100_001))


def test_only_a_segment_that_names_its_size_can_miss_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.mkv"
    whole = matroska(CLUSTER)
    path.write_bytes(whole[:-20])
    assert missing_bytes(path) == 20
    head = len(ebml.element(0x1A45DFA3, b"")) + 4
    path.write_bytes(whole[:head] + b"\x01" + b"\xff" * 7 + whole[head + 8 : -20])
    assert missing_bytes(path) == 0
    for torn in (whole[:4], whole[:9], b"\x1a\x45\xdf\xa3" + bytes(80)):
        path.write_bytes(torn)
        assert missing_bytes(path) == 0
