"""Stages of a pipeline that are easy to see through."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from vidsr.frames import Color, Frame, PixelFormat

GRAY = PixelFormat.parse("gray")


class TestError(Exception):
    """Raised by a stage on purpose."""

    __test__ = False


def frame(index: int, *, starts_segment: bool = False) -> Frame:
    plane = np.full((2, 2), index % 256, np.uint8)
    return Frame((plane,), GRAY, Color(), index * 7, Fraction(1, 100), index, starts_segment=starts_segment)


@dataclass
class Source:
    count: int
    fail_at: int | None = None
    segment_starts: frozenset[int] = frozenset()
    closed: bool = False
    alive: list[weakref.ref[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]] = field(default_factory=list)

    def frames(self) -> Generator[Frame, None, None]:
        try:
            for index in range(self.count):
                if index == self.fail_at:
                    raise TestError("decode")
                made = frame(index, starts_segment=index in self.segment_starts)
                self.alive.append(weakref.ref(made.planes[0]))  # type: ignore[arg-type]
                yield made
                del made
        finally:
            self.closed = True


@dataclass
class Doubled:
    frames: Sequence[Frame]

    def result(self) -> list[Frame]:
        return [f.with_planes((f.planes[0].repeat(2, 0).repeat(2, 1),), GRAY, Color()) for f in self.frames]


@dataclass
class Upscaler:
    batch_size: int = 3
    in_flight: int = 0
    fail_at: int | None = None
    batches: list[int] = field(default_factory=list)
    seconds_per_batch: float = 0.0

    def submit(self, frames: Sequence[Frame]) -> Doubled:
        if self.fail_at is not None and any(f.index == self.fail_at for f in frames):
            raise TestError("upscale")
        time.sleep(self.seconds_per_batch)
        self.batches.append(len(frames))
        return Doubled(frames)


@dataclass
class Sink:
    fail_at: int | None = None
    fail_on_finish: bool = False
    written: list[tuple[int, int, int]] = field(default_factory=list)
    finished: bool = False
    seconds_per_frame: float = 0.0
    frames_held: int = 0
    may_finish: threading.Event | None = None

    def write(self, frame: Frame) -> None:
        if frame.index == self.fail_at:
            raise TestError("encode")
        time.sleep(self.seconds_per_frame)
        self.written.append((frame.index, frame.pts, int(frame.planes[0][3, 3])))

    def finish(self) -> None:
        if self.may_finish is not None:
            self.may_finish.wait()
        if self.fail_on_finish:
            raise TestError("encode")
        self.finished = True
