"""Decoded frames of a segment, in order, with what could not be decoded on record.

One thread uses a Reader. It knows packets, time stamps and sample layouts, never what is done to a
frame. Every frame the decoder holds is given out: packets are decoded one at a time, the decoder is
flushed, and whatever is missing in between is listed in `damage`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Literal, Self, cast

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.errors import FrameSizeError
from vidsr.frames import Frame
from vidsr.job import Segment
from vidsr.media.demux import main_video_stream, open_source, reading, reason
from vidsr.media.locate import locate_frames, locate_times
from vidsr.media.pixels import PlaneReader
from vidsr.media.probe import SourceInfo, color_of

__all__ = ["Damage", "Reader", "locate_frames", "locate_times"]


@dataclass(frozen=True, slots=True)
class Damage:
    """Something of the source that is not in the output as it should be.

    kind: "undecodable" (a packet gave an error), "corrupt" (a frame was decoded with errors), "missing"
        (packets went in and no frame came out), "unreadable" (the container broke off with an error),
        "truncated" (the stream ends before its announced end), "backward" (a time stamp went back and
        its frame was moved behind the one before it).
    pts: where, in the video time base; None if unknown. packets: how many are concerned.
    detail: for people.
    """

    kind: Literal["undecodable", "corrupt", "missing", "unreadable", "truncated", "backward"]
    pts: int | None
    time: Fraction | None
    packets: int
    detail: str

    def __str__(self) -> str:
        where = "" if self.time is None else f" at {float(self.time):.3f} s"
        return f"{self.kind}{where}: {self.detail}"


class Reader:
    """The frames of a source, or of a segment of it.

    `frames` may be called once. `stop` may be called from any thread: the frames then end at the next
    packet.
    """

    def __init__(self, source: SourceInfo, segment: Segment | None = None, *, threads: int = 0) -> None:
        """threads: of the decoder; 0 = as many as it likes."""
        self._source = source
        self._segment = segment or Segment()
        self._stop = threading.Event()
        self._planes = PlaneReader()
        self._last_pts: int | None = None
        self._index = 0
        self.damage: list[Damage] = []
        self._container: InputContainer = open_source(source.path)
        self._stream: VideoStream = main_video_stream(self._container, source.path)
        context = self._stream.codec_context
        context.thread_type = "AUTO"
        context.thread_count = threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()

    def stop(self) -> None:
        """Let `frames` end at the next packet."""
        self._stop.set()

    def frames(self) -> Generator[Frame, None, None]:
        """The frames in presentation order, each once.

        Raises FrameSizeError when the picture's size changes on the way, FrameFormatError for a layout
        that cannot be held, DamagedSourceError if reading fails before the first frame.
        """
        for decoded in self._decoded():
            pts = self._monotonic(decoded)
            if pts is None:
                continue
            if self._segment.end_pts is not None and pts >= self._segment.end_pts:
                break
            if pts in self._segment:
                yield self._frame(decoded, pts)

    def _decoded(self) -> Iterator[VideoFrame]:
        if self._segment.start_pts is not None:
            self._seek(self._segment.start_pts)
        for packet in self._packets():
            if self._stop.is_set():
                return
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.FFmpegError as error:
                self._note("undecodable", packet.pts, reason(error))
                continue
            yield from frames

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        try:
            yield from self._container.demux(self._stream)
        except av.error.FFmpegError as error:
            self._note("unreadable", self._last_pts, reason(error))
            flush: Packet[VideoStream] = cast("Packet[VideoStream]", Packet())
            flush.stream = self._stream
            yield flush

    def _seek(self, start_pts: int) -> None:
        with reading(self._source.path, "seek"):
            self._container.seek(start_pts, stream=self._stream)

    def _monotonic(self, decoded: VideoFrame) -> int | None:
        pts = decoded.pts if decoded.pts is not None else decoded.dts
        last = self._last_pts
        if pts is None:
            pts = 0 if last is None else last + max(decoded.duration, 1)
        if last is not None and pts <= last:
            self._note("backward", pts, f"its time stamp is not after the one before it ({last})")
            pts = last + 1
        self._last_pts = pts
        return pts

    def _frame(self, decoded: VideoFrame, pts: int) -> Frame:
        source = self._source
        if (decoded.width, decoded.height) != (source.width, source.height):
            raise FrameSizeError(
                f"frame {self._index} ({float(pts * source.time_base):.3f} s) is "
                f"{decoded.width}x{decoded.height}; the stream began at {source.width}x{source.height}",
                "pass --on-size-change rescale to fit later frames into the first size",
            )
        planes, layout = self._planes.planes(decoded)
        frame = Frame(
            planes=planes,
            format=layout,
            color=color_of(decoded, source.color.chroma_location),
            pts=pts,
            time_base=source.time_base,
            index=self._index,
            duration=decoded.duration,
        )
        self._index += 1
        return frame

    def _note(
        self,
        kind: Literal["undecodable", "corrupt", "missing", "unreadable", "truncated", "backward"],
        pts: int | None,
        detail: str,
        packets: int = 1,
    ) -> None:
        time = None if pts is None else pts * self._source.time_base
        self.damage.append(Damage(kind, pts, time, packets, detail))
