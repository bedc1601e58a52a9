"""Order, stopping and memory of the three stages, with stages that are easy to see through."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence

import pytest

from tests.paths import REPOSITORY
from tests.stages import Doubled, Sink, Source, TestError, Upscaler
from vidsr.channel import StopSignal
from vidsr.errors import DeviceFailedError
from vidsr.frames import Frame
from vidsr.pipeline import FrameSink, Run, Snapshot, run_plain


def ignore(_: Snapshot) -> None:
    pass


def make_run(source: Source, upscaler: Upscaler, sink: FrameSink, stop: StopSignal | None = None) -> Run:
    return Run(source, upscaler, sink, stop=stop or StopSignal(), decoded_frames=4, upscaled_frames=3)


def vidsr_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("vidsr-")]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 50])
@pytest.mark.parametrize("in_flight", [0, 1, 3])
def test_threads_write_what_one_thread_writes(count: int, in_flight: int) -> None:
    plain, threaded = Sink(), Sink()
    run_plain(Source(count), Upscaler(), plain)
    run = make_run(Source(count), Upscaler(in_flight=in_flight), threaded)
    run.start()
    result = run.join(ignore)
    assert threaded.written == plain.written == [(i, 7 * i, i) for i in range(count)]
    assert threaded.finished
    assert result.frames_decoded == result.frames_upscaled == result.frames_written == count


def test_the_end_of_the_frames_is_not_the_end_of_the_sink() -> None:
    """An encoder that looks ahead gives the last frames long after it has got them."""
    sink = Sink(frames_held=5, may_finish=threading.Event())
    run = make_run(Source(20), Upscaler(), sink)
    seen: list[Snapshot] = []

    def look(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        if snapshot.is_finishing:
            assert sink.may_finish is not None
            sink.may_finish.set()

    assert not run.snapshot().is_finishing
    run.start()
    run.join(look)
    at_the_end = next(snapshot for snapshot in seen if snapshot.is_finishing)
    assert (at_the_end.frames_written, at_the_end.frames_held) == (20, 5)
    assert sink.finished


def test_a_run_that_is_finishing_has_written_all_frames() -> None:
    """Also where the last ones are written while it is asked."""

    class SinkThatGoesOnWhenAsked:
        def __init__(self) -> None:
            self.was_asked, self.has_all = threading.Event(), threading.Event()

        @property
        def frames_held(self) -> int:
            self.was_asked.set()
            self.has_all.wait()
            return 0

        def write(self, frame: Frame) -> None:
            self.was_asked.wait()

        def finish(self) -> None:
            self.has_all.set()

    run = make_run(Source(5), Upscaler(), SinkThatGoesOnWhenAsked())
    seen: list[Snapshot] = []
    run.start()
    run.join(seen.append)
    assert {snapshot.frames_written for snapshot in seen if snapshot.is_finishing} <= {5}
    assert not seen[0].is_finishing


def test_a_short_tail_is_a_batch_of_its_own() -> None:
    upscaler = Upscaler(batch_size=4)
    run = make_run(Source(10), upscaler, Sink())
    run.start()
    run.join(ignore)
    assert upscaler.batches == [4, 4, 2]


def test_frames_of_two_segments_never_share_a_batch() -> None:
    upscaler = Upscaler(batch_size=4)
    sink = Sink()
    run = make_run(Source(15, segment_starts=frozenset({0, 6, 7, 12})), upscaler, sink)
    run.start()
    run.join(ignore)
    assert upscaler.batches == [4, 2, 1, 4, 1, 3]
    assert [index for index, _, _ in sink.written] == list(range(15))


def test_a_batch_size_that_changes_is_followed() -> None:
    """As after the device ran out of memory."""

    class Shrinking(Upscaler):
        def submit(self, frames: Sequence[Frame]) -> Doubled:
            self.batch_size = max(self.batch_size // 2, 1)
            return super().submit(frames)

    upscaler = Shrinking(batch_size=8)
    run = make_run(Source(16), upscaler, Sink())
    run.start()
    run.join(ignore)
    assert upscaler.batches == [8, 4, 2, 1, 1]


@pytest.mark.parametrize("stage", ["decode", "upscale", "encode", "finish"])
@pytest.mark.parametrize("fail_at", [0, 1, 25, 39])
def test_a_failing_stage_stops_all_and_surfaces_once(stage: str, fail_at: int) -> None:
    source = Source(40, fail_at=fail_at if stage == "decode" else None)
    upscaler = Upscaler(fail_at=fail_at if stage == "upscale" else None, in_flight=1)
    sink = Sink(fail_at=fail_at if stage == "encode" else None, fail_on_finish=stage == "finish")
    run = make_run(source, upscaler, sink)
    run.start()
    with pytest.raises(TestError) as caught:
        run.join(ignore)
    place = "encode" if stage == "finish" else stage
    assert str(caught.value) == place
    assert any(note.startswith(f"in the {place} stage") for note in caught.value.__notes__)
    assert vidsr_threads() == []
    assert source.closed
    assert not sink.finished


def test_an_interrupt_joins_every_thread_long_before_the_end() -> None:
    source, sink = Source(10_000), Sink(seconds_per_frame=0.001)
    run = make_run(source, Upscaler(seconds_per_batch=0.01), sink)
    run.start()

    def interrupt(_: Snapshot) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.join(interrupt)
    assert vidsr_threads() == []
    assert source.closed
    assert len(source.alive) < 5_000  # however slow the machine is, each three take 10 ms
    assert not sink.finished


INTERRUPTED = """
import signal
from tests.stages import Sink, Source, Upscaler
from vidsr.channel import StopSignal
from vidsr.pipeline import Run

