"""A change of scene is seen, motion is not taken for one, and cuts do not depend on what came before."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.paths import SAMPLE
from vidsr.frames import Color, Frame, PixelFormat
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.scenes import Cutter, SceneMeter, SegmentLength

NOISE = np.random.default_rng(7).integers(0, 256, (144, 4000), dtype=np.uint8)


def frame(luma: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], index: int) -> Frame:
    return Frame((luma,), PixelFormat.parse("gray"), Color(), index, Fraction(1, 25), index)


def pan(first: int, count: int, *, speed: int = 3) -> list[Frame]:
    """A camera that moves over one wide picture with soft shapes."""
    wide = np.repeat(np.repeat(NOISE[::36, ::40], 36, 0), 40, 1)
    return [frame(wide[:, speed * i + 100 : speed * i + 356], first + i) for i in range(count)]


def flat(first: int, count: int, value: int) -> list[Frame]:
    return [frame(np.full((144, 256), value, np.uint8), first + i) for i in range(count)]


def cuts(frames: list[Frame], length: SegmentLength) -> list[int]:
    cutter = Cutter(length)
    return [f.index for f in frames if cutter.begins_with(f)]


def test_the_sample_s_one_cut_is_found() -> None:
    """samples/README.md: 36 frames each of two scenes."""
    with Reader(probe(SAMPLE)) as reader:
        meter = SceneMeter()
        scores = [meter.change(f) for f in reader.frames()]
    assert max(range(72), key=scores.__getitem__) == 36
    assert scores[36] > 0.3
    assert sorted(scores)[-2] < 0.05


def test_a_segment_ends_with_its_scene_once_it_is_long_enough() -> None:
    film = flat(0, 10, 40) + flat(10, 10, 200) + pan(20, 30)
    assert cuts(film, SegmentLength(5, 1000)) == [0, 10, 20]
    assert cuts(film, SegmentLength(15, 1000)) == [0, 20]
    assert cuts(film, SegmentLength(25, 1000)) == [0]


def test_motion_is_no_cut() -> None:
    assert cuts(pan(0, 60, speed=20), SegmentLength(2, 1000)) == [0]


def test_a_scene_without_end_is_cut_at_the_longest() -> None:
    assert cuts(pan(0, 60), SegmentLength(5, 25)) == [0, 25, 50]


def test_a_fixed_length_ignores_scenes() -> None:
    assert cuts(flat(0, 5, 0) + flat(5, 6, 255), SegmentLength(4, 4)) == [0, 4, 8]


@pytest.mark.parametrize("start", [10, 20, 32])
def test_from_a_cut_on_the_same_cuts_follow(start: int) -> None:
    film = flat(0, 10, 40) + flat(10, 10, 200) + pan(20, 30) + flat(50, 9, 90)
    length = SegmentLength(5, 12)
    whole = cuts(film, length)
    assert whole == [0, 10, 20, 32, 44, 50]
    assert cuts(film[start:], length) == [cut for cut in whole if cut >= start]


def test_ten_bits_are_judged_like_eight() -> None:
    def deep(value: int, index: int) -> Frame:
        luma = np.full((64, 64), value, np.uint16)
        return Frame((luma,), PixelFormat.parse("gray10le"), Color(), index, Fraction(1, 25), index)

    film = [deep(160, 0), deep(160, 1), deep(160 + 240, 2), deep(160 + 240, 3)]
    eight = flat(0, 2, 40) + flat(2, 2, 100)
    for frames in (film, eight):
        meter = SceneMeter()
        assert [round(meter.change(f), 3) for f in frames] == [0, 0, 0.235, 0]


def test_a_picture_too_small_to_sample_has_no_scenes() -> None:
    film = [frame(np.full((2, 2), value, np.uint8), i) for i, value in enumerate((0, 255, 0))]
    assert cuts(film, SegmentLength(1, 10)) == [0]


def test_impossible_lengths_are_refused() -> None:
    for shortest, longest in ((0, 5), (6, 5)):
        with pytest.raises(ValueError, match="cannot have"):
            SegmentLength(shortest, longest)
