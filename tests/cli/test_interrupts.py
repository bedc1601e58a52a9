"""What becomes of Ctrl+C and SIGTERM where a library is at work."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from vidsr.cli.interrupts import interruptible
from vidsr.errors import InterruptedByUser, NoSpaceError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def send(number: signal.Signals, becomes: Exception | None) -> None:
    """A library that is interrupted, and makes another exception of that."""
    try:
        os.kill(os.getpid(), number)
        time.sleep(5)
    except InterruptedByUser:
        if becomes is None:
            raise
        raise becomes from None


@pytest.mark.parametrize("becomes", [None, ImportError("initialization failed")], ids=repr)
@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")], ids=str
)
def test_what_a_library_makes_of_an_interrupt_is_an_interrupt(
    number: signal.Signals, words: str, becomes: Exception | None
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(InterruptedByUser, match=words) as caught, interruptible():
        send(number, becomes)
    assert caught.value.__cause__ is becomes
    assert signal.getsignal(number) is before


def test_errors_of_their_own_stay_what_they_are() -> None:
    with pytest.raises(NoSpaceError), interruptible():
        send(signal.SIGINT, NoSpaceError("the disk is full"))
    with pytest.raises(ZeroDivisionError), interruptible():
        _ = 1 // 0
