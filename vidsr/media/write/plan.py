"""What happens to each stream beside the video: copied, converted, attached or left out, and in what words.

It decides from what `probe` found and what the container holds; it opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from vidsr.errors import UsageError
from vidsr.media.containers import TEXT_SUBTITLES, OutputFormat
from vidsr.media.read.source_info import SourceInfo, StreamInfo

UNREADABLE = "nothing of it can be read"


class Fate(Enum):
    """What happens to a stream."""

    COPY = "copied"
    CONVERT = "converted"
    ATTACH = "attached"
    COVER = "cover"
    DROP = "left out"


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream's fate. codec: what it is converted to. note: a line for people, where something changes."""

    stream: StreamInfo
    fate: Fate
    codec: str | None = None
    note: str | None = None


def plan_streams(
    source: SourceInfo, output: OutputFormat, *, audio: str, subtitles: str, cut: bool
) -> list[StreamPlan]:
    """Decide about every stream except the main video, in the source's order.

    audio, subtitles: "all", "none", "first" or languages ("eng", "jpn,pt-BR"). cut: whether only a range is
    kept.

    Raises UsageError if no stream has the wanted language.
    """
    wanted = _selected(source, "audio", audio) | _selected(source, "subtitle", subtitles)
    plans = []
    for stream in source.streams:
        if stream.index == source.video_index:
            continue
        if stream.type in ("audio", "subtitle") and stream.index not in wanted:
            continue
        if stream.codec == "bin_data":
            continue  # the text track that MP4 keeps chapter titles in; the chapters themselves are kept
        if stream.type == "data" and stream.has_time_code and source.video.has_time_code:
            continue  # QuickTime's track of the time code; it is a tag of the video too, and kept as that
        plans.append(_decide(stream, output, cut))
    return plans


def with_tags_of(source: SourceInfo, plans: list[StreamPlan]) -> list[StreamPlan]:
    """The same plans for streams whose tags are others now."""
    return [replace(plan, stream=source.streams[plan.stream.index]) for plan in plans]


def _decide(stream: StreamInfo, output: OutputFormat, cut: bool) -> StreamPlan:
    match stream.type:
        case "audio":
            return _audio(stream, output)
        case "subtitle":
            return _subtitle(stream, output)
        case "attachment":
            return _attachment(stream, output)
        case "video" if stream.is_picture:
            return _cover(stream, output)
        case "video":
            return _second_video(stream, output, cut)
        case _:
            return _drop(stream, "data streams are not kept")


def _drop(stream: StreamInfo, why: str) -> StreamPlan:
    return StreamPlan(stream, Fate.DROP, note=f"{_name(stream)} is left out: {why}")


def _name(stream: StreamInfo) -> str:
    return f"{stream.type} {stream.index}" + (f" ({stream.codec})" if stream.codec else "")


def _cannot(output: OutputFormat) -> str:
    return f"{output.label} cannot hold it"


def _audio(stream: StreamInfo, output: OutputFormat) -> StreamPlan:
    if 0 in (stream.sample_rate, stream.channels):
        return _drop(stream, UNREADABLE)
    if output.holds_audio(stream.codec):
        return StreamPlan(stream, Fate.COPY)
    if not output.audio_as:
        return _drop(stream, _cannot(output))
    if stream.codec is None:
        return _drop(stream, f"{_cannot(output)}, and FFmpeg has no decoder for it")
    label = {"aac": "AAC", "libopus": "Opus", "flac": "FLAC"}[output.audio_as]
    note = f"{_name(stream)} is converted to {label}: {_cannot(output)}"
    return StreamPlan(stream, Fate.CONVERT, output.audio_as, note)


def _subtitle(stream: StreamInfo, output: OutputFormat) -> StreamPlan:
    if stream.codec is not None and output.holds_subtitle(stream.codec):
        return StreamPlan(stream, Fate.COPY)
    if stream.codec not in TEXT_SUBTITLES or output.text_subtitles_as is None:
        return _drop(stream, _cannot(output))
    loss = "; positions and fonts are lost" if stream.codec in ("ass", "ssa") else ""
    note = f"{_name(stream)} is converted to {output.text_subtitles_as}: {_cannot(output)}{loss}"
    return StreamPlan(stream, Fate.CONVERT, output.text_subtitles_as, note)


def _attachment(stream: StreamInfo, output: OutputFormat) -> StreamPlan:
    if output.attachments:
        return StreamPlan(stream, Fate.ATTACH)
    name = dict(stream.metadata).get("filename", str(stream.index))
    return StreamPlan(stream, Fate.DROP, note=f"attachment {name} is left out: {_cannot(output)}")


def _cover(stream: StreamInfo, output: OutputFormat) -> StreamPlan:
    if 0 in (stream.width, stream.height):
        return _drop(stream, UNREADABLE)
    if output.holds_cover(stream.codec):
        return StreamPlan(stream, Fate.COVER)
    note = f"cover picture {stream.index} ({stream.codec}) is left out: {_cannot(output)}"
    return StreamPlan(stream, Fate.DROP, note=note)


def _second_video(stream: StreamInfo, output: OutputFormat, cut: bool) -> StreamPlan:
    if 0 in (stream.width, stream.height):
        return _drop(stream, UNREADABLE)
    if cut:
        return _drop(stream, "a second video cannot be cut without encoding it")
    if stream.codec is None or not output.holds_video(stream.codec):
        return _drop(stream, _cannot(output))
    return StreamPlan(stream, Fate.COPY, note=f"{_name(stream)} is copied as it is, not upscaled")


def _selected(source: SourceInfo, kind: str, which: str) -> set[int]:
    """Indices of the streams of a kind that were asked for."""
    streams = [s for s in source.streams if s.type == kind]
    if which == "none":
        return set()
    if which == "first":
        streams = streams[:1]
    elif which != "all":
        wished = [language.strip() for language in which.split(",")]
        for language in wished:
            if not language or not any(_speaks(s, language.lower()) for s in streams):
                known = sorted({s.language_tag or s.language or "some without a language" for s in streams})
                has = ", ".join(known) or "none at all"
                raise UsageError(
                    f"no {kind} stream has the language {language!r}", f"{source.path.name} has: {has}"
                )
        streams = [s for s in streams if any(_speaks(s, language.lower()) for language in wished)]
    return {s.index for s in streams}


def _speaks(stream: StreamInfo, language: str) -> bool:
    """A tag also answers to its beginnings: "zh-Hant-TW" to "zh" and "zh-Hant"."""
    tag = (stream.language_tag or "").lower()
    return language in ((stream.language or "").lower(), tag) or tag.startswith(f"{language}-")
