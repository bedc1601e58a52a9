"""Going to a place in a file so that nothing behind it is missed.

Demuxers land where they like: transport streams are searched by decoding time, which may be behind the
picture that was meant. So each landing is checked. It knows packets, never frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidsr.media.clock import WITHOUT_PRESENTATION_TIMES
from vidsr.media.read.demux import read_packets

SEEK_MARGINS_SECONDS = (0, 5, 30)
"""How far before the wanted time the demuxer is sent, one after the other, until a landing is good."""


def packets_before(
    container: InputContainer,
    stream: VideoStream,
    pts: int,
    *,
    first_pts: int,
    on_error: Callable[[str], None],
) -> Iterator[Packet[VideoStream]] | None:
    """The stream's packets from a key frame at or before a time stamp on.

    Pictures that are shown from that time stamp on all come behind such a key frame. None if no landing
    was good, or nothing lies before: then the caller reads from the beginning, with a container opened anew
    (this one may stand anywhere).
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
        packets = read_packets(container, [stream], on_error)
        first = next(packets, None)
        if first is not None and first.is_keyframe and first.pts is not None and first.pts <= pts:
            return chain([first], packets)
    return None
