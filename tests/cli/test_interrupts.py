"""What becomes of Ctrl+C, SIGTERM and a closed terminal where a library is at work.

Each in a process of its own: the one that runs the tests has workers and libraries with threads in it, and is
nobody to send a signal to that may end it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import REPOSITORY, SAMPLE

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

signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
before = [signal.getsignal(known) for known in signals]
try:
    with interruptible():
        library()
except Exception as error:
    print(type(error).__name__, error, error.__cause__ and type(error.__cause__).__name__)
print(before == [signal.getsignal(known) for known in signals])
"""


def printed_by(program: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def what_comes_out(number: str, becomes: str) -> str:
    said, handlers_are_as_before = printed_by(PROGRAM, number, becomes).splitlines()
    assert handlers_are_as_before == "True"
    return said


@pytest.mark.parametrize("becomes", ["nothing else", "ImportError"])
@pytest.mark.parametrize(
    ("number", "word"), [("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up")]
)
def test_what_a_library_makes_of_an_interrupt_is_an_interrupt(number: str, word: str, becomes: str) -> None:
    cause = None if becomes == "nothing else" else becomes
    assert what_comes_out(number, becomes) == f"InterruptedByUser {word} {cause}"


def test_errors_of_their_own_stay_what_they_are() -> None:
    assert what_comes_out("SIGINT", "NoSpaceError") == "NoSpaceError the disk is full None"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_that_was_ignored_stays_so(number: str) -> None:
    """As nohup and shells give it to what they start in the background."""
    program = f"""
import os, signal
from vidsr.cli.interrupts import interruptible
signal.signal(signal.{number}, signal.SIG_IGN)
with interruptible():
    os.kill(os.getpid(), signal.{number})
    print("goes on")
print(signal.getsignal(signal.{number}).name)
"""
    assert printed_by(program) == "goes on\nSIG_IGN\n"


def test_a_terminal_that_is_closed_says_so_again_while_a_run_is_saved() -> None:
    program = """
import os, signal
from vidsr.cli.interrupts import interruptible
from vidsr.errors import InterruptedByUser
try:
    with interruptible():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)
            print("saved")
except InterruptedByUser as error:
    print(error)
"""
    assert printed_by(program) == "saved\nhung up\n"


SWALLOWED = """
import importlib, os, signal, sys
from vidsr.cli.main import main

module, _, name = sys.argv[1].partition(":")
*owner, name = name.split(".")
place = importlib.import_module(module)
for part in owner:
    place = getattr(place, part)
work = getattr(place, name)

def interrupted(*words, **more):
    if name == "snapshot" and not words[0]._counts["encode"]:
        return work(*words, **more)  # there is nothing yet that could be kept
    setattr(place, name, work)
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        os.write(2, b"nobody came\\n")
    except Exception as error:
        os.write(2, f"swallowed {error}\\n".encode())
    return work(*words, **more)

setattr(place, name, interrupted)
main(sys.argv[2:])
"""
"""The command, in which the first signal comes in the midst of what swallows every exception."""


def interrupted_at(place: str, *words: str | Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED, place, *map(str, words)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    before, swallowed, after = done.stderr.partition("swallowed terminated\n")
    assert swallowed, done.stderr
    assert "Traceback" not in before + after
    return done.returncode, after.splitlines()


QUICK = ("--backend", "torch", "--precision", "fp32", "--device", "cpu")


@pytest.mark.parametrize(
    ("place", "kept"),
    [
        ("vidsr.execute.prepare:probe", None),
        pytest.param("vidsr.execute.resumable:open_engine", None, marks=pytest.mark.slow),
        ("vidsr.pipeline:Run.snapshot", "some"),
        pytest.param("vidsr.execute.resumable:join", "all", marks=pytest.mark.slow),
        ("vidsr.media.verify.contents:read_packets", "all"),
        pytest.param("vidsr.media.verify.pictures:Difference.of", "all", marks=pytest.mark.slow),
    ],
)
def test_a_run_whose_interrupt_was_swallowed_is_interrupted(
    tmp_path: Path, repeat_2x: Path, place: str, kept: str | None
) -> None:
    output = tmp_path / "out.mkv"
    words = ("--weights", repeat_2x, *QUICK, "--segment", "8", "--progress", "plain")
    code, said = interrupted_at(place, SAMPLE, output, *words)
    assert code == 130
    assert not output.exists()
    if kept is None:
        assert said[-1] == "Terminated"
        return
    message, hint = said[-2:]
    found = re.fullmatch(r"Terminated; (\d+) of about 72 frames are finished and kept", message)
    assert found is not None, said
    assert hint == "Hint: run the same command again to continue"
    assert int(found[1]) == 72 if kept == "all" else int(found[1]) > 0
    assert len(list(tmp_path.iterdir())) == 1  # the folder of the job


def test_a_batch_whose_interrupt_was_swallowed_begins_no_other_file(tmp_path: Path, repeat_2x: Path) -> None:
    folder = tmp_path / "season"
    folder.mkdir()
    for name in ("1.mkv", "2.mkv"):
        shutil.copy(SAMPLE, folder / name)
    words = ("--weights", repeat_2x, *QUICK, "--progress", "plain")
    code, said = interrupted_at("vidsr.media.write.writer:Writer.publish", "batch", folder, *words)
    assert (code, said[-1]) == (130, "Terminated")
    assert sorted(file.name for file in folder.iterdir()) == ["1.mkv", "1.upscaled.mkv", "2.mkv"]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("vidsr.preview.moments:choose", ["preview", SAMPLE, "page.html", *QUICK, "--weights"]),
        pytest.param(
            "vidsr.preview.album:open_engine",
            ["preview", SAMPLE, "page.html", *QUICK, "--weights"],
            marks=pytest.mark.slow,
        ),
        ("vidsr.estimate.survey:scan", ["estimate", SAMPLE, *QUICK, "--weights"]),
        pytest.param(
            "vidsr.estimate.survey:open_engine",
            ["estimate", SAMPLE, *QUICK, "--weights"],
            marks=pytest.mark.slow,
        ),
        ("vidsr.metrics.compare:Reader", ["metrics", SAMPLE, SAMPLE, "--json"]),
    ],
)
def test_so_are_the_other_commands(tmp_path: Path, repeat_2x: Path, place: str, words: list[str]) -> None:
    words = [str(tmp_path / word) if word == "page.html" else word for word in words]
    last = tmp_path / "found.json" if words[0] == "metrics" else repeat_2x
    code, said = interrupted_at(place, *words, last)
    assert (code, said[-1]) == (130, "Terminated")
    assert list(tmp_path.iterdir()) == []


