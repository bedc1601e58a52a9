"""A video file in numbers and words, as `probe` found it: SourceInfo, and StreamInfo of each of its streams.

Values that nothing here changes: tags as they stand in the file, and what is unspecified stays so. It opens
a file for others and never looks into one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer

from vidsr.frames import ChromaLocation, Color, Matrix, Range
from vidsr.job import Segment
from vidsr.media.color.hdr import HdrMetadata
from vidsr.media.matroska.source import MatroskaSource
from vidsr.media.read.demux import open_accelerated, open_source
from vidsr.media.tag_pairs import Tags, tag_value
from vidsr.media.timeline import ChapterInfo, Timeline

UNKNOWN_RATE = Fraction(25)
"""Frames a second of a video that does not say how many it has."""

TIME_CODE_KEY = "timecode"
"""What FFmpeg calls the tag; in small letters, in Matroska in capitals."""


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
    metadata: Tags = ()
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
        return tag_value(self.metadata, TIME_CODE_KEY) is not None


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
    matroska: of a Matroska or WebM file whose bytes can be looked at beside FFmpeg, what that passes over.
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
    metadata: Tags
    hdr: HdrMetadata | None
    embedded_extras: tuple[str, ...]
    size_bytes: int
    time_code_rate: Fraction | None
    allow_network: bool
    matroska: MatroskaSource | None = field(repr=False)

    @property
    def video(self) -> StreamInfo:
        """The main one, which is upscaled."""
        return self.streams[self.video_index]

    @property
    def attachments(self) -> tuple[StreamInfo, ...]:
        return tuple(s for s in self.streams if s.type == "attachment")

    @property
    def assumed_rate(self) -> Fraction:
        """Frames a second, for whoever needs some number; UNKNOWN_RATE where nothing says it."""
        return self.average_rate or UNKNOWN_RATE

    @property
    def has_alpha_beside(self) -> bool:
        """Whether VP8 or VP9 has a second, coded picture for its transparency, which decoders pass over."""
        return tag_value(self.video.metadata, "alpha_mode") == "1"

    @property
    def has_time_code(self) -> bool:
        """Whether the file or one of its streams has one."""
        of_file = tag_value(self.metadata, TIME_CODE_KEY)
        return of_file is not None or any(stream.has_time_code for stream in self.streams)

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
        plain: dict[str, Any] = _plain(dataclasses.replace(self, matroska=None))
        del plain["allow_network"], plain["matroska"]  # nothing of the file's own; bytes
        return plain

    def open(self) -> InputContainer:
        """The file once more, by the permission it was probed with. Raises as `open_source` does."""
        return open_source(self.path, allow_network=self.allow_network)

    def open_accelerated(self, hwaccel: str) -> InputContainer:
        """Raises as `demux.open_accelerated` does."""
        return open_accelerated(self.path, hwaccel, allow_network=self.allow_network)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
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
