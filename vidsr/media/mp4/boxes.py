"""Boxes, which MP4 and QuickTime files consist of (ISO/IEC 14496-12): walked through by their heads alone.

It knows sizes, kinds and the numbers of tracks. A torn file raises BoxError and nothing else; each step goes
forward, and steps are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MOST_BOXES = 100_000
"""That are looked at in a file; recordings in fragments have many, behind those that matter."""

VERSION_BYTES = 4
"""Version and flags, at the beginning of many boxes' content."""

_HEAD_BYTES = 8
_LONG_HEAD_BYTES = 16


class BoxError(ValueError):
    """What was read is no box, or one larger than what it lies in."""


@dataclass(frozen=True, slots=True)
class Box:
    """kind: four letters. It begins at `begin` in the file, its content lies from `start` to `end`."""

    kind: bytes
    begin: int
    start: int
    end: int


class BoxFile:
    """A file while it is walked through. whole: what all of it lies in."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MOST_BOXES
        self.whole = Box(b"", 0, 0, file.seek(0, 2))

    def boxes(self, parent: Box) -> Iterator[Box]:
        """What lies in a box, one behind the other. Raises BoxError, OSError."""
        place = parent.start
        while place + _HEAD_BYTES <= parent.end:
            if not self._left:
                raise BoxError("more boxes than anything sound has")
            self._left -= 1
            self._file.seek(place)
            head = self._file.read(_LONG_HEAD_BYTES)
            size, start = int.from_bytes(head[:4], "big"), place + _HEAD_BYTES
            if size == 1:
                size, start = int.from_bytes(head[8:16], "big"), place + _LONG_HEAD_BYTES
            end = parent.end if size == 0 else place + size
            if len(head) < start - place or end < start or end > parent.end:
                raise BoxError("a box is larger than what it lies in, or smaller than its head")
            yield Box(head[4:8], place, start, end)
            place = end

    def first(self, parent: Box, kind: bytes) -> Box | None:
        return next((box for box in self.boxes(parent) if box.kind == kind), None)

    def content(self, box: Box, most: int) -> bytes:
        """So many bytes of it at most."""
        self._file.seek(box.start)
        return self._file.read(min(box.end - box.start, most))

    def track_number(self, track: Box) -> int:
        """In a track's header, behind two times, which take 4 bytes each, or 8 in version 1."""
        header = self.first(track, b"tkhd")
        content = b"" if header is None else self.content(header, 24)
        if len(content) < 24:
            raise BoxError("a track without a header")
        place = VERSION_BYTES + (16 if content[0] == 1 else 8)
        return int.from_bytes(content[place : place + 4], "big")
