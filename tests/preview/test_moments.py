"""Which moments are shown when nobody names any, and which frame a time means."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg, frame_lines
from vidsr.errors import UsageError
from vidsr.job import Segment
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.preview import moments
from vidsr.preview.moments import Moment, at, choose, places, spread


def test_the_sharpest_frame_of_each_scene_is_chosen_and_black_ones_are_not(three_scenes: Path) -> None:
    stamps = [pts for pts, _, _ in frame_lines(three_scenes)]
    chosen = choose(probe(three_scenes), Segment(), 5)
    assert [moment.pts for moment in chosen] == [stamps[5], stamps[21]]


def test_no_more_moments_are_chosen_than_wanted(three_scenes: Path) -> None:
    assert len(choose(probe(three_scenes), Segment(), 1)) == 1


def test_a_range_is_looked_at_alone(three_scenes: Path) -> None:
    stamps = [pts for pts, _, _ in frame_lines(three_scenes)]
    within = choose(probe(three_scenes), Segment(stamps[16], stamps[32]), 5)
    assert [moment.pts for moment in within] == [stamps[21]]


def test_a_scene_that_begins_just_after_a_long_one_was_divided_is_not_missed(tmp_path: Path) -> None:
    """At 2 frames a second: a detailed scene of 11 seconds, then a plainer one."""
    path = tmp_path / "two.mkv"
    level = "if(lt(N\\,22)\\,60+60*mod(X\\,2)\\,200+30*mod(X\\,2))"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "color=gray:size=64x48:rate=2:duration=16",
        "-vf", f"format=gray,geq=lum='{level}',format=yuv420p", "-c:v", "ffv1", path,
    )  # fmt: skip
    assert [moment.seconds >= 11 for moment in choose(probe(path), Segment(), 5)] == [False, True]


def test_a_long_film_is_looked_into_at_places_spread_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.mkv"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=4:duration=150",
        "-c:v", "libx264", "-preset", "ultrafast", "-g", "8", path,
    )  # fmt: skip
    info = probe(path)
    seen = 0
    frames = Reader.frames

    def counted(reader: Reader):  # type: ignore[no-untyped-def]
        nonlocal seen
        for frame in frames(reader):
            seen += 1
            yield frame

    monkeypatch.setattr(Reader, "frames", counted)
    chosen = choose(info, Segment(), 3)
    assert len(chosen) == 3
    assert seen <= 6 * 5  # six windows of a second, of the 600 frames
    thirds = [moment.seconds // 50 for moment in chosen]
    assert thirds == [0, 1, 2]
    begin, end = (Fraction(60), Fraction(120))
    for window in places(info, Segment(int(begin / info.time_base), int(end / info.time_base) + 100), 2):
        assert window.start_pts is not None
        assert window.end_pts is not None
        assert begin <= window.start_pts * info.time_base < window.end_pts * info.time_base <= end + 1


def test_pictures_that_stay_for_minutes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "slides.mkv"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=1:duration=3",
        "-vf", "setpts=N*300/TB", "-fps_mode", "passthrough", "-c:v", "libx264", "-bf", "0", path,
    )  # fmt: skip
    chosen = choose(probe(path), Segment(), 5)
    assert {float(moment.seconds) for moment in chosen} <= {0.0, 300.0, 600.0}
    assert {float(moment.seconds) for moment in chosen} >= {0.0, 300.0}


def test_moments_are_spread_over_time_before_detail_counts() -> None:
    found = [
        Moment(second, Fraction(second), detail) for second, detail in enumerate((9, 9, 9, 9, 4, 5, 0.1))
    ]
    chosen = spread(found, 2)
    assert chosen[0].seconds < 3
    assert chosen[1] == found[3] or chosen[1].seconds >= 3
    assert all(moment.detail > 1 for moment in spread(found, 7))
    assert len(spread(found, 7)) == 6


@pytest.mark.parametrize("number", [0, 1, 40, 71])
def test_a_time_means_the_frame_on_show(number: int) -> None:
    stamps = [pts for pts, _, _ in frame_lines(SAMPLE)]
    info = probe(SAMPLE)
    begin = stamps[number] * info.time_base - info.start_time
    assert [moment.pts for moment in at(info, [begin])] == [stamps[number]]
    assert [moment.pts for moment in at(info, [begin + Fraction(1, 50)])] == [stamps[number]]
    as_shown = Fraction(round(begin * 1000), 1000)  # players show milliseconds
    assert [moment.seconds for moment in at(info, [as_shown])] == [begin]


def test_moments_named_twice_or_out_of_order_are_put_right() -> None:
    info = probe(SAMPLE)
    named = at(info, [Fraction(2), Fraction(1), Fraction(2)])
    assert [round(float(moment.seconds), 3) for moment in named] == sorted(
        {round(float(moment.seconds), 3) for moment in named}
    )
    assert len(named) == 2


def test_a_time_behind_the_end_is_refused_with_the_last_frame_s() -> None:
    last = frame_lines(SAMPLE)[-1][0] / 1000
    with pytest.raises(UsageError, match="ends before") as caught:
        at(probe(SAMPLE), [Fraction(99)])
    assert caught.value.hint == f"its last frame is at {last:.3f} s"


def test_detail_falls_with_blur(tmp_path: Path) -> None:
    values = []
    for name, blur in (("sharp", "null"), ("soft", "boxblur=2")):
        path = tmp_path / f"{name}.mkv"
        ffmpeg(
            "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=1:duration=1",
            "-vf", f"{blur},format=yuv420p10le", "-c:v", "ffv1", path,
        )  # fmt: skip
        with Reader(probe(path)) as reader:
            values.append(moments.detail(next(reader.frames())))
    assert 0 < values[1] < 0.7 * values[0] < 1
