"""What a container says of its streams, its chapters and itself: names, languages, tags, times.

FFmpeg passes over some of it; that is read from the bytes of MP4 beside it, and was read from those of
Matroska. It decodes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.video.stream import VideoStream

from vidsr.media.matroska.source import MatroskaSource, TrackFacts
from vidsr.media.mp4.source import read_languages, read_time_code_rate
from vidsr.media.read.demux import is_address
from vidsr.media.read.source_info import TIME_CODE_KEY, StreamInfo
from vidsr.media.tag_pairs import Tags
from vidsr.media.timeline import ChapterInfo

AV_TIME_BASE = 1_000_000
"""Container times are in microseconds."""

DEFAULT_HANDLERS = frozenset(
    {"VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler", "Core Media Video", "Core Media Audio"}
)
"""Names of MP4 handlers that programs write, not people."""

UNDETERMINED = "und"
"""What ISO 639-2 and BCP 47 call a language that nobody says."""


def stream_infos(
    path: Path, container: InputContainer, matroska: MatroskaSource | None
) -> tuple[StreamInfo, ...]:
    infos = [_stream_info(stream) for stream in container.streams]
    if _is_local_mp4(path, container):
        tags = read_languages(path)
        numbered = zip(container.streams, infos, strict=True)
        return tuple(_with_tag(info, tags[s.id]) if s.id in tags else info for s, info in numbered)
    tracks = _tracks(container, matroska)
    infos[: len(tracks)] = map(_with_facts, infos, tracks)
    return tuple(infos)


def track_number(container: InputContainer, index: int, matroska: MatroskaSource | None) -> int | None:
    """By which a Matroska file's blocks name a stream, where it is known."""
    tracks = _tracks(container, matroska)
    return tracks[index].number if index < len(tracks) else None


def _tracks(container: InputContainer, matroska: MatroskaSource | None) -> tuple[TrackFacts, ...]:
    """Those of the first streams; none where it is not known which is which."""
    tracks = () if matroska is None else matroska.tracks
    types = [stream.type for stream in container.streams]
    return tracks if [track.type for track in tracks] == types[: len(tracks)] else ()


def _stream_info(stream: Stream) -> StreamInfo:
    start = stream.start_time
    sound = stream.codec_context if isinstance(stream, AudioStream) else None
    pictures = stream.codec_context if isinstance(stream, VideoStream) else None
    return StreamInfo(
        index=stream.index,
        type=stream.type,
        codec=_codec_name(stream),
        language=stream.language if stream.language != UNDETERMINED else None,
        title=_title(stream.metadata),
        dispositions=tuple(str(flag.name) for flag in Disposition if flag & stream.disposition),
        metadata=tuple(stream.metadata.items()),
        start=None if start is None or stream.time_base is None else start * stream.time_base,
        sample_rate=None if sound is None else sound.sample_rate,
        channels=None if sound is None else sound.channels,
        width=None if pictures is None else pictures.width,
        height=None if pictures is None else pictures.height,
    )


def _title(metadata: Mapping[str, str]) -> str | None:
    """Matroska's title, QuickTime's name, or a handler's name that is not a program's default."""
    handler = metadata.get("handler_name")
    return metadata.get("title") or metadata.get("name") or (None if handler in DEFAULT_HANDLERS else handler)


def _codec_name(stream: Stream) -> str | None:
    if isinstance(stream, AttachmentStream):
        return stream.mimetype
    context: CodecContext | None = stream.codec_context  # the stubs forget that there may be no decoder
    if context is None:
        return getattr(stream, "name", None)  # data streams have one
    return context.codec.canonical_name


def _with_facts(info: StreamInfo, track: TrackFacts) -> StreamInfo:
    info = dataclasses.replace(info, is_enabled=track.is_enabled)
    if track.language_tag is None:
        return info
    return _in_language(info, track.language_tag, is_plain_known=track.has_plain_language)


def _with_tag(info: StreamInfo, tag: str) -> StreamInfo:
    return _in_language(info, tag, is_plain_known=info.language is not None)


def _in_language(info: StreamInfo, tag: str, *, is_plain_known: bool) -> StreamInfo:
    """With a language in full, and the plain one that it begins with where none is known.

    mkvmerge writes "und" on every track without a language; that says no more than nothing.
    """
    if tag.lower() != UNDETERMINED:
        info = dataclasses.replace(info, language_tag=tag)
    if is_plain_known:
        return info
    language = plain_language(tag)
    metadata = tuple((key, value) for key, value in info.metadata if key != "language")
    if language is not None:
        metadata = (*metadata, ("language", language))
    return dataclasses.replace(info, language=language, metadata=metadata)


def plain_language(tag: str) -> str | None:
    """The language that a tag begins with; None where it says of the script, say, alone ("und-Latn")."""
    language = tag.split("-", maxsplit=1)[0]
    return None if language.lower() == UNDETERMINED else language


def chapter_infos(container: InputContainer) -> list[ChapterInfo]:
    infos = []
    for chapter in container.chapters():
        unit = chapter["time_base"] or Fraction(1, AV_TIME_BASE)
        metadata = chapter["metadata"]
        infos.append(
            ChapterInfo(
                id=chapter["id"],
                start=chapter["start"] * unit,
                end=chapter["end"] * unit,
                title=metadata.get("title"),
                metadata=tuple(metadata.items()),
            )
        )
    return infos


def file_tags(container: InputContainer, matroska: MatroskaSource | None) -> Tags:
    tags = tuple(container.metadata.items())
    return tags if matroska is None else matroska.tags.without_editions(tags)


def time_code_rate(path: Path, container: InputContainer) -> Fraction | None:
    """What QuickTime's track of the time code says for itself."""
    has_track = any(s.type == "data" and TIME_CODE_KEY in s.metadata for s in container.streams)
    return read_time_code_rate(path) if has_track and _is_local_mp4(path, container) else None


def _is_local_mp4(path: Path, container: InputContainer) -> bool:
    return "mp4" in container.format.name.split(",") and not is_address(path)
