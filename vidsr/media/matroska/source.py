"""What a Matroska or WebM source says of its tracks and of itself that FFmpeg's demuxer passes over.

That is a language in full (BCP 47: "pt-BR", where FFmpeg reads "por"), that a track is not to be used, and by
which numbers files that belong together find each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from vidsr.media.matroska.ebml import EbmlError, Field, split
from vidsr.media.matroska.ids import (
    CODEC_ID,
    FLAG_ENABLED,
    INFO,
    LANGUAGE,
    LANGUAGE_BCP47,
    NEXT_UUID,
    PREVIOUS_UUID,
    SEGMENT_FAMILY,
    SEGMENT_UUID,
    TRACK_ENTRY,
    TRACK_NUMBER,
    TRACK_TYPE,
    TRACKS,
)
from vidsr.media.matroska.layout import read_part

IDENTIFYING = (SEGMENT_UUID, PREVIOUS_UUID, NEXT_UUID, SEGMENT_FAMILY)
_UUID_BYTES = 16
_LARGEST_INFO_BYTES = 2**20

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


def read_identity(path: Path) -> Identity:
    """Nothing where the file is no Matroska, or is torn."""
    try:
        fields = Field(INFO, read_part(path, INFO, _LARGEST_INFO_BYTES)).fields
    except (EbmlError, OSError):
        return Identity()
    return Identity(tuple(f for f in fields if f.id in IDENTIFYING and len(f.content) == _UUID_BYTES))


def read_tracks(path: Path) -> tuple[TrackFacts, ...]:
    """Nothing where the file is no Matroska, or is torn."""
    try:
        content = read_part(path, TRACKS)
        entries = [entry for entry in Field(TRACKS, content).fields if entry.id == TRACK_ENTRY]
        tracks = [_track(entry) for entry in entries] if len(entries) <= _MOST_TRACKS else []
    except (EbmlError, OSError):
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