def interrupt(_number, _frame):
    raise KeyboardInterrupt

upscaler = Upscaler(seconds_per_batch=1.0)
run = Run(Source(1), upscaler, Sink(), stop=StopSignal(), decoded_frames=4, upscaled_frames=4)
signal.signal(signal.SIGALRM, interrupt)
run.start()
signal.setitimer(signal.ITIMER_REAL, 0.4)  # decoding has ended by then
try:
    run.join(lambda _: None)
except KeyboardInterrupt:
    print("interrupted after", upscaler.batches)
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
def test_a_signal_while_the_last_batch_is_computed_waits_for_its_end() -> None:
    """In a process of its own, since the signal is the one that limits the time of tests."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (done.returncode, done.stdout) == (0, "interrupted after [1]\n"), done.stderr


def test_of_a_device_that_failed_nothing_is_asked_any_more() -> None:
    """Nor is what was under way there given back: torch would ask the device, and end the process."""
    asked: list[int] = []

    class Batch(Doubled):
        def result(self) -> list[Frame]:
            asked.append(self.frames[0].index)
            return super().result()

    class Failing(Upscaler):
        def submit(self, frames: Sequence[Frame]) -> Doubled:
            if frames[0].index == 12:
                raise DeviceFailedError("cuda:0 failed")
            begun.append(weakref.ref(batch := Batch(frames)))
            return batch

    begun: list[weakref.ref[Batch]] = []
    sink = Sink()
    run = make_run(Source(30), Failing(in_flight=2), sink)
    run.start()
    with pytest.raises(DeviceFailedError):
        run.join(ignore)
    kept = [index for index, _, _ in sink.written] + [frame.index for frame in run.leftover()]
    assert kept == list(range(6))  # of four batches that were begun the two that were asked for in time
    assert asked == [0, 3]
    del run
    gc.collect()
    assert [batch() is not None for batch in begun] == [False, False, True, True]


@pytest.mark.parametrize("in_flight", [0, 1, 3])
def test_whatever_was_computed_when_a_batch_fails_is_left_over(in_flight: int) -> None:
    upscaler, sink = Upscaler(fail_at=24, in_flight=in_flight), Sink()
    run = make_run(Source(40), upscaler, sink)
    run.start()
    with pytest.raises(TestError, match="upscale"):
        run.join(ignore)
    kept = [index for index, _, _ in sink.written] + [frame.index for frame in run.leftover()]
    assert kept == list(range(24))


def test_a_frame_that_waits_for_room_when_the_run_ends_is_left_over() -> None:
    """The encoder fails at its first frame, three more are queued, one waits."""
    run = make_run(Source(40), Upscaler(batch_size=8), Sink(fail_at=0, seconds_per_frame=0.2))
    run.start()
    with pytest.raises(TestError, match="encode"):
        run.join(ignore)
    assert [frame.index for frame in run.leftover()][-1] == 7


def test_a_stop_from_outside_is_raised_with_its_reason() -> None:
    stop = StopSignal()
    run = make_run(Source(10_000), Upscaler(seconds_per_batch=0.01), Sink(), stop)
    run.start()
    stop.set(TestError("asked to stop"))
    with pytest.raises(TestError, match="asked to stop"):
        run.join(ignore)
    assert vidsr_threads() == []


def test_only_queued_frames_are_alive_however_long_the_stream() -> None:
    source = Source(400)
    most_alive = 0

    class Watching(Sink):
        def write(self, frame: Frame) -> None:
            nonlocal most_alive
            super().write(frame)
            gc.collect(0)
            most_alive = max(most_alive, sum(1 for ref in source.alive if ref() is not None))

    run = make_run(source, Upscaler(batch_size=2, in_flight=1), Watching())
    run.start()
    run.join(ignore)
    # 4 queued, 1 in the decoder's hand, 2 batches of 2 in flight and 2 being collected
    assert most_alive <= 4 + 1 + 2 * 2 + 2


@pytest.mark.parametrize("slow", ["upscale", "encode"])
def test_the_slowest_stage_is_named_as_the_bottleneck(slow: str) -> None:
    upscaler = Upscaler(batch_size=1, seconds_per_batch=0.01 if slow == "upscale" else 0)
    sink = Sink(seconds_per_frame=0.01 if slow == "encode" else 0)
    run = make_run(Source(60), upscaler, sink)
    run.start()
    result = run.join(ignore)
    assert result.bottleneck == slow
    busy = {stage.name: stage.busy for stage in result.stages}
    assert busy[slow] > 0.8


def test_a_stage_that_is_done_counts_as_waiting() -> None:
    """A short clip is decoded long before the rest is done: decoding did not hold anything up."""
    run = make_run(Source(2), Upscaler(batch_size=1), Sink(seconds_per_frame=0.1))
    run.start()
    result = run.join(ignore)
    assert result.bottleneck == "encode"
    assert {stage.name: stage.busy for stage in result.stages}["decode"] < 0.5
