"""The processes that measure: answers, errors and deaths come back, and none is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from vidsr.bench.candidates import Way
from vidsr.bench.worker import Worker
from vidsr.errors import VidsrError


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_error_is_answered_and_the_worker_lives_on(tmp_path: Path) -> None:
    way = Way("cpu", "torch", "fp32")
    with Worker("a model that is none") as worker:
        for _ in range(2):
            with pytest.raises(VidsrError) as caught:
                worker.ask("open", model="realesr-animevideo", way=way, clip=tmp_path / "none.mkv")
            assert "realesr-animevideo" in caught.value.message
            assert "realesr-animevideov3" in str(caught.value.hint)
        ceiling = worker.ask("ceiling", device="cpu", precision="fp32", seconds=0.0)
        assert ceiling.flops_rate > 1e8
        process_id = worker._process.pid
    assert not is_alive(process_id)


@pytest.mark.skipif(os.name == "nt", reason="signals are told by POSIX systems")
def test_a_worker_killed_by_the_system_is_named_with_the_likely_reason() -> None:
    with Worker("a giant") as worker:
        os.kill(worker._process.pid, signal.SIGKILL)
        with pytest.raises(VidsrError, match=r"a giant was ended by signal 9, .* memory"):
            worker.ask("memory")


def test_no_worker_is_left_behind_by_an_interrupt() -> None:
    worker = Worker("an interrupted one")
    with pytest.raises(KeyboardInterrupt), worker:
        raise KeyboardInterrupt
    assert not is_alive(worker._process.pid)
