"""What a video file is: size, colour tags, time, streams, chapters, HDR metadata.

It opens a file, decodes one frame of it and closes it again. It never converts a sample and decides
nothing: tags are reported as they are found, and what is unspecified stays so.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import AttachmentStream, Disposition, Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import DamagedSourceError, NotAVideoError
from vidsr.frames import ChromaLocation, Color, Matrix, Range
from vidsr.job import Segment
from vidsr.media.color.frame_tags import color_of
from vidsr.media.color.hdr import HdrMetadata, embedded_extras, side_data
from vidsr.media.ffmpeg_log import INFO, listening
from vidsr.media.matroska.source import TrackFacts, read_tracks
from vidsr.media.matroska.tags import read_tags
from vidsr.media.mp4.source import read_languages, read_time_code_rate
from vidsr.media.read.demux import is_address, main_video_stream, open_accelerated, open_source, reading
from vidsr.media.read.frame_count import count_frames
from vidsr.media.stereo import STEREO_KEY, has_unnamed_views, stereo_mode
from vidsr.media.timeline import ChapterInfo, Timeline

AV_TIME_BASE = 1_000_000
"""Container times are in microseconds."""

PROBED_PACKETS = 500
"""How many video packets may pass before the first frame must have been decoded."""

MAX_PIXELS = 16384 * 16384
"""Larger pictures are refused before anything is allocated for them; FFmpeg's encoders stop here too."""

MOST_FRAMES_A_SECOND = 10_000
"""Cameras for this many exist, their files do not say so; torn headers say millions, and encoders that
ration bits by time then leave nothing of the picture."""

DEFAULT_HANDLERS = frozenset(
    {"VideoHandler", "SoundHandler", "SubtitleHandler", "DataHandler", "Core Media Video", "Core Media Audio"}
)
"""Names of MP4 handlers that programs write, not people."""

TIME_CODE_KEY = "timecode"
"""What FFmpeg calls the tag; in small letters, in Matroska in capitals."""

UNDETERMINED = "und"
"""What ISO 639-2 and BCP 47 call a language that nobody says."""

UNNAMED_VIEWS = "marks of stereoscopic pictures"

