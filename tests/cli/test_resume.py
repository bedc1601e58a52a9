"""The command killed, interrupted and given again, as it happens to people: real processes and signals."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.cli.sample_job import SEGMENT_FRAMES, command
from tests.paths import REPOSITORY
from tests.reference_ffmpeg import frame_lines, packet_lines
from vidsr.models.compact import SRVGGNetCompact

KILLS = 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What every run here is made of."""

    source: Path
    weights: Path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Parts:
    """A random network that takes some hundredths of a second for a frame: time enough to kill it."""
    network = SRVGGNetCompact(num_feat=32, num_conv=3, upscale=2)
    generator = torch.Generator().manual_seed(3)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.05
        for name, value in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "random_2x.safetensors"
    save_file(state, path)
    return Parts(clip, path)


def begin(output: Path, parts: Parts, *more: str) -> subprocess.Popen[str]:
    return started(command(output, parts.weights, *more, source=parts.source))


def started(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def complete(output: Path, parts: Parts, *more: str) -> str:
    """Run to the end; gives what was said on the way."""
    process = begin(output, parts, *more)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said


def folder_of(output: Path) -> Path:
    return output.with_name(f".{output.name}.vidsr")


def wait_for_new(
    pattern: str, count: int, process: subprocess.Popen[str], output: Path, old: set[Path]
) -> None:
    """Until there are so many more files than the old ones, or the process has ended."""
    while process.poll() is None and len(set(folder_of(output).glob(pattern)) - old) < count:
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, parts: Parts) -> tuple[Path, float]:
    """An uninterrupted run, and the seconds from its first segment until there was nothing left to do."""
    output = tmp_path_factory.mktemp("whole") / "whole.mkv"
    process = begin(output, parts)
    wait_for_new("*.packets*", 1, process, output, set())
    begun = time.monotonic()
    while process.poll() is None and not is_complete(output):
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return output, seconds


def is_complete(output: Path) -> bool:
    """Whether the output has its name and nothing else is left of the job."""
    return output.exists() and not folder_of(output).exists()


def leftovers(output: Path) -> list[str]:
    return [path.name for path in output.parent.iterdir() if path != output]


def wait_for_segments(process: subprocess.Popen[str], output: Path, count: int) -> None:
    deadline = time.monotonic() + 100
    while len(list(folder_of(output).glob("*.packets"))) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Moment:
    """When a run is killed.

    segments: so many are finished that were not before; 0: one is being written; None: it has only begun.
    seconds: after that.
    """

    segments: int | None
    seconds: float


def run_until(moment: Moment, output: Path, parts: Parts) -> str:
    """A run that is killed then, if it has not ended; gives what it said."""
    old = set(folder_of(output).glob("*.packets*"))
    process = begin(output, parts)
    if moment.segments is not None:
        pattern = "*.packets" if moment.segments else "*.packets*"
        wait_for_new(pattern, moment.segments or 1, process, output, old)
    with suppress(subprocess.TimeoutExpired):
        assert process.wait(timeout=moment.seconds) == 0, process.communicate()
    process.kill()
    _, said = process.communicate()
    return said


def check_killed_at(moments: list[Moment], output: Path, parts: Parts, expected: Path) -> int:
    """Kill one run after the other, then let one finish; gives how many found something to go on from.
    The output is removed.

    Each that came as far as a segment of its own had found exactly what lay on the disk. One that ended
    before anybody looked is made again where its moment is one of progress.
    """
    resumed = 0
    waiting: deque[Moment | None] = deque([*moments, None])  # None: the run that may finish
    while waiting:
        moment, there = waiting.popleft(), frames_on_disk(output)
        said = complete(output, parts) if moment is None else run_until(moment, output, parts)
        found = [int(frames) for frames in re.findall(r"continuing: (\d+) of", said)]
        may_be_silent = moment is not None and moment.segments is None
        assert found == ([there] if there else []) or (may_be_silent and not found), said
        resumed += len(found)
        if moment is not None and output.exists():
            # whole; killed while it cleared up, it may be named anew or found there, see execute/
            assert frame_lines(output) == frame_lines(expected)
            output.unlink()
            shutil.rmtree(folder_of(output), ignore_errors=True)
            if moment.segments:
                waiting.appendleft(moment)
    assert frame_lines(output) == frame_lines(expected)
    for stream in ("v:0", "a:0", "s:0"):
        assert packet_lines(output, stream) == packet_lines(expected, stream)
    assert leftovers(output) == []
    output.unlink()
    return resumed


