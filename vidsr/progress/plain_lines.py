"""Plain lines, for logs and pipes."""

from __future__ import annotations

import time
from typing import IO

from vidsr.progress.events import (
    Event,
    Fetching,
    Finished,
    Joining,
    Made,
    NextInQueue,
    Note,
    Rendering,
    Started,
    Stopping,
    Verifying,
    Working,
)
from vidsr.progress.lines import LineRenderer
from vidsr.progress.words import (
    closing_lines,
    made_words,
    opening_lines,
    overall_words,
    passing_words,
    position,
    queue_words,
    speed_words,
    verifying_words,
)

PLAIN_SECONDS = 5.0
"""Seconds between plain lines: often enough to see life in a log, rare enough to keep it short."""


class PlainRenderer(LineRenderer):
    """A line now and then, for logs and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._queue: NextInQueue | None = None
        self._last_line_at = {"frames": time.monotonic()}

    def show(self, event: Event) -> None:
        match event:
            case Fetching() | Joining() | Rendering():
                subject, words = passing_words(event)
                if self._is_due(subject):
                    self._print(words)
            case NextInQueue():
                self._queue = event
                self._print(queue_words(event))
            case Started():
                self._begin(event)
                self._print(*opening_lines(event))
            case Note():
                self._print(f"Note: {event.text}")
            case Working():
                pace = self._speed.pace(event, self._started)
                if self._is_due("frames"):
                    decoded, upscaled = event.decoded_queue, event.upscaled_queue
                    self._print(
                        f"{position(event, self._started)}, "
                        f"{speed_words(event, self._started, pace)}, "
                        f"queues {decoded[0]}/{decoded[1]} {upscaled[0]}/{upscaled[1]}, "
                        f"limited by {event.bottleneck}" + self._overall(event.frames_done)
                    )
            case Verifying():
                self._print(verifying_words(event))
            case Made():
                self._print(made_words(event))
            case Stopping():
                self._print(event.text)
            case Finished():
                self._print(*closing_lines(event, self._started))

    def _overall(self, frames_done: int) -> str:
        queue = self._queue
        return "" if queue is None else f"; {overall_words(queue, queue.frames_ahead + frames_done)}"

    def _is_due(self, what: str) -> bool:
        """Whether a line about `what` is due: the first at once, the next ones now and then."""
        now = time.monotonic()
        due = now - self._last_line_at.get(what, -PLAIN_SECONDS) >= PLAIN_SECONDS
        if due:
            self._last_line_at[what] = now
        return due