FIELD_ORDERS = ("unknown", "progressive", "tt", "bb", "tb", "bt")


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of a container.

    type: "video", "audio", "subtitle", "attachment", "data" or "unknown".
    language: as FFmpeg names it ("por"). language_tag: in full, as Matroska and MP4 can say it ("pt-BR").
    is_enabled: whether the stream is to be used at all; Matroska alone can say that it is not.
    codec: the coding's name ("h264", "ass"), the MIME type of an attachment; None if FFmpeg knows none.
    start: time of the first packet in seconds, exact; None if unknown. sample_rate, channels: of sound,
        0 where the stream is too damaged to tell; width, height: of pictures, likewise.
    """

    index: int
    type: str
    codec: str | None
    language: str | None = None
    title: str | None = None
    dispositions: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()
    start: Fraction | None = None
    sample_rate: int | None = None
    channels: int | None = None
    width: int | None = None
    height: int | None = None
    language_tag: str | None = None
    is_enabled: bool = True

    @property
    def is_picture(self) -> bool:
        """Cover art: a video stream of one still picture."""
        return "attached_pic" in self.dispositions

    @property
    def has_time_code(self) -> bool:
        return any(key.lower() == TIME_CODE_KEY for key, _ in self.metadata)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A video file.

    width, height: in samples as decoded, before sample aspect ratio and rotation.
    pixel_format: FFmpeg's name for the samples as coded. color: the tags as found.
    time_base: seconds per unit of the video stream's time stamps.
    frame_count_estimate: with frame_count_origin "header" (what the file says), "counted" (its packets were),
        "sampled" (those of parts were) or "duration x rate".
    start_pts: of the video stream, in time_base. start_time: of the container, in seconds.
    duration: of the video stream where it says so, else of the container, in seconds.
    rotation: degrees counter-clockwise that a player turns the picture by (-180 to 180).
    embedded_extras: what else the first frame carries, in words ("closed captions"); it cannot be kept.
    time_code_rate: frames a second that time codes count, mostly the average rate; None where it is unknown,
        and behind filters that change the rate, or which frame is the first.
    allow_network: whether it may be opened where it is, or leads to, an address.
    display_matrix: the nine numbers that say so exactly, mirroring included (16.16, the last column 2.30).
    """

    path: Path
    format_name: str
    video_index: int
    codec: str
    width: int
    height: int
    pixel_format: str
    color: Color
    time_base: Fraction
    average_rate: Fraction | None
    frame_count_estimate: int | None
    frame_count_origin: str | None
    start_pts: int | None
    start_time: Fraction
    duration: Fraction | None
    sample_aspect_ratio: Fraction | None
    rotation: int
    display_matrix: tuple[int, ...] | None
    field_order: str
    interlaced_frames: bool
    streams: tuple[StreamInfo, ...]
    chapters: tuple[ChapterInfo, ...]
    metadata: tuple[tuple[str, str], ...]
    hdr: HdrMetadata | None
    embedded_extras: tuple[str, ...]
    size_bytes: int
    time_code_rate: Fraction | None
    allow_network: bool

    @property
    def video(self) -> StreamInfo:
        """The main one, which is upscaled."""
        return self.streams[self.video_index]

    @property
    def attachments(self) -> tuple[StreamInfo, ...]:
        return tuple(s for s in self.streams if s.type == "attachment")

    @property
    def is_matroska_file(self) -> bool:
        """Whether it is Matroska or WebM, and a file whose bytes can be looked at beside FFmpeg."""
        return _is_local_matroska(self.path, self.format_name)

    @property
    def has_alpha_beside(self) -> bool:
        """Whether VP8 or VP9 has a second, coded picture for its transparency, which decoders pass over."""
        return any(key.lower() == "alpha_mode" and value == "1" for key, value in self.video.metadata)

    @property
    def is_frame_count_exact(self) -> bool:
        return self.frame_count_origin in ("header", "counted")

    @property
    def frames_a_second(self) -> Fraction | None:
        """Over the whole of it, as far as is known; a header may be far off where the rate is variable."""
        if self.frame_count_estimate and self.duration:
            return Fraction(self.frame_count_estimate) / self.duration
        return self.average_rate

    @property
    def start_seconds(self) -> Fraction:
        """When the first frame is shown, on the container's clock."""
        return self.start_time if self.start_pts is None else self.start_pts * self.time_base

    def timeline(self, segment: Segment | None, *, holds_negative: bool = True) -> Timeline:
        """What of its time an output has. A cut begins at 0.

        A whole source keeps its time stamps, unless its video begins before 0: no container keeps frames
        before 0 in a way that players show them; then one offset shifts all streams alike. holds_negative:
        whether the output can hold sound before 0 (the priming samples of AAC, which nobody hears); if not,
        the earliest stream decides the offset.
        """
        if segment is not None and segment.start_pts is not None:
            start: Fraction | None = segment.start_pts * self.time_base
            origin = segment.start_pts * self.time_base
        else:
            start = None
            earliest = [self.start_seconds]
            if not holds_negative:
                earliest += [stream.start for stream in self.streams if stream.start is not None]
            origin = min(Fraction(0), *earliest)
        end = None if segment is None or segment.end_pts is None else segment.end_pts * self.time_base
        return Timeline(start, end, origin)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; fractions as "numerator/denominator", enums by name."""
        plain: dict[str, Any] = _plain(self)
        del plain["allow_network"]  # nothing of the file's own
        return plain

    def open(self) -> InputContainer:
        """The file once more, by the permission it was probed with. Raises as `open_source` does."""
        return open_source(self.path, allow_network=self.allow_network)

    def open_accelerated(self, hwaccel: str) -> InputContainer:
        """Raises as `demux.open_accelerated` does."""
        return open_accelerated(self.path, hwaccel, allow_network=self.allow_network)


def probe(path: Path, *, allow_network: bool = False) -> SourceInfo:
    """Open a video file and tell what it is. allow_network: see `open_source`.

    Raises SourceMissingError, NotAVideoError, NoVideoStreamError or DamagedSourceError, with a message
    and a hint for people.
    """
    with open_source(path, allow_network=allow_network) as container:
        stream = main_video_stream(container, path)
        if stream.codec_context is None:
            raise NotAVideoError(
                f"{path.name}: there is no decoder for its video", "convert it with another program first"
            )
        _check_size(path, stream.codec_context.width, stream.codec_context.height)
        _check_rate(path, _rate(container, stream))
        with reading(path, "decode its first frame"):
            frame = _first_frame(container, stream)
        if frame is None:
            raise DamagedSourceError(
                f"{path.name}: no frame of its video can be decoded",
                "the file is damaged or was cut off before its first key frame",
            )
        _check_size(path, frame.width, frame.height)
        return _describe(path, container, stream, frame, allow_network=allow_network)


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise NotAVideoError(f"{path.name}: pictures of {width}x{height} are too large to work on")


def _rate(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Frames a second on average. Of raw DV, FFmpeg gives its clock's 60000 for that."""
    if container.format.name == "dv":
        return stream.base_rate
    return stream.average_rate or stream.guessed_rate


