"""What of a job is still to be done: intervals of time stamps, and nothing else."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from vidsr.job import Segment


def missing(whole: Segment, done: Iterable[Segment]) -> list[Segment]:
    """The stretches of `whole` that no segment in `done` covers, in order.

    done: in any order, not overlapping, each within `whole`.
    """
    gaps = []
    begin: int | None = whole.start_pts
    is_open = True  # whether the stretch that starts at `begin` is uncovered so far
    for segment in sorted(done, key=start_key):
        if segment.start_pts != begin:
            gaps.append(Segment(begin, segment.start_pts))
        begin = segment.end_pts
        if begin is None:
            is_open = False
    if is_open and (begin is None or begin != whole.end_pts):
        gaps.append(Segment(begin, whole.end_pts))
    return gaps


class Disjoint:
    """Segments of which no two have a time stamp in common, in order; none is empty."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []

    def add(self, segment: Segment) -> bool:
        """Take another one, if it overlaps none: only the two it would lie between are looked at."""
        place = bisect_right(self._segments, start_key(segment), key=start_key)
        if any(overlap(segment, other) for other in self._segments[max(place - 1, 0) : place + 1]):
            return False
        self._segments.insert(place, segment)
        return True


def overlap(a: Segment, b: Segment) -> bool:
    """Whether two segments have a time stamp in common."""
    return _starts_before_end(a, b) and _starts_before_end(b, a)


def _starts_before_end(a: Segment, b: Segment) -> bool:
    return a.start_pts is None or b.end_pts is None or a.start_pts < b.end_pts


def start_key(segment: Segment) -> tuple[bool, int]:
    """For sorting; an open beginning comes first."""
    return segment.start_pts is not None, segment.start_pts or 0
