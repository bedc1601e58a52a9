"""The last packets of a stream, to decode its end once more when the first attempt breaks off.

A decoder with frame threads holds back one picture a thread. When it is flushed and one of them fails,
PyAV gives up the others with it. One thread fails at the bad packet alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

KEPT_PACKETS = 64
"""More than a decoder holds back: FFmpeg starts at most 16 threads by itself and reorders up to 16 frames."""

MOST_PACKETS = 1000
"""Where key frames are rare, the tail begins anywhere; what cannot be decoded then stays missing."""


class Tail:
    """Packets from the last key frame that is KEPT_PACKETS old on."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        self._packets: deque[Packet[VideoStream]] = deque(maxlen=MOST_PACKETS)

    def remember(self, packet: Packet[VideoStream]) -> None:
        self._packets.append(packet)
        if packet.is_keyframe and len(self._packets) > KEPT_PACKETS:
            old = len(self._packets) - KEPT_PACKETS
            keys = [i for i in range(old + 1) if self._packets[i].is_keyframe]
            for _ in range(keys[-1] if keys else 0):
                self._packets.popleft()

    def decode(self) -> Iterator[VideoFrame]:
        """The frames of these packets, by a decoder of its own with one thread, passing over bad packets."""
        original = self._stream.codec_context
        decoder = av.CodecContext.create(original.codec, "r")
        if not isinstance(decoder, VideoCodecContext):
            return
        decoder.extradata = original.extradata
        decoder.thread_count = 1
        for packet in (*self._packets, None):
            try:
                yield from decoder.decode(packet)
            except av.error.FFmpegError:
                continue
