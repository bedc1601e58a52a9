"""Ranges are exact to the frame on any GOP, and sound, subtitles and chapters are cut with them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import frames_of, remake
from vidsr.errors import UsageError
from vidsr.job import RangeRequest, Segment
from vidsr.media.read.locate import locate, locate_frames, locate_times, presentation_times
from vidsr.media.read.probe import probe

CLIPS = ["b_frames.mp4", "b_frames.mkv", "vfr.mkv", "late.ts", "negative.ts", "edit_list.mp4",
         "interlaced.mpg", "mpeg4.avi", "h264.avi", "raw.h264", "open_gop.ts", "pal8.gif"]  # fmt: skip


@pytest.mark.parametrize("name", CLIPS)
def test_frame_range_is_that_slice_of_what_ffmpeg_shows(clips: ClipShelf, name: str) -> None:
    path = clips(name)
    whole = [bytes(frame.planes[0]) for frame in frames_of(path)]
    times = [row.pts for row in reference.decoded(path)]
    assert len(whole) == len(times)
    count = len(whole)
    for first, last in ((0, 3), (1, 2), (count // 2, count // 2 + 3), (count - 2, count), (5, None)):
        frames = frames_of(path, locate_frames(probe(path), first, last))
        assert [bytes(frame.planes[0]) for frame in frames] == whole[first:last]
        assert [float(frame.time) for frame in frames] == pytest.approx(
            [float(t) for t in times[first:last]], abs=1e-6
        )
        assert [frame.index for frame in frames] == list(range(len(frames)))


def test_every_single_frame_of_a_long_gop_can_be_picked(clips: ClipShelf) -> None:
    path = clips("b_frames.mp4")
    whole = [bytes(frame.planes[0]) for frame in frames_of(path)]
    for number in range(len(whole)):
        (frame,) = frames_of(path, locate_frames(probe(path), number, number + 1))
        assert bytes(frame.planes[0]) == whole[number]


def test_range_beyond_the_end_is_open(clips: ClipShelf) -> None:
    path = clips("b_frames.mp4")
    assert locate_frames(probe(path), 0, 50) == Segment()
    assert locate_frames(probe(path), 0, 1000) == Segment()
    assert locate_frames(probe(path), None, None) == Segment()
    assert locate_frames(probe(path), 40, 1000) == Segment(start_pts=40 * 512)


def test_first_frame_beyond_the_end_is_an_error(clips: ClipShelf) -> None:
    with pytest.raises(UsageError, match=r"frame 50 does not exist: b_frames\.mp4 has 50 frames"):
        locate_frames(probe(clips("b_frames.mp4")), 50, 60)


def test_times_count_from_where_players_start(clips: ClipShelf) -> None:
    """The stream's own clock begins at 2.78 s with sound; the picture follows 0.021 s later."""
    info = probe(clips("late.ts"))
    assert float(info.start_time) == pytest.approx(2.7787, abs=1e-4)
    segment = locate_times(info, Fraction(1), Fraction(3, 2))
    times = [row.pts for row in reference.decoded(info.path)]
    expected = [t for t in times if 1 <= t - info.start_time < Fraction(3, 2)]
    assert [frame.time for frame in frames_of(info.path, segment)] == expected


def test_a_time_shown_in_milliseconds_finds_its_frame(clips: ClipShelf) -> None:
    info = probe(clips("ntsc.mp4"))
    times = [frame.time for frame in frames_of(info.path)]
    assert times[7] == Fraction(7 * 1001, 24000)
    for number in (1, 7, 11):
        rounded = Fraction(f"{float(times[number]):.3f}")
        segment = locate_times(info, rounded, None)
        assert frames_of(info.path, segment)[0].time == times[number]
        if number > 1:
            assert [f.time for f in frames_of(info.path, locate_times(info, None, rounded))] == times[:number]


