"""Runs a job in this process, in one go: joins its parts to a pipeline and shows what happens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from vidsr.channel import StopSignal
from vidsr.errors import DamagedSourceError, SourceError
from vidsr.execute.prepare import Engine, Prepared, open_engine, prepare
from vidsr.execute.proof import prove
from vidsr.frames import Frame
from vidsr.infer.picture import Picture
from vidsr.job import Job, Receipt, Segment
from vidsr.media.damage import Damage
from vidsr.media.filtered_reader import FilteredReader
from vidsr.media.segment_reader import SegmentReader, Stretch
from vidsr.media.writer import Writer
from vidsr.pipeline import FrameSink, FrameSource, Run, Snapshot
from vidsr.progress.events import Finished, Note, Reused, Show, Working

QUEUE_BYTES = 512 * 2**20
"""What the queue of upscaled frames may hold: a hiccup of the encoder is bridged, memory stays flat."""
QUEUE_FRAMES = (3, 24)
"""Its bounds in frames: three keep the stages apart even at 8K, past 24 nothing more is gained."""


def run_job(job: Job, *, show: Show, stop: StopSignal | None = None) -> Receipt:
    """Do everything the job asks for, from beginning to end in one go.

    show: called in this thread with every event. Raises a VidsrError for whatever cannot be done; the
    output exists under its name only if this returns.
    """
    stop = stop or StopSignal()
    prepared = prepare(job, show)
    return run_straight(prepared, open_engine(prepared, prepared.devices[0], stop), show=show, stop=stop)


def run_straight(prepared: Prepared, engine: Engine, *, show: Show, stop: StopSignal) -> Receipt:
    """Write the output directly: nothing of it is kept if the run ends early."""
    job = prepared.job
    with prepared.open_writer() as writer:
        show(prepared.started(engine.words))
        for text in (*prepared.notes, *prepared.loaded.notes, *writer.notes):
            show(Note(text))
        begun = time.perf_counter()
        source = prepared.open_source([Stretch(prepared.frames_segment)], length=None, stop=stop)
        run = open_run(prepared, engine, source, Audited(job, source, writer), stop)
        run.start()
        end = run.join(lambda snapshot: show(working(snapshot, engine)))
        damage = source.damage_in(prepared.frames_segment)
        elapsed = time.perf_counter() - begun
        proof = prove(prepared, writer, (*damage, *writer.damage), show)
        writer.publish()

    assert writer.written is not None
    receipt = Receipt(
        output=job.output,
        frames_read=end.frames_decoded,
        frames_written=end.frames_written,
        first_pts=writer.written.first_pts,
        last_pts=writer.written.last_pts,
        size_bytes=writer.written.size_bytes,
        elapsed_seconds=elapsed,
        damage=tuple(str(entry) for entry in proof.damage),
    )
    show(finished(receipt, end.bottleneck, engine, verified=proof.verified))
    return receipt


@dataclass
class Audited:
    """A writer that is completed only if it got every frame; else the output never appears."""

    job: Job
    source: SegmentReader | FilteredReader
    writer: Writer
    written: int = 0

    def write(self, frame: Frame) -> None:
        self.writer.write(frame)
        self.written += 1

    def finish(self) -> None:
        damage = tuple(self.source.damage_in(Segment()))
        check_frames(self.job, self.source.frames_read, self.written, damage)
        self.writer.complete()


def open_run(
    prepared: Prepared, engine: Engine, source: FrameSource, sink: FrameSink, stop: StopSignal
) -> Run:
    """The pipeline of a job, not yet started."""
    return Run(
        source,
        engine.upscaler,
        sink,
        stop=stop,
        decoded_frames=max(4, 2 * engine.batch_size),
        upscaled_frames=max(_queue_frames(prepared.target), engine.batch_size),
    )


def _queue_frames(target: Picture) -> int:
    samples = sum(
        rows * columns
        for rows, columns in (
            target.format.plane_shape(i, target.height, target.width)
            for i in range(target.format.plane_count)
        )
    )
    bytes_a_frame = samples * (1 if target.format.bits == 8 else 2)
    low, high = QUEUE_FRAMES
    return min(max(QUEUE_BYTES // bytes_a_frame, low), high)


def check_frames(job: Job, decoded: int, written: int, damage: Sequence[Damage]) -> None:
    """Rule 1: every decoded frame was written."""
    if written != decoded:
        raise SourceError(f"{decoded} frames were decoded but {written} written; {job.output} was not made")
    if decoded == 0:
        detail = f" ({damage[0]})" if damage else ""
        raise DamagedSourceError(
            f"{job.source} gave no frame that can be decoded{detail}",
            "choose another range, or check that a player can play the file",
        )


def working(snapshot: Snapshot, engine: Engine, *, frames_before: int = 0) -> Working:
    return Working(
        frames_done=frames_before + snapshot.frames_written,
        frames_decoded=snapshot.frames_decoded,
        elapsed_seconds=snapshot.elapsed_seconds,
        decoded_queue=snapshot.decoded_queue,
        upscaled_queue=snapshot.upscaled_queue,
        stages=tuple((stage.name, stage.busy) for stage in snapshot.stages),
        bottleneck=snapshot.bottleneck,
        reused=_reused(engine),
    )


def finished(
    receipt: Receipt,
    bottleneck: str,
    engine: Engine | None,
    *,
    frames_before: int = 0,
    verified: bool | None = None,
) -> Finished:
    advice = None
    if bottleneck == "encode":
        advice = "a faster --encoder-preset would help"
    elif bottleneck == "upscale" and engine is not None and engine.device.type == "cpu":
        advice = "a GPU would help"
    return Finished(
        output=str(receipt.output),
        frames=receipt.frames_written,
        elapsed_seconds=receipt.elapsed_seconds,
        size_bytes=receipt.size_bytes,
        bottleneck=bottleneck,
        advice=advice,
        damage=receipt.damage,
        frames_before=frames_before,
        reused=_reused(engine),
        verified=verified,
    )


def _reused(engine: Engine | None) -> Reused | None:
    counts = None if engine is None else engine.upscaler.reuse_counts
    if counts is None:
        return None
    return Reused(counts.share_reused, counts.frames_reused, counts.work_saved)
