"""Damaged files: everything that can be decoded comes out, everything else is on record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import frames_of, remake
from vidsr.damage import Damage
from vidsr.errors import DamagedSourceError, NotAVideoError, VidsrError
from vidsr.job import Segment
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.truncation import missing_bytes


def read(path: Path, segment: Segment | None = None, threads: int = 2) -> tuple[list[Fraction], list[Damage]]:
    with Reader(probe(path), segment, threads=threads) as reader:
        times = [frame.time for frame in reader.frames()]
    return times, reader.damage


def cut(path: Path, folder: Path, keep: float) -> Path:
    target = folder / f"cut-{path.name}"
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * keep)])
    return target


def overwritten(path: Path, folder: Path, start: float, length: int) -> Path:
    """Zeros from a fraction of the file on."""
    target = folder / f"hole-{path.name}"
    data = bytearray(path.read_bytes())
    position = int(len(data) * start)
    data[position : position + length] = bytes(length)
    target.write_bytes(data)
    return target


CUT = ["b_frames.mkv", "faststart.mp4", "fragmented.mp4", "long_h264.avi"]


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("threads", [1, 4])
def test_cut_file_gives_what_ffmpeg_decodes_and_says_it_is_cut(
    clips: ClipShelf, tmp_path: Path, name: str, threads: int
) -> None:
    path = cut(clips(name), tmp_path, 0.6)
    expected = [row.pts for row in reference.decoded(path)]
    times, damage = read(path, threads=threads)
    assert [float(t) for t in times] == pytest.approx([float(t) for t in expected], abs=1e-6)
    assert 5 < len(times) < 40
    assert damage[-1].kind == "truncated"
    missing = clips(name).stat().st_size - path.stat().st_size
    assert 0 < missing_bytes(path) <= missing
    assert f"at least {missing_bytes(path)} bytes short" in damage[-1].detail


def test_frames_that_the_header_announces_are_missed(clips: ClipShelf, tmp_path: Path) -> None:
    times, damage = read(cut(clips("faststart.mp4"), tmp_path, 0.6))
    assert damage[-1].packets == 50 - len(times)
    assert f"{50 - len(times)} of 50 announced frames are not there" in damage[-1].detail


@pytest.mark.parametrize(
    "name", [*CUT, "everything.mkv", "extras.mp4", "edit_list.mp4", "mpeg4.avi", "late.ts"]
)
def test_whole_files_miss_nothing(clips: ClipShelf, name: str) -> None:
    assert missing_bytes(clips(name)) == 0
    assert read(clips(name))[1] == []


@pytest.mark.parametrize(
    "name", ["faststart.mp4", "b_frames.mkv", "late.ts", "interlaced.mpg", "fragmented.mp4"]
)
@pytest.mark.parametrize("start", [0.3, 0.55])
def test_hole_loses_no_frame_that_ffmpeg_decodes(
    clips: ClipShelf, tmp_path: Path, name: str, start: float
) -> None:
    path = overwritten(clips(name), tmp_path, start, 3000)
    expected = reference.decoded(path)
    times, damage = read(path)
    assert len(times) == len(expected)
    assert all(later > earlier for earlier, later in pairwise(times))
    if name == "faststart.mp4":
        lost = sum(d.packets for d in damage if d.kind in ("undecodable", "missing"))
        assert lost == 50 - len(times) > 0


def test_undecodable_packets_are_on_record_with_their_time(clips: ClipShelf, tmp_path: Path) -> None:
    path = overwritten(clips("every_frame_a_key.mp4"), tmp_path, 0.5, 3000)
    times, damage = read(path)
    lost = [d for d in damage if d.kind == "undecodable"]
    assert lost
    first = lost[0].time
    assert first is not None
    assert first not in times
    assert first - Fraction(1, 25) in times
    assert str(lost[0]).startswith(f"undecodable at {float(first):.3f} s: ")


def test_damage_outside_a_range_does_not_count(clips: ClipShelf, tmp_path: Path) -> None:
    path = overwritten(clips("every_frame_a_key.mp4"), tmp_path, 0.8, 3000)
    times, damage = read(path, Segment(start_pts=0, end_pts=10 * 512))
    assert len(times) == 10
    assert damage == []


def test_end_that_breaks_off_in_the_middle_of_a_frame_loses_only_that_frame(
    clips: ClipShelf, tmp_path: Path
) -> None:
    """With frame threads PyAV gives up all frames that are inside when one of the last fails."""
    path = cut(clips("every_frame_a_key.mp4"), tmp_path, 0.97)
    for threads in (1, 2, 8):
        times, damage = read(path, threads=threads)
        assert len(times) == len(reference.decoded(path))
        assert "truncated" in [d.kind for d in damage]


def test_stream_that_begins_without_a_key_frame(clips: ClipShelf, tmp_path: Path) -> None:
    data = clips("one_gop.ts").read_bytes()
    path = tmp_path / "middle.ts"
    path.write_bytes(data[: 188 * 3] + data[len(data) // 188 // 3 * 188 :])
    with pytest.raises(DamagedSourceError, match="no frame of its video can be decoded"):
        read(path)


def test_unknown_codec_is_named(clips: ClipShelf, tmp_path: Path) -> None:
    path = tmp_path / "unknown.mkv"
    path.write_bytes(clips("b_frames.mkv").read_bytes().replace(b"V_MPEG4/ISO/AVC", b"V_MPEG4/ISO/XYZ"))
    with pytest.raises(NotAVideoError, match="there is no decoder for its video"):
        probe(path)


def test_growing_file_is_noticed(clips: ClipShelf, tmp_path: Path) -> None:
    path = tmp_path / "growing.ts"
    whole = clips("late.ts").read_bytes()
    path.write_bytes(whole[: 188 * 100])
    info = probe(path)
    path.write_bytes(whole)
    with Reader(info) as reader:
        assert len(list(reader.frames())) == 50
    assert reader.damage[-1].detail == (
        f"the file changed while it was read: its size differs by {len(whole) - 18800:+d} bytes"
    )


def test_damaged_sound_does_not_stop_the_picture(clips: ClipShelf, tmp_path: Path) -> None:
    """Holes in the ADTS headers of a transport stream: those packets cannot be put into MP4."""
    source = clips("late.ts")
    data = bytearray(source.read_bytes())
    headers = [
        i
        for i in range(0, len(data), 188)
        if data[i + 1] & 0x40 and (data[i + 1] & 31, data[i + 2]) == (1, 1)
    ]
    for position in headers[1:3]:
        data[position + 18 : position + 188] = bytes(170)
    broken, output = tmp_path / "broken.ts", tmp_path / "out.mp4"
    broken.write_bytes(data)
    remade = remake(broken, output, encoder="libx264")
    assert len(reference.decoded(output)) == 50
    assert {d.stream for d in remade.damage} == {1}
    assert 0 < len(reference.packets(output)[1]) < len(reference.packets(source)[1])


def test_nothing_decodable_leaves_no_output(clips: ClipShelf, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    shutil.copy(clips("every_frame_a_key.mp4"), source)
    output = tmp_path / "out.mkv"

    def ruin(path: Path) -> None:
        data = bytearray(path.read_bytes())
        start = data.index(b"mdat") + 4
        data[start:] = bytes(len(data) - start)
        path.write_bytes(data)

    with pytest.raises(DamagedSourceError):
        after_probe(source, output, ruin)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def after_probe(source: Path, output: Path, event: Callable[[Path], None]) -> None:
    """Remake a file that changes right after it was looked at."""
    info = probe(source)
    event(source)
    with Reader(info) as reader:
        assert list(reader.frames()) == []
    remake(source, output)


def test_one_pixel_is_a_picture(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("one_pixel.mkv"), tmp_path / "out.mkv"
    assert [(frame.width, frame.height) for frame in frames_of(source)] == [(1, 1)] * 3
    remake(source, output)
    assert reference.raw_video(output, "yuv444p") == reference.raw_video(source, "yuv444p")


def test_stop_ends_the_frames(clips: ClipShelf) -> None:
    with Reader(probe(clips("b_frames.mp4")), threads=1) as reader:
        frames = reader.frames()
        next(frames)
        reader.stop()
        assert len(list(frames)) < 20
    assert reader.damage == []


def test_every_kind_of_ruin_ends_in_a_file_or_one_line(clips: ClipShelf, tmp_path: Path) -> None:
    """One flipped byte in every 1/25 of some files: no other exception, nothing left lying around."""
    for name in ("b_frames.mp4", "everything.mkv", "late.ts", "h264.avi"):
        data = clips(name).read_bytes()
        for step in range(25):
            ruined = bytearray(data)
            ruined[len(data) * step // 25] ^= 0xFF
            source, output = tmp_path / f"in.{name[-3:].strip('.')}", tmp_path / "out.mkv"
            source.write_bytes(ruined)
            message = ""
            try:
                remade = remake(source, output, encoder="libx264", overwrite=True)
            except VidsrError as error:
                message = error.message
                as_promised = not output.exists()
            else:
                as_promised = remade.written.frames > 0
            assert as_promised
            assert "\n" not in message
            assert {path.name for path in tmp_path.iterdir()} <= {source.name, output.name}
            source.unlink()
            output.unlink(missing_ok=True)
