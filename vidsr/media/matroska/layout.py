"""Where the parts of a Matroska or WebM file lie: description, tracks, chapters, and what leads to them.

Only what lies before the first cluster is walked through; to what lies behind them, gigabytes later, the
file's tables of contents (SeekHead) lead.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

from vidsr.media.matroska.ebml import EbmlError, Element, read_content, read_head, split
from vidsr.media.matroska.ids import CLUSTER, EBML, SEEK, SEEK_HEAD, SEEK_ID, SEEK_POSITION, SEGMENT

LARGEST_PART_BYTES = 2**26
"""Of what is read into memory: codecs' own headers and chapters, not fonts or pictures."""

_MOST_PARTS = 10_000
"""That are walked through before the first cluster; sound files have ten."""

_MOST_TABLES = 16
"""Tables of contents that are read; files that were edited have two."""

_LARGEST_TABLE_BYTES = 2**20
_MOST_ENTRIES = 10_000
"""Of one table; some list every cluster, behind all else."""

_LONGEST_ENTRY_BYTES = 100
"""An id and a position, a checksum perhaps."""

_MOST_TRIED = 500
"""Places that tables say something wanted lies at; sound ones name it once."""


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


def read_parts(path: Path, most_bytes: Mapping[int, int]) -> dict[int, bytes]:
    """What is in the first part of the segment with each of these ids.

    most_bytes: by id, how large a part may be. One that is not there, is torn, or is larger is left out.
    Tables of contents are read only for what is not found before the clusters. What one leads to behind the
    end of the file, which was cut off, is not there. Raises EbmlError if the file is no Matroska, OSError.
    """
    contents = {}
    with path.open("rb") as file:
        layout = lay_out(file)
        for number, most in most_bytes.items():
            part = next((part for part in layout.parts if part.id == number), None)
            part = part or _promised(file, layout, number)
            if part is not None:
                with suppress(EbmlError):
                    contents[number] = read_content(file, part, most)
    return contents


def _promised(file: BinaryIO, layout: Layout, number: int) -> Element | None:
    """The part that a table of contents leads to. Of all that a table promises, heads alone are read."""
    tables = [part for part in layout.parts if part.id == SEEK_HEAD][:_MOST_TABLES]
    tried = {table.begin for table in tables}
    for count in range(_MOST_TABLES):
        if count == len(tables):
            break
        for wanted, position in _entries(file, tables[count]):
            place = layout.segment.start + position
            if wanted not in (number, SEEK_HEAD) or place in tried or len(tried) == _MOST_TRIED:
                continue
            tried.add(place)
            part = _at(file, place, wanted)
            if part is not None and wanted == number:
                return part
            if part is not None:
                tables.append(part)
    return None


def _entries(file: BinaryIO, table: Element) -> list[tuple[int, int]]:
    """(id, position in the segment) of each part that a table of contents names; none of one that is torn."""
    entries = []
    try:
        for entry in islice(split(read_content(file, table, _LARGEST_TABLE_BYTES)), _MOST_ENTRIES):
            if entry.id == SEEK and len(entry.content) <= _LONGEST_ENTRY_BYTES:
                inside = {field.id: field for field in entry.fields}
                if SEEK_ID in inside and SEEK_POSITION in inside:
                    entries.append((inside[SEEK_ID].unsigned, inside[SEEK_POSITION].unsigned))
    except EbmlError:
        return []
    return entries


def _at(file: BinaryIO, place: int, number: int) -> Element | None:
    """The part that a table promises there, if it is whole. Raises OSError."""
    size = file.seek(0, SEEK_END)
    if place >= size:
        return None
    try:
        part = read_head(file, place)
    except EbmlError:
        return None
    is_whole = part is not None and part.id == number and part.end is not None and part.end <= size
    return part if is_whole else None
