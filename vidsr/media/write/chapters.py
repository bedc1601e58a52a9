"""Chapters as FFmpeg's muxers are given them: one list, which Matroska's own take the place of later.

It knows PyAV's form of them, and neither files nor packets.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from vidsr.media.timeline import ChapterInfo, Timeline
from vidsr.media.write.matroska_extras import MatroskaExtras

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists in the stubs only

_UNIT = Fraction(1, 10**9)
"""Nanoseconds, the finest that a container counts chapters in (Matroska)."""


def listed_chapters(
    chapters: tuple[ChapterInfo, ...], timeline: Timeline, extras: MatroskaExtras
) -> list[Chapter]:
    """chapters: the source's, as FFmpeg reads them. extras: what the header is completed with.

    Where that has chapters, the list holds at least one: only then does the muxer make the part they go into.
    """
    listed = timeline.clip_chapters(chapters)
    if extras.holds:
        if extras.chapters is None:
            return []
        listed = listed or [ChapterInfo(1, Fraction(0), Fraction(0), None)]
    return [
        {
            "id": chapter.id,
            "start": round(chapter.start / _UNIT),
            "end": round(chapter.end / _UNIT),
            "time_base": _UNIT,
            "metadata": dict(chapter.metadata),
        }
        for chapter in listed
    ]
