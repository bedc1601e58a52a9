"""What an MP4 or QuickTime source says of its tracks that FFmpeg's demuxer passes over: languages in full.

The box "elng" (ISO/IEC 14496-12, 8.4.6) holds them in the form of BCP 47, "pt-BR" where the older field has
"por". Boxes are walked by their heads alone, and a torn file says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MOST_BOXES = 100_000
"""That are looked at in a file; recordings in fragments have many, behind those that matter."""

_MOST_TRACKS = 1_000

_LONGEST_TAG = 100
"""Bytes; RFC 5646 recommends room for 35."""

_TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")
_VERSION_BYTES = 4
"""Version and flags, at the beginning of many boxes."""


class _BoxError(ValueError):
    """What was read is no box, or one larger than what it lies in."""


@dataclass(frozen=True, slots=True)
class _Box:
    """kind: four letters. start, end: of the content, in the file."""

    kind: bytes
    start: int
    end: int


def read_languages(path: Path) -> dict[int, str]:
    """Language tags of tracks that have one, by the track's number; nothing where the file is torn."""
    try:
        with path.open("rb") as file:
            return _Walk(file).languages()
    except (_BoxError, OSError):
        return {}


class _Walk:
    """One reading of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self._left = _MOST_BOXES

    def languages(self) -> dict[int, str]:
        """Raises _BoxError, OSError."""
        movie = self._first(_Box(b"", 0, self._size), b"moov")
        if movie is None:
            return {}
        found: dict[int, list[str | None]] = {}
        for count, track in enumerate(box for box in self._boxes(movie) if box.kind == b"trak"):
            if count == _MOST_TRACKS:
                raise _BoxError("more tracks than anything sound has")
            number, tag = self._track(track)
            found.setdefault(number, []).append(tag)
        # a number that two tracks have names neither
        return {n: tags[0] for n, tags in found.items() if len(tags) == 1 and tags[0] is not None}

    def _track(self, track: _Box) -> tuple[int, str | None]:
        number, tag = 0, None
        for box in self._boxes(track):
            if box.kind == b"tkhd":
                number = self._number(box)
            elif box.kind == b"mdia" and (language := self._first(box, b"elng")) is not None:
                tag = self._tag(language)
        return number, tag

    def _number(self, header: _Box) -> int:
        """Of a track: behind two times, which take 4 bytes each, or 8 in version 1."""
        content = self._content(header, 24)
        if len(content) < 24:
            raise _BoxError("a track's header is cut off")
        place = _VERSION_BYTES + (16 if content[0] == 1 else 8)
        return int.from_bytes(content[place : place + 4], "big")

    def _tag(self, language: _Box) -> str | None:
        content = self._content(language, _VERSION_BYTES + _LONGEST_TAG)
        text = content[_VERSION_BYTES:].split(b"\0", 1)[0].decode("latin-1")
        return text if _TAG.fullmatch(text) else None

    def _content(self, box: _Box, most: int) -> bytes:
        self._file.seek(box.start)
        return self._file.read(min(box.end - box.start, most))

    def _first(self, parent: _Box, kind: bytes) -> _Box | None:
        return next((box for box in self._boxes(parent) if box.kind == kind), None)

    def _boxes(self, parent: _Box) -> Iterator[_Box]:
        """What lies in a box, one behind the other."""
        place = parent.start
        while place + 8 <= parent.end:
            if not self._left:
                raise _BoxError("more boxes than anything sound has")
            self._left -= 1
            self._file.seek(place)
            head = self._file.read(16)
            size, start = int.from_bytes(head[:4], "big"), place + 8
            if size == 1:
                size, start = int.from_bytes(head[8:16], "big"), place + 16
            end = parent.end if size == 0 else place + size
            if len(head) < start - place or end < start or end > parent.end:
                raise _BoxError("a box is larger than what it lies in, or smaller than its head")
            yield _Box(head[4:8], start, end)
            place = end
