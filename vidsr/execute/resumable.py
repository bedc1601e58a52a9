"""Runs a job in segments that outlive it: whatever ends the run, the same command continues it.

Frames flow through one pipeline from the first missing segment to the end of the job; only its sink goes
from file to file. At the end the segments are joined into the output. It knows Segments and Receipts,
never what is in a frame.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from vidsr.channel import StopSignal
from vidsr.errors import InterruptedByUser, VidsrError
from vidsr.execute.export import plan_to_json
from vidsr.execute.identity import identity_of
from vidsr.execute.local import check_frames, finished, open_run, run_straight, working
from vidsr.execute.prepare import Engine, Prepared, Show, open_engine, prepare
from vidsr.job import Job, Receipt, Segment, SegmentReceipt
from vidsr.media.damage import united
from vidsr.media.join import join
from vidsr.media.scenes import SegmentLength
from vidsr.media.segment_reader import Stretch
from vidsr.media.segment_writer import SegmentCoding, SegmentWriter
from vidsr.media.writer import Writer
from vidsr.pipeline import Run
from vidsr.progress import Joining, Note, Stopping, duration_words
from vidsr.segments.coverage import missing, start_key
from vidsr.segments.identity import digest
from vidsr.segments.workspace import JobRecord, Workspace

Resume = Literal["auto", "restart", "never"]
"""Continue what an earlier run left; throw it away first; make the output in one go and keep nothing."""

LENGTHS = {"cpu": SegmentLength(48, 480), "other": SegmentLength(240, 480)}
"""How long segments are, by the kind of device. A CPU computes a few frames a second at best, so that 48 of
them are worth keeping; a GPU would be stopped too often by the ends of such short ones. At 480 frames
without a change of scene a cut costs 1.7% in size (see media.scenes)."""


def run_resumable(
    job: Job,
    *,
    show: Show,
    stop: StopSignal | None = None,
    resume: Resume = "auto",
    length: SegmentLength | None = None,
) -> Receipt:
    """Do everything the job asks for, beginning with what an earlier run has finished of it.

    show: called in this thread with every event. length: of the segments; None = by the kind of device. A
    job shorter than one segment is run in one go, and so is one that writes to standard output.

    Raises a VidsrError for whatever cannot be done; what is finished by then is kept in the folder beside
    the output. JobChangedError if what is there was made from something else, JobRunningError if another
    process works on this output. KeyboardInterrupt becomes InterruptedByUser.
    """
    stop = stop or StopSignal()
    prepared = prepare(job, show)
    with prepared.open_writer() as rehearsal:  # refuses now what would be refused at the end
    if job.is_piped:
        engine = open_engine(prepared, prepared.devices[0], stop)
        return run_straight(prepared, engine, show=show, stop=stop)
        notes, header = (*prepared.notes, *prepared.loaded.notes, *rehearsal.notes), rehearsal.stream_header
    with Workspace.open(job.output) as workspace:
        if resume == "restart":
            workspace.clear()
        engine = open_engine(prepared, prepared.devices[0], stop)
        length = length or LENGTHS.get(engine.device.type, LENGTHS["other"])
        if resume == "never":
            if workspace.is_begun:
                left = f"the unfinished job of {job.output.name} stays as it is"
                show(Note(f"{left}; vidsr jobs clean removes it"))
            return run_straight(prepared, engine, show=show, stop=stop)
        total = prepared.frames_expected
        if not workspace.is_begun and total is not None and total <= length.shortest:
            return run_straight(prepared, engine, show=show, stop=stop)
        return _LongRun(prepared, engine, workspace, length, show, stop).run(notes, header)


@dataclass
class _LongRun:
    """One run of a job in segments. receipts: of all that is finished, in the order of the source."""

    prepared: Prepared
    engine: Engine
    workspace: Workspace
    length: SegmentLength
    show: Show
    stop: StopSignal
    receipts: list[SegmentReceipt] = field(default_factory=list)
    frames_before: int = 0
    _before: tuple[SegmentReceipt, ...] = ()

    def run(self, notes: Sequence[str], stream_header: bytes) -> Receipt:
        record = self._record(stream_header)
        notes = (*notes, *self._adopt(record))
        self.show(self.prepared.started(self.engine.words, frames_before=self.frames_before))
        for text in notes:
            self.show(Note(text))
        begun = time.perf_counter()
        with self._telling_what_is_kept():
            gaps = missing(record.segment, [receipt.segment for receipt in self.receipts])
            bottleneck = self._compute(gaps, digest(record.identity)) if gaps else "disk"
            with self.prepared.open_writer() as writer:
                self._join(writer)
                writer.finish()
        assert writer.written is not None
        damage = united(d for receipt in self.receipts for d in receipt.damage)
        receipt = Receipt(
            output=self.prepared.job.output,
            frames_read=self._frames,
            frames_written=writer.written.frames,
            first_pts=writer.written.first_pts,
            last_pts=writer.written.last_pts,
            size_bytes=writer.written.size_bytes,
            elapsed_seconds=time.perf_counter() - begun,
            damage=tuple(str(entry) for entry in (*damage, *writer.damage)),
        )
        self.workspace.remove()
        self.show(finished(receipt, bottleneck, self.engine, frames_before=self.frames_before))
        return receipt

    def _record(self, stream_header: bytes) -> JobRecord:
        prepared = self.prepared
        return JobRecord(
            source=str(prepared.info.path.absolute()),
            command=shlex.join(["vidsr", *sys.argv[1:]]),
            begun=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
            identity=identity_of(prepared, [self.engine.words], stream_header),
            plan=plan_to_json(prepared),
            segment=prepared.frames_segment,
            frames_total=prepared.frames_expected,
        )

    def _adopt(self, record: JobRecord) -> Iterator[str]:
        """Take over what earlier runs finished; gives lines for people about it."""
        found = self.workspace.adopt(record)
        self.receipts = list(found.receipts)
        self._before = found.receipts
        self.frames_before = found.frames
        if found.damaged:
            count = "1 finished piece" if found.damaged == 1 else f"{found.damaged} finished pieces"
            yield f"{count} could not be read back and will be computed again"
        if found.frames:
            total = "" if record.frames_total is None else f" of about {record.frames_total}"
            saved = duration_words(found.seconds)
            yield f"continuing: {found.frames}{total} frames are finished, which saves {saved} of work"

    def _compute(self, gaps: list[Segment], job: str) -> str:
        """Fill the gaps. Returns which stage waited least for the others."""
        prepared, target = self.prepared, self.prepared.target

        def stretches() -> Iterator[Stretch]:
            for gap in gaps:  # what was in a gap is known when the next one is asked for
                yield Stretch(gap, self._frames_ahead_of(gap) + source.frames_read)

        source = prepared.open_source(
            stretches(),
            length=self.length,
            stop=self.stop,
            from_beginning=any(d.kind == "backward" for r in self.receipts for d in r.damage),
        )
        coding = SegmentCoding(
            prepared.info, prepared.settings, target.width, target.height, target.color, job
        )
        sink = SegmentWriter(coding, source, new_file=self.workspace.new_file, on_finished=self._keep)
        run = open_run(prepared, self.engine, source, sink, self.stop)
        try:
            run.start()
            end = run.join(
                lambda snapshot: self.show(working(snapshot, self.engine, frames_before=self.frames_before))
            )
        except BaseException as error:
            self._save(sink, run, error)
            raise
        before, damage = self.frames_before, source.damage_in(Segment())
        check_frames(prepared.job, before + end.frames_decoded, before + end.frames_written, damage)
        return end.bottleneck

    def _keep(self, receipt: SegmentReceipt) -> None:
        self.workspace.add(receipt)
        self.receipts.append(receipt)

    def _save(self, sink: SegmentWriter, run: Run, error: BaseException) -> None:
        """Finish the segment in which the run was stopped, where the trouble is not in writing it."""
        if isinstance(error, KeyboardInterrupt | InterruptedByUser):
            self.show(Stopping("saving what is finished; Ctrl+C once more stops at once"))
        try:
            sink.cut(run.leftover())
        except VidsrError as another:
            error.add_note(f"the present segment could not be saved: {another}")

    def _join(self, writer: Writer) -> None:
        ordered = [r for r in sorted(self.receipts, key=lambda r: start_key(r.segment)) if r.file]
        join(
            writer,
            [self.workspace.path(receipt) for receipt in ordered],
            reorder=max(receipt.reorder for receipt in ordered),
            stop=self.stop,
            on_file=lambda done: self.show(Joining(done, len(ordered))),
        )

    @contextmanager
    def _telling_what_is_kept(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, InterruptedByUser) as error:
            if not self._frames:
                raise
            total = self.prepared.frames_expected
            of = "" if total is None else f" of about {total}"
            raise InterruptedByUser(
                f"{str(error) or 'interrupted'}; {self._frames}{of} frames are finished and kept",
                "run the same command again to continue",
            ) from error
        except BaseException:
            if self._frames:
                kept = f"{self._frames} frames are finished and kept"
                self.show(Note(f"{kept}; the same command continues there"))
            raise

    @property
    def _frames(self) -> int:
        return sum(receipt.frames for receipt in self.receipts)

    def _frames_ahead_of(self, gap: Segment) -> int:
        """How many of the frames that an earlier run has finished come before a gap."""
        return sum(r.frames for r in self._before if start_key(r.segment) < start_key(gap))
