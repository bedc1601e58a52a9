"""Where the parts of a Matroska or WebM file lie: description, tracks, chapters, and what leads to them.

Only what lies before the first cluster is walked through; to what lies behind them, gigabytes later, the
file's tables of contents (SeekHead) lead.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import BinaryIO

from vidsr.media.matroska.ebml import EbmlError, Element, Field, read_content, read_head
from vidsr.media.matroska.ids import CLUSTER, EBML, SEEK, SEEK_HEAD, SEEK_ID, SEEK_POSITION, SEGMENT

LARGEST_PART_BYTES = 2**26
"""Of what is read into memory: codecs' own headers and chapters, not fonts or pictures."""

_MOST_PARTS = 10_000
"""That are walked through before the first cluster; sound files have ten."""

_MOST_TABLES = 16
"""Tables of contents that are read; files that were edited have two."""


@dataclass(frozen=True, slots=True)
class Layout:
    """parts: what lies in the segment, in order, up to the first cluster."""

    segment: Element
    parts: tuple[Element, ...]


def lay_out(file: BinaryIO) -> Layout:
    """Raises EbmlError if it is no Matroska, or torn before the first cluster; OSError."""
    segment = find_segment(file)
    place = segment.start
    parts: list[Element] = []
    while segment.end is None or place < segment.end:
        part = read_head(file, place)
        if part is None or part.id == CLUSTER:
            break
        if part.end is None or len(parts) == _MOST_PARTS:
            raise EbmlError("no sound header")
        parts.append(part)
        place = part.end
    return Layout(segment, tuple(parts))


def find_segment(file: BinaryIO) -> Element:
    """Raises EbmlError if it is no Matroska, OSError."""
    head = read_head(file, 0)
    if head is None or head.id != EBML or head.end is None:
        raise EbmlError("no Matroska")
    segment = read_head(file, head.end)
    if segment is None or segment.id != SEGMENT:
        raise EbmlError("no segment")
    return segment


def find_parts(file: BinaryIO, layout: Layout, wanted: Collection[int]) -> dict[int, bytes]:
    """Contents of parts of the segment, by id; the first of each, where it is in the file at all.

    Tables of contents are read only where something wanted is not found before the clusters. What one leads
    to behind the end of the file, which was cut off, is not there. Raises EbmlError if one that lies before
    the clusters is torn, OSError.
    """
    found: dict[int, bytes] = {}
    tables = []
    for part in layout.parts:
        if part.id == SEEK_HEAD:
            tables.append(part)
        elif part.id in wanted and part.id not in found:
            found[part.id] = read_content(file, part, LARGEST_PART_BYTES)
    read: set[int] = set()
    while tables and len(read) < _MOST_TABLES and not found.keys() >= set(wanted):
        table = tables.pop(0)
        if table.begin in read:
            continue
        read.add(table.begin)
        for number, position in _entries(read_content(file, table, LARGEST_PART_BYTES)):
            if number in found or number not in {*wanted, SEEK_HEAD}:
                continue
            try:
                part, content = _at(file, layout.segment.start + position, number)
            except (EbmlError, OverflowError):
                continue
            if number == SEEK_HEAD:
                tables.append(part)
            else:
                found[number] = content
    return found


def _entries(table: bytes) -> list[tuple[int, int]]:
    """(id, position in the segment) of each part that a table of contents names."""
    entries = []
    for entry in Field(SEEK_HEAD, table).fields:
        if entry.id == SEEK:
            inside = {field.id: field for field in entry.fields}
            if SEEK_ID in inside and SEEK_POSITION in inside:
                entries.append((inside[SEEK_ID].unsigned, inside[SEEK_POSITION].unsigned))
    return entries


def _at(file: BinaryIO, place: int, number: int) -> tuple[Element, bytes]:
    """The part that a table promises there. Raises EbmlError, OverflowError, OSError."""
    part = read_head(file, place)
    if part is None or part.id != number:
        raise EbmlError("something else is there")
    return part, read_content(file, part, LARGEST_PART_BYTES)
