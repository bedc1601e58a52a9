"""read -> upscale -> write: three threads, two bounded queues, one order.

`run_plain` is the sentence that everything else protects; `Run` gives each of its verbs a thread of
its own. Whatever ends the run, every thread is joined before it returns or raises. Codecs, layers and
time stamps belong to the rooms that are handed in.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from vidsr.channel import Channel, Stopped, StopSignal
from vidsr.errors import DeviceFailedError
from vidsr.frames import Frame

TICK_SECONDS = 0.1
"""How often the caller's thread looks up: short enough that Ctrl+C feels immediate."""


class FrameSource(Protocol):
    """Gives the frames of a job in presentation order; used by one thread."""

    def frames(self) -> Generator[Frame, None, None]: ...


class Pending(Protocol):
    """Frames that are being computed."""

    def result(self) -> Sequence[Frame]:
        """Wait for them and bring them back to the host."""
        ...


class FrameUpscaler(Protocol):
    """Starts the computation of a batch; used by one thread.

    batch_size: how many frames it likes at once; may change on the way. in_flight: how many batches may be
    pending. A frame that starts a segment is always the first of its batch.
    """

    @property
    def batch_size(self) -> int: ...
    @property
    def in_flight(self) -> int: ...
    def submit(self, frames: Sequence[Frame]) -> Pending: ...


class FrameSink(Protocol):
    """Takes finished frames in order; used by one thread.

    frames_held: how many of them it has not brought to an end, as encoders that look ahead; any thread asks.
    """

    @property
    def frames_held(self) -> int: ...
    def write(self, frame: Frame) -> None: ...

    def finish(self) -> None:
        """Flush everything out; called after the last frame of a run that did not fail."""
        ...


