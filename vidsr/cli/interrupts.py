"""Ctrl+C and SIGTERM: the first ends the run in good order, the second ends the process.

It knows signals and nothing of what is being interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vidsr.errors import InterruptedByUser

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it the first signal raises InterruptedByUser in this (the main) thread.

    The second one kills the process as if it had never been caught, even while it is inside a library.
    """
    before = {number: signal.signal(number, _interrupt) for number in _WORDS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for known in _WORDS:
        signal.signal(known, signal.SIG_DFL)
    raise InterruptedByUser(_WORDS[signal.Signals(number)])
