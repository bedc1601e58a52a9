"""From frame numbers and clock times to the exact time stamps that bound a segment.

It reads packets and decodes none, unless their time stamps are missing.
"""

from __future__ import annotations

from bisect import bisect_left
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av.error

from vidsr.errors import UsageError
from vidsr.job import Segment
from vidsr.media.clock import WITHOUT_PRESENTATION_TIMES, Clock
from vidsr.media.demux import main_video_stream, open_source, read_packets, reading
from vidsr.media.probe import SourceInfo

ROUNDING = Fraction(1, 2000)
"""Half a millisecond: a frame at 0.0417083 s is shown as, and asked for by, 0.042."""


def locate_frames(path: Path, first: int | None, last: int | None) -> Segment:
    """The segment of the frames first, first + 1, ... last - 1, counted from 0 as they are shown.

    A beginning at frame 0 and an end at or behind the last frame are left open.

    Raises UsageError if the file has no frame `first`.
    """
    if not first and last is None:
        return Segment()
    stamps = presentation_times(path)
    if first and first >= len(stamps):
        raise UsageError(
            f"frame {first} does not exist: {path.name} has {len(stamps)} frames", "frames count from 0"
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

    Raises UsageError if there is no frame in the range.
    """
    if start is None and end is None:
        return Segment()
    stamps = presentation_times(info.path)
    times = [pts * info.time_base - info.start_time + ROUNDING for pts in stamps]
    first = 0 if start is None else bisect_left(times, start)
    after = len(stamps) if end is None else bisect_left(times, end)
    if first >= after:
        length = float(times[-1]) if times else 0.0
        raise UsageError(
            f"no frame of {info.path.name} lies in that range", f"its last frame is at {length:.3f} s"
        )
    return Segment(
        start_pts=stamps[first] if first else None,
        end_pts=stamps[after] if after < len(stamps) else None,
    )


def presentation_times(path: Path) -> list[int]:
    """The pts of all frames that will be shown, in order, in the video stream's time base."""
    with open_source(path) as container, reading(path, "read its time stamps"):
        stream = main_video_stream(container, path)
        if container.format.name in WITHOUT_PRESENTATION_TIMES:
            return _decoded_times(path)
        stamps: list[int] = []
        for packet in read_packets(container, [stream], on_error=lambda _: None):
            if packet.pts is None:
                return _decoded_times(path)
            if not packet.is_discard:
                stamps.append(packet.pts)
    return sorted(stamps)


def _decoded_times(path: Path) -> list[int]:
    with open_source(path) as container, reading(path, "decode its time stamps"):
        stream = main_video_stream(container, path)
        stream.thread_type = "AUTO"
        clock = Clock(container.format.name, stream.time_base or Fraction(1, 1000))
        times = []
        for packet in chain(read_packets(container, [stream], on_error=lambda _: None), [None]):
            try:
                times += [clock.stamp(frame) for frame in stream.decode(packet)]
            except av.error.FFmpegError:
                continue
    return times
