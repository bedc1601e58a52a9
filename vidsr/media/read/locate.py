"""From frame numbers and clock times to the exact time stamps that bound a segment.

It reads packets and decodes none, unless their time stamps are missing, and reads no more of a file than
the answer needs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import chain
from math import floor
from pathlib import Path

import av.error
from av.packet import Packet
from av.stream import Discard
from av.video.stream import VideoStream

from vidsr.errors import UsageError
from vidsr.job import RangeRequest, Segment
from vidsr.media.clock import DISCONTINUITY_SECONDS, WITHOUT_PRESENTATION_TIMES, Clock
from vidsr.media.read.demux import main_video_stream, read_packets, reading
from vidsr.media.read.seek import packets_before
from vidsr.media.read.source_info import SourceInfo

ROUNDING = Fraction(1, 2000)
"""Half a millisecond: a frame at 0.0417083 s is shown as, and asked for by, 0.042."""

Enough = Callable[[list[int], int], bool]
"""Whether no packet from a decoding time on can change the answer that the stamps so far give."""


def locate(info: SourceInfo, wish: RangeRequest) -> Segment:
    """The segment of a range that people name, by frames or by times.

    Raises UsageError as `locate_frames` and `locate_times` do.
    """
    if wish.first_frame is not None or wish.last_frame is not None:
        return locate_frames(info, wish.first_frame, wish.last_frame)
    return locate_times(info, wish.start, wish.end)


def locate_frames(info: SourceInfo, first: int | None, last: int | None) -> Segment:
    """The segment of the frames first, first + 1, ... last - 1, counted from 0 as they are shown.

    A beginning at frame 0 and an end at or behind the last frame are left open.

    Raises UsageError if the file has no frame `first`, or a clock that steps back before `last`.
    """
    if not first and last is None:
        return Segment()
    wanted = max(first or 0, last or 0)

    def enough(stamps: list[int], decoding_time: int) -> bool:
        return len(stamps) > wanted and decoding_time >= sorted(stamps)[wanted]

    stamps = presentation_times(info, enough)
    if first and first >= len(stamps):
        raise UsageError(
            f"frame {first} does not exist: {info.path.name} has {len(stamps)} frames", "frames count from 0"
        )
    return Segment(
        start_pts=stamps[first] if first else None,
        end_pts=stamps[last] if last is not None and last < len(stamps) else None,
    )


def locate_times(info: SourceInfo, start: Fraction | None, end: Fraction | None) -> Segment:
    """The segment of the frames with start <= time < end, in seconds as players show them.

    Players count from the container's start and show milliseconds; a time is taken for that of the frame
    it is the rounding of. The segment's bounds are time stamps of frames; an end behind the last frame
    is left open, and so is a start at or before the first.

    Raises UsageError if there is no frame in the range, or the clock steps back in it.
    """

    def bound(time: Fraction) -> Fraction:
        return (time - ROUNDING + info.start_time) / info.time_base

    if start is None and end is None:
        return Segment()
    lower = None if start is None else bound(start)
    upper = None if end is None else bound(end)
    if lower is not None and info.start_pts is not None and lower <= info.start_pts:
        lower = None
    furthest = max(b for b in (lower, upper, Fraction(info.start_pts or 0)) if b is not None)

    def enough(stamps: list[int], decoding_time: int) -> bool:
        return decoding_time >= furthest and any(pts >= furthest for pts in stamps)

    stamps = presentation_times(info, enough, from_pts=None if lower is None else floor(lower))
    first = 0 if lower is None else bisect_left(stamps, lower)
    after = len(stamps) if upper is None else bisect_left(stamps, upper)
    if first >= after:
        raise _no_frame(info)
    return Segment(
        start_pts=None if lower is None else stamps[first],
        end_pts=stamps[after] if after < len(stamps) else None,
    )


def presentation_times(
    info: SourceInfo, enough: Enough | None = None, *, from_pts: int | None = None
) -> list[int]:
    """The pts of the frames that will be shown, in order, in the video stream's time base.

    enough: says when to stop reading. from_pts: frames before it may be left out.

    Raises UsageError if only a part is wanted and the clock steps back in it: time stamps are ambiguous then.
    """
    path = info.path
    with reading(path, "read its time stamps"):
        if from_pts is not None:
            with info.open() as container:
                stream = _only_video(container, path)
                packets = packets_before(
                    container, stream, from_pts, first_pts=stream.start_time or 0, on_error=_ignore
                )
                if packets is not None and (stamps := _stamps(packets, enough, path, stream)) is not None:
                    return stamps
        with info.open() as container:
            stream = _only_video(container, path)
            if container.format.name not in WITHOUT_PRESENTATION_TIMES:
                packets = read_packets(container, [stream], _ignore)
                if (stamps := _stamps(packets, enough, path, stream)) is not None:
                    return stamps
    return _decoded_times(info)


def frames_before(info: SourceInfo, time: Fraction) -> int:
    """How many frames are shown before a moment on the source's clock.

    Raises UsageError if the clock steps back before it.
    """
    with info.open() as container:
        bound = time / (main_video_stream(container, info.path).time_base or Fraction(1, 1000))
    return bisect_left(presentation_times(info, lambda _, decoding_time: decoding_time >= bound), bound)


def _stamps(
    packets: Iterable[Packet[VideoStream]], enough: Enough | None, path: Path, stream: VideoStream
) -> list[int] | None:
    """None if packets do not tell: one has no presentation time, or the clock steps back."""
    stamps: list[int] = []
    unit = stream.time_base or Fraction(1, 1000)
    newest: int | None = None
    for packet in packets:
        if packet.pts is None:
            return None
        if newest is not None and (newest - packet.pts) * unit > DISCONTINUITY_SECONDS:
            if enough is None:
                return None
            raise UsageError(
                f"{path.name}: its clock steps back at {float(newest * unit):.3f} s, so ranges are ambiguous",
                "join its parts properly first (ffmpeg's concat demuxer does), or leave the range out",
            )
        newest = packet.pts if newest is None else max(newest, packet.pts)
        if not packet.is_discard:
            stamps.append(packet.pts)
        if enough is not None and packet.dts is not None and enough(stamps, packet.dts):
            break
    return sorted(stamps)


def _decoded_times(info: SourceInfo) -> list[int]:
    with info.open() as container, reading(info.path, "decode its time stamps"):
        stream = _only_video(container, info.path)
        stream.thread_type = "AUTO"
        clock = Clock(container.format.name, stream.time_base or Fraction(1, 1000))
        times = []
        for packet in chain(read_packets(container, [stream], _ignore), [None]):
            try:
                times += [clock.stamp(frame) for frame in stream.decode(packet)]
            except av.error.FFmpegError:
                continue
    return times


def _only_video(container: av.container.InputContainer, path: Path) -> VideoStream:
    stream = main_video_stream(container, path)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def _no_frame(info: SourceInfo) -> UsageError:
    last = presentation_times(info)[-1:]
    length = float(last[0] * info.time_base - info.start_time) if last else 0.0
    return UsageError(
        f"no frame of {info.path.name} lies in that range", f"its last frame is at {length:.3f} s"
    )


def _ignore(_: str) -> None:
    """Damage is put on record when the frames are read."""
