"""Packets come back from a segment file as the encoder gave them, or damage is noticed."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from vidsr.errors import DamagedSegmentError, JobError
from vidsr.media.write.packet_file import Head, PacketFileReader, PacketFileWriter, checked_digest

UNIT = Fraction(1, 90_000)
PTS = [5, 3008, 3010, 9000, 12_345, 12_346, 20_000, 2**40, 2**40 + 7]
HEAD = Head("job", "libx264", UNIT, b"\0\1header\xff")


def encoded() -> list[Packet[Any]]:
    """A few frames through x264 with B-frames, uneven and with a far jump."""
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = 32, 32, "yuv420p"
    context.time_base = UNIT
    context.options = {"bf": "3", "x264-params": "b-adapt=0:scenecut=0"}
    context.flags |= Flags.frame_duration
    packets: list[Packet[Any]] = []
    for number, pts in enumerate(PTS):
        picture = av.VideoFrame.from_ndarray(np.full((48, 32), 20 * number, np.uint8), format="yuv420p")
        picture.pts, picture.time_base, picture.duration = pts, UNIT, number + 1
        packets += context.encode(picture)
    return packets + list(context.encode(None))


Facts = list[tuple[int | None, int | None, bool, bytes]]


def facts(packets: list[Packet[Any]]) -> Facts:
    return [(p.pts, p.duration, p.is_keyframe, bytes(p)) for p in packets]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Facts]:
    path = tmp_path_factory.mktemp("packets") / "a.packets"
    packets = encoded()
    assert [p.pts for p in packets] != sorted(PTS)  # B-frames: decoding order differs
    assert sorted(p.duration or 0 for p in packets) == list(range(1, 10))
    with PacketFileWriter(path, HEAD) as writer:
        for packet in packets:
            writer.write(packet)
        assert writer.finish({"frames": 9}) == (checked_digest(path), path.stat().st_size)
    return path, facts(packets)


def read(path: Path) -> Facts:
    with PacketFileReader(path) as reader:
        return facts(list(reader.packets()))


def test_everything_comes_back(stored: tuple[Path, Facts]) -> None:
    path, expected = stored
    with PacketFileReader(path) as reader:
        assert reader.head == HEAD
        packets = list(reader.packets())
        assert facts(packets) == expected
        assert {p.time_base for p in packets} == {UNIT}
        assert reader.tail == {"frames": 9}


def test_the_file_ends_with_the_sha256_of_the_rest(stored: tuple[Path, Facts]) -> None:
    data = stored[0].read_bytes()
    assert data.startswith(b"vidsr packets 1\n")
    assert data[-32:] == hashlib.sha256(data[:-32]).digest()
    assert checked_digest(stored[0]) == data[-32:].hex()


def test_every_cut_is_noticed(stored: tuple[Path, Facts], tmp_path: Path) -> None:
    data = stored[0].read_bytes()
    cut = tmp_path / "cut.packets"
    for length in [*range(0, 200), *range(200, len(data), 97), len(data) - 1]:
        cut.write_bytes(data[:length])
        assert checked_digest(cut) is None
        with pytest.raises(DamagedSegmentError):
            read(cut)


def test_every_flipped_bit_is_noticed(stored: tuple[Path, Facts], tmp_path: Path) -> None:
    data = stored[0].read_bytes()
    flipped = tmp_path / "flipped.packets"
    for place in [*range(0, 200), *range(200, len(data), 61), len(data) - 1]:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        flipped.write_bytes(changed)
        assert checked_digest(flipped) is None
        with pytest.raises(DamagedSegmentError):
            read(flipped)


def test_bytes_behind_the_end_are_noticed(stored: tuple[Path, Facts], tmp_path: Path) -> None:
    longer = tmp_path / "longer.packets"
    longer.write_bytes(stored[0].read_bytes() + b"\0")
    assert checked_digest(longer) is None
    with pytest.raises(DamagedSegmentError, match="checksum"):
        read(longer)


def test_the_name_appears_only_at_the_end_and_nothing_stays_of_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.packets"
    (packet, *_) = encoded()
    with PacketFileWriter(path, HEAD) as writer:
        writer.write(packet)
        assert [p.name for p in tmp_path.iterdir()] == ["a.packets.part"]
    assert list(tmp_path.iterdir()) == []
    with PacketFileWriter(path, HEAD) as writer:
        writer.finish({})
    assert read(path) == []


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedSegmentError, match="No such file"):
        PacketFileReader(tmp_path / "none.packets")
    (tmp_path / "text.packets").write_text("hello " * 10)
    with pytest.raises(DamagedSegmentError, match="no segment file"):
        PacketFileReader(tmp_path / "text.packets")
    assert checked_digest(tmp_path / "none.packets") is None


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
@pytest.mark.parametrize("read_it", [read, checked_digest], ids=["packets", "digest"])
def test_a_read_that_fails_does_not_say_that_the_file_is_damaged(
    stored: tuple[Path, Facts],
    monkeypatch: pytest.MonkeyPatch,
    read_it: Callable[[Path], object],
    number: int,
) -> None:
    """Each of them in turn, as on a server that goes away meanwhile."""
    path, _ = stored
    left = 0

    class Failing(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal left
            left -= 1
            if left == -1:
                raise OSError(number, os.strerror(number))
            return super().read(size)

    # the content, the digest; or name, length and words of the head, two for each packet, end, tail, digest
    reads = 2 if read_it is checked_digest else 3 + 2 * len(PTS) + 3
    monkeypatch.setattr(Path, "open", lambda path, _: Failing(io.FileIO(path)))
    for turn in range(reads):
        left = turn
        with pytest.raises(JobError, match=f"cannot be read: {os.strerror(number)}") as caught:
            read_it(path)
        assert not isinstance(caught.value, DamagedSegmentError)
    left = reads
    assert read_it(path)
