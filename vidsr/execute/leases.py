"""Which worker computes which stretch: handing out, taking back, and doing the last ones twice.

Pure bookkeeping: it knows workers by any name, and neither processes nor machines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from vidsr.errors import DeviceError
from vidsr.job import Segment
from vidsr.media.read.segment_reader import Stretch

Worker = TypeVar("Worker", bound=Hashable)

MAX_DEATHS = 2
"""A stretch that was the end of so many workers is not given to a third."""

WORTH_DOING_TWICE = 1.5
"""When nothing else is left, a stretch is computed by a second worker if the first one would need so many
times longer for its rest than the second for the whole: a slow device must not keep a fast one waiting."""


@dataclass(frozen=True, slots=True)
class Task:
    """A stretch and how many frames it is thought to hold."""

    stretch: Stretch
    frames: int


@dataclass
class _Load:
    """What a worker has, first come first, and how fast it is."""

    tasks: deque[Task] = field(default_factory=deque)
    frames_done: int = 0  # of all its tasks, finished or not
    frames_finished: int = 0  # of finished ones
    seconds: float = 0.0

    @property
    def fps(self) -> float | None:
        return self.frames_done / self.seconds if self.frames_done and self.seconds else None

    @property
    def frames_under_way(self) -> int:
        return max(self.frames_done - self.frames_finished, 0)


class Leases(Generic[Worker]):
    """Tasks in order, given to workers one at a time."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._pending = deque(tasks)
        self._loads: dict[Worker, _Load] = {}
        self._open = {task.stretch.segment: task for task in self._pending}
        self._deaths: dict[Segment, int] = {}

    @property
    def is_done(self) -> bool:
        """Whether every task is finished."""
        return not self._open

    @property
    def frames_under_way(self) -> int:
        """Frames of stretches that are not finished yet, each stretch counted once."""
        best: dict[Segment, int] = {}
        for load in self._loads.values():
            left = load.frames_under_way
            for task in load.tasks:
                done = min(left, task.frames)
                left -= done
                segment = task.stretch.segment
                if segment in self._open:
                    best[segment] = max(best.get(segment, 0), done)
        return sum(best.values())

    def join(self, worker: Worker) -> None:
        """A worker that has not been heard of before."""
        self._loads[worker] = _Load()

    def workers(self) -> list[Worker]:
        return list(self._loads)

    def next_for(self, worker: Worker, *, idle: bool) -> Task | None:
        """A task for a worker, or None if there is none for it now. idle: it has nothing else to do."""
        load = self._loads[worker]
        task = self._pending.popleft() if self._pending else None
        if task is None and idle:
            task = self._worth_doing_twice(worker, load)
        if task is not None:
            load.tasks.append(task)
        return task

    def progress(self, worker: Worker, frames_done: int, seconds: float) -> None:
        """How many frames a worker has done in all, and the seconds since it began."""
        load = self._loads[worker]
        load.frames_done, load.seconds = frames_done, seconds

    def finish(self, worker: Worker, segment: Segment, frames: int) -> bool:
        """A worker has finished a stretch. False if another one was faster."""
        load = self._loads[worker]
        load.frames_finished += frames
        load.frames_done = max(load.frames_done, load.frames_finished)
        load.tasks = deque(task for task in load.tasks if task.stretch.segment != segment)
        return self._open.pop(segment, None) is not None

    def lose(self, worker: Worker) -> list[Task]:
        """A worker is gone: what nobody else has goes back to the front. Gives those.

        Raises DeviceError if the stretch it was working on was the end of others as well.
        """
        load = self._loads.pop(worker)
        held = {task.stretch.segment for other in self._loads.values() for task in other.tasks}
        back = [t for t in load.tasks if t.stretch.segment in self._open and t.stretch.segment not in held]
        self._pending.extendleft(reversed(back))
        if load.tasks:
            segment = load.tasks[0].stretch.segment
            self._deaths[segment] = self._deaths.get(segment, 0) + 1
            if self._deaths[segment] >= MAX_DEATHS:
                raise DeviceError(
                    f"the segment at frame {load.tasks[0].stretch.first_index} was the end of "
                    f"{MAX_DEATHS} workers",
                    "run it on one device to see why: --device cpu",
                )
        return back

    def _worth_doing_twice(self, worker: Worker, load: _Load) -> Task | None:
        """The stretch whose worker needs longest, if this one would be done with it clearly earlier."""
        slowest: Task | None = None
        most = 0.0
        for other, others in self._loads.items():
            if other == worker or not others.tasks:
                continue
            task = others.tasks[0]
            segment = task.stretch.segment
            if segment not in self._open or any(t.stretch.segment == segment for t in load.tasks):
                continue
            if others.fps is None:
                seconds = float("inf") if load.fps is not None else 0.0
            else:
                seconds = max(task.frames - others.frames_under_way, 0) / others.fps
            if seconds > most:
                slowest, most = task, seconds
        if slowest is None or load.fps is None:
            return None
        return slowest if most > WORTH_DOING_TWICE * slowest.frames / load.fps else None
