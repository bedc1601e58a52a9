"""Whether a file is shorter than it says itself: box and element sizes at its top level, no decoding.

FFmpeg reads a cut Matroska, fragmented MP4 or AVI file to its end in silence; their own sizes tell. Transport
streams announce nothing, so nothing can be said about them.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

MAX_BOXES = 1_000_000
"""Top-level boxes that are followed at most; a fragmented MP4 of a day has some 100,000."""

_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """How many bytes the file is short of what it announces; 0 if none, or if it announces nothing.

    Raises OSError.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(64)
        if head.startswith(_EBML):
            return _matroska(file, size)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            announced = int.from_bytes(head[4:8], "little") + 8
            return max(announced - size, 0)
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"styp"):
            return _boxes(file, size)
    return 0


def _boxes(file: BinaryIO, size: int) -> int:
    """ISO base media: boxes of 32-bit size, type, and a 64-bit size where the first is 1; 0 = to the end."""
    position = 0
    for _ in range(MAX_BOXES):
        file.seek(position)
        header = file.read(16)
        if not header:
            return 0
        if len(header) < 8:
            return 8 - len(header)
        length = int.from_bytes(header[:4], "big")
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return 0
        position += length
        if position > size:
            return position - size
    return 0


def _matroska(file: BinaryIO, size: int) -> int:
    """EBML: header element, then the segment; a size of all ones means unknown (live recordings)."""
    file.seek(0)
    position = 0
    for identifier in (_EBML, _SEGMENT):
        file.seek(position)
        header = file.read(12)
        if not header.startswith(identifier) or len(header) < 12:
            return 0
        width = 9 - header[4].bit_length() if header[4] else 9
        if width > 8:
            return 0
        value = int.from_bytes(header[4 : 4 + width], "big") & ((1 << (7 * width)) - 1)
        if value == (1 << (7 * width)) - 1:
            return 0
        position += 4 + width + value
    return max(position - size, 0)
