"""What runs on the nodes of a cluster: the functions that Ray calls in its worker processes.

A process loads the network once for a job and keeps it for every segment after. It needs nothing but
vidsr itself; files it cannot see are received.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import ray

from vidsr import __version__
from vidsr.channel import StopSignal
from vidsr.errors import (
    ClusterError,
    DeviceError,
    InterruptedByUser,
    OutputError,
    ToolMissingError,
    VidsrError,
)
from vidsr.execute.cluster.files import NeededFile, own_folder, receive
from vidsr.execute.cluster.orders import Answer, Order, Piece
from vidsr.execute.identity import without_number
from vidsr.execute.messages import Failed, Progress
from vidsr.execute.worker import SegmentWorker
from vidsr.execute.worker_process import PROGRESS_SECONDS
from vidsr.job import SegmentReceipt
from vidsr.media.read.segment_reader import Stretch
from vidsr.pipeline import Snapshot
from vidsr.segments.workspace import Workspace

_OTHER_NODES_MAY_DO_BETTER = (DeviceError, ToolMissingError, OutputError, ClusterError)


class _FilesMissingError(VidsrError):
    """This machine does not see the job's files, and they have not been sent along."""


class Bench:
    """One job's network in this process."""

    def __init__(self, order: Order) -> None:
        """Raises a VidsrError if the job cannot be worked on here."""
        if order.version != __version__:
            raise ClusterError(f"vidsr is {__version__} here, not {order.version}")
        self.token, self.gpus = order.token, _assigned_gpus()
        self._folder: Path | None = None
        source = self._locate(order.source)
        weights = None if order.weights is None else self._locate(order.weights)
        job = replace(order.job, source=source, weights=weights)
        self._worker = SegmentWorker(job, order.kind, StopSignal())
        self.engine = without_number(self._worker.words)
        if self._worker.network != order.network:
            raise ClusterError("the weights are others here", "pass --weights FILE: the file is sent along")
        if order.engine and self.engine != order.engine:
            raise ClusterError(
                f"it would be computed by {self.engine} here, by {order.engine} elsewhere",
                "pass a --backend and a --precision that all nodes have (torch, fp32)",
            )

    def compute(self, order: Order, stretch: Stretch) -> tuple[Piece, ...]:
        """A stretch as one segment, or as much of it as was done when the job was stopped."""
        output = Workspace(order.job.output)
        is_shared = (output.folder / order.beacon).is_file()
        pieces: list[Piece] = []

        def new_file(start: int | None) -> Path:
            path = output.new_file(start)
            return path if is_shared else self._own_folder() / path.name

        def keep(receipt: SegmentReceipt) -> None:
            content = None
            if receipt.file and not is_shared:
                path = self._own_folder() / receipt.file
                content = path.read_bytes()
                path.unlink()
            pieces.append(Piece(receipt, content))

        try:
            self._worker.run(
                [stretch],
                digest=order.digest,
                new_file=new_file,
                on_finished=keep,
                on_tick=_reporting(order.board, stretch.first_index),
            )
        except InterruptedByUser:
            forget()  # a worker that was stopped is stopped for good
        except BaseException:
            forget()
            raise
        return tuple(pieces)

    def close(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _own_folder(self) -> Path:
        if self._folder is None:
            self._folder = own_folder(self.token)
        return self._folder

    def _locate(self, file: NeededFile) -> Path:
        if file.is_here():
            return file.path
        if file.parts is None:
            raise _FilesMissingError(f"{file.path} is not here")
        return receive(file, self._own_folder(), (ray.get(part) for part in file.parts))


_present: dict[str, Bench] = {}
"""This process's bench, by the token of its run; at most one."""


def forget() -> None:
    """Close this process's bench."""
    for bench in _present.values():
        bench.close()
    _present.clear()


def introduce(order: Order) -> Answer:
    """Load the network and say what computes it."""
    return _answered(order, lambda bench: ())


def run_segment(order: Order, stretch: Stretch) -> Answer:
    """Compute one stretch as one segment."""
    if ray.get(order.board.report.remote(stretch.first_index, None)):
        return _answer()  # the job was stopped before this one's turn came
    return _answered(order, lambda bench: bench.compute(order, stretch))


def _answered(order: Order, work: Callable[[Bench], tuple[Piece, ...]]) -> Answer:
    try:
        bench = _bench(order)
        return replace(_answer(), engine=bench.engine, pieces=work(bench))
    except _FilesMissingError:
        return replace(_answer(), lacks_files=True)
    except VidsrError as error:
        is_local = isinstance(error, _OTHER_NODES_MAY_DO_BETTER)
        return replace(
            _answer(), failure=Failed(type(error).__name__, error.message, error.hint, is_local=is_local)
        )


def _bench(order: Order) -> Bench:
    bench = _present.get(order.token)
    if bench is None:
        forget()
        bench = _present[order.token] = Bench(order)
    elif bench.gpus != _assigned_gpus():
        # CUDA is bound to the GPU it was begun with; Ray runs the task again in a new process
        os._exit(1)
    return bench


def _answer() -> Answer:
    return Answer(socket.gethostname(), ray.get_runtime_context().get_node_id())


def _assigned_gpus() -> list[str]:
    return [str(name) for name in ray.get_runtime_context().get_accelerator_ids().get("GPU", [])]


def _reporting(board: Any, stretch: int) -> Callable[[Snapshot], None]:
    """Tells the board how far the stretch is, and raises InterruptedByUser when the board says stop."""
    last = 0.0
    told: Any = None

    def tick(snapshot: Snapshot) -> None:
        nonlocal last, told
        if told is not None:
            if not ray.wait([told], timeout=0)[0]:
                return
            if _is_to_stop(told):
                raise InterruptedByUser("stopped")
            told = None
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            told = board.report.remote(stretch, astuple(Progress.of(snapshot)))

    return tick


def _is_to_stop(told: Any) -> bool:
    try:
        return bool(ray.get(told))
    except ray.exceptions.RayError:
        return True  # nobody is there any more who wants anything of this
