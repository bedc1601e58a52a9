"""Whole videos: one call that waits, or a run in a thread of its own whose events are iterated over.

It knows Jobs, events and Receipts; what happens in between is `execute`'s. Nothing here prints, and signals
are left as they are.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, Unpack

from vidsr.api.arguments import whole
from vidsr.api.options import FilePath, Options, check_resume, make_job
from vidsr.channel import Stopped, StopSignal
from vidsr.errors import InterruptedByUser, UsageError
from vidsr.execute.resumable import run_resumable
from vidsr.job import Job, Receipt, Resume
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.write.standard_streams import STANDARD
from vidsr.progress.events import Event, Fetching, Joining, Show, Working

LOOK_UP_SECONDS = 0.2
"""How often a waiting consumer wakes, where the system cannot interrupt a wait that has no end."""


def upscale(
    source: FilePath,
    output: FilePath,
    *,
    on_event: Show | None = None,
    resume: Resume = "auto",
    segment_frames: int | None = None,
    **options: Unpack[Options],
) -> Receipt:
    """Upscale a video; returns when the output is there, whole and verified.

    on_event: called in this thread with every event of `vidsr.progress`, `Working` ten times a second; what
    it raises ends the run and is raised here.
    resume: "auto" continues what an earlier call with the same options left unfinished; "restart" throws
    that away first; "never" writes the output in one go and keeps nothing.
    segment_frames: frames after which a piece is safe; None = scene by scene.
    options: see `vidsr.api.options.Options`.

    Raises a VidsrError for whatever cannot be done, TypeError for arguments of a wrong type, and
    KeyboardInterrupt on Ctrl+C, when what is finished has been saved. The output never exists half: what is
    finished waits in a folder beside it.
    """
    job = _job(source, output, options)
    try:
        return upscale_job(
            job,
            on_event=on_event or _ignore,
            resume=resume,
            segment_frames=segment_frames,
            command=_call("upscale", source, output, resume, segment_frames, options),
        )
    except InterruptedByUser as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # lest `except VidsrError` swallow it
            raise KeyboardInterrupt(error.message) from error
        raise


def _job(source: FilePath, output: FilePath, options: Options) -> Job:
    job = make_job(source, output, **options)
    if job.source == STANDARD:
        raise UsageError("standard input is read by the command alone", "name a file")
    return job


def upscale_job(
    job: Job,
    *,
    on_event: Show,
    resume: Resume = "auto",
    segment_frames: int | None = None,
    stop: StopSignal | None = None,
    command: str | None = None,
) -> Receipt:
    """The same for a Job: what the command line calls, and everything here.

    command: what continues the job, for people; None = this process's command line. Raises as run_resumable.
    """
    segment_frames = whole("segment_frames", segment_frames)
    if segment_frames is not None and segment_frames < 1:
        raise UsageError(f"segment_frames is {segment_frames}", "it is at least 1")
    check_resume(resume, job.ray)
    length = None if segment_frames is None else SegmentLength(segment_frames, segment_frames)
    return run_resumable(job, show=on_event, stop=stop, resume=resume, length=length, command=command)


def run(
    source: FilePath,
    output: FilePath,
    *,
    resume: Resume = "auto",
    segment_frames: int | None = None,
    **options: Unpack[Options],
) -> Run:
    """Begin to upscale a video in a thread of its own, and give its events; arguments as `upscale`'s.

        with vidsr.run("in.mkv", "out.mkv", height=1080) as run:
            for event in run:
                print(event)
        receipt = run.result()

    Raises UsageError for options that contradict each other; everything else is raised by the Run.
    """
    job = _job(source, output, options)
    command = _call("run", source, output, resume, segment_frames, options)

    def work(show: Show, stop: StopSignal) -> Receipt:
        return upscale_job(
            job, on_event=show, resume=resume, segment_frames=segment_frames, stop=stop, command=command
        )

    return Run(work)


class Run(Iterator[Event]):
    """A video being upscaled: iterate over it for its events, ask `result` for its Receipt.

    The work does not wait for whoever iterates: of events that replace each other (Working, Fetching,
    Joining) a slow consumer gets the latest. `close`, the end of a `with` block, dropping the Run or ending
    the program stops the work: the segment it is in is finished, and the same call continues there.
    """

    def __init__(self, work: Callable[[Show, StopSignal], Receipt]) -> None:
        """work: does everything, calling the first argument with events until the second is set."""
        self._stop = StopSignal()
        self._course = _Course()
        self._thread = threading.Thread(
            target=self._course.follow, args=(work, self._stop), name="vidsr-run", daemon=True
        )
        # Also called when the interpreter ends, before daemon threads are cut off.
        self._end = weakref.finalize(self, _end, self._stop, self._thread)
        self._has_raised = self._is_closed = False
        self._thread.start()

    def __next__(self) -> Event:
        """The next event, waited for. Raises once what ended the work, if it ended badly."""
        event = self._course.next_event()
        if event is not None:
            return event
        if self._course.error is not None and not self._has_raised and not self._is_closed:
            self._has_raised = True
            raise self._course.error
        raise StopIteration

    def result(self) -> Receipt:
        """Wait for the end; events that come meanwhile are dropped. Raises what ended the work."""
        while self._course.next_event() is not None:
            pass
        self._thread.join()
        if self._course.receipt is None:
            self._has_raised = True
            assert self._course.error is not None
            raise self._course.error
        return self._course.receipt

    def close(self) -> None:
        """Stop the work if it is not done, and wait until what is finished is saved. No error is raised."""
        self._is_closed = True
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Course:
    """What happens in the thread: events, then an end. It must not know the Run: that is to be dropped."""

    def __init__(self) -> None:
        self.receipt: Receipt | None = None
        self.error: BaseException | None = None
        self._events: deque[Event] = deque()
        self._is_over = False
        self._changed = threading.Condition()

    def follow(self, work: Callable[[Show, StopSignal], Receipt], stop: StopSignal) -> None:
        try:
            self.receipt = work(self._put, stop)
        except Stopped:
            self.error = stop.reason
        except BaseException as error:  # noqa: BLE001 (handed to whoever iterates, who raises it)
            self.error = error
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _put(self, event: Event) -> None:
        with self._changed:
            replaces = isinstance(event, Working | Joining | Fetching)
            if replaces and self._events and type(self._events[-1]) is type(event):
                self._events.pop()
            self._events.append(event)
            self._changed.notify_all()

    def next_event(self) -> Event | None:
        """None when there will be none any more."""
        with self._changed:
            while not self._events and not self._is_over:
                self._changed.wait(LOOK_UP_SECONDS)
            return self._events.popleft() if self._events else None


def _end(stop: StopSignal, thread: threading.Thread) -> None:
    if thread.is_alive():
        stop.set(InterruptedByUser("stopped"))
    # Garbage may be collected in one of the threads that the work itself waits for: that one must not wait.
    if not threading.current_thread().name.startswith("vidsr-"):
        thread.join()


def _call(
    name: str,
    source: FilePath,
    output: FilePath,
    resume: Resume,
    segment_frames: int | None,
    options: Options,
) -> str:
    """The call in Python, for `vidsr jobs`."""
    plain = {
        key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in options.items()
    }
    words = [f"{key}={value!r}" for key, value in plain.items()]
    if resume == "never":
        words.append("resume='never'")
    if segment_frames is not None:
        words.append(f"segment_frames={segment_frames}")
    return f"vidsr.{name}({', '.join([repr(os.fspath(source)), repr(os.fspath(output)), *words])})"


def _ignore(_event: Event) -> None:
    pass
