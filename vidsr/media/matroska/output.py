"""The header of a Matroska or WebM file, completed after FFmpeg's muxer has closed it.

The muxer has no word for some of what the format can say: languages in full (BCP 47), tracks that are not
enabled, chapters in layers, the numbers of files that belong together, and the shape of pictures. It takes
the display size from a field of the stream that PyAV does not reach (it sets the encoder's alone), so that
only codings whose own bitstream says so (H.264, HEVC) would keep their shape. All that is put in afterwards,
into a file that is closed: the header grows, for which the muxer's empty space behind its table of contents
(SeekHead) shrinks. Where that is too little, the muxer is given a long name of the writing program
(`padding`), which becomes the true one again.
Nothing behind the header moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vidsr.media.matroska import ebml
from vidsr.media.matroska.ebml import EbmlError, Field, read_content
from vidsr.media.matroska.ids import (
    CHAPTERS,
    DISPLAY_HEIGHT,
    DISPLAY_UNIT,
    DISPLAY_WIDTH,
    FLAG_ENABLED,
    INFO,
    LANGUAGE_BCP47,
    MUXING_APP,
    SEEK,
    SEEK_HEAD,
    SEEK_ID,
    SEEK_POSITION,
    TRACK_ENTRY,
    TRACKS,
    VIDEO,
    VOID,
    WRITING_APP,
)
from vidsr.media.matroska.layout import LARGEST_PART_BYTES, lay_out

_SLACK_BYTES = 64
"""For a display size and for sizes that need more bytes than before."""


class UnknownLayoutError(ValueError):
    """The file is not laid out as FFmpeg's muxer does it."""


@dataclass(frozen=True, slots=True)
class TrackChange:
    """display_size: width and height in which a track's pictures are shown, in square pixels."""

    display_size: tuple[int, int] | None = None
    language_tag: str | None = None
    is_enabled: bool = True

    @property
    def fields(self) -> list[Field]:
        """The elements to add to the track's own."""
        tag = [] if self.language_tag is None else [ebml.text(LANGUAGE_BCP47, self.language_tag)]
        return tag + ([] if self.is_enabled else [ebml.unsigned(FLAG_ENABLED, 0)])