def frames_on_disk(output: Path) -> int:
    return SEGMENT_FRAMES * len(list(folder_of(output).glob("*.packets")))


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment_the_same_command_completes_it(
    tmp_path: Path, parts: Parts, whole: tuple[Path, float], seed: int
) -> None:
    """Decoded frames with their times, and all packets, are those of the uninterrupted run."""
    expected, seconds = whole
    moment = Moment(0, random.Random(seed).uniform(0.0, 1.0) * seconds)
    check_killed_at([moment], tmp_path / "out.mkv", parts, expected)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_thirty_random_moments_it_is_still_completed(
    tmp_path: Path, parts: Parts, whole: tuple[Path, float]
) -> None:
    output, (expected, seconds) = tmp_path / "out.mkv", whole
    chance = random.Random(11)
    for _ in range(8):  # three kills after two segments at most leave three of the nine to be computed
        moments = [Moment(chance.randint(1, 2), chance.uniform(0.0, 0.05)) for _ in range(3)]
        # all but the first run of each group found something, however quick the machine is
        assert check_killed_at(moments, output, parts, expected) == 3
    loading = [Moment(None, chance.uniform(0.0, most)) for most in (0.05, 0.5, 2.0)]
    check_killed_at(loading, output, parts, expected)
    anywhere = [Moment(0, chance.uniform(0.0, 1.0) * seconds) for _ in range(3)]
    check_killed_at(anywhere, output, parts, expected)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("sent", "word"),
    [
        ("SIGINT", "Interrupted"),
        ("SIGTERM", "Terminated"),
        pytest.param("SIGHUP", "Hung up", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_saves_the_present_segment_and_says_how_to_go_on(
    tmp_path: Path, parts: Parts, whole: tuple[Path, float], sent: str, word: str
) -> None:
    output = tmp_path / "out.mkv"
    process = begin(output, parts)
    wait_for_segments(process, output, 2)
    process.send_signal(signal.Signals[sent])
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    *_, message, hint = said.strip().splitlines()
    kept = re.fullmatch(rf"{word}; (\d+) of about 72 frames are finished and kept", message)
    assert kept is not None, said
    assert int(kept[1]) >= 16
    assert hint == "Hint: run the same command again to continue"
    assert not output.exists()
    said = complete(output, parts)
    assert f"continuing: {kept[1]} of about 72 frames" in said
    assert [pts for pts, _, _ in frame_lines(output)] == [pts for pts, _, _ in frame_lines(whole[0])]
    assert packet_lines(output, "a:0") == packet_lines(whole[0], "a:0")
    assert leftovers(output) == []


SAVING_FOR_EVER = """
import sys, time
from vidsr.cli.main import main
from vidsr.execute.filling import Filling
def save(*_):
    print("saving", file=sys.stderr, flush=True)
    while True: time.sleep(1)
Filling.announce_saving = save
main(sys.argv[1:])
"""
"""The command, whose first interrupt never comes to its end."""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_second_interrupt_stops_at_once_and_costs_no_finished_segment(tmp_path: Path, parts: Parts) -> None:
    output = tmp_path / "out.mkv"
    python, _, _, *words = command(output, parts.weights, source=parts.source)
    for second in (signal.SIGINT, signal.SIGTERM):
        there = len(list(folder_of(output).glob("*.packets")))
        process = started([python, "-c", SAVING_FOR_EVER, *words])
        wait_for_segments(process, output, there + 2)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "saving\n" in iter(process.stderr.readline, "")
        process.send_signal(second)
        _, said = process.communicate(timeout=60)
        assert process.returncode == -second  # of the first alone it would be 130, and not yet
        assert said == ""
    said = complete(output, parts)
    kept = re.search(r"continuing: (\d+) of", said)
    assert kept is not None
    assert int(kept[1]) >= 32
    assert len(frame_lines(output)) == 72


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot hold a process up")
def test_two_commands_at_once_on_one_output_are_refused(tmp_path: Path, parts: Parts) -> None:
    output = tmp_path / "out.mkv"
    first = begin(output, parts)
    try:
        wait_for_segments(first, output, 1)
        first.send_signal(signal.SIGSTOP)  # lest it be done before the second one has started
        second = begin(output, parts)
        _, said = second.communicate(timeout=100)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 1
    assert re.search(rf"Error: process {first.pid} on .* is working on .*out\.mkv", said)
    assert not output.exists()
