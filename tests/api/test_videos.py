"""Whole videos from Python: the call that waits, and the run whose events are iterated over."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, assert_type

import pytest

import vidsr
from tests.paths import REPOSITORY
from tests.reference_ffmpeg import frame_lines, packet_lines
from tests.straight import run_job
from vidsr.channel import StopSignal
from vidsr.errors import DamagedSourceError, InterruptedByUser, SourceMissingError, UsageError
from vidsr.frames import Frame
from vidsr.infer.upscaler import PendingFrames, Upscaler
from vidsr.job import EncoderRequest, Job, Receipt
from vidsr.models.base import Network
from vidsr.progress.events import Event, Finished, Joining, Note, Show, Started, Working
from vidsr.segments.contents import folder_of, read_contents

QUICK: dict[str, Any] = {"device": "cpu", "backend": "torch", "precision": "fp32", "encoder": "ffv1"}


UNHURRIED = """
import time
from vidsr.infer.upscaler import Upscaler
submit = Upscaler.submit
def take_your_time(upscaler, frames):
    time.sleep(0.015)
    return submit(upscaler, frames)
Upscaler.submit = take_your_time
"""
"""Time enough to stop a run in, on any machine."""


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for runs in this process."""
    submit = Upscaler.submit

    def take_your_time(upscaler: Upscaler, frames: Sequence[Frame]) -> PendingFrames:
        time.sleep(0.015)
        return submit(upscaler, frames)

    monkeypatch.setattr(Upscaler, "submit", take_your_time)


@pytest.fixture(scope="module")
def weights(small: tuple[Network, Path]) -> Path:
    return small[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, clip: Path, weights: Path) -> Path:
    """The job in one go, by the way that every other one is compared with."""
    output = tmp_path_factory.mktemp("whole") / "whole.mkv"
    plain = QUICK | {"encoder": EncoderRequest("ffv1")}
    run_job(Job(clip, output, weights=weights, reuse="off", **plain), show=lambda _: None)
    return output


def kept_frames(output: Path) -> int:
    """What waits beside an output to be continued."""
    return read_contents(folder_of(output)).frames


def no_thread_is_left() -> bool:
    return not [thread for thread in threading.enumerate() if thread.name.startswith("vidsr-")]


def test_upscale_gives_the_receipt_and_a_whole_output(
    tmp_path: Path, clip: Path, weights: Path, whole: Path
) -> None:
    events: list[Event] = []
    threads = set()

    def on_event(event: Event) -> None:
        events.append(event)
        threads.add(threading.current_thread())

    output = tmp_path / "out.mkv"
    receipt = vidsr.upscale(
        str(clip), output, weights=weights, on_event=on_event, segment_frames=30, reuse="off", **QUICK
    )
    assert_type(receipt, vidsr.Receipt)
    assert receipt.frames_written == 72
    assert receipt.size_bytes == output.stat().st_size
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert events[-1].verified
    assert threads == {threading.main_thread()}
    assert frame_lines(output) == frame_lines(whole)
    assert packet_lines(output, "a:0") == packet_lines(clip, "a:0")
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("error", [RuntimeError("enough"), KeyboardInterrupt()], ids=["error", "Ctrl+C"])
def test_what_ends_a_call_early_is_raised_and_the_same_call_continues(
    tmp_path: Path, clip: Path, weights: Path, whole: Path, error: BaseException
) -> None:
    output = tmp_path / "out.mkv"
    options: dict[str, Any] = {"weights": weights, "segment_frames": 10, "reuse": "off"} | QUICK

    def end_it(event: Event) -> None:
        if isinstance(event, Working) and event.frames_done >= 20:
            raise error

    with pytest.raises(type(error)) as raised:
        vidsr.upscale(clip, output, on_event=end_it, **options)
    kept = kept_frames(output)
    assert 20 <= kept < 72
    if isinstance(error, KeyboardInterrupt):
        assert str(raised.value) == f"interrupted; {kept} of about 72 frames are finished and kept"
    assert not output.exists()
    started: list[Started] = []
    vidsr.upscale(
        clip, output, on_event=lambda e: started.append(e) if isinstance(e, Started) else None, **options
    )
    assert started[0].frames_before == kept
    assert frame_lines(output) == frame_lines(whole)


