"""Lines of text subtitles in the form that FFmpeg decodes all of them to: events of SubStation Alpha.

An event reads "order,layer,style,name,left,right,vertical,effect,text". It knows the notation only, neither
streams nor codings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FIELDS = 8
"""Commas before the text, which may hold more of them."""
_STYLE = 2
_DRAWING = re.compile(r"\{[^}]*\\p[1-9][^}]*\}")


@dataclass(frozen=True, slots=True)
class Line:
    """An event shown in [start, end), in milliseconds."""

    start: int
    end: int
    event: str


def is_drawing(text: str) -> bool:
    """Whether an event's text is made of vector graphics (\\p1), not of words."""
    return _DRAWING.search(text) is not None


def joined(events: Sequence[str]) -> str:
    """One event that shows several at once, each on lines of its own and in its own style."""
    first, *others = events
    parts = [first]
    for event in others:
        fields = event.split(",", _FIELDS)
        if len(fields) > _FIELDS:
            parts.append(f"{{\\r{fields[_STYLE]}}}{fields[_FIELDS]}")
    return "\\N".join(parts)


class Succession:
    """Lines one after the other, none at the same time: what is on the screen together becomes one line.

    For containers whose text samples cannot overlap (MP4's). The same words shown twice at a time, as layers
    of an outline and a glow are, are shown once.
    """

    def __init__(self) -> None:
        self._shown: list[Line] = []
        self._now: int | None = None

    def add(self, line: Line) -> Iterator[Line]:
        """Take the next line, in order of the start; gives what is settled before it."""
        yield from self._until(line.start)
        self._now = line.start if self._now is None else max(self._now, line.start)
        if line.end > self._now:
            self._shown.append(line)

    def flush(self) -> Iterator[Line]:
        """What is still shown when no more lines come."""
        yield from self._until(None)

    def _until(self, moment: int | None) -> Iterator[Line]:
        while self._shown and self._now is not None and (moment is None or self._now < moment):
            change = min(line.end for line in self._shown)
            if moment is not None:
                change = min(change, moment)
            yield Line(self._now, change, joined(self._events()))
            self._now = change
            self._shown = [line for line in self._shown if line.end > change]

    def _events(self) -> list[str]:
        by_text: dict[str, str] = {}
        for line in self._shown:
            by_text.setdefault(line.event.split(",", _FIELDS)[-1], line.event)
        return list(by_text.values())
