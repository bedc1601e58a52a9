"""What is done about bad frames and changing sizes, by each rule."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from vidsr.channel import StopSignal
from vidsr.damage import Damage
from vidsr.errors import DamagedSourceError, FrameSizeError
from vidsr.frames import Frame
from vidsr.job import ReadingRules, Segment
from vidsr.media.filters import parse_chain
from vidsr.media.read.filtered_reader import FilteredReader, Filtering
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.segment_reader import Stretch

ALL = [Fraction(n, 25) for n in range(50)]


def read(path: Path, rules: ReadingRules, segment: Segment | None = None) -> tuple[list[Frame], list[Damage]]:
    with Reader(probe(path), segment, threads=2, rules=rules) as reader:
        return list(reader.frames()), reader.damage


def md5(frame: Frame) -> str:
    return hashlib.md5(b"".join(plane.tobytes() for plane in frame.planes)).hexdigest()


@pytest.fixture(scope="module")
def holed(clips: ClipShelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """FFV1, every frame a key frame; those number 20, 21 and 49 of 50 cannot be decoded."""
    folder = tmp_path_factory.mktemp("holed")
    path, whole = folder / "holed.mkv", folder / "whole.mkv"
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mp4"), "-map", "0:v", "-c:v", "ffv1", "-level", "3",
        "-slicecrc", "1", "-g", "1", whole,
    )  # fmt: skip
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for number in (20, 21, 49):
        content = bytes(packets[number])
        position = data.find(content)
        data[position : position + len(content)] = b"\xff" * len(content)
    path.write_bytes(data)
    return path


def test_the_holes_are_holes(holed: Path) -> None:
    """By the program that made the clip: frames 20, 21 and 49 are missing or wrong."""
    seen = {row.pts: row.md5 for row in reference.decoded(holed)}
    whole = {row.pts: row.md5 for row in reference.decoded(holed.with_name("whole.mkv"))}
    assert {pts for pts in whole if seen.get(pts) != whole[pts]} == {ALL[20], ALL[21], ALL[49]}


def test_repeat_shows_the_last_good_frame_at_the_time_of_each_bad_one(holed: Path) -> None:
    frames, damage = read(holed, ReadingRules("repeat"))
    whole, _ = read(holed.with_name("whole.mkv"), ReadingRules())
    expected = [md5(frame) for frame in whole]
    expected[20] = expected[21] = expected[19]
    expected[49] = expected[48]
    assert [frame.time for frame in frames] == ALL
    assert [md5(frame) for frame in frames] == expected
    assert [frame.index for frame in frames] == list(range(50))
    assert damage


def test_skip_leaves_every_bad_frame_out(holed: Path) -> None:
    frames, damage = read(holed, ReadingRules("skip"))
    whole, _ = read(holed.with_name("whole.mkv"), ReadingRules())
    good = [n for n in range(50) if n not in (20, 21, 49)]
    assert [frame.time for frame in frames] == [ALL[n] for n in good]
    assert [md5(frame) for frame in frames] == [md5(whole[n]) for n in good]
    assert damage


def test_error_ends_at_the_first_bad_frame_and_names_its_time(holed: Path) -> None:
    with pytest.raises(DamagedSourceError, match=r"at 0\.800 s") as caught:
        read(holed, ReadingRules("error"))
    assert "--on-bad-frame" in str(caught.value.hint)


def test_error_does_not_mind_bad_frames_outside_the_range(holed: Path) -> None:
    frames, damage = read(holed, ReadingRules("error"), Segment(1000, 1600))
    assert [frame.time for frame in frames] == ALL[25:40]
    assert damage == []


def test_repeated_frames_pass_through_filters(holed: Path) -> None:
    source = probe(holed)
    filtering = Filtering.of(source, Segment(), parse_chain("hflip"))
    stretches = [Stretch(filtering.given_segment)]
    rules = ReadingRules("repeat")
    reader = FilteredReader(filtering, stretches, length=None, stop=StopSignal(), rules=rules)
    frames = list(reader.frames())
    assert [frame.time for frame in frames] == ALL
    assert md5(frames[20]) == md5(frames[21]) == md5(frames[19])
    plain, _ = read(holed, rules)
    assert np.array_equal(frames[30].planes[0], plain[30].planes[0][:, ::-1])


def test_a_change_of_size_is_an_error_that_names_the_option(clips: ClipShelf) -> None:
    with pytest.raises(FrameSizeError) as caught:
        read(clips("size_change.ts"), ReadingRules())
    assert "--on-size-change rescale" in str(caught.value.hint)


def test_rescale_fits_later_frames_into_the_first_size(clips: ClipShelf) -> None:
    frames, _ = read(clips("size_change.ts"), ReadingRules(on_size_change="rescale"))
    assert len(frames) == 20
    assert {(frame.width, frame.height) for frame in frames} == {(96, 64)}
    # ffmpeg's own scaling of the same frames, and its bicubic is what is meant here too
    expected = reference.raw_video(clips("size_change.ts"), "yuv420p")
    rows = np.frombuffer(expected, np.uint8).reshape(20, -1)
    for frame, row in zip(frames, rows, strict=True):
        luma = row[: 96 * 64].reshape(64, 96).astype(int)
        assert np.abs(frame.planes[0] - luma).mean() < 1


def test_whole_files_read_the_same_under_every_rule(clips: ClipShelf) -> None:
    kept, _ = read(clips("vfr.mkv"), ReadingRules())
    for rules in (ReadingRules("repeat", "rescale"), ReadingRules("skip"), ReadingRules("error")):
        frames, damage = read(clips("vfr.mkv"), rules)
        assert [(f.pts, md5(f)) for f in frames] == [(f.pts, md5(f)) for f in kept]
        assert damage == []
