"""Runs a job in this process, in one go: joins its parts to a pipeline and shows what happens."""

from __future__ import annotations

import time

from vidsr.channel import StopSignal
from vidsr.execute.flow import CheckedWriter, open_run
from vidsr.execute.outcome import finished, receipt_of, working
from vidsr.execute.prepare import Engine, Prepared
from vidsr.execute.proof import prove, publish
from vidsr.job import Receipt
from vidsr.media.read.segment_reader import Stretch
from vidsr.progress.events import Note, Show


def run_straight(prepared: Prepared, engine: Engine, *, show: Show, stop: StopSignal) -> Receipt:
    """Write the output directly: nothing of it is kept if the run ends early."""
    job = prepared.job
    with prepared.open_writer() as writer:
        show(prepared.started(engine.words))
        for text in (*prepared.notes, *prepared.loaded.notes, *writer.notes):
            show(Note(text))
        begun = time.perf_counter()
        source = prepared.open_source([Stretch(prepared.frames_segment)], length=None, stop=stop)
        run = open_run(prepared, engine, source, CheckedWriter(job, source, writer), stop)
        run.start()
        end = run.join(lambda snapshot: show(working(snapshot, engine)))
        damage = source.damage_in(prepared.frames_segment)
        elapsed = time.perf_counter() - begun
        proof = prove(prepared, writer, (*damage, *writer.damage), show, stop)
        publish(writer, show)

    receipt = receipt_of(writer, frames_read=end.frames_decoded, elapsed_seconds=elapsed, damage=proof.damage)
    show(finished(receipt, end.bottleneck, engine, verified=proof.verified))
    return receipt