def test_a_run_gives_its_events_and_then_its_receipt(tmp_path: Path, clip: Path, weights: Path) -> None:
    output = tmp_path / "out.mkv"
    with vidsr.run(clip, output, weights=weights, frames=(0, 24), **QUICK) as run:
        assert_type(run, vidsr.Run)
        events = list(run)
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Finished)
        receipt = run.result()
    assert receipt.frames_written == len(frame_lines(output)) == 24
    assert next(run, None) is None
    assert run.result() == receipt
    assert no_thread_is_left()


@pytest.mark.usefixtures("unhurried")
def test_leaving_the_loop_stops_the_run_and_the_same_call_continues(
    tmp_path: Path, clip: Path, weights: Path, whole: Path
) -> None:
    output = tmp_path / "out.mkv"
    options: dict[str, Any] = {"weights": weights, "segment_frames": 10, "reuse": "off"} | QUICK
    for event in vidsr.run(clip, output, **options):
        if isinstance(event, Working) and event.frames_done >= 20:
            break
    assert no_thread_is_left()
    kept = kept_frames(output)
    assert 20 <= kept < 72
    assert not output.exists()
    with vidsr.run(clip, output, **options) as run:
        first = next(run)
        assert isinstance(first, Started)
        assert first.frames_before == kept
        assert run.result().frames_written == 72
    assert frame_lines(output) == frame_lines(whole)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.usefixtures("unhurried")
def test_a_closed_run_says_what_it_has_kept(tmp_path: Path, clip: Path, weights: Path) -> None:
    output = tmp_path / "out.mkv"
    with vidsr.run(clip, output, weights=weights, segment_frames=10, **QUICK) as run:
        for event in run:
            if isinstance(event, Working) and event.frames_done >= 10:
                run.close()
    with pytest.raises(InterruptedByUser) as raised:
        run.result()
    assert raised.value.message == f"stopped; {kept_frames(output)} of about 72 frames are finished and kept"


def test_errors_of_a_run_come_out_of_the_loop_once_and_out_of_result_always(tmp_path: Path) -> None:
    run = vidsr.run(tmp_path / "none.mkv", tmp_path / "out.mkv")
    with pytest.raises(SourceMissingError):
        next(run)
    assert list(run) == []
    for _ in range(2):
        with pytest.raises(SourceMissingError):
            run.result()


