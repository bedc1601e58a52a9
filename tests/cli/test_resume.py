"""The command killed, interrupted and given again, as it happens to people: real processes and signals."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.paths import REPOSITORY, SAMPLE
from tests.reference_ffmpeg import frame_lines, packet_lines
from vidsr.models.compact import SRVGGNetCompact

KILLS = 1
MANY_KILLS = 30


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network that takes some hundredths of a second for a frame: time enough to kill it."""
    network = SRVGGNetCompact(num_feat=16, num_conv=3, upscale=2)
    generator = torch.Generator().manual_seed(3)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.05
        for name, value in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "random_2x.safetensors"
    save_file(state, path)
    return path


def command(output: Path, weights: Path, *more: str) -> list[str]:
    run = [sys.executable, "-m", "vidsr", str(SAMPLE), str(output), "--weights", str(weights)]
    return [*run, "--backend", "torch", "--precision", "fp32", "--segment", "8", "--progress", "plain", *more]


def begin(output: Path, weights: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(output, weights, *more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )


def complete(output: Path, weights: Path, *more: str) -> str:
    """Run to the end; gives what was said on the way."""
    process = begin(output, weights, *more)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return said


def wait_for_work(process: subprocess.Popen[str], output: Path) -> None:
    """Until the first segment is being written, or the process has ended."""
    folder = output.with_name(f".{output.name}.vidsr")
    while process.poll() is None and not list(folder.glob("*.packets*")):
        time.sleep(0.005)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> tuple[Path, float]:
    """An uninterrupted run, and the seconds from its first segment until there was nothing left to do."""
    output = tmp_path_factory.mktemp("whole") / "whole.mkv"
    process = begin(output, weights)
    wait_for_work(process, output)
    begun = time.monotonic()
    while process.poll() is None and not is_complete(output):
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return output, seconds


def is_complete(output: Path) -> bool:
    """Whether the output has its name and nothing else is left of the job."""
    return output.exists() and not output.with_name(f".{output.name}.vidsr").exists()


def leftovers(output: Path) -> list[str]:
    return [path.name for path in output.parent.iterdir() if path != output]


def wait_for_segments(process: subprocess.Popen[str], output: Path, count: int) -> None:
    deadline = time.monotonic() + 100
    folder = output.with_name(f".{output.name}.vidsr")
    while len(list(folder.glob("*.packets"))) < count:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_killed_at(
    moments: list[float], output: Path, weights: Path, whole: tuple[Path, float]
) -> list[str]:
    """Kill a run at each moment, then let one finish; gives how many frames each found finished.

    moments: seconds after the first segment was begun; negative ones after the start of the process.
    """
    kept = []
    for moment in moments:
        process = begin(output, weights)
        if moment >= 0:
            wait_for_work(process, output)
        try:
            process.wait(timeout=abs(moment))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        if is_complete(output):  # it was faster this time
            assert frame_lines(output) == frame_lines(whole[0])
            output.unlink()
        kept += re.findall(r"continuing: (\d+) of", said)
    kept += re.findall(r"continuing: (\d+) of", complete(output, weights))
    expected = whole[0]
    assert frame_lines(output) == frame_lines(expected)
    for stream in ("v:0", "a:0", "s:0"):
        assert packet_lines(output, stream) == packet_lines(expected, stream)
    assert leftovers(output) == []
    return kept


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_a_random_moment_the_same_command_completes_it(
    tmp_path: Path, weights: Path, whole: tuple[Path, float], seed: int
) -> None:
    """Decoded frames with their times, and all packets, are those of the uninterrupted run."""
    moment = random.Random(seed).uniform(0.0, 1.0) * whole[1]
    check_killed_at([moment], tmp_path / "out.mkv", weights, whole)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_thirty_random_moments_it_is_still_completed(
    tmp_path: Path, weights: Path, whole: tuple[Path, float]
) -> None:
    chance = random.Random(11)
    resumed = []
    for group in range(MANY_KILLS // 3):
        # one in six while the program is still being loaded
        moments = [chance.uniform(-0.2, 1.0) * whole[1] for _ in range(3)]
        resumed += check_killed_at(moments, tmp_path / f"out{group}.mkv", weights, whole)
        (tmp_path / f"out{group}.mkv").unlink()
    # Some runs had finished something when they were killed, and the next one went on from there: 8 beside
    # other tests, where all of the moments come early.
    assert len(resumed) > MANY_KILLS // 6
    assert len(set(resumed)) > 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
def test_an_interrupted_run_saves_the_present_segment_and_says_how_to_go_on(
    tmp_path: Path, weights: Path, whole: tuple[Path, float], sent: signal.Signals
) -> None:
    output = tmp_path / "out.mkv"
    process = begin(output, weights)
    wait_for_segments(process, output, 2)
    asked = time.monotonic()
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - asked < 6  # two seconds on a machine that does nothing else
    assert process.returncode == 130
    assert "Traceback" not in said
    *_, message, hint = said.strip().splitlines()
    word = "Interrupted" if sent is signal.SIGINT else "Terminated"
    kept = re.fullmatch(rf"{word}; (\d+) of about 72 frames are finished and kept", message)
    assert kept is not None, said
    assert int(kept[1]) >= 16
    assert hint == "Hint: run the same command again to continue"
    assert not output.exists()
    said = complete(output, weights)
    assert f"continuing: {kept[1]} of about 72 frames" in said
    assert [pts for pts, _, _ in frame_lines(output)] == [pts for pts, _, _ in frame_lines(whole[0])]
    assert packet_lines(output, "a:0") == packet_lines(whole[0], "a:0")
    assert leftovers(output) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_second_interrupt_stops_at_once_and_costs_no_finished_segment(
    tmp_path: Path, weights: Path, whole: tuple[Path, float]
) -> None:
    output = tmp_path / "out.mkv"
    process = begin(output, weights)
    wait_for_segments(process, output, 3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - asked < 2
    assert process.returncode in {-signal.SIGINT, 130}
    assert "Traceback" not in said
    said = complete(output, weights)
    kept = re.search(r"continuing: (\d+) of", said)
    assert kept is not None
    assert int(kept[1]) >= 24
    assert len(frame_lines(output)) == 72


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot hold a process up")
def test_two_commands_at_once_on_one_output_are_refused(tmp_path: Path, weights: Path) -> None:
    output = tmp_path / "out.mkv"
    first = begin(output, weights)
    try:
        wait_for_segments(first, output, 1)
        first.send_signal(signal.SIGSTOP)  # lest it be done before the second one has started
        second = begin(output, weights)
        _, said = second.communicate(timeout=100)
    finally:
        first.kill()
        first.communicate()
    assert second.returncode == 1
    assert re.search(rf"Error: process {first.pid} on .* is working on .*out\.mkv", said)
    assert not output.exists()
