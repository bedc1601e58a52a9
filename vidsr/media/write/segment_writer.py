"""Finished frames into segment files: one encoder run each, whole on the disk before it is spoken of.

A sink for the pipeline like `Writer`. Segments begin where frames say so (`Frame.starts_segment`); each has
an encoder of its own, so it begins with a key frame and nothing in it refers to another segment. What is
finished is handed on as a receipt and never touched again. One thread uses it, another one after that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
import av.error
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from vidsr.damage import Damage
from vidsr.errors import EncoderError
from vidsr.frames import Color, Frame
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.encode.encoders import EncoderSettings
from vidsr.media.encode.ffmpeg_encoder import FfmpegEncoder
from vidsr.media.encode.frame_encoder import FrameEncoder
from vidsr.media.read.demux import reason
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.write.packet_file import Head, PacketFileWriter

RESCUE_SECONDS = 1.0
"""How long a run that is being stopped may go on encoding frames that are finished already."""


class PacketMaker(Protocol):
    """An encoder for one segment; see `FrameEncoder`. After `flush` or `close` nothing of it is left."""

    @property
    def stream_header(self) -> bytes: ...
    @property
    def time_base(self) -> Fraction: ...
    def encode(self, frame: Frame) -> list[Packet[Any]]: ...
    def flush(self) -> Iterable[Packet[Any]]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SegmentCoding:
    """What all segments of a job have in common.

    width, height, color: of the frames to come. job: digest of the job, written into every file.
    """

    source: SourceInfo
    settings: EncoderSettings
    width: int
    height: int
    color: Color
    job: str

    def open_encoder(self) -> PacketMaker:
        """Raises EncoderError."""
        if self.settings.program:
            return FfmpegEncoder(
                self.source, self.settings, width=self.width, height=self.height, color=self.color
            )
        context = av.CodecContext.create(self.settings.name, "w")
        assert isinstance(context, VideoCodecContext)
        encoder = FrameEncoder(
            context, self.source, self.settings, width=self.width, height=self.height, color=self.color
        )
        context.flags |= Flags.global_header
        try:
            context.open()
        except av.error.FFmpegError as error:
            raise EncoderError(f"{self.settings.name} does not open again: {reason(error)}") from error
        return encoder


class FrameOrigin(Protocol):
    """Where the frames come from, as far as receipts speak of it; see `SegmentReader`."""

    def stretch_of(self, pts: int) -> Segment: ...
    def damage_in(self, segment: Segment) -> Iterable[Damage]: ...
    def empty_stretches(self) -> Sequence[Segment]: ...


@dataclass
class _Open:
    """The segment being written. stretch: what is read of the source, of which it is the next part."""

    start_pts: int | None
    stretch: Segment
    encoder: PacketMaker
    file: PacketFileWriter
    name: str
    first_pts: int
    last_pts: int
    frames: int = 0
    stamps: list[int] = field(default_factory=list)

    def write(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            self.file.write(packet)
            assert packet.pts is not None
            self.stamps.append(packet.pts)


class SegmentWriter:
    """Writes frames into segment files, one after the other.

    After `finish`, `cut` or `abandon` there is no unfinished file left.
    """

    def __init__(
        self,
        coding: SegmentCoding,
        origin: FrameOrigin,
        *,
        new_file: Callable[[int | None], Path],
        on_finished: Callable[[SegmentReceipt], None],
    ) -> None:
        """new_file: gives a name for a segment that begins at a time stamp (None = the source's beginning).

        on_finished: told of each segment when its file is on the disk; what it raises ends the run.
        """
        self._coding, self._origin = coding, origin
        self._new_file, self._on_finished = new_file, on_finished
        self._open: _Open | None = None
        self._stretch: Segment | None = None
        self._failed = False
        self._empty_told = 0
        self._last_finished = time.perf_counter()

    @property
    def frames_held(self) -> int:
        """How many frames the encoder has taken and not given back; any thread may ask."""
        present = self._open
        return 0 if present is None else max(present.frames - len(present.stamps), 0)

    def write(self, frame: Frame) -> None:
        """Raises FrameSizeError, FrameFormatError, EncoderError, NoSpaceError, OutputError."""
        with self._abandoning_on_failure():
            present = self._open
            if present is None or frame.starts_segment:
                if present is not None:
                    continues = frame.pts in present.stretch
                    self._close(present, frame.pts if continues else present.stretch.end_pts)
                present = self._open = self._begin(frame)
            present.write(present.encoder.encode(frame))
            present.frames += 1
            present.last_pts = frame.pts

    def finish(self) -> None:
        """Close the last segment. Raises EncoderError, NoSpaceError, OutputError."""
        with self._abandoning_on_failure():
            if self._open is not None:
                self._close(self._open, self._open.stretch.end_pts)
            self._tell_of_empty_stretches()

    def cut(self, finished: Sequence[Frame] = ()) -> None:
        """End the present segment where it stands, because the run is being stopped.

        finished: the next frames, where some are computed already; as many of them are still taken as
        RESCUE_SECONDS allow. Does nothing after a failure of `write`. Raises as `write` does; nothing of
        the present segment is kept then.
        """
        if self._failed:
            return
        deadline = time.perf_counter() + RESCUE_SECONDS
        for frame in finished:
            if time.perf_counter() > deadline:
                break
            self.write(frame)
        with self._abandoning_on_failure():
            if self._open is not None:
                self._close(self._open, self._open.last_pts + 1)

    def abandon(self) -> None:
        """Throw away what of the present segment is written; harmless when there is none."""
        if self._open is not None:
            present, self._open = self._open, None
            present.encoder.close()
            present.file.abort()

    @contextmanager
    def _abandoning_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._failed = True
            self.abandon()
            raise

    def _begin(self, frame: Frame) -> _Open:
        stretch = self._origin.stretch_of(frame.pts)
        start = frame.pts if stretch == self._stretch else stretch.start_pts
        self._stretch = stretch
        encoder = self._coding.open_encoder()
        path = self._new_file(start)
        try:
            head = Head(
                self._coding.job, self._coding.settings.name, encoder.time_base, encoder.stream_header
            )
            file = PacketFileWriter(path, head)
        except BaseException:
            encoder.close()
            raise
        return _Open(start, stretch, encoder, file, path.name, frame.pts, frame.pts)

    def _close(self, present: _Open, end_pts: int | None) -> None:
        present.write(present.encoder.flush())
        if (given := len(present.stamps)) != present.frames:
            raise EncoderError(
                f"{self._coding.settings.name} gave {given} packets for {present.frames} frames",
                "choose another --encoder, or pass --no-resume",
            )
        segment = Segment(present.start_pts, end_pts)
        now = time.perf_counter()
        receipt = SegmentReceipt(
            segment,
            present.name,
            present.frames,
            present.first_pts,
            present.last_pts,
            reorder=reorder_depth(present.stamps),
            seconds=round(now - self._last_finished, 3),
            damage=tuple(self._origin.damage_in(segment)),
        )
        sha256, size = present.file.finish(receipt.to_json())
        self._open, self._last_finished = None, now
        self._on_finished(replace(receipt, sha256=sha256, size_bytes=size))

    def _tell_of_empty_stretches(self) -> None:
        empty = self._origin.empty_stretches()
        for segment in empty[self._empty_told :]:
            self._on_finished(SegmentReceipt(segment, damage=tuple(self._origin.damage_in(segment))))
        self._empty_told = len(empty)


def reorder_depth(stamps: Sequence[int]) -> int:
    """By how many places a packet comes before its turn at most; stamps: pts in decoding order."""
    turns = {pts: turn for turn, pts in enumerate(sorted(stamps))}
    return max((place - turns[pts] for place, pts in enumerate(stamps)), default=0)
