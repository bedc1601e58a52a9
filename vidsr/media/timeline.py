"""Which part of the source's time goes into the output, and what is subtracted from its time stamps.

Exact fractions of a second only; it knows neither packets nor frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vidsr.job import Segment
from vidsr.media.probe import SourceInfo


@dataclass(frozen=True, slots=True)
class Timeline:
    """Seconds on the source's clock: [start, end) is kept, and `origin` becomes 0 in the output.

    None stands for the source's own beginning or end.
    """

    start: Fraction | None
    end: Fraction | None
    origin: Fraction

    @classmethod
    def of(cls, source: SourceInfo, segment: Segment | None) -> Timeline:
        """A cut starts at 0. A whole source keeps its time stamps, unless its video begins before 0.

        Negative time stamps cannot be held by every container: then one offset shifts all streams alike.
        """
        unit = source.time_base
        if segment is None or segment.start_pts is None:
            start = None
            first = source.start_pts or 0
            origin = min(first * unit, Fraction(0))
        else:
            start = origin = segment.start_pts * unit
        end = None if segment is None or segment.end_pts is None else segment.end_pts * unit
        return cls(start, end, origin)

    def pts_offset(self, time_base: Fraction) -> int:
        """The origin in units of a time base, rounded once, so that differences stay exact."""
        return round(self.origin / time_base)

    def begins_before(self, time: Fraction) -> bool:
        return self.start is None or time >= self.start

    def ends_after(self, time: Fraction) -> bool:
        return self.end is None or time < self.end
