"""A job's stretches as tasks on a Ray cluster: handed over all at once, received as they are finished.

Where a task runs, and that it runs again when its node or process dies, is Ray's business. This process
alone keeps the journal. The main thread never waits inside Ray, so that signals are heard at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from vidsr.durable import write_whole
from vidsr.errors import ClusterError, DamagedSegmentError, VidsrError
from vidsr.execute.cluster.files import NeededFile
from vidsr.execute.cluster.orders import Answer, Order, Piece
from vidsr.execute.cluster.roster import RETRIES, Roster
from vidsr.execute.crew import SAVING_SECONDS
from vidsr.execute.filling import Filling
from vidsr.execute.leases import MAX_DEATHS, Task
from vidsr.execute.messages import Failed, Progress
from vidsr.execute.together import working_together
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.write.packet_file import checked_digest
from vidsr.pipeline import TICK_SECONDS
from vidsr.progress.events import Note, Show, Working


@dataclass
class Work:
    """One filling under way. function: what a task runs, given an Order and a Stretch; it gives an Answer."""

    ray: Any
    roster: Roster
    function: Any
    order: Order
    filling: Filling
    _under_way: dict[Future[Any], Task] = field(default_factory=dict)
    _failures: dict[Segment, int] = field(default_factory=dict)
    _reports: dict[int, Progress] = field(default_factory=dict)
    _asked: Future[Any] | None = None
    _begun: float = field(default_factory=time.perf_counter)

    def complete(self, tasks: Sequence[Task]) -> str:
        """Have all tasks done; gives the stage that waited least. Raises what ended the work."""
        try:
            for task in tasks:
                self._submit(task)
            while self._under_way:
                self._receive()
                self.filling.stop.raise_reason()
                self._hear_reports()
                self.roster.look()
                self.filling.show(self._state())
        except BaseException as error:
            self._save(error)
            raise
        return self._state().bottleneck

    def _submit(self, task: Task) -> None:
        reference = self.roster.task(self.function).remote(self.order, task.stretch)
        self._under_way[reference.future()] = task

    def _receive(self) -> None:
        """Wait a moment for whatever is finished next, and put it on record."""
        done, _ = wait(self._under_way, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            task = self._under_way[future]
            self.order.board.leave.remote(task.stretch.first_index)
            answer = answer_of(future, self.ray)
            if answer is None:
                raise ClusterError(
                    f"the segment at frame {task.stretch.first_index} was the end of {RETRIES + 1} workers",
                    "run it on this machine to see why: leave --ray out",
                )
            self._handle(task, answer)
            del self._under_way[future]  # not earlier: a signal may come between, and `_save` looks here

    def _handle(self, task: Task, answer: Answer) -> None:
        if answer.lacks_files:
            why = f"the job's files are not there on {answer.host}"
            self.order = carrying(self.order, self.ray, why, self.filling.show)
            self._submit(task)
        elif answer.failure is not None:
            self._failed(task, answer, answer.failure)
        else:
            for piece in answer.pieces:
                self.filling.keep(self._stored(piece))

    def _failed(self, task: Task, answer: Answer, failure: Failed) -> None:
        """Try elsewhere what only this machine may have failed in."""
        segment = task.stretch.segment
        self._failures[segment] = self._failures.get(segment, 0) + 1
        has_others = self.roster.has_others_than(answer.node)
        if not failure.is_local or not has_others or self._failures[segment] >= MAX_DEATHS:
            for piece in answer.pieces:
                self.filling.keep_if_new(self._stored(piece))
            raise failure.error(f"on node {answer.host}")
        self.roster.give_up(answer.node, answer.host, failure.message)
        for piece in answer.pieces:
            if piece.content is None:
                self.filling.discard(piece.receipt)
        self._submit(task)

    def _stored(self, piece: Piece) -> SegmentReceipt:
        """Put a segment's file where it belongs, if it is not there. Raises DamagedSegmentError."""
        receipt = piece.receipt
        if receipt.file:
            path = self.filling.workspace.path(receipt)
            if piece.content is not None:
                write_whole(path, piece.content, "write a segment")
            if checked_digest(path) != receipt.sha256:
                raise DamagedSegmentError(f"segment {path} arrived damaged")
        return receipt

    def _hear_reports(self) -> None:
        """Ask the board how far everybody is."""
        if self._asked is None:
            self._asked = self.order.board.under_way.remote().future()
        elif self._asked.done():
            with contextlib.suppress(self.ray.exceptions.RayError):
                reports = self._asked.result().items()
                self._reports = {stretch: Progress(*told) for stretch, told in reports if told is not None}
            self._asked = None

    def _save(self, error: BaseException) -> None:
        """Let every worker finish the segment it is in where it stands, and keep what comes."""
        self.filling.announce_saving(error)
        deadline = time.monotonic() + SAVING_SECONDS
        try:
            busy = set(self.order.board.stop.remote().future().result(timeout=SAVING_SECONDS))
        except (self.ray.exceptions.RayError, TimeoutError):
            return  # the cluster is gone
        waited = {f: t for f, t in self._under_way.items() if f.done() or t.stretch.first_index in busy}
        while waited and time.monotonic() < deadline:
            done, _ = wait(waited, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                del waited[future]
                answer = answer_of(future, self.ray)
                for piece in () if answer is None else answer.pieces:
                    with contextlib.suppress(VidsrError):  # the first error counts
                        self.filling.keep_if_new(self._stored(piece))

    def _state(self) -> Working:
        open_stretches = {task.stretch.first_index for task in self._under_way.values()}
        reports = [report for stretch, report in self._reports.items() if stretch in open_stretches]
        frames = self.filling.frames + sum(report.frames_written for report in reports)
        return working_together(reports, frames, time.perf_counter() - self._begun)


def answer_of(future: Future[Any], ray: Any) -> Answer | None:
    """What came of a task; None if Ray gave up: too many processes or nodes have died of it.

    An error nobody foresaw counts as one of the machine's.
    """
    try:
        answer: Answer = future.result()
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        name = type(cause).__name__
        return Answer("a node", "", failure=Failed(name, f"{name}: {cause}", None, is_local=True))
    except ray.exceptions.RayError:
        return None
    return answer


def carrying(order: Order, ray: Any, why: str, show: Show) -> Order:
    """The order with the job's files in the object store, for nodes that do not see them. why: for people."""
    if order.source.parts is not None:
        return order
    show(Note(f"{why}: they are sent through Ray"))

    def sent(file: NeededFile) -> NeededFile:
        return replace(file, parts=tuple(ray.put(part) for part in file.contents()))

    weights = None if order.weights is None else sent(order.weights)
    return replace(order, source=sent(order.source), weights=weights)
