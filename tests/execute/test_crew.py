"""Several devices at once, here the CPU twice: real worker processes, killed and interrupted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.execute.segmented import LOSSLESS, counting, crash_after, in_one_go, run_in_segments
from tests.media.clips import ClipShelf
from tests.media.reference import decoded, packets
from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg
from vidsr.errors import DeviceError, FrameSizeError, InterruptedByUser, ToolMissingError
from vidsr.execute import worker_process
from vidsr.execute.messages import Failed
from vidsr.execute.resumable import run_resumable
from vidsr.job import Job, Receipt, Resume
from vidsr.media.read.scenes import SegmentLength
from vidsr.models.compact import SRVGGNetCompact
from vidsr.progress.events import Event, Note, Show, Started, Working
from vidsr.segments.contents import folder_of, read_contents


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with a key frame every six frames, so that it can be divided in twelve."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0", "-c", "copy", "-c:v", "libx264", "-g", "6", path)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network that takes long enough for things to happen meanwhile."""
    network = SRVGGNetCompact(num_feat=16, num_conv=4, upscale=2)
    generator = torch.Generator().manual_seed(5)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.05
        for name, value in network.state_dict().items()
    }
    path = tmp_path_factory.mktemp("weights") / "random_2x.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, film: Path, weights: Path) -> Path:
    return in_one_go(film, tmp_path_factory.mktemp("expected") / "expected.mkv", weights, backend="torch")


def run(
    source: Path,
    output: Path,
    weights: Path,
    show: Show = lambda _: None,
    resume: Resume = "auto",
) -> Receipt:
    job = Job(
        source, output, weights=weights, precision="fp32", backend="torch", encoder=LOSSLESS, device="cpu,cpu"
    )
    return run_resumable(job, show=show, resume=resume, length=SegmentLength(6, 6))


def check_same(output: Path, expected: Path) -> None:
    assert decoded(output) == decoded(expected)
    ours, theirs = packets(output), packets(expected)
    assert {index: rows for index, rows in ours.items() if index} == {
        index: rows for index, rows in theirs.items() if index
    }
    assert [path.name for path in output.parent.iterdir() if path.name.startswith(".")] == []
    assert multiprocessing.active_children() == []


class Witness:
    """Keeps events, and does something once a number of frames are done."""

    def __init__(self, frames: int, deed: Callable[[], None]) -> None:
        self.events: list[Event] = []
        self._frames, self._deed = frames, deed
        self._is_done = False

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Working) and event.frames_done >= self._frames and not self._is_done:
            self._is_done = True
            self._deed()

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


def kill_workers(count: int) -> None:
    for process in multiprocessing.active_children()[:count]:
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)


@pytest.mark.slow
def test_two_workers_give_what_one_process_gives(
    tmp_path: Path, film: Path, weights: Path, expected: Path
) -> None:
    workers: set[int] = set()

    def count() -> None:
        workers.update(process.pid or 0 for process in multiprocessing.active_children())

    witness = Witness(1, count)
    receipt = run(film, tmp_path / "out.mkv", weights, witness)
    assert (receipt.frames_read, receipt.frames_written) == (72, 72)
    assert len(workers) == 2
    started = witness.events[0]
    assert isinstance(started, Started)
    assert started.engine == "torch fp32 on cpu, torch fp32 on cpu"
    done = [event.frames_done for event in witness.events if isinstance(event, Working)]
    assert max(done) <= 72
    check_same(tmp_path / "out.mkv", expected)


@pytest.mark.slow
def test_a_killed_worker_s_stretch_is_taken_over(
    tmp_path: Path, film: Path, weights: Path, expected: Path
) -> None:
    witness = Witness(8, lambda: kill_workers(1))
    receipt = run(film, tmp_path / "out.mkv", weights, witness)
    assert any("the worker on cpu died (exit code -9); others take over" in note for note in witness.notes)
    assert receipt.frames_written == 72
    check_same(tmp_path / "out.mkv", expected)


