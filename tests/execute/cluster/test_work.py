"""Answers of a cluster's workers, put on record whenever a signal comes; Ray itself is a stand-in here."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from vidsr.errors import ToolMissingError
from vidsr.execute.cluster.orders import Answer, Piece
from vidsr.execute.cluster.work import Work
from vidsr.execute.leases import Task
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.read.segment_reader import Stretch

SEGMENT = Segment(0, 100)
RECEIPT = SegmentReceipt(SEGMENT)


def remote(result: Any) -> Any:
    """A method of an actor, or a task, that is done at once."""
    future: Future[Any] = Future()
    future.set_result(result)
    return SimpleNamespace(remote=lambda *_: SimpleNamespace(future=lambda: future))


class InterruptedOnce:
    """What is kept of a filling; a signal comes just before the first segment is on record."""

    def __init__(self) -> None:
        self.receipts: list[SegmentReceipt] = []
        self.frames = 0
        self.interrupted = False

    def keep(self, receipt: SegmentReceipt) -> None:
        if not self.interrupted:
            self.interrupted = True
            raise KeyboardInterrupt
        self.receipts.append(receipt)

    keep_if_new = keep

    def show(self, event: object) -> None:
        pass

    def announce_saving(self, error: BaseException) -> None:
        pass


def test_an_answer_that_a_signal_meets_half_way_is_kept() -> None:
    filling: Any = InterruptedOnce()
    board = SimpleNamespace(leave=remote(None), stop=remote([]), under_way=remote({}))
    order: Any = SimpleNamespace(board=board)
    roster: Any = SimpleNamespace(task=lambda _: remote(Answer("host", "node", pieces=(Piece(RECEIPT),))))
    ray = SimpleNamespace(exceptions=SimpleNamespace(RayError=ValueError, RayTaskError=KeyError))
    with pytest.raises(KeyboardInterrupt):
        Work(ray, roster, None, order, filling).complete([Task(Stretch(SEGMENT), 0)])
    assert filling.receipts == [RECEIPT]


def test_what_one_node_lacks_is_left_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra ray is not installed")
    from vidsr.execute.cluster import node

    def lacking(_: object) -> None:
        raise ToolMissingError("--backend openvino needs OpenVINO", "install it")

    monkeypatch.setattr(node, "_bench", lacking)
    monkeypatch.setattr(node, "_answer", lambda: Answer("host", "node"))
    order: Any = None
    failure = node.introduce(order).failure
    assert failure is not None
    assert (failure.kind, failure.is_local) == ("ToolMissingError", True)
