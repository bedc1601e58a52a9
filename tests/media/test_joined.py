"""Recordings joined one behind the other, each with a clock of its own, have one time line.

What is expected comes from each recording alone, as ffmpeg reads it.
"""

from __future__ import annotations

import io
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import BT601, frames_of, remake
from vidsr.media.read.continuation import is_one_run
from vidsr.media.read.key_index import KeyIndex
from vidsr.media.read.locate import frames_before, locate_frames, locate_times, presentation_times
from vidsr.media.read.probe import probe
from vidsr.media.read.program_clock import find_step_back
from vidsr.media.verify import verify

NAMES = ["joined.vob", "joined.mpg", "joined.ts", "joined.m2ts"]
PACK = b"\0\0\1\xba"


def parts_of(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"part-0{path.suffix}"), path.with_name(f"part-1{path.suffix}")


def continued(path: Path) -> list[tuple[Fraction, str]]:
    """The pictures of both parts, the second one's 0.8 s later, which is how long the first 20 last."""
    one, two = (reference.decoded(part) for part in parts_of(path))
    assert [len(one), len(two)] == [20, 40]
    assert one[0].pts == two[0].pts
    return [(row.pts, row.md5) for row in one] + [(row.pts + Fraction(4, 5), row.md5) for row in two]


@pytest.mark.parametrize("name", NAMES)
def test_pictures_sound_and_subtitles_go_on_by_the_same_time(
    clips: ClipShelf, tmp_path: Path, name: str
) -> None:
    source, output = clips(name), tmp_path / "out.mkv"
    remade = remake(source, output, color=BT601)
    expected, found = continued(source), [(row.pts, row.md5) for row in reference.decoded(output)]
    assert [md5 for _, md5 in found] == [md5 for _, md5 in expected]
    half_a_tick = Fraction(1, 2000)
    assert all(abs(a[0] - b[0]) <= half_a_tick for a, b in zip(found, expected, strict=True))
    one, two = (reference.packets(part) for part in parts_of(source))
    after = reference.packets(output)
    assert len(after) == (3 if name == "joined.m2ts" else 2)
    for index in after.keys() - {0}:
        wanted = [row.pts for row in one[index]] + [row.pts + Fraction(4, 5) for row in two[index]]
        got = [row.pts for row in after[index]]
        # sound that is cut through at the join belongs to neither part; Matroska unites parts of a subtitle
        assert len(wanted) - len(got) in (0, 1) if index == 1 else len(got) == 4
        assert all(min(abs(time - there) for there in got) <= 2 * half_a_tick for time in wanted[:-3])
    assert [(damage.kind, damage.stream) for damage in remade.damage] == [("backward", 0)]
    assert str(remade.damage[0]).endswith("its clock begins anew, 0.760 s earlier; time goes on")
    names = [check.name for check in verify(source, output).failures]
    assert names == (["colour tags"] if name == "joined.mpg" else [])  # of MPEG-1, BT601 lacks the location


@pytest.mark.parametrize("name", NAMES)
def test_ranges_count_on_that_time_line(clips: ClipShelf, tmp_path: Path, name: str) -> None:
    """Before the join, over it, and behind it, where the same time is in the file twice."""
    path = clips(name)
    info, expected = probe(path), continued(path)
    times = [time for time, _ in expected]
    assert [pts * info.time_base for pts in presentation_times(info)] == pytest.approx(times, abs=1e-5)
    for first, last in ((3, 9), (15, 25), (30, 45), (50, 60)):
        by_number = locate_frames(info, first, last)
        end = times[last] - info.start_time if last < 60 else None
        assert locate_times(info, times[first] - info.start_time, end) == by_number
        found = [frame.time for frame in frames_of(path, by_number)]
        assert found == pytest.approx(times[first:last], abs=1e-5)
    assert frames_before(info, times[30]) == 30
    assert KeyIndex.of(info) is None  # so no worker begins in the middle
    output = tmp_path / "out.mkv"
    remake(path, output, segment=locate_frames(info, 30, 45), color=BT601)
    assert [row.md5 for row in reference.decoded(output)] == [md5 for _, md5 in expected[30:45]]
    wanted = [row.md5 for row in reference.packets(parts_of(path)[1])[1]]
    got = [row.md5 for row in reference.packets(output)[1]]
    assert len(got) > 10
    assert set(got) <= set(wanted)


