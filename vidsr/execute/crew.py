"""One worker process for each device, for one job: begun, fed, listened to, and outlived.

The processes share nothing but the job's folder. This one alone decides who computes what and keeps the
journal. It knows Segments and SegmentReceipts.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType, TracebackType
from typing import Self

from vidsr.errors import DeviceError, VidsrError
from vidsr.execute.filling import Filling
from vidsr.execute.leases import Leases
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
from vidsr.execute.together import divided, working_together
from vidsr.execute.worker_process import OF_THE_TERMINAL, serve
from vidsr.job import Job, Segment
from vidsr.media.read.key_index import KeyIndex
from vidsr.pipeline import TICK_SECONDS
from vidsr.progress.events import Note, Working

SAVING_SECONDS = 10.0
"""How long workers may take to save the segments they are in when the run is stopped."""


@dataclass(eq=False)
class _Member:
    """A worker process and what is known of it."""

    device: str
    process: BaseProcess
    connection: Connection
    words: str = ""
    begun: float = 0.0
    last: Progress | None = None
    is_idle: bool = False
    is_gone: bool = False

    def tell(self, message: ToWorker) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end is noticed when it is read
            self.connection.send(message)


@dataclass
class Crew:
    """The workers of a job, from `with` to its end.

    index: of the source's frames. leased_frames: how many of them at least a stretch has.
    """

    job: Job
    devices: Sequence[str]
    index: KeyIndex
    leased_frames: int
    engine: None = None
    _members: list[_Member] = field(default_factory=list)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def words(self) -> list[str]:
        """What computes the network on each device, for people."""
        return [member.words for member in self._members]

    def close(self) -> None:
        """End all processes at once; what they have finished is on the disk."""
        for member in self._members:
            member.process.kill()
            member.process.join()
            member.connection.close()
        self._members.clear()

    def _start(self) -> None:
        """Begin all processes and wait until their networks are loaded.

        Raises the error of the first one that cannot, DeviceError if one dies.
        """
        spawn = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork
        shares = _shares_of_the_cpu(self.devices)
        with _deaf_to_interrupts(), _without_main_module():
            for device, cores in zip(self.devices, shares, strict=True):
                ours, theirs = spawn.Pipe()
                process = spawn.Process(
                    target=serve, args=(self.job, device, theirs, cores), name=f"vidsr-{device}", daemon=True
                )
                process.start()
                theirs.close()
                self._members.append(_Member(device, process, ours))
        for member in self._members:
            match self._receive(member):
                case Ready() as ready:
                    member.words = ready.words
                case Failed() as failed:
                    raise failed.error(f"in the worker on {member.device}")
                case None:
                    raise DeviceError(f"the worker on {member.device} ended before it had begun")

    def fill(self, filling: Filling, gaps: Sequence[Segment]) -> str:
        """See Party. When a worker dies or its device fails, the others take over what it had."""
        leases: Leases[_Member] = Leases(divided(self.index, filling, gaps, self.leased_frames))
        begun = time.perf_counter()
        for member in self._members:
            leases.join(member)
            member.begun = time.perf_counter()
            member.tell(Begin(filling.digest))
        try:
            while not leases.is_done:
                for member in self._heard(TICK_SECONDS):
                    self._handle(member, self._receive(member), leases, filling)
                filling.stop.raise_reason()
                filling.show(self._working(leases, filling, time.perf_counter() - begun))
        except BaseException as error:
            self._save(filling, error)
            raise
        return self._working(leases, filling, time.perf_counter() - begun).bottleneck

    def _heard(self, seconds: float) -> list[_Member]:
        """The members that have something to say, or have ended."""
        present = {member.connection: member for member in self._members if not member.is_gone}
        return [present[heard] for heard in wait(list(present), timeout=seconds) if heard in present]

    @staticmethod
    def _receive(member: _Member) -> FromWorker | None:
        """None if the process is gone."""
        try:
            message: FromWorker = member.connection.recv()
        except (EOFError, ConnectionResetError):
            return None
        return message

    def _handle(
        self, member: _Member, message: FromWorker | None, leases: Leases[_Member], filling: Filling
    ) -> None:
        match message:
            case Wanted():
                self._answer(member, leases, idle=message.waits)
            case Progress():
                member.last = message
                leases.progress(member, message.frames_written, time.perf_counter() - member.begun)
            case Done():
                receipt = message.receipt
                if leases.finish(member, receipt.segment, receipt.frames):
                    filling.keep(receipt)
                else:
                    filling.discard(receipt)
            case Failed() if message.is_local and self._others(member):
                filling.show(Note(f"{member.device} is given up: {message.message}"))
                self._lose(member, leases)
            case Failed():
                raise message.error(f"in the worker on {member.device}")
            case None:
                member.process.join(1.0)
                code = member.process.exitcode
                if not self._others(member):
                    raise DeviceError(f"the last worker, on {member.device}, died (exit code {code})")
                filling.show(Note(f"the worker on {member.device} died (exit code {code}); others take over"))
                self._lose(member, leases)
            case Ready() | Ended():
                pass

    def _answer(self, member: _Member, leases: Leases[_Member], *, idle: bool) -> None:
        task = leases.next_for(member, idle=idle)
        member.is_idle = idle and task is None
        if task is not None:
            member.tell(Lease(task.stretch))
        elif not idle:
            member.tell(NothingNow())  # an idle one waits until there is something again

    def _lose(self, member: _Member, leases: Leases[_Member]) -> None:
        member.is_gone = True
        leases.lose(member)
        for other in self._members:
            if other.is_idle and not other.is_gone:
                self._answer(other, leases, idle=True)

    def _others(self, member: _Member) -> bool:
        return any(not other.is_gone for other in self._members if other is not member)

    def _save(self, filling: Filling, error: BaseException) -> None:
        """Let every worker finish the segment it is in where it stands, and keep what comes."""
        filling.announce_saving(error)
        for member in self._members:
            member.tell(Stop())
        deadline = time.monotonic() + SAVING_SECONDS
        while time.monotonic() < deadline and any(not member.is_gone for member in self._members):
            for member in self._heard(TICK_SECONDS):
                match self._receive(member):
                    case Done() as done:
                        with contextlib.suppress(VidsrError):  # the first error counts
                            filling.keep_if_new(done.receipt)
                    case None | Ended() | Failed():
                        member.is_gone = True

    def _working(self, leases: Leases[_Member], filling: Filling, elapsed: float) -> Working:
        reports = [m.last for m in self._members if m.last is not None and not m.is_gone]
        return working_together(reports, filling.frames + leases.frames_under_way, elapsed)


def _shares_of_the_cpu(devices: Sequence[str]) -> list[frozenset[int] | None]:
    """Cores for each worker: those that compute on the CPU divide it, so that they do not fight for it."""
    on_cpu = [number for number, device in enumerate(devices) if device == "cpu"]
    shares: list[frozenset[int] | None] = [None] * len(devices)
    if len(on_cpu) > 1 and hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        for turn, number in enumerate(on_cpu):
            shares[number] = frozenset(cores[turn :: len(on_cpu)]) or None
    return shares


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Processes begun in here do not run the program's main script again.

    multiprocessing does that so that functions of the script can be found; ours are not there, and a script
    that does not guard its last lines would begin the whole job once more in every worker.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes begun in here ignore the terminal's signals from the first: being ignored is inherited."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # None: a handler in C, of the program that Python is embedded in
    ours = [number for number in OF_THE_TERMINAL if signal.getsignal(number) is not None]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
