"""Faults of docs/faults.md that belong to no single room: real processes, real limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.sample_job import command
from tests.paths import REPOSITORY, SAMPLE
from tests.reference_ffmpeg import ffmpeg, frame_lines
from vidsr.segments.contents import folder_of

if sys.platform == "win32":
    pytest.skip("Windows has no such limits and signals", allow_module_level=True)

import resource


def run(words: list[str], *, file_size: int | None = None) -> tuple[int, str]:
    """(exit code, standard error). file_size: what the system lets a file grow to, in bytes."""

    def limit() -> None:
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))

    done = subprocess.run(
        words, capture_output=True, text=True, cwd=REPOSITORY, preexec_fn=limit, timeout=200, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_a_file_system_that_takes_no_large_files_costs_no_frame(tmp_path: Path, repeat_2x: Path) -> None:
    """As on FAT, or under a quota: every segment fits, the output does not."""
    output = tmp_path / "out.mkv"
    words = command(output, repeat_2x)
    code, said = run(words, file_size=160_000)
    assert code == 1
    assert "Traceback" not in said
    assert "Error: out.mkv: the disk cannot hold a file of this size\nHint: " in said
    assert "72 frames are finished and kept" in said
    assert [path.name for path in tmp_path.iterdir()] == [folder_of(output).name]
    code, said = run(words)
    assert (code, "continuing: 72 of about 72 frames" in said) == (0, True), said
    assert len(frame_lines(output)) == 72
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_the_process_that_began_them(tmp_path: Path, repeat_2x: Path) -> None:
    film = tmp_path / "film.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0", "-c", "copy", "-c:v", "libx264", "-g", "6", film)
    output = tmp_path / "out.mkv"
    words = [str(film) if word == str(SAMPLE) else word for word in command(output, repeat_2x)]
    with subprocess.Popen(
        [*words, "--device", "cpu,cpu"], cwd=REPOSITORY, stderr=subprocess.DEVNULL
    ) as process:
        wait_for_a_segment(process, output)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(process.pid, signal.SIGKILL)
    assert len(children) >= 2
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "a worker goes on without anybody to work for"
        time.sleep(0.1)
    code, said = run([*words, "--device", "cpu,cpu"])
    assert code == 0, said
    assert len(frame_lines(output)) == 72


def wait_for_a_segment(process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + 100
    while not list(folder_of(output).glob("*.packets")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
