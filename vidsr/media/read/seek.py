"""Going to a place in a file so that nothing behind it is missed.

Demuxers land where they like: transport streams are searched by decoding time, which may be behind the
picture that was meant, and where a file's clock begins anew, the same time is in it twice. So each landing is
checked. It knows packets, never frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from typing import Any

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidsr.media.clock import WITHOUT_PRESENTATION_TIMES
from vidsr.media.read.continuation import JOINABLE_FORMATS, OnNewClock, is_one_run
from vidsr.media.read.demux import local_path, read_packets
from vidsr.media.read.source_info import SourceInfo

SEEK_MARGINS_SECONDS = (0, 5, 30)
"""How far before the wanted time the demuxer is sent, one after the other, until a landing is good."""


def packets_before(
    container: InputContainer,
    stream: VideoStream,
    pts: int,
    *,
    first_pts: int,
    on_error: Callable[[str], None],
    on_new_clock: OnNewClock | None = None,
) -> Iterator[Packet[VideoStream]] | None:
    """The stream's packets from a key frame at or before a time stamp on.

    Pictures that are shown from that time stamp on all come behind such a key frame. None if no landing
    was good, or nothing lies before: then the caller reads from the beginning, with a container opened anew
    (this one may stand anywhere). on_error, on_new_clock: see `read_packets`.
    """
    if container.format.name in WITHOUT_PRESENTATION_TIMES:
        return None
    for margin in SEEK_MARGINS_SECONDS:
        target = pts - int(margin / (stream.time_base or Fraction(1)))
        if target <= first_pts:
            return None
        try:
            container.seek(target, stream=stream)
        except av.error.FFmpegError:
            return None
        packets = read_packets(container, [stream], on_error, on_new_clock)
        first = next(packets, None)
        if first is not None and first.is_keyframe and first.pts is not None and first.pts <= pts:
            return chain([first], packets) if is_on_first_clock(container, first) else None
    return None


def is_on_first_clock(container: InputContainer, packet: Packet[Any]) -> bool:
    """Whether the file's clock has not begun anew before a packet: its time stamps are what they seem."""
    path = local_path(container)
    if container.format.name not in JOINABLE_FORMATS or path is None:
        return True
    try:
        return packet.pos is not None and is_one_run(path, container.format.name, packet.pos)
    except OSError:
        return False


def has_one_clock_until(info: SourceInfo, stream_index: int, pts: int) -> bool:
    """Whether the demuxer, sent to a time stamp, lands where the file's clock has not begun anew before."""
    if info.format_name not in JOINABLE_FORMATS:
        return True
    with info.open() as container:
        stream = container.streams[stream_index]
        try:
            container.seek(pts, stream=stream)
        except av.error.FFmpegError:
            return False
        first = next(read_packets(container, [stream], lambda _: None), None)
        return first is not None and is_on_first_clock(container, first)
