"""What a Matroska or WebM source says that FFmpeg's demuxer passes over, read at once.

Its chapters and tags are understood beside this file. Here are its tracks: a language in full (BCP 47:
"pt-BR", where FFmpeg reads "por"), and that one is not to be used; and its identity: by which numbers files
that belong together find each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vidsr.media.matroska import chapters, tags
from vidsr.media.matroska.chapters import MatroskaChapters, parse_chapters
from vidsr.media.matroska.ebml import EbmlError, Field, split
from vidsr.media.matroska.ids import (
    CHAPTERS,
    CODEC_ID,
    FLAG_ENABLED,
    INFO,
    LANGUAGE,
    LANGUAGE_BCP47,
    NEXT_UUID,
    PREVIOUS_UUID,
    SEGMENT_FAMILY,
    SEGMENT_UUID,
    TAGS,
    TRACK_ENTRY,
    TRACK_NUMBER,
    TRACK_TYPE,
    TRACKS,
)
from vidsr.media.matroska.layout import LARGEST_PART_BYTES, read_parts
from vidsr.media.matroska.tags import MatroskaTags, parse_tags

IDENTIFYING = (SEGMENT_UUID, PREVIOUS_UUID, NEXT_UUID, SEGMENT_FAMILY)
_UUID_BYTES = 16

_PARTS = {TRACKS: LARGEST_PART_BYTES, INFO: 2**20, CHAPTERS: chapters.MOST_BYTES, TAGS: tags.MOST_BYTES}
"""What is read, and how much of each at most."""

_MOST_TRACKS = 1_000
"""FFmpeg makes no more streams of a file."""

_MOST_FIELDS = 1_000
"""Of a track; sound ones have thirty."""

_TYPES = {1: ("video", "V"), 2: ("audio", "A"), 17: ("subtitle", "SD"), 33: ("data", "SD")}
"""Types of tracks that FFmpeg makes streams of, and how the names of their codings may begin."""


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """A track that FFmpeg makes a stream of; they are in the streams' order, before any attachment.

    language_tag: in the form of BCP 47; None if the track says none. has_plain_language: whether it says its
    language in the older form too; if not, FFmpeg takes it for English. number: by which its blocks name it.
    """

    number: int
    type: str
    language_tag: str | None
    has_plain_language: bool
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """A file's own number (segment UUID) and those of the files before and behind it, as they were read."""

    fields: tuple[Field, ...] = ()

    @property
    def has_family(self) -> bool:
        return any(field.id == SEGMENT_FAMILY for field in self.fields)

    @property
    def neighbours(self) -> tuple[bytes, ...]:
        return tuple(field.content for field in self.fields if field.id in (PREVIOUS_UUID, NEXT_UUID))


@dataclass(frozen=True, slots=True)
class MatroskaSource:
    """chapters: None where there are none, or they cannot be had in full."""

    tracks: tuple[TrackFacts, ...]
    identity: Identity
    chapters: MatroskaChapters | None
    tags: MatroskaTags


def read_source(path: Path) -> MatroskaSource:
    """Nothing where the file is no Matroska, nothing of a part that is torn or larger than any sound one."""
    try:
        parts = read_parts(path, _PARTS)
    except (EbmlError, OSError):
        parts = {}
    info = parts.get(INFO, b"")
    return MatroskaSource(
        _parse_tracks(parts.get(TRACKS, b"")),
        _parse_identity(info),
        parse_chapters(parts.get(CHAPTERS, b"")),
        parse_tags(parts.get(TAGS, b""), info),
    )


def _parse_identity(info: bytes) -> Identity:
    try:
        fields = Field(INFO, info).fields
    except EbmlError:
        return Identity()
    return Identity(tuple(f for f in fields if f.id in IDENTIFYING and len(f.content) == _UUID_BYTES))


def _parse_tracks(content: bytes) -> tuple[TrackFacts, ...]:
    try:
        entries = [entry for entry in Field(TRACKS, content).fields if entry.id == TRACK_ENTRY]
        tracks = [_track(entry) for entry in entries] if len(entries) <= _MOST_TRACKS else []
    except EbmlError:
        return ()
    return tuple(track for track in tracks if track is not None)


def _track(entry: Field) -> TrackFacts | None:
    fields = {field.id: field for field in islice(split(entry.content), _MOST_FIELDS)}
    if TRACK_TYPE not in fields or CODEC_ID not in fields:
        return None
    kind, initials = _TYPES.get(fields[TRACK_TYPE].unsigned, ("", ""))
    codec = fields[CODEC_ID].text
    if not kind or codec[:1] not in initials:
        return None
    tag = fields[LANGUAGE_BCP47].text if LANGUAGE_BCP47 in fields else ""
    is_enabled = FLAG_ENABLED not in fields or fields[FLAG_ENABLED].unsigned != 0
    tag = tag if tag.isprintable() else ""  # it is shown to people, on terminals
    number = fields[TRACK_NUMBER].unsigned if TRACK_NUMBER in fields else 0
    return TrackFacts(number, kind, tag or None, LANGUAGE in fields, is_enabled)