READER_GONE = """
import os, signal, sys
from vidsr.cli.main import main
from vidsr.pipeline import Run

reading, writing = os.pipe()
os.dup2(writing, int(sys.argv[1]))
os.close(writing)
snapshot = Run.snapshot

def interrupted(run):
    found = snapshot(run)
    if found.frames_written:
        Run.snapshot = snapshot
        os.close(reading)
        os.kill(os.getpid(), signal.SIGINT)
    return found

Run.snapshot = interrupted
main(sys.argv[2:])
"""
"""The command, whose words go into a pipe; Ctrl+C ends who reads it as well, as in `vidsr ... | tee log`."""


@pytest.mark.parametrize(("style", "descriptor"), [("plain", 2), ("json", 1)])
def test_what_is_finished_is_saved_where_ctrl_c_ends_who_reads_the_words(
    tmp_path: Path, repeat_2x: Path, style: str, descriptor: int
) -> None:
    more = ("--weights", repeat_2x, *QUICK, "--segment", "60", "--progress", style)
    words = (str(descriptor), SAMPLE, tmp_path / "out.mkv", *more)
    done = subprocess.run(
        [sys.executable, "-c", READER_GONE, *map(str, words)],
        cwd=REPOSITORY,
        # with it nothing waits in a buffer, whose second try would meet the broken pipe again
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 130
    assert list(tmp_path.glob(".out.mkv.vidsr/*.packets"))
    if descriptor != 2:
        assert re.match(r"Interrupted; \d+ of about 72 frames are finished and kept\n", done.stderr)
