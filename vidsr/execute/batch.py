"""A queue of jobs, one after the other: what fails is noted, and the next one begun.

It knows jobs and what came of them, never how one is run: that is handed in.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vidsr.errors import DeviceFailedError, InterruptedByUser, NoSpaceError, UnknownNameError, VidsrError
from vidsr.job import Job, Receipt
from vidsr.media.read.probe import probe
from vidsr.progress.events import Failed, NextInQueue, Show, show_at_the_end
from vidsr.segments.workspace import clear_up

Outcome = Literal["done", "skipped", "failed"]

ENDS_ALL = (InterruptedByUser, NoSpaceError, UnknownNameError)
"""What would end every job to come as well: the user's wish, a full disk, a model or encoder nobody knows."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of one job of a queue. receipt: of one that was done. error: of one that failed."""

    job: Job
    outcome: Outcome
    receipt: Receipt | None = None
    error: VidsrError | None = None


def run_batch(jobs: Sequence[Job], run: Callable[[Job], Receipt], *, show: Show) -> Iterator[JobResult]:
    """Run the jobs in order, each when the result of the one before was taken.

    Jobs whose output is there when it is their turn are skipped, unless they are to overwrite it. run: does
    one job and shows its events. show: gets NextInQueue before each, and Failed behind one that failed or was
    interrupted. A job's VidsrError ends that job only.

    Raises what ENDS_ALL names; what the jobs before have made stays.
    """
    to_do = [job.overwrite or not job.output.exists() for job in jobs]
    for job, wanted in zip(jobs, to_do, strict=True):
        if not wanted:
            clear_up(job.output)
    frames = [_frames(job) if wanted else 0 for job, wanted in zip(jobs, to_do, strict=True)]
    failures = 0
    for number, (job, wanted) in enumerate(zip(jobs, to_do, strict=True)):
        if not wanted or _is_made_meanwhile(job):
            yield JobResult(job, "skipped")
            continue
        total = None if None in frames else sum(count or 0 for count in frames)
        ahead = sum(count or 0 for count in frames[:number])
        show(NextInQueue(number + 1, len(jobs), str(job.source), ahead, total, failures))
        try:
            receipt = run(job)
        except ENDS_ALL as error:
            show_at_the_end(show, Failed(str(job.source), error.message, error.hint))
            raise
        except VidsrError as error:
            failures += 1
            _let_go(error)
            show(Failed(str(job.source), error.message, error.hint))
            frames[number] = 0  # nothing more will come of it
            yield JobResult(job, "failed", error=error)
        else:
            frames[number] = receipt.frames_written
            yield JobResult(job, "done", receipt)


def _let_go(failure: VidsrError) -> None:
    """Of what was under way where an error arose nothing stays with it: networks, frames, open files.

    But for a device that failed, whose memory must not be given back (see `pipeline`).
    """
    chain: list[BaseException] = []
    error: BaseException | None = failure
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    if any(isinstance(error, DeviceFailedError) for error in chain):
        return
    for error in chain:
        traceback.clear_frames(error.__traceback__)


def _is_made_meanwhile(job: Job) -> bool:
    """Whether another batch in the same folder, say, was there first."""
    if job.overwrite or not job.output.exists():
        return False
    clear_up(job.output)
    return True


def _frames(job: Job) -> int | None:
    """How many frames the wanted part is said to have; 0 of one that cannot be opened: its job says why."""
    try:
        info = probe(job.source, allow_network=job.allow_network)
    except VidsrError:
        return 0
    count, wish = info.frame_count_estimate, job.range
    if count is None or wish.is_whole:
        return count
    first, last = wish.first_frame or 0, wish.last_frame
    if wish.start is not None or wish.end is not None:
        rate = info.frames_a_second
        if rate is None:
            return None
        first = round((wish.start or 0) * rate)
        last = None if wish.end is None else round(wish.end * rate)
    return max(0, (count if last is None else min(count, last)) - first)
