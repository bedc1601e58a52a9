"""Every frame's time stamp and which of them are key frames, from the packets alone; and stretches of those.

It decodes nothing. Where packets do not tell (no presentation times, a clock that steps back), it says so.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from av.stream import Discard

from vidsr.job import Segment
from vidsr.media.clock import WITHOUT_PRESENTATION_TIMES
from vidsr.media.read.demux import main_video_stream, read_packets, reading
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.read.source_info import SourceInfo


@dataclass(frozen=True, slots=True)
class KeyIndex:
    """stamps: pts of all frames, increasing. keys: for each, whether it is a key frame."""

    stamps: Sequence[int]
    keys: Sequence[bool]

    @classmethod
    def of(cls, info: SourceInfo) -> Self | None:
        """Read all packets of the source's video. None if they do not tell when each frame is shown.

        Raises SourceError if the file cannot be read.
        """
        found: list[tuple[int, bool]] = []
        newest_dts: int | None = None
        joins: list[int] = []
        with reading(info.path, "read its time stamps"), info.open() as container:
            stream = main_video_stream(container, info.path)
            if container.format.name in WITHOUT_PRESENTATION_TIMES:
                return None
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            packets = read_packets(container, [stream], lambda _: None, lambda pts, _: joins.append(pts))
            for packet in packets:
                if packet.pts is None or joins:  # who begins behind a join does not know of it
                    return None
                if packet.dts is not None:
                    if newest_dts is not None and packet.dts < newest_dts:
                        return None
                    newest_dts = packet.dts
                if not packet.is_discard:
                    found.append((packet.pts, packet.is_keyframe))
        found.sort()
        if any(a[0] == b[0] for a, b in pairwise(found)):
            return None
        return cls([pts for pts, _ in found], [key for _, key in found])

    def frames_before(self, pts: int | None) -> int:
        """How many frames are shown before a moment; all of them for None."""
        return len(self.stamps) if pts is None else bisect_left(self.stamps, pts)

    def divide(self, stretch: Segment, length: int) -> list[Stretch]:
        """A stretch of the source in parts of at least `length` frames that begin at key frames.

        Whoever decodes a part begins right there. The last part may be shorter; it is joined to the one
        before if it has less than half of the length. [] if no frame lies in the stretch.
        """
        begin = 0 if stretch.start_pts is None else bisect_left(self.stamps, stretch.start_pts)
        end = self.frames_before(stretch.end_pts)
        if begin == end:
            return []
        starts = [begin]
        for place in range(begin + 1, end):
            enough = place - starts[-1] >= length and end - place >= (length + 1) // 2
            if enough and self.keys[place]:
                starts.append(place)
        bounds = [stretch.start_pts, *(self.stamps[place] for place in starts[1:]), stretch.end_pts]
        return [Stretch(Segment(a, b), place) for (a, b), place in zip(pairwise(bounds), starts, strict=True)]