def test_range_without_a_frame_is_an_error(clips: ClipShelf) -> None:
    info = probe(clips("b_frames.mp4"))
    with pytest.raises(UsageError, match=r"no frame of b_frames\.mp4 lies in that range") as caught:
        locate_times(info, Fraction(10), None)
    assert caught.value.hint == "its last frame is at 1.960 s"
    with pytest.raises(UsageError):
        locate_times(info, Fraction(1, 100), Fraction(2, 100))


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_cut_begins_at_zero_with_sound_in_step(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    source, output = clips("b_frames.mp4"), tmp_path / f"out.{suffix}"
    segment = locate_frames(probe(source), 13, 38)
    remake(source, output, encoder="libx264", segment=segment)
    start, end = Fraction(13, 25), Fraction(38, 25)
    shown = [(row.pts - start, row.md5) for row in reference.decoded(source) if start <= row.pts < end]
    got = [(row.pts, row.md5) for row in reference.decoded(output)]
    assert [md5 for _, md5 in got] == [md5 for _, md5 in shown]
    tick = Fraction(1, 1000)
    assert all(abs(new[0] - old[0]) <= tick for old, new in zip(shown, got, strict=True))
    before, after = reference.packets(source), reference.packets(output)
    for stream in (1, 2):
        wanted = [row for row in before[stream] if start <= row.pts < end]
        assert [row.md5 for row in after[stream]] == [row.md5 for row in wanted]
        for old, new in zip(wanted, after[stream], strict=True):
            assert abs(new.pts - (old.pts - start)) <= tick


def test_cut_shortens_subtitles_and_chapters(clips: ClipShelf, tmp_path: Path) -> None:
    """Kept: 0.52 s to 1.52 s. The first line (0.2 to 0.9) was on when the cut begins."""
    source, output = clips("everything.mkv"), tmp_path / "out.mkv"
    remake(source, output, segment=locate_frames(probe(source), 13, 38))
    ms = Fraction(1, 1000)
    assert reference.subtitle_text(output, 0) == [
        (0 * ms, 380 * ms, "First line"),
        (580 * ms, 1000 * ms, "Second, with ümlaut"),
    ]
    assert reference.chapters(output) == [
        reference.Chapter(0 * ms, 280 * ms, "Opening"),
        reference.Chapter(280 * ms, 1000 * ms, "Part two"),
    ]
    assert len(reference.attachments(output, tmp_path)) == 1


def test_cut_converts_and_shortens_subtitles_for_mp4(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mp4"
    remake(source, output, encoder="libx264", segment=locate_frames(probe(source), 13, 38))
    ms = Fraction(1, 1000)
    assert reference.subtitle_text(output, 1) == [
        (0 * ms, 480 * ms, "Bold words"),
        (680 * ms, 1000 * ms, "Last words"),
    ]


def test_cut_converts_sound_of_the_range_only(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mp4"
    remake(source, output, encoder="libx264", segment=locate_frames(probe(source), 13, 38))
    rows = reference.decoded_sound(output, 1)
    assert rows[0].pts == pytest.approx(0, abs=0.024)
    assert float(rows[-1].pts + rows[-1].duration) == pytest.approx(1.0, abs=0.05)


def test_what_people_name_is_found_by_what_they_name(clips: ClipShelf) -> None:
    """25 frames a second on a clock of 1/12800 s: frame 13 is shown at 0.52 s."""
    info = probe(clips("b_frames.mp4"))
    bounds = Segment(13 * 512, 38 * 512)
    assert locate(info, RangeRequest(first_frame=13, last_frame=38)) == bounds
    assert locate(info, RangeRequest(Fraction(52, 100), Fraction(152, 100))) == bounds
    assert locate(info, RangeRequest(last_frame=38)) == Segment(None, bounds.end_pts)
    assert locate(info, RangeRequest(start=Fraction(52, 100))) == Segment(bounds.start_pts, None)
    assert locate(info, RangeRequest()) == Segment()


def test_finding_the_first_frames_reads_only_the_beginning(clips: ClipShelf, tmp_path: Path) -> None:
    """Cut behind the first third: the answer is the same as for the whole file."""
    for name in ("b_frames.mkv", "faststart.mp4", "late.ts"):
        whole = clips(name)
        part = tmp_path / name
        part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 5])
        info = probe(whole)
        assert locate_frames(replace(info, path=part), 3, 9) == locate_frames(info, 3, 9)
        segment = locate_times(info, Fraction(1, 10), Fraction(3, 10))
        assert locate_times(replace(info, path=part), Fraction(1, 10), Fraction(3, 10)) == segment


@pytest.mark.parametrize(
    "name", ["b_frames.mp4", "b_frames.mkv", "late.ts", "open_gop.ts", "vfr.mkv", "h264.avi"]
)
def test_times_give_the_frames_that_counting_gives(clips: ClipShelf, name: str) -> None:
    info = probe(clips(name))
    times = [row.pts - info.start_time for row in reference.decoded(info.path)]
    stamps = [frame.pts for frame in frames_of(info.path)]
    for first, last in ((0, 5), (7, 8), (11, 16), (len(times) - 3, len(times))):
        end = times[last] if last < len(times) else None
        segment = locate_times(info, times[first], end)
        assert [frame.pts for frame in frames_of(info.path, segment)] == stamps[first:last]


def test_range_over_times_that_step_back_for_no_reason_is_refused(clips: ClipShelf, tmp_path: Path) -> None:
    """In a transport stream whose packets carry no clock (PCR) nothing says that another recording begins."""
    data = bytearray(clips("spliced.ts").read_bytes())
    for start in range(0, len(data), 188):
        if data[start + 3] & 0x20 and data[start + 4]:
            data[start + 5] &= ~0x10  # what follows is stuffing then
    path = tmp_path / "in.ts"
    path.write_bytes(data)
    assert len(frames_of(path, locate_frames(probe(path), 5, 15))) == 10
    assert presentation_times(probe(path)) == [frame.pts for frame in frames_of(path)]
    with pytest.raises(UsageError, match=r"its clock steps back at .* so ranges are ambiguous"):
        locate_frames(probe(path), 5, 30)


@pytest.mark.parametrize("name", ["long.mkv", "long.mp4"])
def test_late_range_has_its_sound_and_the_subtitle_that_was_already_on(
    clips: ClipShelf, tmp_path: Path, name: str
) -> None:
    """90 s to 95 s of 100 s: the demuxer jumps over the first minute and a half."""
    source, output = clips(name), tmp_path / "out.mkv"
    segment = locate_times(probe(source), Fraction(90), Fraction(95))
    remake(source, output, segment=segment)
    assert len(reference.decoded(output)) == 25
    wanted = [row for row in reference.packets(source)[1] if 90 <= row.pts < 95]
    got = reference.packets(output)[1]
    assert [row.md5 for row in got] == [row.md5 for row in wanted]
    assert all(abs(new.pts + 90 - old.pts) <= Fraction(1, 1000) for old, new in zip(wanted, got, strict=True))
    lines = [(float(start), float(end), text) for start, end, text in reference.subtitle_text(output, 0)]
    assert lines == [(0, 1, "From 88 to 91"), (3, 4, "From 93 to 94")]