def test_options_that_cannot_be_fail_before_a_run_begins(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(UsageError):
        vidsr.run(clip, tmp_path / "out.mkv", scale=2, width=640)
    assert no_thread_is_left()


RECEIPT = Receipt(Path("out.mkv"), 3, 3, 0, 2, 1, 1.0)


def working(done: int) -> Working:
    return Working(done, done, 1.0, (0, 1), (0, 1), (), "decode")


def test_standard_input_is_the_command_s_alone(tmp_path: Path) -> None:
    for begin in (vidsr.upscale, vidsr.run):
        with pytest.raises(UsageError, match="standard input"):
            begin("-", tmp_path / "out.mkv")
    assert list(tmp_path.iterdir()) == []


def test_a_length_of_segments_that_is_no_number_is_named(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(TypeError, match="segment_frames has to be an int, not '48'"):
        vidsr.upscale(clip, tmp_path / "out.mkv", segment_frames="48")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_way_to_resume_that_is_none_fails_before_anything_is_done(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(vidsr.VidsrError, match="resume is 'yes'") as caught:
        vidsr.upscale(clip, tmp_path / "out.mkv", resume="yes")  # type: ignore[arg-type]
    assert caught.value.hint == "it is one of auto, restart, never"
    assert not (tmp_path / "out.mkv").exists()


def test_a_cluster_cannot_compute_what_keeps_nothing(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(vidsr.VidsrError, match="--no-resume contradicts --ray"):
        vidsr.upscale(clip, tmp_path / "out.mkv", ray="auto", resume="never")


def test_a_slow_reader_gets_the_latest_progress_and_every_note() -> None:
    given = threading.Event()

    def work(show: Show, _: StopSignal) -> Receipt:
        for event in (Note("a"), working(1), working(2), Note("b"), working(3), Joining(0, 2), Joining(1, 2)):
            show(event)
        given.set()
        return RECEIPT

    run = vidsr.Run(work)
    assert given.wait(10)
    assert list(run) == [Note("a"), working(2), Note("b"), working(3), Joining(1, 2)]
    assert run.result() is RECEIPT


def waiting_for_the_stop(show: Show, stop: StopSignal) -> Receipt:
    show(Note("begun"))
    while True:
        stop.raise_reason()
        time.sleep(0.005)


def test_a_dropped_run_stops() -> None:
    run: Iterator[Event] = vidsr.Run(waiting_for_the_stop)
    assert next(run) == Note("begun")
    del run
    assert no_thread_is_left()


def test_a_run_that_fails_while_it_is_closed_keeps_quiet_until_it_is_asked() -> None:
    def failing(_show: Show, stop: StopSignal) -> Receipt:
        while not stop.is_set:
            time.sleep(0.005)
        raise DamagedSourceError("broken")

    with vidsr.Run(failing) as run:
        pass
    assert list(run) == []
    with pytest.raises(DamagedSourceError):
        run.result()


def python(program: str, *arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY
    )


def test_importing_loads_nothing_and_a_call_prints_nothing(tmp_path: Path, clip: Path, weights: Path) -> None:
    program = (
        "import sys, vidsr\n"
        "assert not {'torch', 'av', 'numpy', 'rich', 'click'} & set(sys.modules)\n"
        "assert {'upscale', 'run', 'Upscaler'} <= set(dir(vidsr)) and not hasattr(vidsr, 'upscaler')\n"
        "vidsr.upscale(*sys.argv[1:3], weights=sys.argv[3], frames=(0, 8))\n"
        "with vidsr.Upscaler(weights=sys.argv[3]) as upscaler:\n"
        "    import numpy\n"
        "    upscaler(numpy.zeros((9, 9, 3), numpy.uint8))\n"
    )
    process = python(program, clip, tmp_path / "out.mkv", weights)
    said = process.communicate(timeout=100)
    assert said == ("", "")
    assert process.returncode == 0
    assert (tmp_path / "out.mkv").exists()


ENDING = (
    UNHURRIED
    + """
import sys, vidsr
options = {"segment_frames": 8, "backend": "torch", "device": "cpu", "precision": "fp32"}
run = vidsr.run(*sys.argv[1:3], weights=sys.argv[3], **options)
for event in run:
    if getattr(event, "frames_done", 0) >= 8:
        print("ready", flush=True)
        {end}
"""
)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("way", ["the program ends", "Ctrl+C"])
def test_the_end_of_the_program_is_the_end_of_a_run_and_loses_nothing(
    tmp_path: Path, clip: Path, weights: Path, way: str
) -> None:
    output = tmp_path / "out.mkv"
    end = "sys.exit(7)" if way == "the program ends" else "continue"
    process = python(ENDING.replace("{end}", end), clip, output, weights)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if way == "Ctrl+C":
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if way == "Ctrl+C":
        assert said.rstrip().endswith("KeyboardInterrupt")
    else:
        assert (process.returncode, said) == (7, "")
    assert 8 <= kept_frames(output) < 72
    assert not output.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_in_a_call_is_a_keyboard_interrupt_that_says_what_is_kept(
    tmp_path: Path, clip: Path, weights: Path
) -> None:
    output = tmp_path / "out.mkv"
    program = UNHURRIED + (
        "import sys, vidsr\n"
        "def show(event):\n"
        "    if getattr(event, 'frames_done', 0) >= 8: print('ready', flush=True)\n"
        "try:\n"
        "    vidsr.upscale(*sys.argv[1:3], weights=sys.argv[3], segment_frames=8, on_event=show,\n"
        "                  device='cpu', backend='torch', precision='fp32')\n"
        "except vidsr.VidsrError: sys.exit('swallowed')\n"
    )
    process = python(program, clip, output, weights)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    last = said.rstrip().splitlines()[-1]
    kept = re.fullmatch(
        r"KeyboardInterrupt: interrupted; (\d+) of about 72 frames are finished and kept", last
    )
    assert kept is not None, said
    assert int(kept[1]) == kept_frames(output) >= 8


@pytest.mark.usefixtures("unhurried")
def test_jobs_that_a_program_has_begun_are_listed_with_its_call(
    tmp_path: Path, clip: Path, weights: Path
) -> None:
    output = tmp_path / "out.mkv"
    for event in vidsr.run(
        clip, output, weights=weights, segment_frames=8, scale=1.5, encoder="ffv1", device="cpu"
    ):
        if isinstance(event, Working) and event.frames_done >= 8:
            break
    record = read_contents(folder_of(output)).record
    assert record is not None
    assert record.command == (
        f"vidsr.run({str(clip)!r}, {str(output)!r}, weights={str(weights)!r}, scale=1.5, "
        "encoder='ffv1', device='cpu', segment_frames=8)"
    )
