"""Whole processes, timed from outside: wall clock, processor time, peak memory, and how busy the machine was.

It knows commands, never what they do. It keeps small on purpose: the kernel begins a child's peak memory
at the peak of the process that starts it. Needs a POSIX system (os.wait4).
"""

from __future__ import annotations

import os
import shlex
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Timed:
    """One run of a command and of everything it waited for.

    peak_bytes: of the largest of its processes. load: load average when it began. problem: None, or
    why it counts as failed, with the last words of its log.
    """

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    load: float
    problem: str | None


def run_timed(
    command: Sequence[str | Path],
    *,
    log: Path,
    timeout_seconds: float,
) -> Timed:
    """Run to the end, output into `log`. A command that cannot be started is a problem, no exception."""
    load = os.getloadavg()[0]
    words = [str(word) for word in command]
    # A program that is installed has its modules compiled; vidsr from a checkout keeps them at the first run
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("wb") as output:
        output.write((shlex.join(words) + "\n").encode())
        output.flush()
        begun = time.perf_counter()
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,  # so that it can be ended with all its children
            )
        except OSError as error:
            return Timed(0.0, 0.0, 0, load, str(error))
        late = threading.Event()

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        watch = threading.Timer(timeout_seconds, end)
        watch.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            os.wait4(process.pid, 0)
            raise
        finally:
            watch.cancel()
        wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)  # Popen must not wait for it again
    problem = None
    if late.is_set():
        problem = f"not done after {timeout_seconds:g} s"
    elif process.returncode != 0:
        problem = f"exit code {process.returncode}: {last_words(log)}"
    unit = 1 if sys.platform == "darwin" else 1024
    return Timed(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, load, problem)


def last_words(log: Path) -> str:
    """The last line of a log that says anything."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def spread_words(values: Sequence[float], form: str = ".1f") -> str:
    """Median (lowest to highest)."""
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median:{form}} ({low:{form}} to {high:{form}})"


def turned(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: each round begins with another one, every second runs backwards."""
    first = number % len(names)
    order = [*names[first:], *names[:first]]
    return order[::-1] if number % 2 else order
