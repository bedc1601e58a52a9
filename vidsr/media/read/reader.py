"""Decoded frames of a segment, in order, with what could not be decoded on record.

One thread uses a Reader. It knows packets, time stamps and sample layouts, never what is done to a
frame. Every frame the decoder holds is given out: packets are decoded one at a time, the decoder is
flushed, and whatever is missing in between is listed in `damage`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Self

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from vidsr.damage import Damage, Kind
from vidsr.errors import DamagedSourceError, FrameFormatError, FrameSizeError
from vidsr.frames import Frame, PixelFormat
from vidsr.job import ReadingRules, Segment
from vidsr.media.clock import Clock
from vidsr.media.color.frame_tags import color_of
from vidsr.media.pixels import PlaneReader
from vidsr.media.read.demux import (
    is_address,
    main_video_stream,
    read_packets,
    reason,
)
from vidsr.media.read.hardware import is_hardware_layout
from vidsr.media.read.ledger import Ledger
from vidsr.media.read.seek import packets_before
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.read.tail import Tail
from vidsr.media.read.truncation import missing_bytes


class Reader:
    """The frames of a source, or of a segment of it.

    `frames` may be called once. `stop` may be called from any thread: the frames then end at the next
    packet. damage: filled while the frames are read, complete when they have ended.
    """

    def __init__(
        self,
        source: SourceInfo,
        segment: Segment | None = None,
        *,
        threads: int = 0,
        first_index: int = 0,
        from_beginning: bool = False,
        rules: ReadingRules | None = None,
        hwaccel: str | None = None,
    ) -> None:
        """threads: of the decoder; 0 = as many as there are cores. first_index: of the first frame given out.

        rules: None = the defaults. hwaccel: what decodes, see `open_accelerated`; None = the processor.

        from_beginning: decode all that comes before the segment as well, for sources whose clock steps
        back: only who has seen the step knows what later time stamps mean.

        Raises SourceError if the file cannot be opened any more, DeviceError if the hardware cannot.
        """
        self._source, self._hwaccel = source, hwaccel
        self._segment = segment or Segment()
        self._threads, self._from_beginning = threads, from_beginning
        self._rules = rules or ReadingRules()
        self._fitter, self._repacker = VideoReformatter(), VideoReformatter()
        self._lost: list[int] = []
        self._good: VideoFrame | None = None
        self._stop = threading.Event()
        self._planes = PlaneReader()
        self._ledger = Ledger(source.codec, source.format_name, source.time_base)
        self._clock = Clock(source.format_name, source.time_base)
        self._index = first_index
        self._reasons: list[str] = []
        self._layout: PixelFormat | None = None
        self._packets_read = 0
        self._ended_before_end = False
        self.damage: list[Damage] = []
        self._container, self._stream = self._open()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        if self._hwaccel is None:
            container = self._source.open()
        else:
            container = self._source.open_accelerated(self._hwaccel)
        stream = main_video_stream(container, self._source.path)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.codec_context.thread_type = "AUTO"
        # what runs on hardware is not divided among threads, which would only hold more pictures there
        stream.codec_context.thread_count = 1 if stream.codec_context.is_hwaccel else self._threads
        return container, stream

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

        Raises FrameSizeError when the picture's size changes on the way, FrameFormatError when its layout
        does, or cannot be held.
        """
        for decoded, pts in self.pictures():
            yield self._frame(decoded, pts)

    def pictures(self) -> Iterator[tuple[VideoFrame, int]]:
        """What `frames` gives, as the decoder gave it, with its time stamp; instead of `frames`.

        Raises FrameSizeError when the picture's size changes on the way, DamagedSourceError for bad frames,
        each if the rules say so.
        """
        for picture, pts in self._mended():
            yield picture, pts
            self._index += 1
        if not self._stop.is_set() and not self._ended_before_end:
            self._check_end()

    def _mended(self) -> Iterator[tuple[VideoFrame, int]]:
        end = self._segment.end_pts
        for decoded in self._decoded():
            pts = self._clock.stamp(decoded)
            yield from self._repeated(pts)
            if end is not None and pts >= end:
                self._ended_before_end = True
                return
            if pts in self._segment:
                self._note_oddities(decoded, pts)
                shown = self._choose(decoded)
                if shown is not None:
                    yield self._fitted(shown, pts), pts
        yield from self._repeated(None)

    def _repeated(self, before: int | None) -> Iterator[tuple[VideoFrame, int]]:
        """The last good picture at the times of pictures that did not come out."""
        lost, self._lost = sorted(self._lost), []
        for pts in lost:
            if self._good is not None and (before is None or pts < before):
                yield self._fitted(self._good, pts), pts

    def _choose(self, decoded: VideoFrame) -> VideoFrame | None:
        """What is shown for a picture: itself, or another one if it was decoded with errors."""
        if not decoded.is_corrupt:
            self._good = decoded if self._rules.on_bad_frame == "repeat" else None
            return decoded
        if self._rules.on_bad_frame == "skip":
            return None
        return self._good or decoded

    def _fitted(self, decoded: VideoFrame, pts: int) -> VideoFrame:
        source = self._source
        decoded = self._as_coded(decoded)
        if (decoded.width, decoded.height) == (source.width, source.height):
            return decoded
        if self._rules.on_size_change == "error":
            raise FrameSizeError(
                f"frame {self._index} ({float(pts * source.time_base):.3f} s) is "
                f"{decoded.width}x{decoded.height}; the stream began at {source.width}x{source.height}",
                "pass --on-size-change rescale to fit later frames into the first size",
            )
        fitted = self._fitter.reformat(
            decoded,
            source.width,
            source.height,
            interpolation=Interpolation.BICUBIC,
            src_color_range=decoded.color_range,  # the same on both sides: sizes change, not colours
            dst_color_range=decoded.color_range,
        )
        fitted.pts, fitted.duration = decoded.pts, decoded.duration
        return _tagged_as(decoded, fitted)

    def _as_coded(self, decoded: VideoFrame) -> VideoFrame:
        """A picture from hardware in the layout that the processor's decoder would have given."""
        wanted = self._source.pixel_format
        if self._hwaccel is None or not is_hardware_layout(decoded.format.name, wanted):
            return decoded
        # Samples are moved, not converted, so both ranges are the same. Of more than 8 bits swscale moves
        # only limited ones without a loss, into layouts that mean full range (yuvj420p) only full ones.
        moved_as = ColorRange.JPEG if wanted.startswith("yuvj") else ColorRange.MPEG
        moved = self._repacker.reformat(
            decoded, format=wanted, src_color_range=moved_as, dst_color_range=moved_as
        )
        return _tagged_as(decoded, moved)

    def _decoded(self) -> Iterator[VideoFrame]:
        packets = self._all_packets()
        if self._segment.start_pts is not None:
            packets = self._packets_from(self._segment.start_pts)
        tail = Tail(self._stream)
        for packet in packets:
            if self._stop.is_set():
                return
            self._packets_read += 1
            tail.remember(packet)
            self._ledger.went_in(packet)
            try:
                frames = self._stream.decode(packet)
            except av.error.FFmpegError as error:
                self._refused(packet, error)
                continue
            yield from self._accounted(frames)
        yield from self._flushed(tail)
        self._note_missing(self._ledger.close())
        if uncounted := self._ledger.uncounted:
            self._note("missing", None, f"{uncounted} packets gave no frame", uncounted)

    def _flushed(self, tail: Tail) -> Iterator[VideoFrame]:
        """What the decoder still holds; if that fails half way, the end decoded again by one thread."""
        try:
            yield from self._accounted(self._stream.decode(None))
        except av.error.FFmpegError as error:
            self._refused(None, error)
        else:
            if self._ledger.is_settled:
                return
        again = (frame for frame in tail.decode() if not self._ledger.has_seen(frame))
        yield from self._accounted(again)

    def _accounted(self, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in frames:
            self._note_missing(self._ledger.came_out(frame))
            yield frame

    def _packets_from(self, start_pts: int) -> Iterator[Packet[VideoStream]]:
        """Packets from a key frame at or before a time stamp on."""
        packets = None
        if not self._from_beginning:
            first_pts = self._source.start_pts or 0
            packets = packets_before(
                self._container,
                self._stream,
                start_pts,
                first_pts=first_pts,
                on_error=self._unreadable,
                on_new_clock=self._note_new_clock,
            )
        if packets is None:
            self._container.close()
            self._container, self._stream = self._open()
            packets = self._all_packets()
        return packets

    def _all_packets(self) -> Iterator[Packet[VideoStream]]:
        return read_packets(self._container, [self._stream], self._unreadable, self._note_new_clock)

    def _frame(self, decoded: VideoFrame, pts: int) -> Frame:
        source = self._source
        planes, layout = self._planes.planes(decoded)
        self._layout = self._layout or layout
        if layout != self._layout:
            raise FrameFormatError(
                f"frame {self._index} ({float(pts * source.time_base):.3f} s) is {layout.name}; "
                f"the stream began as {self._layout.name}",
                "cut the file there, or convert it to one pixel format first",
            )
        return Frame(
            planes=planes,
            format=layout,
            color=color_of(decoded, source.color.chroma_location),
            pts=pts,
            time_base=source.time_base,
            index=self._index,
            duration=decoded.duration or self._usual_duration(),
        )

    def _usual_duration(self) -> int:
        """For containers that give none (ASF): without one, the last frame would not be shown in MP4."""
        rate = self._source.average_rate
        return self._clock.step or (round(1 / (rate * self._source.time_base)) if rate else 0)

    def _check_end(self) -> None:
        """Note it if the file is shorter than it announces, in bytes or in frames, or still growing."""
        short = grown = 0
        try:
            if not is_address(self._source.path):
                short = missing_bytes(self._source.path)
                grown = self._source.path.stat().st_size - self._source.size_bytes
        except OSError as error:
            self._note("unreadable", self._clock.last, error.strerror or "I/O error")
            return
        if grown:
            detail = f"the file changed while it was read: its size differs by {grown:+d} bytes"
            self._note("truncated", self._clock.last, detail, packets=0)
        announced = 0
        if self._source.frame_count_origin == "header" and self._segment.start_pts is None:
            announced = self._source.frame_count_estimate or 0
        lost = max(announced - self._packets_read, 0)
        frames = f"{lost} of {announced} announced frames are not there"
        if short:
            detail = f"the file is at least {short} bytes short" + (f"; {frames}" if lost else "")
            self._note("truncated", self._clock.last, detail, lost)
        elif lost:
            self._note("missing", None, frames, lost)

    def _refused(self, packet: Packet[VideoStream] | None, error: av.error.FFmpegError) -> None:
        """Keep the reason until it is known which frame did not come out.

        A decoder with frame threads reports an error when it is given a later packet.
        """
        if self._ledger.is_ordered:
            self._reasons.append(reason(error))
        else:
            self._ledger.refused()
            self._note("undecodable", None if packet is None else packet.pts, reason(error))

    def _note_missing(self, lost: list[int]) -> None:
        reasons = self._reasons[: len(lost)]
        del self._reasons[: len(lost)]
        for pts in lost:
            if pts not in self._segment:
                continue
            if self._rules.on_bad_frame == "repeat":
                self._lost.append(pts + self._clock.offset)
            if reasons:
                self._note("undecodable", pts, reasons[0])
            elif self._clock.last is None:
                self._note("missing", pts, "no picture before the first key frame")
            else:
                self._note("missing", pts, "it went into the decoder and no picture came out")

    def _note_new_clock(self, pts: int, back: int) -> None:
        if pts in self._segment:
            seconds = float(back * self._source.time_base)
            self._note("backward", pts, f"its clock begins anew, {seconds:.3f} s earlier; time goes on")

    def _note_oddities(self, decoded: VideoFrame, pts: int) -> None:
        if self._clock.stepped_back:
            back = float(self._clock.stepped_back * self._source.time_base)
            self._note("backward", pts, f"the time stamp before is up to {back:.3f} s later")
        if decoded.is_corrupt:
            self._note("corrupt", pts, "decoded with errors; parts of the picture may be wrong")

    def _unreadable(self, words: str) -> None:
        self._note("unreadable", self._clock.last, words)

    def _note(self, kind: Kind, pts: int | None, detail: str, packets: int = 1) -> None:
        """Put on record; a run of the same trouble becomes one entry.

        Raises DamagedSourceError if the rules say that trouble ends the job.
        """
        last = self.damage[-1] if self.damage else None
        if last is not None and (last.kind, last.detail) == (kind, detail):
            self.damage[-1] = replace(last, packets=last.packets + packets)
            return
        time: Fraction | None = None if pts is None else pts * self._source.time_base
        damage = Damage(kind, self._source.video_index, pts, time, packets, detail)
        self.damage.append(damage)
        concerns_frames = kind != "backward" and (pts is None or pts in self._segment)
        if self._rules.on_bad_frame == "error" and concerns_frames:
            raise DamagedSourceError(
                f"{self._source.path.name}: {damage}",
                "leave out --on-bad-frame error to finish with what can be decoded",
            )


def _tagged_as(decoded: VideoFrame, moved: VideoFrame) -> VideoFrame:
    """What swscale made of a picture, with the picture's own colour tags, of which it changes some."""
    moved.colorspace, moved.color_range = decoded.colorspace, decoded.color_range
    moved.color_primaries, moved.color_trc = decoded.color_primaries, decoded.color_trc
    return moved
