"""A job's frames through the pipeline: what its queues hold, and the check that every frame came through.

It knows engines, readers and writers, never what a run tells of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidsr.channel import StopSignal
from vidsr.damage import Damage
from vidsr.errors import DamagedSourceError, SourceError, VidsrError
from vidsr.execute.prepare import Engine, Prepared
from vidsr.frames import Frame
from vidsr.infer.picture import Picture
from vidsr.job import Job, Segment
from vidsr.media.read.filtered_reader import FilteredReader
from vidsr.media.read.segment_reader import SegmentReader
from vidsr.media.write.segment_writer import SegmentWriter
from vidsr.media.write.writer import Writer
from vidsr.pipeline import FrameSink, FrameSource, Run

QUEUE_BYTES = 512 * 2**20
"""What the queue of upscaled frames may hold: a hiccup of the encoder is bridged, memory stays flat."""
QUEUE_FRAMES = (3, 24)
"""Its bounds in frames: three keep the stages apart even at 8K, past 24 nothing more is gained."""


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
    low, high = QUEUE_FRAMES
    return min(max(QUEUE_BYTES // target.format.planes_bytes(target.height, target.width), low), high)


@dataclass
class CheckedWriter:
    """A writer that is completed only if it got every frame; else the output never appears."""

    job: Job
    source: SegmentReader | FilteredReader
    writer: Writer
    written: int = 0

    @property
    def frames_held(self) -> int:
        return self.writer.frames_held

    def write(self, frame: Frame) -> None:
        self.writer.write(frame)
        self.written += 1

    def finish(self) -> None:
        damage = tuple(self.source.damage_in(Segment()))
        check_frames(self.job, self.source.frames_read, self.written, damage)
        self.writer.complete()


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


def save_segment(sink: SegmentWriter, run: Run, error: BaseException) -> None:
    """Finish the segment in which a run was ended by an error, where the trouble is not in writing it."""
    try:
        sink.cut(run.leftover())
    except VidsrError as another:
        error.add_note(f"the present segment could not be saved: {another}")
