"""What an MP4 or QuickTime source says of its tracks that FFmpeg's demuxer passes over.

That is a language in full: the box "elng" (ISO/IEC 14496-12, 8.4.6) holds it in the form of BCP 47, "pt-BR"
where the older field has "por". And how many frames a second a time code counts, which need not be those that
the video has.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vidsr.media.mp4.boxes import VERSION_BYTES, Box, BoxError, BoxFile

_MOST_TRACKS = 1_000

_LONGEST_TAG = 100
"""Bytes; RFC 5646 recommends room for 35."""

_TIME_CODES = struct.Struct(">8x 4x 4s 8x 4x 4x II")
"""Version and count; size, kind, what does not matter here, flags, units of a second and how many of them a
frame lasts."""

_TAG = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


def is_tag(text: str) -> bool:
    """Whether it has the form of BCP 47, and a length that is read."""
    return len(text) < _LONGEST_TAG and _TAG.fullmatch(text) is not None


def read_languages(path: Path) -> dict[int, str]:
    """Language tags of tracks that have one, by the track's number; nothing where the file is torn."""
    try:
        with path.open("rb") as file:
            return _languages(BoxFile(file))
    except (BoxError, OSError):
        return {}


def read_time_code_rate(path: Path) -> Fraction | None:
    """What all tracks of time codes count in a second; None where they differ, say nothing, or are torn."""
    try:
        with path.open("rb") as opened:
            file = BoxFile(opened)
            rates = {_counted(file, track) for track in _tracks(file)} - {None}
    except (BoxError, OSError):
        return None
    return rates.pop() if len(rates) == 1 else None


def _counted(file: BoxFile, track: Box) -> Fraction | None:
    """Of a track whose first sample description is one of time codes (QuickTime File Format, "tmcd")."""
    place: Box | None = track
    for kind in (b"mdia", b"minf", b"stbl", b"stsd"):
        place = None if place is None else file.first(place, kind)
    content = b"" if place is None else file.content(place, _TIME_CODES.size)
    if len(content) < _TIME_CODES.size:
        return None
    kind, scale, duration = _TIME_CODES.unpack(content)
    return Fraction(scale, duration) if kind == b"tmcd" and scale and duration else None


def _tracks(file: BoxFile) -> Iterator[Box]:
    """Raises BoxError, OSError."""
    movie = file.first(file.whole, b"moov")
    tracks = () if movie is None else (box for box in file.boxes(movie) if box.kind == b"trak")
    for count, track in enumerate(tracks):
        if count == _MOST_TRACKS:
            raise BoxError("more tracks than anything sound has")
        yield track


def _languages(file: BoxFile) -> dict[int, str]:
    """Raises BoxError, OSError."""
    found: dict[int, list[str | None]] = {}
    for track in _tracks(file):
        number, tag = _track(file, track)
        found.setdefault(number, []).append(tag)
    # a number that two tracks have names neither
    return {n: tags[0] for n, tags in found.items() if len(tags) == 1 and tags[0] is not None}


def _track(file: BoxFile, track: Box) -> tuple[int, str | None]:
    tag = None
    media = file.first(track, b"mdia")
    language = None if media is None else file.first(media, b"elng")
    if language is not None:
        content = file.content(language, VERSION_BYTES + _LONGEST_TAG)
        text = content[VERSION_BYTES:].split(b"\0", 1)[0].decode("latin-1")
        tag = text if is_tag(text) else None
    return file.track_number(track), tag
