"""All missing stretches of a job through one pipeline in this process, from the first to the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vidsr.errors import VidsrError
from vidsr.execute.filling import Filling, is_interrupt
from vidsr.execute.local import check_frames, open_run, working
from vidsr.execute.prepare import Engine
from vidsr.job import Segment
from vidsr.media.scenes import SegmentLength
from vidsr.media.segment_reader import Stretch
from vidsr.media.segment_writer import SegmentCoding, SegmentWriter
from vidsr.pipeline import Run
from vidsr.progress.events import Stopping


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
        prepared, target = filling.prepared, filling.prepared.target

        def stretches() -> Iterator[Stretch]:
            for gap in gaps:  # what was in a gap is known when the next one is asked for
                yield Stretch(gap, filling.frames_ahead_of(gap) + source.frames_read)

        source = prepared.open_source(
            stretches(),
            length=self.length,
            stop=filling.stop,
            from_beginning=any(damage.kind == "backward" for damage in filling.damage),
        )
        coding = SegmentCoding(
            prepared.info, prepared.settings, target.width, target.height, target.color, filling.digest
        )
        sink = SegmentWriter(coding, source, new_file=filling.workspace.new_file, on_finished=filling.keep)
        run = open_run(prepared, self.engine, source, sink, filling.stop)
        before = filling.frames_before
        try:
            run.start()
            end = run.join(
                lambda snapshot: filling.show(working(snapshot, self.engine, frames_before=before))
            )
        except BaseException as error:
            self._save(sink, run, filling, error)
            raise
        damage = source.damage_in(Segment())
        check_frames(prepared.job, before + end.frames_decoded, before + end.frames_written, damage)
        return end.bottleneck

    @staticmethod
    def _save(sink: SegmentWriter, run: Run, filling: Filling, error: BaseException) -> None:
        """Finish the segment in which the run was stopped, where the trouble is not in writing it."""
        if is_interrupt(error):
            filling.show(Stopping("saving what is finished; Ctrl+C once more stops at once"))
        try:
            sink.cut(run.leftover())
        except VidsrError as another:
            error.add_note(f"the present segment could not be saved: {another}")