@pytest.mark.slow
def test_when_all_workers_are_killed_what_is_finished_is_kept(
    tmp_path: Path, film: Path, weights: Path, expected: Path
) -> None:
    output = tmp_path / "out.mkv"
    witness = Witness(20, lambda: kill_workers(2))
    with pytest.raises(DeviceError, match="the last worker, on cpu, died"):
        run(film, output, weights, witness)
    kept = read_contents(folder_of(output)).frames
    assert kept >= 6
    assert any(f"{kept} frames are finished and kept" in note for note in witness.notes)
    # one device goes on where two have stopped: the pixels are the same
    with counting() as computed:
        run_in_segments(film, output, weights, segment=6, backend="torch")
    assert len(computed) == 72 - kept
    check_same(output, expected)


@pytest.mark.slow
def test_two_devices_go_on_where_one_has_stopped(
    tmp_path: Path, film: Path, weights: Path, expected: Path
) -> None:
    output = tmp_path / "out.mkv"
    with crash_after(3):
        run_in_segments(film, output, weights, segment=10, backend="torch")
    events: list[Event] = []
    run(film, output, weights, events.append)
    assert any(isinstance(e, Note) and e.text.startswith("continuing: 30 of about 72") for e in events)
    check_same(output, expected)


@pytest.mark.slow
def test_an_interrupt_saves_what_every_worker_has(
    tmp_path: Path, film: Path, weights: Path, expected: Path
) -> None:
    output = tmp_path / "out.mkv"

    def interrupt() -> None:
        raise InterruptedByUser("interrupted")

    witness = Witness(14, interrupt)
    with pytest.raises(InterruptedByUser, match=r"interrupted; \d+ of about 72 frames are finished and kept"):
        run(film, output, weights, witness)
    kept = read_contents(folder_of(output)).frames
    reported = max(event.frames_done for event in witness.events if isinstance(event, Working))
    assert kept >= reported  # also what the two had of their unfinished segments
    assert multiprocessing.active_children() == []
    receipt = run(film, output, weights)
    assert receipt.frames_written == 72
    check_same(output, expected)


@pytest.mark.slow
def test_an_error_of_the_job_surfaces_as_what_it_is(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path
) -> None:
    with pytest.raises(FrameSizeError, match="is 128x96; the stream began at 96x64") as caught:
        run(clips("size_change.ts"), tmp_path / "out.mkv", repeat_2x)
    assert any("in the worker on cpu" in note for note in caught.value.__notes__)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_film_that_cannot_be_divided_is_computed_on_the_first_device(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path
) -> None:
    events: list[Event] = []
    run(clips("spliced.ts"), tmp_path / "out.mkv", repeat_2x, events.append)
    words = "the work cannot be divided: its time stamps are unclear; only cpu is used"
    assert Note(words) in events
    assert len(decoded(tmp_path / "out.mkv")) == 40


def test_what_is_written_in_one_go_has_one_device_and_says_so(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path
) -> None:
    events: list[Event] = []
    run(clips("b_frames.mkv"), tmp_path / "out.mkv", repeat_2x, events.append, resume="never")
    assert Note("the work cannot be divided: it is to be written in one go; only cpu is used") in events
    assert (tmp_path / "out.mkv").exists()


def test_what_one_worker_lacks_is_left_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(_: object, __: str) -> None:
        raise ToolMissingError("inductor needs Triton on CUDA", "install it")

    monkeypatch.setattr(worker_process._Process, "live", lacking)
    ours, theirs = multiprocessing.Pipe()
    before = signal.getsignal(signal.SIGINT)
    try:
        worker_process.serve(Job(SAMPLE, Path("out.mkv")), "cuda:0", theirs, None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ours.recv() == Failed("ToolMissingError", "inductor needs Triton on CUDA", "install it", True)
