"""An encoder whose packets are counted by the frames they belong to, and dropped.

A sink for the pipeline. It knows frames and packets, nothing of what the figures are for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from av.packet import Packet

from vidsr.frames import Frame
from vidsr.media.write.segment_writer import SegmentCoding

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame that was given to the encoder. at: when that had taken it."""

    pts: int
    at: float


@dataclass
class Group:
    """The frames of a stretch. closed_at: when its encoder had nothing left."""

    entries: list[Entry]
    closed_at: float = 0.0

    @property
    def stamps(self) -> list[int]:
        return [entry.pts for entry in self.entries]


class CountingSink:
    """An encoder for each stretch, as each segment has its own in a run.

    Were all stretches one stream, the encoder would take the jump from one to the next for motion.
    """

    def __init__(self, coding: SegmentCoding, clock: Clock = time.perf_counter) -> None:
        self._coding, self._clock = coding, clock
        self._encoder = coding.open_encoder()
        self._sizes: dict[int, int] = {}
        self._keys: set[int] = set()
        self.groups: list[Group] = []
        self.begun_at = self.finished_at = clock()

    def write(self, frame: Frame) -> None:
        if frame.starts_segment or not self.groups:
            if self.groups:
                self._close()
                self._encoder = self._coding.open_encoder()
            self.groups.append(Group([]))
        self._count(self._encoder.encode(frame))
        self.groups[-1].entries.append(Entry(frame.pts, self._clock()))

    @property
    def frames_held(self) -> int:
        return 0  # nobody looks

    def finish(self) -> None:
        self._close()
        self.finished_at = self._clock()

    def bytes_of(self, stamps: Iterable[int]) -> int:
        return sum(self._sizes.get(pts, 0) for pts in stamps)

    def keys_among(self, stamps: Iterable[int]) -> list[int]:
        """Those of the frames that became key frames."""
        return [pts for pts in stamps if pts in self._keys]

    def _close(self) -> None:
        self._count(self._encoder.flush())
        if self.groups:
            self.groups[-1].closed_at = self._clock()

    def _count(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            if packet.pts is not None:
                self._sizes[packet.pts] = self._sizes.get(packet.pts, 0) + packet.size
                if packet.is_keyframe:
                    self._keys.add(packet.pts)
