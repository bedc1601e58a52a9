"""Whether a file is shorter than it says itself: box and element sizes at its top level, no decoding.

FFmpeg reads a cut Matroska, fragmented MP4 or AVI file to its end in silence; their own sizes tell. Transport
streams announce nothing, so nothing can be said about them.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from vidsr.media.matroska.ebml import EbmlError, id_bytes
from vidsr.media.matroska.ids import EBML
from vidsr.media.matroska.layout import find_segment

MAX_BOXES = 1_000_000
"""Top-level boxes that are followed at most; a fragmented MP4 of a day has some 100,000."""

_EBML = id_bytes(EBML)


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
    """The segment's size; live recordings have none."""
    try:
        end = find_segment(file).end
    except EbmlError:
        return 0
    return 0 if end is None else max(end - size, 0)
