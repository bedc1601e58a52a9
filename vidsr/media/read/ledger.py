"""Bookkeeping of what went into a decoder and what came out, to tell which frames never did.

Frames come out in presentation order, so a packet whose time stamp is behind the frame that just came
out will never become a frame any more.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.media.clock import DISCONTINUITY_SECONDS, WITHOUT_PRESENTATION_TIMES

ONE_FRAME_A_PACKET = frozenset(
    {"h264", "hevc", "vvc", "av1", "vp9", "mpeg1video", "mpeg2video", "ffv1", "prores", "dnxhd", "mjpeg"}
    | {"utvideo", "huffyuv", "ffvhuff", "png", "rawvideo", "vc1", "wmv3", "dvvideo"}
)
"""Codecs whose packets each show one frame. VP8 and MPEG-4 part 2 have packets that show none."""

REMEMBERED_FRAMES = 256
"""More than a decoder holds back at the end of a stream."""


class Ledger:
    """Time stamps that went in and have not come out yet.

    A clock that begins anew (a spliced recording) opens a new page; pages come out one after the other.
    """

    def __init__(self, codec: str, format_name: str, time_base: Fraction) -> None:
        self._counts = codec in ONE_FRAME_A_PACKET
        self._ordered = self._counts and format_name not in WITHOUT_PRESENTATION_TIMES
        self._new_page = int(DISCONTINUITY_SECONDS / time_base)
        self._pages: list[set[int]] = [set()]
        self._newest: int | None = None
        self._inside = 0
        self._seen: deque[int] = deque(maxlen=REMEMBERED_FRAMES)
        self._in_fields = False

    @property
    def is_ordered(self) -> bool:
        """Whether `came_out` and `close` tell the time of everything that is lost."""
        return self._ordered

    @property
    def is_settled(self) -> bool:
        """Whether nothing that went in is still to come out, as far as counting tells."""
        return self._inside <= 0

    def went_in(self, packet: Packet[VideoStream]) -> None:
        if packet.is_discard or not self._counts:
            return
        self._inside += 1
        if not self._ordered or packet.pts is None:
            return
        if self._newest is not None and packet.pts < self._newest - self._new_page:
            self._pages.append(set())
            self._newest = packet.pts
        self._newest = packet.pts if self._newest is None else max(self._newest, packet.pts)
        self._pages[-1].add(packet.pts)

    def refused(self) -> None:
        """The decoder gave an error for something inside, and that is on record already."""
        self._inside -= 1

    def came_out(self, frame: VideoFrame) -> list[int]:
        """The time stamps before this frame's that never came out, in order."""
        self._inside -= 1
        if frame.pts is None:
            return []
        self._seen.append(frame.pts)
        self._in_fields = frame.interlaced_frame
        lost: list[int] = []
        while len(self._pages) > 1 and frame.pts not in self._pages[0]:
            lost += sorted(self._pages.pop(0))
        page = self._pages[0]
        late = sorted(pts for pts in page if pts < frame.pts)
        page.difference_update(late)
        page.discard(frame.pts)
        return self._without_second_fields(lost + late)

    def has_seen(self, frame: VideoFrame) -> bool:
        """Whether this frame came out lately, or cannot be told from one that did."""
        return frame.pts is None or frame.pts in self._seen

    def close(self) -> list[int]:
        """The rest, when the decoder has been flushed."""
        lost = [pts for page in self._pages for pts in sorted(page)]
        self._pages = [set()]
        return self._without_second_fields(lost)

    @property
    def uncounted(self) -> int:
        """How many never came out whose time is not known, for containers without presentation times."""
        return 0 if self._ordered else max(self._inside, 0)

    def _without_second_fields(self, lost: list[int]) -> list[int]:
        """A frame of two fields may come as two packets with a time stamp each: one of them shows nothing."""
        return lost[1:] if self._in_fields else lost