@dataclass(frozen=True, slots=True)
class StageShare:
    """How much of the run so far a stage was at work (the rest it waited for another one), 0 to 1."""

    name: str
    busy: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a run stands.

    time: presentation time of the last written frame in seconds. decoded_queue, upscaled_queue: (items,
    capacity). stages: in order of the flow. is_finishing: the sink has all frames, of which it still holds
    frames_held.
    """

    frames_decoded: int
    frames_upscaled: int
    frames_written: int
    time: Fraction | None
    elapsed_seconds: float
    decoded_queue: tuple[int, int]
    upscaled_queue: tuple[int, int]
    stages: tuple[StageShare, ...]
    frames_held: int = 0
    is_finishing: bool = False

    @property
    def shares(self) -> tuple[tuple[str, float], ...]:
        """The stages as plain pairs, for records that leave this process."""
        return tuple((stage.name, stage.busy) for stage in self.stages)

    @property
    def bottleneck(self) -> str:
        """The stage that waited least for the others."""
        return max(self.stages, key=lambda stage: stage.busy).name


_ABANDONED: list[object] = []
"""What was under way on a device that failed, kept to the end of the process: to give back memory that a
stream used, torch asks the device, which answers with its error, and that ends the process on the spot."""


def run_plain(source: FrameSource, upscaler: FrameUpscaler, sink: FrameSink) -> int:
    """The same work in one thread: the reference for `Run`. Returns the number of frames."""
    written = 0
    with closing(source.frames()) as frames:
        for batch in _batches(frames, upscaler):
            for frame in upscaler.submit(batch).result():
                sink.write(frame)
                written += 1
    sink.finish()
    return written


class Run:
    """One run of the three stages; `join` waits for its end."""

    def __init__(
        self,
        source: FrameSource,
        upscaler: FrameUpscaler,
        sink: FrameSink,
        *,
        stop: StopSignal,
        decoded_frames: int,
        upscaled_frames: int,
    ) -> None:
        """decoded_frames, upscaled_frames: how many frames the two queues hold at most."""
        self._source, self._upscaler, self._sink = source, upscaler, sink
        self._stop = stop
        self._decoded: Channel[Frame] = Channel(decoded_frames, stop)
        self._upscaled: Channel[Frame] = Channel(upscaled_frames, stop)
        self._counts = {"decode": 0, "upscale": 0, "encode": 0}
        self._in_hand: deque[Frame] = deque()  # computed, and not yet in the queue
        self._last_written: Frame | None = None
        self._is_finishing = False
        self._ended: dict[str, float] = {}
        self._begun = time.perf_counter()
        stages = (("decode", self._decode), ("upscale", self._upscale), ("encode", self._encode))
        self._over = {stage: threading.Event() for stage, _ in stages}
        self._threads = [
            threading.Thread(target=self._guard, args=stage, name=f"vidsr-{stage[0]}") for stage in stages
        ]

    def start(self) -> None:
        self._begun = time.perf_counter()
        for thread in self._threads:
            thread.start()

    def join(self, on_tick: Callable[[Snapshot], None]) -> Snapshot:
        """Wait for the end, calling `on_tick` every TICK_SECONDS.

        An exception of any stage, of `on_tick`, or KeyboardInterrupt in this thread stops all stages,
        joins them, and is raised from here once.
        """
        try:
            for over in self._over.values():
                while not over.is_set():
                    # not Thread.join: before Python 3.13 an interrupted one takes the thread for ended
                    over.wait(TICK_SECONDS)
                    on_tick(self.snapshot())
        except BaseException as error:
            self._stop.set(error)
            raise
        finally:
            for thread in self._threads:
                thread.join()
        if self._stop.reason is not None:
            raise self._stop.reason
        return self.snapshot()

    def leftover(self) -> list[Frame]:
        """After a run that ended early: the frames that are finished but were not written, in order."""
        return [*self._upscaled.drain(), *self._in_hand]

    def snapshot(self) -> Snapshot:
        is_finishing = self._is_finishing  # asked first: with it all frames are counted
        now = time.perf_counter()
        elapsed = max(now - self._begun, 1e-9)
        idle = [now - self._ended.get(stage, now) for stage in self._counts]
        waited = (
            self._decoded.put_wait_seconds,
            self._decoded.get_wait_seconds + self._upscaled.put_wait_seconds,
            self._upscaled.get_wait_seconds,
        )
        return Snapshot(
            frames_decoded=self._counts["decode"],
            frames_upscaled=self._counts["upscale"],
            frames_written=self._counts["encode"],
            time=None if self._last_written is None else self._last_written.time,
            elapsed_seconds=elapsed,
            decoded_queue=(len(self._decoded), self._decoded.capacity),
            upscaled_queue=(len(self._upscaled), self._upscaled.capacity),
            stages=tuple(
                StageShare(name, min(max(1 - seconds / elapsed, 0.0), 1.0))
                for name, seconds in zip(self._counts, map(sum, zip(waited, idle, strict=True)), strict=True)
            ),
            frames_held=self._sink.frames_held,
            is_finishing=is_finishing,
        )

    def _decode(self) -> None:
        with closing(self._source.frames()) as frames:
            for frame in frames:
                self._counts["decode"] += 1
                self._decoded.put(frame)
        self._decoded.finish()

    def _upscale(self) -> None:
        pending: deque[Pending] = deque()
        try:
            for batch in _batches(iter(self._decoded), self._upscaler):
                pending.append(self._upscaler.submit(batch))
                while len(pending) > self._upscaler.in_flight:
                    self._deliver(pending.popleft())
            while pending:
                self._deliver(pending.popleft())
        except DeviceFailedError as error:
            _ABANDONED.append((error, pending, self._upscaler))
            raise
        except BaseException:
            self._save(pending)
            raise
        self._upscaled.finish()

    def _deliver(self, pending: Pending) -> None:
        self._in_hand.extend(pending.result())
        while self._in_hand:
            self._counts["upscale"] += 1
            self._upscaled.put(self._in_hand[0])
            self._in_hand.popleft()

    def _save(self, pending: deque[Pending]) -> None:
        """Keep what was begun and will be finished, or is, where the run was stopped from outside."""
        try:
            while pending:
                self._in_hand.extend(pending.popleft().result())
        except BaseException:  # noqa: BLE001 (what ended the run is raised, and not what comes of it)
            return

    def _encode(self) -> None:
        for frame in self._upscaled:
            self._sink.write(frame)
            self._last_written = frame
            self._counts["encode"] += 1
        self._is_finishing = True
        self._sink.finish()

    def _guard(self, stage: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 (handed to the joining thread, which raises it)
            error.add_note(f"in the {stage} stage, after {self._counts[stage]} frames")
            self._stop.set(error)
        finally:
            self._ended[stage] = time.perf_counter()
            self._over[stage].set()


def _batches(frames: Iterator[Frame], upscaler: FrameUpscaler) -> Iterator[list[Frame]]:
    """Consecutive frames of one segment, as many as the upscaler likes; the last ones may be fewer."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and frame.starts_segment:
            yield batch
            batch = []
        batch.append(frame)
        if len(batch) >= upscaler.batch_size:
            yield batch
            batch = []
    if batch:
        yield batch
