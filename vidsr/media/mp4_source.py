"""What an MP4 or QuickTime source says of its tracks that FFmpeg's demuxer passes over: languages in full.

The box "elng" (ISO/IEC 14496-12, 8.4.6) holds them in the form of BCP 47, "pt-BR" where the older field has
"por".
"""

from __future__ import annotations

import re
from pathlib import Path

from vidsr.media.mp4_boxes import VERSION_BYTES, Box, BoxError, BoxFile

_MOST_TRACKS = 1_000

_LONGEST_TAG = 100
"""Bytes; RFC 5646 recommends room for 35."""

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


def _languages(file: BoxFile) -> dict[int, str]:
    """Raises BoxError, OSError."""
    movie = file.first(file.whole, b"moov")
    if movie is None:
        return {}
    found: dict[int, list[str | None]] = {}
    for count, track in enumerate(box for box in file.boxes(movie) if box.kind == b"trak"):
        if count == _MOST_TRACKS:
            raise BoxError("more tracks than anything sound has")
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
