"""Finds out what a video file is: opens it, decodes one frame of it, and closes it again.

From the frame come size, samples, colour tags and HDR metadata; what the container says of its streams is
read by `stream_infos`. It never converts a sample and decides nothing: tags are reported as they are found,
and what is unspecified stays so.
"""

from __future__ import annotations

import dataclasses
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import DamagedSourceError, NotAVideoError
from vidsr.frames import ChromaLocation
from vidsr.media.color.frame_tags import color_of
from vidsr.media.color.hdr import HdrMetadata, embedded_extras, side_data
from vidsr.media.ffmpeg_log import INFO, listening
from vidsr.media.matroska.source import read_source
from vidsr.media.read.demux import is_address, main_video_stream, open_source, reading
from vidsr.media.read.frame_count import count_frames
from vidsr.media.read.source_info import SourceInfo, StreamInfo
from vidsr.media.read.stream_infos import (
    AV_TIME_BASE,
    chapter_infos,
    file_tags,
    stream_infos,
    time_code_rate,
    track_number,
)
from vidsr.media.stereo import STEREO_KEY, has_unnamed_views, stereo_mode
from vidsr.media.tag_pairs import tag_value

PROBED_PACKETS = 500
"""How many video packets may pass before the first frame must have been decoded."""

MAX_PIXELS = 16384 * 16384
"""Larger pictures are refused before anything is allocated for them; FFmpeg's encoders stop here too."""

MOST_FRAMES_A_SECOND = 10_000
"""Cameras for this many exist, their files do not say so; torn headers say millions, and encoders that
ration bits by time then leave nothing of the picture."""

UNNAMED_VIEWS = "marks of stereoscopic pictures"

FIELD_ORDERS = ("unknown", "progressive", "tt", "bb", "tb", "bt")


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
    is_matroska = container.format.name == "matroska,webm" and not is_address(path)
    matroska = read_source(path) if is_matroska else None
    infos = stream_infos(path, container, matroska)
    track = track_number(container, stream.index, matroska)
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
        chapters=tuple(chapter_infos(container)),
        metadata=file_tags(container, matroska),
        hdr=HdrMetadata.of_frame(frame),
        embedded_extras=embedded_extras(frame) + ((UNNAMED_VIEWS,) if has_unnamed_views(frame) else ()),
        size_bytes=max(container.size, 0) if is_address(path) else path.stat().st_size,
        time_code_rate=time_code_rate(path, container) or rate or None,
        allow_network=allow_network,
        matroska=matroska,
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


def _with_views(infos: tuple[StreamInfo, ...], video: int, frame: VideoFrame) -> tuple[StreamInfo, ...]:
    """The tag that Matroska has for stereoscopic pictures, where something else says it of the main video."""
    mode = stereo_mode(frame)
    if mode is None or tag_value(infos[video].metadata, STEREO_KEY) is not None:
        return infos
    info = dataclasses.replace(infos[video], metadata=(*infos[video].metadata, (STEREO_KEY, mode)))
    return (*infos[:video], info, *infos[video + 1 :])
