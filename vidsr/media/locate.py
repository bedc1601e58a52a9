"""From frame numbers and clock times to the exact time stamps that bound a segment.

It reads packets and decodes none, unless their time stamps are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av.error
from av.video.stream import VideoStream

from vidsr.errors import UsageError
from vidsr.job import Segment
from vidsr.media.demux import main_video_stream, open_source, reading
from vidsr.media.probe import SourceInfo


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

    Players count from the container's start. A frame belongs to a range if its own time stamp lies in it.
    The segment's bounds are time stamps of frames; an end behind the last frame is left open.

    Raises UsageError if there is no frame in the range.
    """
    if start is None and end is None:
        return Segment()
    stamps = presentation_times(info.path)
    first = None if start is None else _first_at(stamps, (start + info.start_time) / info.time_base)
    after = None if end is None else _first_at(stamps, (end + info.start_time) / info.time_base)
    if (start is not None and first is None) or (first is not None and first == after) or not stamps:
        length = float(stamps[-1] * info.time_base - info.start_time) if stamps else 0.0
        raise UsageError(
            f"no frame of {info.path.name} lies in that range", f"its last frame is at {length:.3f} s"
        )
    starts_whole = first is None or first == stamps[0]
    return Segment(start_pts=None if starts_whole else first, end_pts=after)


def presentation_times(path: Path) -> list[int]:
    """The pts of all frames that will be shown, in order, in the video stream's time base."""
    with open_source(path) as container, reading(path, "read its time stamps"):
        stream = main_video_stream(container, path)
        stamps: list[int] = []
        for pts in _packet_stamps(container.demux(stream)):
            if pts is None:
                return _decoded_times(path)
            stamps.append(pts)
    return sorted(stamps)


def _packet_stamps(packets: Iterator[av.Packet[VideoStream]]) -> Iterator[int | None]:
    for packet in packets:
        if packet.size and not packet.is_discard:
            yield packet.pts


def _decoded_times(path: Path) -> list[int]:
    with open_source(path) as container, reading(path, "decode its time stamps"):
        stream = main_video_stream(container, path)
        stream.thread_type = "AUTO"
        times = []
        for packet in container.demux(stream):
            try:
                times += [frame.pts for frame in packet.decode() if frame.pts is not None]
            except av.error.FFmpegError:
                continue
    return times


def _first_at(stamps: list[int], bound: Fraction) -> int | None:
    return next((pts for pts in stamps if pts >= bound), None)
