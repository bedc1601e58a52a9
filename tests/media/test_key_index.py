"""Stretches begin at key frames, cover everything, and are refused where packets do not tell."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media.clips import ClipShelf
from tests.media.reference import decoded
from vidsr.job import Segment
from vidsr.media.read.key_index import KeyIndex
from vidsr.media.read.probe import probe


@pytest.mark.parametrize(
    "name", ["b_frames.mp4", "vfr.mkv", "open_gop.ts", "edit_list.mp4", "late_video.mkv"]
)
def test_the_index_has_every_frame_that_ffmpeg_shows(clips: ClipShelf, name: str) -> None:
    info = probe(clips(name))
    index = KeyIndex.of(info)
    assert index is not None
    assert [pts * info.time_base for pts in index.stamps] == [row.pts for row in decoded(clips(name))]
    if name == "b_frames.mp4":  # x264 with -g 12 and no cut
        assert [place for place, key in enumerate(index.keys) if key] == [0, 12, 24, 36, 48]


@pytest.mark.parametrize("name", ["mpeg4.avi", "spliced.ts"])
def test_a_file_whose_packets_do_not_tell_has_none(clips: ClipShelf, name: str) -> None:
    assert KeyIndex.of(probe(clips(name))) is None


def index_of(keys: list[bool]) -> KeyIndex:
    return KeyIndex([100 + 7 * place for place in range(len(keys))], keys)


def test_parts_are_long_enough_and_begin_at_keys() -> None:
    index = index_of([place % 5 == 0 for place in range(30)])
    parts = index.divide(Segment(), 8)
    assert [part.first_index for part in parts] == [0, 10, 20]
    assert [part.segment for part in parts] == [
        Segment(None, 100 + 70),
        Segment(100 + 70, 100 + 140),
        Segment(100 + 140, None),
    ]


def test_a_stretch_may_begin_and_end_anywhere() -> None:
    index = index_of([place % 5 == 0 for place in range(30)])
    parts = index.divide(Segment(100 + 7 * 3, 100 + 7 * 19), 6)
    assert [(p.segment.start_pts, p.segment.end_pts) for p in parts] == [(121, 170), (170, 233)]


def test_a_stretch_without_frames_has_no_parts() -> None:
    assert index_of([True] * 5).divide(Segment(101, 105), 2) == []


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 20))
def test_parts_tile_the_stretch(keys: list[bool], length: int) -> None:
    keys[0] = True
    index = index_of(keys)
    parts = index.divide(Segment(), length)
    segments = [part.segment for part in parts]
    assert segments[0].start_pts is None
    assert segments[-1].end_pts is None
    assert all(a.end_pts == b.start_pts for a, b in pairwise(segments))
    assert all(keys[part.first_index] for part in parts)
    bounds = [part.first_index for part in parts] + [len(keys)]
    assert all(b - a >= length for a, b in pairwise(bounds[:-1]))
    if len(parts) > 1:
        assert Fraction(bounds[-1] - bounds[-2]) >= Fraction(length, 2)