def _check_rate(path: Path, rate: Fraction | None) -> None:
    if rate is not None and rate > MOST_FRAMES_A_SECOND:
        raise DamagedSourceError(
            f"{path.name} says that it has {round(rate)} frames a second: its header is damaged",
            "put the rate right first; mkvmerge's --default-duration does that",
        )


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The first frame that can be decoded, or None."""
    stream.codec_context.thread_count = 1  # one frame is wanted at once, not a pipeline of them
    for number, packet in enumerate(container.demux(stream)):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        if frames:
            return frames[0]
        if number >= PROBED_PACKETS:
            return None
    return None


def _describe(
    path: Path, container: InputContainer, stream: VideoStream, frame: VideoFrame, *, allow_network: bool
) -> SourceInfo:
    context = stream.codec_context
    time_base = stream.time_base or Fraction(1, 1000)
    rate = _rate(container, stream)
    duration = _duration(container, stream, time_base)
    infos, track = _stream_infos(path, container, stream.index)
    count, origin = count_frames(path, container, stream, duration, rate, track)
    return SourceInfo(
        path=path,
        format_name=container.format.name,
        video_index=stream.index,
        codec=context.codec.canonical_name,
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        color=color_of(frame, _chroma_location(container, stream)),
        time_base=time_base,
        average_rate=rate or None,
        frame_count_estimate=count,
        frame_count_origin=origin,
        start_pts=stream.start_time if stream.start_time is not None else frame.pts,
        start_time=_start_time(container),
        duration=duration,
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        rotation=frame.rotation,
        display_matrix=_display_matrix(frame),
        field_order=FIELD_ORDERS[context.field_order]
        if context.field_order < len(FIELD_ORDERS)
        else "unknown",
        interlaced_frames=frame.interlaced_frame,
        streams=_with_views(infos, stream.index, frame),
        chapters=tuple(_chapter_infos(container)),
        metadata=_file_tags(path, container),
        hdr=HdrMetadata.of_frame(frame),
        embedded_extras=embedded_extras(frame) + ((UNNAMED_VIEWS,) if has_unnamed_views(frame) else ()),
        size_bytes=max(container.size, 0) if is_address(path) else path.stat().st_size,
        time_code_rate=_time_code_rate(path, container) or rate or None,
        allow_network=allow_network,
    )


_CHROMA_LOCATIONS = {location.name.lower(): location for location in ChromaLocation}


def _chroma_location(container: InputContainer, stream: VideoStream) -> ChromaLocation:
    """Read from FFmpeg's description of the stream: PyAV has no attribute for it."""
    with listening(INFO, verbose=True):
        description = container.dumps_format()  # type: ignore[attr-defined]  # missing in the stubs
    # a line reads: Stream #0:0(eng): Video: h264 (High), yuv420p(tv, bt709, progressive, topleft), 96x64 ...
    for line in description.splitlines():
        found = re.match(rf"\s*Stream #0:{stream.index}(?:\[\w+\])?(?:\(\w+\))?: Video: (.*)", line)
        if found:
            words = re.findall(r"[a-z]+", " ".join(re.findall(r"\(([^()]*)\)", found[1])))
            for word in words:
                if word in _CHROMA_LOCATIONS:
                    return _CHROMA_LOCATIONS[word]
    return ChromaLocation.UNSPECIFIED


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    raw = next((raw for kind, raw in side_data(frame) if kind is Type.DISPLAYMATRIX), b"")
    return struct.unpack("=9i", raw) if len(raw) == 36 else None


