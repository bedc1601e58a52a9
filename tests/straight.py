"""A job from beginning to end in one go: what every other way of running it is measured by."""

from __future__ import annotations

from vidsr.channel import StopSignal
from vidsr.execute.local import run_straight
from vidsr.execute.prepare import open_engine, prepare
from vidsr.job import Job, Receipt
from vidsr.progress.events import Show


def run_job(job: Job, *, show: Show, stop: StopSignal | None = None) -> Receipt:
    """show: called in this thread with every event. Raises what a run raises."""
    stop = stop or StopSignal()
    prepared = prepare(job, show)
    return run_straight(prepared, open_engine(prepared, prepared.devices[0], stop), show=show, stop=stop)
