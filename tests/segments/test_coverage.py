"""Gaps, against counting time stamps one by one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.job import Segment
from vidsr.segments import coverage
from vidsr.segments.coverage import Disjoint, missing, overlap

LOWEST, HIGHEST = -3, 30  # far enough outside every bound below to stand for "no bound"


def members(segment: Segment) -> set[int]:
    return {pts for pts in range(LOWEST, HIGHEST) if pts in segment}


@st.composite
def partitions(draw: st.DrawFn) -> tuple[Segment, list[Segment]]:
    """A whole and all the pieces it is cut into, in random order."""
    bounds = sorted(draw(st.sets(st.integers(0, 25), min_size=2, max_size=8)))
    ends: list[int | None] = list(bounds)
    if draw(st.booleans()):
        ends[0] = None
    if draw(st.booleans()):
        ends[-1] = None
    pieces = [Segment(a, b) for a, b in pairwise(ends)]
    return Segment(ends[0], ends[-1]), draw(st.permutations(pieces))


@given(partitions(), st.data())
def test_gaps_are_what_no_piece_covers(cut: tuple[Segment, list[Segment]], data: st.DataObject) -> None:
    whole, pieces = cut
    done = data.draw(st.lists(st.sampled_from(pieces), unique=True))
    gaps = missing(whole, done)
    covered = set().union(*map(members, done))
    assert set().union(*map(members, gaps)) == members(whole) - covered
    assert sum(len(members(gap)) for gap in gaps) == len(members(whole) - covered)  # none twice
    assert missing(whole, [*done, *gaps]) == []


@given(partitions())
def test_nothing_is_missing_when_all_is_done_and_all_when_nothing_is(
    cut: tuple[Segment, list[Segment]],
) -> None:
    whole, pieces = cut
    assert missing(whole, pieces) == []
    assert missing(whole, []) == [whole]


bound = st.none() | st.integers(0, 25)


pieces = st.builds(Segment, bound, bound).filter(lambda segment: bool(members(segment)))


@given(st.lists(pieces, max_size=12))
def test_those_that_are_apart_are_taken_in_the_order_they_come(segments: list[Segment]) -> None:
    taken: set[int] = set()
    apart = Disjoint()
    for segment in segments:
        is_apart = not members(segment) & taken
        assert apart.add(segment) == is_apart
        taken |= members(segment) if is_apart else set()


def test_many_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A film of two hours has two thousand on a CPU."""
    compared = 0

    def counting(a: Segment, b: Segment) -> bool:
        nonlocal compared
        compared += 1
        return overlap(a, b)

    monkeypatch.setattr(coverage, "overlap", counting)
    apart = Disjoint()
    assert all(apart.add(Segment(7 * number % 2003, 7 * number % 2003 + 1)) for number in range(2003))
    assert compared <= 2 * 2003


@given(bound, bound, bound, bound)
def test_overlap_means_a_common_time_stamp(
    a: int | None, b: int | None, c: int | None, d: int | None
) -> None:
    first, second = Segment(a, b), Segment(c, d)
    if all(s.start_pts is None or s.end_pts is None or s.start_pts < s.end_pts for s in (first, second)):
        assert overlap(first, second) == bool(members(first) & members(second))
