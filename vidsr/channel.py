"""A bounded queue between two threads that a third can end at once, and the signal that ends it.

Unlike queue.Queue (before Python 3.13) both ends wake when the run stops, the end of the stream is a
state and not a sentinel, and the time each side spent waiting is kept: that is how the bottleneck is
found. It knows nothing of what it carries.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 (control flow, not an error)
    """The run was ended elsewhere; whoever sees this unwinds quietly."""


class StopSignal:
    """Set once, by whoever fails first or by the user; every stage checks it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may set it in the midst of `subscribe`
        self._listeners: list[Callable[[], None]] = []
        self._is_set = False
        self.reason: BaseException | None = None

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self, reason: BaseException) -> bool:
        """End the run because of `reason`. False if it had been ended before: the first reason stays."""
        with self._lock:
            if self._is_set:
                return False
            self._is_set = True
            self.reason = reason
            listeners = list(self._listeners)
        for wake in listeners:
            wake()
        return True

    def check(self) -> None:
        """Raise Stopped if the run was ended."""
        if self._is_set:
            raise Stopped

    def raise_reason(self) -> None:
        """Raise the reason for which the run was ended, if it was."""
        if self.reason is not None:
            raise self.reason

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the signal is set (at once if it is)."""
        with self._lock:
            if not self._is_set:
                self._listeners.append(wake)
                return
        wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Within it `wake` is called when the signal is set; behind it nothing of it is kept."""
        self.subscribe(wake)
        try:
            yield
        finally:
            with self._lock, suppress(ValueError):  # it was set already when it was entered
                self._listeners.remove(wake)


class _Wait:
    """The seconds one side spent waiting; read by other threads while it waits."""

    def __init__(self) -> None:
        self._past = 0.0
        self._since: float | None = None

    def begin(self) -> None:
        self._since = time.perf_counter()

    def end(self) -> None:
        since, self._since = self._since, None
        if since is not None:
            self._past += time.perf_counter() - since

    def total(self) -> float:
        since = self._since  # read once: the waiting thread may end its wait meanwhile
        return self._past + (0.0 if since is None else time.perf_counter() - since)


class Channel(Generic[T]):
    """At most `capacity` items in order, from one producing thread to one consuming thread."""

    def __init__(self, capacity: int, stop: StopSignal) -> None:
        if capacity < 1:
            raise ValueError(f"a channel needs room for at least one item, not {capacity}")
        self.capacity = capacity
        self._put_wait = _Wait()
        self._get_wait = _Wait()
        self._items: deque[T] = deque()
        self._finished = False
        self._changed = threading.Condition()
        self._stop = stop
        stop.subscribe(self._wake)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def put_wait_seconds(self) -> float:
        """How long the producer waited for room, the wait it is in included."""
        return self._put_wait.total()

    @property
    def get_wait_seconds(self) -> float:
        """How long the consumer waited for items, the wait it is in included."""
        return self._get_wait.total()

    def put(self, item: T) -> None:
        """Append, waiting for room. Raises Stopped when the run ends."""
        with self._changed:
            self._wait_until(lambda: len(self._items) < self.capacity, self._put_wait)
            self._items.append(item)
            self._changed.notify_all()

    def finish(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def drain(self) -> list[T]:
        """Take out what is left, whether or not the run has ended."""
        with self._changed:
            rest = list(self._items)
            self._items.clear()
            self._changed.notify_all()
        return rest

    def __iter__(self) -> Iterator[T]:
        """Items until the producer finishes. Raises Stopped when the run ends."""
        while True:
            with self._changed:
                self._wait_until(lambda: bool(self._items) or self._finished, self._get_wait)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def _wait_until(self, ready: Callable[[], bool], wait: _Wait) -> None:
        """Returns with the lock held; the time goes to `wait`."""
        self._stop.check()
        if ready():
            return
        wait.begin()
        try:
            while not ready():
                self._changed.wait()
                self._stop.check()
        finally:
            wait.end()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
