"""Which part of a source's time goes into the output, and what is subtracted from its time stamps.

Exact fractions of a second only; it knows neither packets nor frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from vidsr.media.tag_pairs import Tags

HIDDEN_LEAD_SECONDS = Fraction(1, 10)
"""So much of the sound that an edit list hides is kept where it cannot be hidden: decoders begin with some
that is not heard, AAC with a frame or two, Opus with 80 ms (RFC 7845, 4.6)."""


@dataclass(frozen=True, slots=True)
class ChapterInfo:
    """A chapter; start and end in seconds on a file's clock."""

    id: int
    start: Fraction
    end: Fraction
    title: str | None
    metadata: Tags = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """Seconds on the source's clock: [start, end) is kept, and `origin` becomes 0 in the output.

    None stands for the source's own beginning or end.
    """

    start: Fraction | None
    end: Fraction | None
    origin: Fraction

    @property
    def is_cut(self) -> bool:
        return self.start is not None or self.end is not None

    def offset_in(self, time_base: Fraction) -> int:
        """The origin in units of a time base, rounded once, so that differences stay exact."""
        return round(self.origin / time_base)

    def contains(self, time: Fraction) -> bool:
        return (self.start is None or time >= self.start) and (self.end is None or time < self.end)

    def clip(self, start: Fraction, end: Fraction) -> tuple[Fraction, Fraction] | None:
        """What is left of [start, end) on the source's clock; None if nothing."""
        if self.start is not None:
            start = max(start, self.start)
        if self.end is not None:
            end = min(end, self.end)
        return (start, end) if start < end else None

    def clip_chapters(self, chapters: tuple[ChapterInfo, ...]) -> list[ChapterInfo]:
        """The chapters on the output's clock, cut to what is kept.

        One that lasts no time, as a DVD's last one may, is kept where it lies within.
        """
        kept = []
        for chapter in chapters:
            stretch = self.clip(chapter.start, chapter.end)
            if chapter.start == chapter.end and self.contains(chapter.start):
                stretch = chapter.start, chapter.end
            if stretch is not None:
                start, end = (max(time - self.origin, Fraction(0)) for time in stretch)
                kept.append(ChapterInfo(chapter.id, start, end, chapter.title, chapter.metadata))
        return kept