def test_stamps_that_step_back_on_one_clock_are_no_join(clips: ClipShelf, tmp_path: Path) -> None:
    """A muxer that stamps one picture 0.3 s too early; the clock in the packs goes on."""
    data = bytearray(parts_of(clips("joined.vob"))[1].read_bytes())
    place = [i for i in range(len(data) - 4) if data[i : i + 4] == b"\0\0\1\xe0" and data[i + 7] >> 6][20]
    for field in (place + 9, place + 14)[: 1 + (data[place + 7] >> 6 == 3)]:
        bits = int.from_bytes(data[field : field + 5], "big")
        ticks = (bits >> 33 & 7) << 30 | (bits >> 17 & 0x7FFF) << 15 | bits >> 1 & 0x7FFF
        ticks -= 27000
        bits = bits >> 36 << 36 | (ticks >> 30) << 33 | (ticks >> 15 & 0x7FFF) << 17 | (ticks & 0x7FFF) << 1
        data[field : field + 5] = (bits | 1 << 32 | 1 << 16 | 1).to_bytes(5, "big")
    source, output = tmp_path / "in.vob", tmp_path / "out.mkv"
    source.write_bytes(data)
    whole = parts_of(clips("joined.vob"))[1]
    remade = remake(source, output)
    assert [row.md5 for row in reference.decoded(output)] == [row.md5 for row in reference.decoded(whole)]
    sound = [row.pts for row in reference.packets(whole)[1]]
    assert [row.pts for row in reference.packets(output)[1]] == pytest.approx(sound, abs=0.001)
    assert any(damage.kind == "backward" for damage in remade.damage)
    assert not any("begins anew" in damage.detail for damage in remade.damage)