def _start_time(container: InputContainer) -> Fraction:
    """When the container starts, in seconds: FFmpeg's microseconds, made exact by a stream that fits."""
    rounded = Fraction(container.start_time or 0, AV_TIME_BASE)
    for stream in container.streams:
        if stream.start_time is not None and stream.time_base is not None:
            exact = stream.start_time * stream.time_base
            if abs(exact - rounded) < Fraction(1, AV_TIME_BASE):
                return exact
    return rounded


def _duration(container: InputContainer, stream: VideoStream, time_base: Fraction) -> Fraction | None:
    if stream.duration:
        return stream.duration * time_base
    if tag := stream.metadata.get("DURATION"):  # Matroska's statistics tag: 00:00:07.549000000
        found = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag)
        if found:
            end = int(found[1]) * 3600 + int(found[2]) * 60 + Fraction(found[3])
            return end - (stream.start_time or 0) * time_base
    if container.duration:
        return Fraction(container.duration, AV_TIME_BASE)
    return None


def _stream_infos(
    path: Path, container: InputContainer, video: int
) -> tuple[tuple[StreamInfo, ...], int | None]:
    """And the number of the main video in a Matroska file, where it is known."""
    infos = [_stream_info(stream) for stream in container.streams]
    if _is_local_mp4(path, container):
        tags = read_languages(path)
        numbered = zip(container.streams, infos, strict=True)
        return tuple(_with_tag(info, tags[s.id]) if s.id in tags else info for s, info in numbered), None
    if not _is_local_matroska(path, container.format.name):
        return tuple(infos), None
    tracks = read_tracks(path)
    if [track.type for track in tracks] != [info.type for info in infos[: len(tracks)]]:
        return tuple(infos), None  # then it is not known which is which
    infos[: len(tracks)] = map(_with_facts, infos, tracks)
    return tuple(infos), tracks[video].number if video < len(tracks) else None


def _time_code_rate(path: Path, container: InputContainer) -> Fraction | None:
    """What QuickTime's track of the time code says for itself."""
    has_track = any(s.type == "data" and TIME_CODE_KEY in s.metadata for s in container.streams)
    return read_time_code_rate(path) if has_track and _is_local_mp4(path, container) else None


def _is_local_mp4(path: Path, container: InputContainer) -> bool:
    return "mp4" in container.format.name.split(",") and not is_address(path)


def _file_tags(path: Path, container: InputContainer) -> tuple[tuple[str, str], ...]:
    tags = tuple(container.metadata.items())
    if not _is_local_matroska(path, container.format.name):
        return tags
    return read_tags(path).without_editions(tags)


def _is_local_matroska(path: Path, format_name: str) -> bool:
    return format_name == "matroska,webm" and not is_address(path)


def _with_views(infos: tuple[StreamInfo, ...], video: int, frame: VideoFrame) -> tuple[StreamInfo, ...]:
    """The tag that Matroska has for stereoscopic pictures, where something else says it of the main video."""
    mode = stereo_mode(frame)
    if mode is None or any(key.lower() == STEREO_KEY for key, _ in infos[video].metadata):
        return infos
    info = dataclasses.replace(infos[video], metadata=(*infos[video].metadata, (STEREO_KEY, mode)))
    return (*infos[:video], info, *infos[video + 1 :])


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


def _chapter_infos(container: InputContainer) -> list[ChapterInfo]:
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


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if "metadata" in plain:
            plain["metadata"] = dict(plain["metadata"])
        return plain
    if isinstance(value, Matrix | Range | ChromaLocation):
        return value.name.lower()
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
