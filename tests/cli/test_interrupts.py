"""What becomes of Ctrl+C and SIGTERM where a library is at work.

Each in a process of its own: the one that runs the tests has workers and libraries with threads in it, and is
nobody to send a signal to that may end it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

PROGRAM = """
import os, signal, sys, time
from vidsr.cli.interrupts import interruptible
from vidsr.errors import InterruptedByUser, NoSpaceError

number = signal.Signals[sys.argv[1]]
becomes = {
    "nothing else": None,
    "ImportError": ImportError("initialization failed"),
    "NoSpaceError": NoSpaceError("the disk is full"),
}[sys.argv[2]]

def library():
    "One that is interrupted, and makes another exception of that."
    try:
        os.kill(os.getpid(), number)
        time.sleep(20)
    except InterruptedByUser:
        if becomes is None:
            raise
        raise becomes from None

before = [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)]
try:
    with interruptible():
        library()
except Exception as error:
    print(type(error).__name__, error, error.__cause__ and type(error.__cause__).__name__)
print(before == [signal.getsignal(known) for known in (signal.SIGINT, signal.SIGTERM)])
"""


def what_comes_out(number: str, becomes: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, number, becomes],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said, handlers_are_as_before = done.stdout.splitlines()
    assert handlers_are_as_before == "True"
    return said


@pytest.mark.parametrize("becomes", ["nothing else", "ImportError"])
@pytest.mark.parametrize(("number", "word"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated")])
def test_what_a_library_makes_of_an_interrupt_is_an_interrupt(number: str, word: str, becomes: str) -> None:
    cause = None if becomes == "nothing else" else becomes
    assert what_comes_out(number, becomes) == f"InterruptedByUser {word} {cause}"


def test_errors_of_their_own_stay_what_they_are() -> None:
    assert what_comes_out("SIGINT", "NoSpaceError") == "NoSpaceError the disk is full None"