def test_subtitles_of_blu_ray_are_verified_whatever_their_packets_are(
    clips: ClipShelf, tmp_path: Path
) -> None:
    """Two compositions, each with its end: four packets in a transport stream, two in Matroska."""
    source, output = parts_of(clips("joined.m2ts"))[1], tmp_path / "out.mkv"
    remake(source, output, color=BT601)
    assert [len(reference.packets(path)[2]) for path in (source, output)] == [4, 2]
    assert verify(source, output).failures == ()
    without = tmp_path / "without.mkv"
    reference.ffmpeg("-i", output, "-map", "0", "-c", "copy", "-bsf:s", "noise=drop='eq(n,1)'", without)
    losses = {check.name: check.detail for check in verify(source, without).failures}
    assert losses["subtitle 2"] == (
        "1 packets instead of 2; the first that is missing or altered is packet 1 at 1.780 s"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_clock_steps_back_at_the_first_byte_of_the_second_part(clips: ClipShelf, name: str) -> None:
    """In transport streams it is in some packets only: there at the first of those."""
    path = clips(name)
    format_name = "mpegts" if "ts" in path.suffix else "mpeg"
    size, join = path.stat().st_size, parts_of(path)[0].stat().st_size
    found = find_step_back(path, format_name, 0, size)
    assert found.step is not None
    assert found.last is not None
    assert found.last < join <= found.step
    assert found.step - join < (10 * 192 if format_name == "mpegts" else 1)
    for part in parts_of(path):
        assert find_step_back(part, format_name, 0, part.stat().st_size).step is None
    assert find_step_back(path, format_name, join // 2 + 77, size) == found
    assert find_step_back(path, format_name, 0, join).step is None


def test_a_clock_that_begins_anew_of_itself_is_not_a_new_one(tmp_path: Path) -> None:
    """It has 33 bits: behind 2^33 - 1 comes 0. MPEG-2 packs, laid out by hand after ISO 13818-1."""

    def pack(ticks: int) -> bytes:
        bits = 1 << 46 | (ticks >> 30) << 43 | 1 << 42 | (ticks >> 15 & 0x7FFF) << 27 | 1 << 26
        return PACK + (bits | (ticks & 0x7FFF) << 11 | 1 << 10 | 1).to_bytes(6, "big") + bytes(2038)

    path = tmp_path / "wraps.vob"
    for ticks, step in (
        ((2**33 - 9000, 2**33 - 1, 0, 9000), None),
        ((9000, 18000, 17999, 27000), 2 * 2048),
        ((0x1_5A5A_5A5A, 0x1_5A5A_5A5B, 0x0_A5A5_A5A5), 2 * 2048),
    ):
        path.write_bytes(b"".join(map(pack, ticks)))
        assert find_step_back(path, "mpeg", 0, path.stat().st_size).step == step


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each reading of a file gives."""
    given: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(-1 if size is None else size) or b""
            given.append(len(data))
            return data

    def opened(path: Path, mode: str) -> Counted:
        return Counted(path, mode)

    monkeypatch.setattr("vidsr.media.read.program_clock.Path.open", opened)
    return given


@pytest.mark.parametrize("name", ["joined.ts", "joined.m2ts", "joined.vob"])
def test_no_more_of_a_file_is_read_than_is_asked_about(
    clips: ClipShelf, tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    """Where stamps step back on one clock, each picture asks about the few bytes since the one before."""
    part = parts_of(clips(name))[1].read_bytes()
    path = tmp_path / name
    path.write_bytes(part * (8 * 1024 * 1024 // len(part)))
    reads: list[int] = request.getfixturevalue("reads")
    format_name = "mpegts" if "ts" in path.suffix else "mpeg"
    join = len(part)
    assert find_step_back(path, format_name, join - 30_000, join + 20_000).step is not None
    assert find_step_back(path, format_name, join + 20_000, join + 20_100).step is None
    assert sum(reads) < 60_000


def test_a_stream_torn_at_many_places_is_not_read_over_and_over(
    clips: ClipShelf, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """As bad reception leaves it: 50 bytes are lost of every 100 packets."""
    part = parts_of(clips("joined.ts"))[1].read_bytes()
    part = part[: len(part) // 18800 * 18800]
    torn = b"".join(part[place : place + 18750] for place in range(0, len(part), 18800))
    path, times = tmp_path / "in.ts", 3 * 1024 * 1024 // len(part)
    path.write_bytes(torn * times)
    reads: list[int] = request.getfixturevalue("reads")
    begin = 0
    steps = 0
    while (found := find_step_back(path, "mpegts", begin, len(torn) * times)).step is not None:
        begin = found.step
        steps += 1
    assert steps == times - 1
    assert sum(reads) < 300_000 * (len(part) // 18800 + 2) * times


def test_for_many_places_a_long_file_is_looked_through_once(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A clock in every 50th packet, laid out by hand after ISO 13818-1; in the last tenth it begins anew."""
    packets = []
    for number in range(1600):
        ticks = 3600 * (number if number < 1440 else number - 1440)
        clock = (ticks << 15 | 0x7E00).to_bytes(6, "big")
        packets.append(b"\x47\x01\x00\x20\xb7\x10" + clock + bytes(176))
        packets += [b"\x47\x1f\xff\x10" + bytes(184)] * 49
    path = tmp_path / "in.ts"
    path.write_bytes(b"".join(packets))
    size = path.stat().st_size
    reads: list[int] = request.getfixturevalue("reads")
    places = [size * k // 20 for k in (*range(21), 3, 18, 19)]
    found = [is_one_run(path, "mpegts", place) for place in places]
    assert found == [place <= 1440 * 50 * 188 for place in places]
    assert size > 14_000_000
    assert sum(reads) < size + 20 * 1_500_000
    with path.open("r+b") as file:
        file.truncate(1440 * 50 * 188)
    assert is_one_run(path, "mpegts", size)


def test_rubbish_between_transport_packets_is_passed_over(clips: ClipShelf, tmp_path: Path) -> None:
    one, two = (part.read_bytes() for part in parts_of(clips("joined.ts")))
    path = tmp_path / "in.ts"
    path.write_bytes(one + bytes(range(256)) * 40 + two)
    found = find_step_back(path, "mpegts", 0, path.stat().st_size)
    assert found.step is not None
    assert 0 <= found.step - len(one) - 10240 < 10 * 188


def test_large_steps_keep_sound_and_picture_together_too(clips: ClipShelf, tmp_path: Path) -> None:
    """The second part alone is 10 s earlier: by how much its sound is ahead of its picture stays the same."""
    source, output = clips("spliced_sound.ts"), tmp_path / "out.mkv"
    remake(source, output)
    second = reference.packets(source.with_name("part-1.ts"))
    ahead = second[0][0].pts - second[1][0].pts
    after = reference.packets(output)
    gaps = [later.pts - earlier.pts for earlier, later in pairwise(after[0])]
    assert max(abs(gap - Fraction(1, 25)) for gap in gaps) <= Fraction(1, 1000)
    sounds = {row.md5: row.pts for row in after[1]}
    assert abs(after[0][20].pts - sounds[second[1][0].md5] - ahead) <= Fraction(1, 500)
