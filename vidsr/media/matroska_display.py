"""The display size in the header of a Matroska or WebM file: how wide its pictures are shown.

FFmpeg's muxer takes it from a field of the stream that PyAV does not reach (it sets the encoder's alone), so
that only codings whose own bitstream says so (H.264, HEVC) would keep their shape. It is put in afterwards,
into a file that is closed: the header grows by a few bytes, for which the muxer's empty space behind its
table of contents (SeekHead) shrinks. Nothing behind the header moves.

It knows EBML (RFC 8794) and the few elements of Matroska (RFC 9559) concerned, never packets.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SEGMENT, SEEK_HEAD, INFO, TRACKS = 0x18538067, 0x114D9B74, 0x1549A966, 0x1654AE6B
SEEK, SEEK_ID, SEEK_POSITION = 0x4DBB, 0x53AB, 0x53AC
TRACK_ENTRY, VIDEO = 0xAE, 0xE0
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
VOID, CRC32 = 0xEC, 0xBF

_HEADER_BYTES = 2**24
"""Table of contents, description, list of tracks (with the styles of subtitles); fonts lie behind them."""
_SIZE_BYTES = 8


class UnknownLayoutError(ValueError):
    """The file is not laid out as FFmpeg's muxer does it."""


@dataclass(frozen=True, slots=True)
class _Element:
    """id, and where its content lies in the bytes it was read from; its head begins at `begin`."""

    id: int
    begin: int
    start: int
    end: int


def set_display_size(path: Path, track: int, width: int, height: int) -> None:
    """Write into a finished file that a track's pictures are shown in this size, in square pixels.

    track: its place in the list of tracks, counted from 0. The file is changed in place; it keeps its length.

    Raises UnknownLayoutError if there is no room or the file was made by another program, OSError.
    """
    with path.open("rb+") as file:
        data = file.read(_HEADER_BYTES)
        begin, changed = _rewritten(data, track, width, height)
        file.seek(begin)
        file.write(changed)


def _rewritten(data: bytes, track: int, width: int, height: int) -> tuple[int, bytes]:
    """(where, what) to write over: everything from the SeekHead to the end of the tracks."""
    segment = next((e for e in _elements(data, 0, len(data)) if e.id == SEGMENT), None)
    if segment is None:
        raise UnknownLayoutError("no segment")
    parts: list[_Element] = []
    for element in _elements(data, segment.start, len(data)):
        parts.append(element)
        if element.id == TRACKS:
            break
    if [p.id for p in parts] != [SEEK_HEAD, VOID, INFO, TRACKS] or parts[-1].end > len(data):
        raise UnknownLayoutError("another order of the header")
    seek_head, void, info, tracks = parts
    content = _with_display_size(data, tracks, track, width, height)
    new_tracks = _element(TRACKS, content, tracks.start - tracks.begin - len(_id(TRACKS)))
    growth = len(new_tracks) - (tracks.end - tracks.begin)
    room = void.end - void.begin - growth
    if room < 1 + _SIZE_BYTES:
        raise UnknownLayoutError("no room")
    new_head = _moved(data, seek_head, growth)
    empty = _element(VOID, bytes(room - 1 - _SIZE_BYTES), _SIZE_BYTES)
    return seek_head.begin, new_head + empty + data[info.begin : info.end] + new_tracks


def _with_display_size(data: bytes, tracks: _Element, track: int, width: int, height: int) -> bytes:
    inside = list(_inside(data, tracks))
    listed = [entry for entry in inside if entry.id == TRACK_ENTRY]
    if track >= len(listed) or VIDEO not in [field.id for field in _inside(data, listed[track])]:
        raise UnknownLayoutError("no such video track")
    entries: list[bytes] = []
    for entry in inside:
        if entry != listed[track]:
            entries.append(data[entry.begin : entry.end])
            continue
        content = b"".join(
            _element(VIDEO, _video(data, field, width, height))
            if field.id == VIDEO
            else data[field.begin : field.end]
            for field in _inside(data, entry)
        )
        entries.append(_element(TRACK_ENTRY, content, entry.start - entry.begin - 1))
    return _checked(entries)


def _video(data: bytes, video: _Element, width: int, height: int) -> bytes:
    kept = [
        data[field.begin : field.end]
        for field in _inside(data, video)
        if field.id not in (DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT)
    ]
    return b"".join((*kept, _unsigned(DISPLAY_WIDTH, width), _unsigned(DISPLAY_HEIGHT, height)))


def _moved(data: bytes, seek_head: _Element, back: int) -> bytes:
    """The table of contents when description and tracks begin some bytes earlier; it keeps its length."""
    entries: list[bytes] = []
    for entry in _inside(data, seek_head):
        raw = bytearray(data[entry.begin : entry.end])
        if entry.id == SEEK:
            fields = {field.id: field for field in _inside(data, entry)}
            target = data[fields[SEEK_ID].start : fields[SEEK_ID].end]
            if target in (_id(INFO), _id(TRACKS)):
                place = fields[SEEK_POSITION]
                value = _number(data, place) - back
                raw[place.start - entry.begin : place.end - entry.begin] = value.to_bytes(
                    place.end - place.start, "big"
                )
        entries.append(bytes(raw))
    head = seek_head.start - seek_head.begin - len(_id(SEEK_HEAD))
    return _element(SEEK_HEAD, _checked(entries), head)


def _checked(entries: list[bytes]) -> bytes:
    """The content with the checksum, which comes first where there is one, made anew."""
    if entries and entries[0][:1] == bytes([CRC32]):
        rest = b"".join(entries[1:])
        return _element(CRC32, zlib.crc32(rest).to_bytes(4, "little")) + rest
    return b"".join(entries)


def _inside(data: bytes, element: _Element) -> Iterator[_Element]:
    return _elements(data, element.start, element.end)


def _elements(data: bytes, start: int, end: int) -> Iterator[_Element]:
    """One behind the other; the last one may reach past the end of the data."""
    while start < end:
        length = _vint_length(data, start)
        number = int.from_bytes(data[start : start + length], "big")
        size_length = _vint_length(data, start + length)
        raw = int.from_bytes(data[start + length : start + length + size_length], "big")
        content = start + length + size_length
        size = raw & ((1 << 7 * size_length) - 1)
        yield _Element(number, start, content, content + size)
        start = content + size


def _vint_length(data: bytes, place: int) -> int:
    if place >= len(data) or not data[place]:
        raise UnknownLayoutError("not EBML")
    return 9 - data[place].bit_length()


def _number(data: bytes, element: _Element) -> int:
    return int.from_bytes(data[element.start : element.end], "big")


def _id(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _unsigned(number: int, value: int) -> bytes:
    return _element(number, value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _element(number: int, content: bytes, size_bytes: int = 1) -> bytes:
    """size_bytes: for the length, at least. All ones would mean an unknown length."""
    while len(content) >= (1 << 7 * size_bytes) - 1:
        size_bytes += 1
    size = len(content) | 1 << 7 * size_bytes
    return _id(number) + size.to_bytes(size_bytes, "big") + content