@dataclass(frozen=True, slots=True)
class HeaderChanges:
    """What to write into a finished header. tracks: by a track's place in their list, counted from 0.

    writing_app: the name of the writing program in place of the padding; None = the muxer's own.
    chapters: the content of their element, in place of those that the muxer wrote; None = the muxer's own.
    identity: what the description says of the file's number and of its neighbours'.
    """

    tracks: Mapping[int, TrackChange] = field(default_factory=dict)
    writing_app: str | None = None
    chapters: bytes | None = None
    identity: tuple[Field, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.tracks and self.chapters is None and not self.identity

    @property
    def padding(self) -> str:
        """What to give the muxer as the tag "encoding_tool", for room; empty where none is needed."""
        added = sum(len(ebml.joined(change.fields)) for change in self.tracks.values())
        added += len(self.chapters or b"") + len(ebml.joined(self.identity))
        return "." * (added + _SLACK_BYTES) if added else ""


def complete(path: Path, changes: HeaderChanges) -> None:
    """Write what is missing into the header of a finished file. It is changed in place and keeps its length.

    Raises UnknownLayoutError if there is no room or the file was made by another program, OSError.
    """
    with path.open("rb+") as file:
        try:
            begin, header = _rewritten(file, changes)
        except EbmlError as error:
            raise UnknownLayoutError(str(error)) from error
        file.seek(begin)
        file.write(header)


def _rewritten(file: BinaryIO, changes: HeaderChanges) -> tuple[int, bytes]:
    """(where, what) to write over: everything from the SeekHead to the end of what moves."""
    layout = lay_out(file)
    parts = layout.parts
    if [part.id for part in parts[:4]] != [SEEK_HEAD, VOID, INFO, TRACKS]:
        raise UnknownLayoutError("another order of the header")
    moving = parts[2 : 5 if [part.id for part in parts[4:5]] == [CHAPTERS] else 4]
    contents = {part.id: read_content(file, part, LARGEST_PART_BYTES) for part in moving}
    contents[TRACKS] = _tracks(contents[TRACKS], changes)
    if changes.chapters is not None:
        if CHAPTERS not in contents:
            raise UnknownLayoutError("no chapters")
        contents[CHAPTERS] = changes.chapters
    if changes.padding:
        contents[INFO] = _info(contents[INFO], changes)
    written = [ebml.element(number, content) for number, content in contents.items()]
    begin, end = parts[0].begin, moving[-1].end
    assert end is not None
    positions, place = {}, end - layout.segment.start
    for number, part in zip(reversed(contents), reversed(written), strict=True):
        place -= len(part)
        positions[number] = place
    room = place + layout.segment.start - begin
    table = _table(read_content(file, parts[0], LARGEST_PART_BYTES), positions)
    return begin, b"".join((_filled(table, room), *written))


def _table(content: bytes, positions: Mapping[int, int]) -> bytes:
    """The table of contents when some parts lie at other positions in the segment."""
    entries = []
    for entry in ebml.split(content):
        inside = {part.id: part for part in entry.fields} if entry.id == SEEK else {}
        if SEEK_ID in inside and inside[SEEK_ID].unsigned in positions:
            target = inside[SEEK_ID]
            position = ebml.unsigned(SEEK_POSITION, positions[target.unsigned])
            entries.append(ebml.master(SEEK, (target, position)))
        else:
            entries.append(entry)
    return ebml.checked(entries)


def _filled(table: bytes, room: int) -> bytes:
    """The table of contents and empty space, as long as the room for both."""
    for size_bytes in range(1, 5):  # no empty space is a single byte; a longer size makes up for it
        head = ebml.element(SEEK_HEAD, table, size_bytes)
        if len(head) != room - 1:
            break
    if len(head) > room:
        raise UnknownLayoutError("no room")
    return head + ebml.void(room - len(head))


def _info(content: bytes, changes: HeaderChanges) -> bytes:
    """The description with the true name of the program that wrote the file, and the file's own number."""
    fields = list(ebml.split(content))
    name = next((part.content for part in fields if part.id == MUXING_APP), b"")
    name = name if changes.writing_app is None else changes.writing_app.encode()
    replaced = {part.id for part in changes.identity}
    kept = [
        Field(WRITING_APP, name) if part.id == WRITING_APP else part
        for part in fields
        if part.id not in replaced
    ]
    return ebml.checked([*kept, *changes.identity])


def _tracks(content: bytes, changes: HeaderChanges) -> bytes:
    fields = list(ebml.split(content))
    listed = [place for place, entry in enumerate(fields) if entry.id == TRACK_ENTRY]
    for track, change in changes.tracks.items():
        if track >= len(listed):
            raise UnknownLayoutError("no such track")
        fields[listed[track]] = _track(fields[listed[track]], change)
    return ebml.checked(fields)


def _track(entry: Field, change: TrackChange) -> Field:
    fields = list(entry.fields)
    if change.display_size is not None:
        place = next((place for place, part in enumerate(fields) if part.id == VIDEO), None)
        if place is None:
            raise UnknownLayoutError("no such video track")
        fields[place] = _video(fields[place], *change.display_size)
    added = change.fields
    replaced = {part.id for part in added}
    return ebml.master(TRACK_ENTRY, [*(part for part in fields if part.id not in replaced), *added])


def _video(video: Field, width: int, height: int) -> Field:
    kept = [f for f in video.fields if f.id not in (DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT)]
    size = ebml.unsigned(DISPLAY_WIDTH, width), ebml.unsigned(DISPLAY_HEIGHT, height)
    return ebml.master(VIDEO, (*kept, *size))
