"""What a Matroska or WebM source says of its tracks that FFmpeg's demuxer passes over.

That is a language in full (BCP 47: "pt-BR", where FFmpeg reads "por") and that a track is not to be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vidsr.media.ebml import EbmlError, Field
from vidsr.media.matroska_ids import (
    CODEC_ID,
    FLAG_ENABLED,
    LANGUAGE,
    LANGUAGE_BCP47,
    TRACK_ENTRY,
    TRACK_TYPE,
    TRACKS,
)
from vidsr.media.matroska_layout import find_parts, lay_out

_TYPES = {1: ("video", "V"), 2: ("audio", "A"), 17: ("subtitle", "SD"), 33: ("data", "SD")}
"""Types of tracks that FFmpeg makes streams of, and how the names of their codings may begin."""


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """A track that FFmpeg makes a stream of; they are in the streams' order, before any attachment.

    language_tag: in the form of BCP 47; None if the track says none. has_plain_language: whether it says its
    language in the older form too; if not, FFmpeg takes it for English.
    """

    type: str
    language_tag: str | None
    has_plain_language: bool
    is_enabled: bool


def read_tracks(path: Path) -> tuple[TrackFacts, ...]:
    """Nothing where the file is no Matroska, or is torn."""
    try:
        with path.open("rb") as file:
            content = find_parts(file, lay_out(file), (TRACKS,)).get(TRACKS, b"")
        entries = [entry for entry in Field(TRACKS, content).fields if entry.id == TRACK_ENTRY]
        tracks = [_track(entry) for entry in entries]
    except (EbmlError, OSError):
        return ()
    return tuple(track for track in tracks if track is not None)


def _track(entry: Field) -> TrackFacts | None:
    fields = {field.id: field for field in entry.fields}
    if TRACK_TYPE not in fields or CODEC_ID not in fields:
        return None
    kind, initials = _TYPES.get(fields[TRACK_TYPE].unsigned, ("", ""))
    codec = fields[CODEC_ID].text
    if not kind or codec[:1] not in initials:
        return None
    tag = fields[LANGUAGE_BCP47].text if LANGUAGE_BCP47 in fields else ""
    is_enabled = FLAG_ENABLED not in fields or fields[FLAG_ENABLED].unsigned != 0
    return TrackFacts(kind, tag or None, LANGUAGE in fields, is_enabled)
