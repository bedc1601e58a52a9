"""Frames and their time stamps survive, whatever the clock of the source does."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import BT601, frames_of, remake
from vidsr.media.verify import verify

MATROSKA_TICK = Fraction(1, 1000)


def shown(path: Path) -> list[tuple[Fraction, str]]:
    return [(row.pts, row.md5) for row in reference.decoded(path)]


@pytest.mark.parametrize(
    "name",
    ["b_frames.mp4", "b_frames.mkv", "vfr.mkv", "vfr.mp4", "late.mkv", "late.ts", "late_video.mkv",
     "edit_list.mp4", "interlaced.mpg", "mpeg4.avi", "h264.avi", "h264.flv", "raw.h264"],
)  # fmt: skip
def test_reader_gives_the_frames_and_times_ffmpeg_gives(clips: ClipShelf, name: str) -> None:
    path = clips(name)
    expected = [row.pts for row in reference.decoded(path)]
    got = [frame.time for frame in frames_of(path)]
    assert len(got) == len(expected) > 0
    assert [float(t) for t in got] == pytest.approx([float(t) for t in expected], abs=1e-6)


@pytest.mark.parametrize(
    "name", ["b_frames.mp4", "vfr.mp4", "vfr.mkv", "late.mkv", "late.ts", "late_video.mkv", "edit_list.mp4"]
)
def test_lossless_matroska_has_every_frame_at_its_time(clips: ClipShelf, tmp_path: Path, name: str) -> None:
    source, output = clips(name), tmp_path / "out.mkv"
    remade = remake(source, output)
    before, after = shown(source), shown(output)
    assert [md5 for _, md5 in after] == [md5 for _, md5 in before]
    for (old, _), (new, _) in zip(before, after, strict=True):
        assert abs(new - old) <= MATROSKA_TICK / 2
    assert remade.damage == []
    assert remade.written.frames == len(before)


@pytest.mark.parametrize(
    "name", ["b_frames.mp4", "vfr.mp4", "vfr.mkv", "late.mkv", "late.ts", "edit_list.mp4"]
)
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_mp4_has_every_frame_at_exactly_its_time(
    clips: ClipShelf, tmp_path: Path, name: str, suffix: str
) -> None:
    source, output = clips(name), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")
    assert shown(output) == shown(source)


def test_last_frame_keeps_its_duration(clips: ClipShelf, tmp_path: Path) -> None:
    for name, suffix in (("vfr.mp4", "mp4"), ("b_frames.mp4", "mkv")):
        output = tmp_path / f"out.{suffix}"
        remake(clips(name), output, encoder="libx264")
        old, new = (reference.packets(path)[0][-1] for path in (clips(name), output))
        assert abs(new.duration - old.duration) <= MATROSKA_TICK / 2


def test_last_frame_has_a_duration_even_if_the_source_gives_none(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    remake(clips("wmv.wmv"), output, encoder="libx264")
    rows = reference.packets(output)[0]
    assert [row.duration for row in rows] == [Fraction(1, 25)] * 20


@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [("libx264", "nut"), ("libx265", "mp4"), ("libx265", "mkv"), ("libsvtav1", "mp4"), ("libsvtav1", "webm"),
     ("libvpx-vp9", "mp4"), ("libvpx-vp9", "webm"), ("prores_ks", "mov"), ("ffv1", "nut"),
     ("libx264rgb", "mkv")],
)  # fmt: skip
def test_every_encoder_keeps_irregular_times(
    clips: ClipShelf, tmp_path: Path, encoder: str, suffix: str
) -> None:
    source, output = clips("vfr.mp4"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder=encoder, options={})
    before, after = ([row.pts for row in reference.decoded(path)] for path in (source, output))
    assert len(after) == len(before)
    limit = MATROSKA_TICK / 2 if suffix in ("mkv", "webm") else Fraction(0)
    assert max(abs(new - old) for old, new in zip(before, after, strict=True)) <= limit


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_negative_clock_is_shifted_alike_for_all_streams(
    clips: ClipShelf, tmp_path: Path, suffix: str
) -> None:
    source, output = clips("negative.ts"), tmp_path / f"out.{suffix}"
    remade = remake(source, output, encoder="libx264")
    assert remade.written.offset == Fraction(-2, 5)
    before, after = reference.packets(source), reference.packets(output)
    first_video = before[0][0].pts
    assert first_video == Fraction(-2, 5)
    frames = shown(output)
    assert [md5 for _, md5 in frames] == [md5 for _, md5 in shown(source)]
    assert frames[0][0] == 0
    tick = Fraction(1, 1000)
    assert [row.md5 for row in after[1]] == [row.md5 for row in before[1]]
    for old, new in zip(before[1], after[1], strict=True):
        assert abs((new.pts - frames[0][0]) - (old.pts - first_video)) <= tick


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("b_frames.mp4", "mkv"), ("b_frames.mp4", "mp4"), ("late_video.mkv", "mp4"), ("late_video.mkv", "mkv"),
     ("late.mkv", "mp4"), ("late.mkv", "mkv"), ("edit_list.mp4", "mp4")],
)  # fmt: skip
def test_sound_packets_are_the_same_bytes_at_the_same_times(
    clips: ClipShelf, tmp_path: Path, name: str, suffix: str
) -> None:
    source, output = clips(name), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")
    before, after = reference.packets(source), reference.packets(output)
    for stream in [index for index in before if index]:
        assert [row.md5 for row in after[stream]] == [row.md5 for row in before[stream]]
        for old, new in zip(before[stream], after[stream], strict=True):
            assert abs(new.pts - old.pts) <= MATROSKA_TICK


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_sound_of_a_transport_stream_decodes_to_the_same_samples(
    clips: ClipShelf, tmp_path: Path, suffix: str
) -> None:
    """Its packets begin with headers that other containers must not have, so packets differ."""
    source, output = clips("late.ts"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")
    before, after = reference.decoded_sound(source), reference.decoded_sound(output)
    assert [row.md5 for row in after] == [row.md5 for row in before]
    for old, new in zip(before, after, strict=True):
        assert abs(new.pts - old.pts) <= MATROSKA_TICK


@pytest.mark.parametrize(("name", "suffix"), [("sound_gap.mkv", "mp4"), ("opus_gap.mkv", "mov")])
def test_converted_sound_stays_in_step_behind_a_gap(
    clips: ClipShelf, tmp_path: Path, name: str, suffix: str
) -> None:
    """A hole of 0.5 s: silence in the AAC, and the second tone begins where it began.

    Opus is decoded to samples that the encoder takes as they are, with nothing to convert on the way.
    """
    source = clips(name)
    output = tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")
    for path in (source, output):
        begins, ends = reference.silences(path)[0]
        assert begins == pytest.approx(1.0, abs=0.03)
        assert ends == pytest.approx(1.5, abs=0.03)


def test_steps_back_of_the_clock_are_on_record(clips: ClipShelf, tmp_path: Path) -> None:
    """Two recordings one after the other in a transport stream, the second with a clock from the start."""
    source, output = clips("spliced.ts"), tmp_path / "out.mkv"
    remade = remake(source, output)
    times = [row.pts for row in reference.decoded(output)]
    assert len(times) == 40
    assert all(later > earlier for earlier, later in pairwise(times))
    assert [damage.kind for damage in remade.damage] == ["backward"]
    assert float(times[-1] - times[0]) == pytest.approx(39 / 25, abs=0.05)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_a_late_start_is_kept_to_the_tick_where_an_edit_list_says_it(
    clips: ClipShelf, tmp_path: Path, suffix: str
) -> None:
    """41.708 ms: FFmpeg's own edit lists would say 41, and the whole picture would be early by the rest."""
    source, output = clips("film.avi"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264", color=BT601)
    frame = Fraction(1001, 24000)
    assert abs(reference.packets(output)[0][0].pts - frame) < Fraction(1, 24000)
    assert verify(source, output).failures == ()
