"""Ctrl+C, SIGTERM and a closed terminal: the first ends the run in good order, the second the process.

Before there is a run, while its modules are loaded, Ctrl+C ends the process.

It knows signals and how a run is told to stop, and nothing of what is being interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from vidsr.channel import StopSignal
from vidsr.errors import InterruptedByUser, VidsrError

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if sys.platform != "win32":
    _WORDS[signal.SIGHUP] = "hung up"


class Interruption:
    """The first signal, for whoever does not see its exception: libraries swallow some that reach them.

    A callback out of C, a destructor, an `except Exception` around a file that need not be there: Python has
    many places where an exception is shown or dropped, and the work goes on as if nobody had spoken.
    """

    def __init__(self) -> None:
        self._came: InterruptedByUser | None = None
        self._stop: StopSignal | None = None

    def new_stop(self) -> StopSignal:
        """For the next piece of work: it is set when the signal comes. Raises as `check`."""
        self.check()
        self._stop = StopSignal()
        return self._stop

    def check(self) -> None:
        """Raise InterruptedByUser if the signal came."""
        if self._came is not None:
            raise self._came

    def come(self, error: InterruptedByUser) -> NoReturn:
        """Called in the signal handler."""
        self._came = error
        if self._stop is not None:
            self._stop.set(error)
        raise error


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Within it the first signal raises InterruptedByUser in this (the main) thread.

    The second one kills the process as if it had never been caught, even while it is inside a library. What a
    library makes of the first (OpenVINO, while it is loaded, an ImportError) is still the user's wish, and so
    it is where one makes nothing of it: what is yielded still knows. Work that is done by then stays done.

    What is ignored stays so: it was meant so, by nohup or by a script that has begun this in the background.
    """
    interruption = Interruption()

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        for known in before:
            # a terminal that is closed says so more than once, the kernel and the shell each for itself
            is_again = known not in (signal.SIGINT, signal.SIGTERM)
            signal.signal(known, signal.SIG_IGN if is_again else signal.SIG_DFL)
        interruption.come(InterruptedByUser(_WORDS[signal.Signals(number)]))

    before = {n: handler for n in _WORDS if (handler := signal.getsignal(n)) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield interruption
    except VidsrError:
        raise
    except Exception as error:
        try:
            interruption.check()
        except InterruptedByUser as came:
            raise came from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Within it Ctrl+C ends the process with the exit code of an interruption: nothing has begun.

    For the loading of modules. An exception in the middle of that is shown with its traceback, or swallowed
    by whoever imports: torch takes half a numpy for none, or goes on with it.
    """
    by_itself = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not by_itself or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    with suppress(OSError):  # standard error may be closed
        os.write(2, b"\nInterrupted\n" if os.isatty(2) else b"Interrupted\n")  # a terminal has shown ^C
    os._exit(InterruptedByUser.exit_code)
