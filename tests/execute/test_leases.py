"""Who gets which stretch: each once, none lost with its worker, the last ones not left to the slowest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.errors import DeviceError
from vidsr.execute.leases import Leases, Task
from vidsr.job import Segment
from vidsr.media.read.segment_reader import Stretch


def tasks(count: int, frames: int = 100) -> list[Task]:
    return [Task(Stretch(Segment(n * 10, n * 10 + 10), n * frames), frames) for n in range(count)]


def crew(count: int, *workers: str) -> Leases[str]:
    leases: Leases[str] = Leases(tasks(count))
    for worker in workers:
        leases.join(worker)
    return leases


def number(task: Task | None) -> int | None:
    return None if task is None else (task.stretch.segment.start_pts or 0) // 10


def finish(leases: Leases[str], worker: str, place: int) -> bool:
    return leases.finish(worker, tasks(place + 1)[place].stretch.segment, 100)


def test_stretches_are_given_in_order_and_each_once() -> None:
    leases = crew(3, "a", "b")
    assert [number(leases.next_for(w, idle=True)) for w in "abab"] == [0, 1, 2, None]


def test_all_is_done_when_every_stretch_is_finished() -> None:
    leases = crew(2, "a", "b")
    leases.next_for("a", idle=True)
    leases.next_for("b", idle=True)
    assert finish(leases, "b", 1)
    assert not leases.is_done
    assert finish(leases, "a", 0)
    assert leases.is_done


def test_what_a_dead_worker_had_goes_to_the_next_one_first() -> None:
    leases = crew(4, "a", "b")
    for worker in "aab":  # a asks in advance
        leases.next_for(worker, idle=False)
    assert [number(task) for task in leases.lose("a")] == [0, 1]
    assert [number(leases.next_for("b", idle=False)) for _ in range(3)] == [0, 1, 3]


def test_what_it_had_finished_is_not_given_again() -> None:
    leases = crew(2, "a", "b")
    leases.next_for("a", idle=True)
    leases.next_for("a", idle=False)
    finish(leases, "a", 0)
    assert [number(task) for task in leases.lose("a")] == [1]


def test_a_stretch_that_ends_two_workers_ends_the_work() -> None:
    leases = crew(2, "a", "b", "c")
    leases.next_for("a", idle=True)
    leases.lose("a")
    assert number(leases.next_for("b", idle=True)) == 0
    with pytest.raises(DeviceError, match="at frame 0 was the end of 2 workers"):
        leases.lose("b")


def test_the_slow_worker_s_last_stretch_is_done_by_the_fast_one_as_well() -> None:
    """A GPU at 20 frames a second is idle; a CPU at 0.5 has 90 of 100 frames left: 180 s against 5."""
    leases = crew(2, "gpu", "cpu")
    leases.next_for("gpu", idle=True)
    leases.next_for("cpu", idle=True)
    leases.progress("gpu", 100, 5.0)
    leases.progress("cpu", 10, 20.0)
    finish(leases, "gpu", 0)
    assert leases.next_for("gpu", idle=False) is None  # not in advance
    assert number(leases.next_for("gpu", idle=True)) == 1
    assert leases.next_for("gpu", idle=True) is None  # not twice by the same
    assert finish(leases, "gpu", 1)
    assert leases.is_done
    assert not finish(leases, "cpu", 1)  # the slow one's comes too late


def test_a_stretch_that_is_nearly_done_is_left_to_its_worker() -> None:
    leases = crew(2, "a", "b")
    leases.next_for("a", idle=True)
    leases.next_for("b", idle=True)
    leases.progress("a", 100, 10.0)
    leases.progress("b", 80, 10.0)  # 20 frames left at 8 a second: 2.5 s; 10 s for the other one
    finish(leases, "a", 0)
    assert leases.next_for("a", idle=True) is None


def test_a_stretch_done_twice_is_lost_only_with_both() -> None:
    leases = crew(2, "gpu", "cpu")
    leases.next_for("gpu", idle=True)
    leases.next_for("cpu", idle=True)
    leases.progress("gpu", 100, 1.0)
    leases.progress("cpu", 1, 10.0)
    finish(leases, "gpu", 0)
    leases.next_for("gpu", idle=True)
    assert leases.lose("cpu") == []
    assert not leases.is_done


def test_frames_under_way_count_each_stretch_once() -> None:
    leases = crew(2, "a", "b")
    leases.next_for("a", idle=True)
    leases.next_for("b", idle=True)
    leases.progress("a", 40, 4.0)
    leases.progress("b", 7, 7.0)
    assert leases.frames_under_way == 47
    leases.progress("a", 100, 10.0)
    finish(leases, "a", 0)
    assert leases.frames_under_way == 7
    assert number(leases.next_for("a", idle=True)) == 1
    leases.progress("a", 130, 13.0)
    assert leases.frames_under_way == 30


@given(st.integers(1, 6), st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=60))
def test_whatever_happens_every_stretch_is_finished_exactly_once(
    count: int, events: list[tuple[str, int]]
) -> None:
    """Workers ask, finish and die in any order; one that never dies does the rest."""
    leases = crew(count, "a", "b", "c", "steady")
    held: dict[str, list[Task]] = {w: [] for w in leases.workers()}
    finished: list[Segment] = []

    def done(worker: str) -> None:
        task = held[worker].pop(0)
        if leases.finish(worker, task.stretch.segment, task.frames):
            finished.append(task.stretch.segment)

    for worker, action in events:
        if worker not in held:
            continue
        if action == 0:
            del held[worker]
            try:
                leases.lose(worker)
            except DeviceError:
                return
        elif action <= 3:
            if (task := leases.next_for(worker, idle=not held[worker])) is not None:
                held[worker].append(task)
        elif held[worker]:
            done(worker)
    for worker in [w for w in held if w != "steady"]:
        while held[worker]:
            done(worker)
    while (task := leases.next_for("steady", idle=True)) is not None:
        held["steady"].append(task)
        done("steady")
    assert leases.is_done
    assert sorted(s.start_pts or 0 for s in finished) == [10 * n for n in range(count)]
