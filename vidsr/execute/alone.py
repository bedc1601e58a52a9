"""All missing stretches of a job through one pipeline in this process, from the first to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidsr.execute.filling import Filling
from vidsr.execute.flow import check_frames, open_run, save_segment
from vidsr.execute.outcome import working
from vidsr.execute.prepare import Engine
from vidsr.job import Segment
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.write.segment_writer import SegmentWriter


@dataclass(frozen=True)
class Alone:
    """One engine. length: of the segments, which end where scenes do."""

    engine: Engine
    length: SegmentLength

    @property
    def words(self) -> list[str]:
        return [self.engine.words]

    def fill(self, filling: Filling, gaps: Sequence[Segment]) -> str:
        """See Party."""
        prepared = filling.prepared

        def stretches() -> Iterator[Stretch]:
            for gap in gaps:  # what was in a gap is known when the next one is asked for
                yield Stretch(gap, filling.frames_ahead_of(gap) + source.frames_read)

        source = prepared.open_source(
            stretches(),
            length=self.length,
            stop=filling.stop,
            from_beginning=any(damage.kind == "backward" for damage in filling.damage),
        )
        coding = prepared.segment_coding(filling.digest)
        sink = SegmentWriter(coding, source, new_file=filling.workspace.new_file, on_finished=filling.keep)
        run = open_run(prepared, self.engine, source, sink, filling.stop)
        before = filling.frames_before
        try:
            run.start()
            end = run.join(
                lambda snapshot: filling.show(working(snapshot, self.engine, frames_before=before))
            )
        except BaseException as error:
            filling.announce_saving(error)
            save_segment(sink, run, error)
            raise
        damage = source.damage_in(Segment())
        check_frames(prepared.job, before + end.frames_decoded, before + end.frames_written, damage)
        return end.bottleneck
