"""A worker in a process of its own: it asks for stretches, computes them, and reports.

The process's main thread alone receives. It ends when it is told to, or when nobody listens any more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from queue import SimpleQueue

from vidsr.channel import StopSignal
from vidsr.errors import DeviceError, InterruptedByUser, ToolMissingError, VidsrError
from vidsr.execute.messages import (
    Begin,
    Done,
    Ended,
    Failed,
    FromWorker,
    Lease,
    NothingNow,
    Progress,
    Ready,
    Stop,
    ToWorker,
    Wanted,
)
from vidsr.execute.worker import SegmentWorker
from vidsr.job import Job, SegmentReceipt
from vidsr.media.read.segment_reader import Stretch
from vidsr.pipeline import Snapshot
from vidsr.segments.workspace import Workspace

PROGRESS_SECONDS = 0.3

OF_THE_TERMINAL = [signal.SIGINT]
"""Signals that reach every process begun in a terminal: Ctrl+C, its end. The parent decides what follows."""
if sys.platform != "win32":
    OF_THE_TERMINAL.append(signal.SIGHUP)


def serve(job: Job, device: str, connection: Connection, cores: frozenset[int] | None) -> None:
    """The life of a worker. cores: to stay on, None = all (other workers may compute on the same CPU)."""
    for number in OF_THE_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    process = _Process(job, connection)
    try:
        process.live(device)
        process.send(Ended())
    except InterruptedByUser:
        process.send(Ended())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody wants anything of this any more
    except VidsrError as error:
        is_local = isinstance(error, DeviceError | ToolMissingError)
        process.send(Failed(type(error).__name__, error.message, error.hint, is_local))
    except Exception as error:
        process.send(Failed(type(error).__name__, str(error), None, is_local=True))
        raise  # to standard error, with its traceback: it is a bug


class _Process:
    def __init__(self, job: Job, connection: Connection) -> None:
        self._job, self._connection = job, connection
        self._sending = threading.Lock()
        self._stop = StopSignal()
        self._stretches: SimpleQueue[Stretch | None] = SimpleQueue()
        self._digest = ""
        self._written_before = 0
        self._last_report = 0.0

    def send(self, message: FromWorker) -> None:
        """From any thread."""
        with self._sending:
            self._connection.send(message)

    def live(self, device: str) -> None:
        worker = SegmentWorker(self._job, device, self._stop)
        # whoever waits for a stretch when the run ends must not wait for ever
        self._stop.subscribe(lambda: self._stretches.put(None))
        self.send(Ready(worker.words))
        new_file = Workspace(self._job.output).new_file
        while (first := self._next_to_do()) is not None:
            end = worker.run(
                self._following(first),
                digest=self._digest,
                new_file=new_file,
                on_finished=self._report_segment,
                on_tick=self._tick,
            )
            self._written_before += end.frames_written

    def _next_to_do(self) -> Stretch | None:
        """Wait for a stretch; None when there will be none any more."""
        if self._digest:
            self.send(Wanted(waits=True))
        while True:
            message: ToWorker = self._connection.recv()
            match message:
                case Begin():
                    self._digest = message.digest
                    self.send(Wanted(waits=True))
                case Lease():
                    return message.stretch
                case Stop():
                    return None
                case NothingNow():
                    continue

    def _following(self, first: Stretch) -> Iterator[Stretch]:
        """Stretches for the decoding thread, asked for one at a time, as long as there are any at once."""
        stretch: Stretch | None = first
        while stretch is not None:
            yield stretch
            self.send(Wanted(waits=False))
            stretch = self._stretches.get()

    def _tick(self, snapshot: Snapshot) -> None:
        while self._connection.poll():
            message: ToWorker = self._connection.recv()
            match message:
                case Lease():
                    self._stretches.put(message.stretch)
                case NothingNow():
                    self._stretches.put(None)
                case Stop():
                    raise InterruptedByUser("stopped")
                case Begin():
                    continue
        if time.monotonic() - self._last_report >= PROGRESS_SECONDS:
            self._last_report = time.monotonic()
            self.send(Progress.of(snapshot, written_before=self._written_before))

    def _report_segment(self, receipt: SegmentReceipt) -> None:
        self.send(Done(receipt))
