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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from vidsr.channel import StopSignal
from vidsr.damage import united
from vidsr.errors import InterruptedByUser, JobChangedError, LocksMissingError, OutputError
from vidsr.execute.alone import Alone
from vidsr.execute.crew import Crew
from vidsr.execute.export import plan_to_json
from vidsr.execute.filling import Filling, Party, is_interrupt
from vidsr.execute.flow import check_frames
from vidsr.execute.identity import changes_of_source, identity_of
from vidsr.execute.local import run_straight
from vidsr.execute.outcome import finished, receipt_of
from vidsr.execute.prepare import Prepared, open_engine, prepare
from vidsr.execute.proof import prove, publish
from vidsr.job import Job, Receipt, Resume
from vidsr.media.read.demux import is_address
from vidsr.media.read.key_index import KeyIndex
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.write.join import join
from vidsr.media.write.target import check_name, check_target
from vidsr.media.write.writer import Writer
from vidsr.progress.events import Joining, Note, Show, heeding, show_at_the_end
from vidsr.progress.words import duration_words
from vidsr.segments.contents import Contents, JobRecord
from vidsr.segments.coverage import missing
from vidsr.segments.identity import digest
from vidsr.segments.workspace import Workspace, made_its_output

LENGTHS = {"cpu": SegmentLength(48, 480), "other": SegmentLength(240, 480)}
"""How long segments are, by the kind of device. A CPU computes a few frames a second at best, so that 48 of
them are worth keeping; a GPU would be stopped too often by the ends of such short ones. At 480 frames
without a change of scene a cut costs 1.7% in size (see media.scenes)."""

LEASED_FRAMES = 480
"""How many frames at least one of several devices is given at once: the source's key frames, where stretches
begin then, need not be changes of scene."""


def run_resumable(
    job: Job,
    *,
    show: Show,
    stop: StopSignal | None = None,
    resume: Resume = "auto",
    length: SegmentLength | None = None,
    command: str | None = None,
) -> Receipt:
    """Do everything the job asks for, beginning with what an earlier run has finished of it.

    show: called in this thread with every event. length: of the segments; None = by the kind of device. A
    job shorter than one segment is run in one go, and so is one that writes to standard output. command: what
    continues the job, for people; None = the command line of this process.

    Raises a VidsrError for whatever cannot be done; what is finished by then is kept in the folder beside
    the output. JobChangedError if what is there was made from something else, JobRunningError if another
    process works on this output. KeyboardInterrupt becomes InterruptedByUser.
    """
    stop = stop or StopSignal()
    show = heeding(show, stop.raise_reason)
    prepared = prepare(job, show)
    if job.is_piped:
        if len(prepared.devices) > 1:
            show(_undivided("a pipe cannot be put together later", prepared))
        engine = open_engine(prepared, prepared.devices[0], stop)
        return run_straight(prepared, engine, show=show, stop=stop)
    check_name(job.output)
    prepared, _ = _naming_anew(prepared, job, resume)
    with prepared.open_writer() as rehearsal:  # refuses now what would be refused at the end
        notes, header = (*prepared.notes, *prepared.loaded.notes, *rehearsal.notes), rehearsal.stream_header
    try:
        opened = Workspace.open(job.output)
    except LocksMissingError as error:
        if resume != "never":
            raise
        return _without_a_lock(prepared, show, stop, error)
    with opened as workspace:
        prepared, is_named = _naming_anew(prepared, job, resume)  # another process may have ended since
        check_target(job.output, job.source, overwrite=prepared.job.overwrite)
        if resume == "restart":
            workspace.clear()
        never = resume == "never"
        if never and job.encoder.program is not None:
            return _keeping_nothing(prepared, workspace, show, stop, length, notes, header)
        with _party(prepared, stop, show, length, alone=never) as party:
            direct = not is_named and job.encoder.program is None  # whose packets are ordered at the end
            if isinstance(party, Alone) and direct and (never or _is_short(prepared, party, workspace)):
                if workspace.is_begun:
                    left = f"the unfinished job of {job.output.name} stays as it is"
                    show(Note(f"{left}; vidsr jobs clean removes it"))
                return run_straight(prepared, party.engine, show=show, stop=stop)
            run = _LongRun(prepared, party, workspace, show, stop, command=command, only_joins=is_named)
            return run.run(notes, header)


def _without_a_lock(prepared: Prepared, show: Show, stop: StopSignal, error: LocksMissingError) -> Receipt:
    """A job in one go on a file system that has no locks.

    Raises the like of `error` where the job needs a folder of its own all the same.
    """
    if prepared.job.encoder.program is not None:  # whose packets are ordered at the end
        hint = "this file system has no locks: write to another disk, or leave --ffmpeg out"
        raise LocksMissingError(error.message, hint) from error
    show(Note("this file system has no locks: nothing keeps another run away from this output"))
    with _party(prepared, stop, show, None, alone=True) as party:
        assert isinstance(party, Alone)
        return run_straight(prepared, party.engine, show=show, stop=stop)


def _naming_anew(prepared: Prepared, job: Job, resume: Resume) -> tuple[Prepared, bool]:
    """(the same, with leave to replace an output that is the job's own; whether it is there).

    That is so where a run was killed before it had cleared up: the output is named anew from its pieces.
    """
    is_named = resume == "auto" and not job.overwrite and made_its_output(job.output)
    return replace(prepared, job=replace(job, overwrite=job.overwrite or is_named)), is_named


def _keeping_nothing(
    prepared: Prepared,
    workspace: Workspace,
    show: Show,
    stop: StopSignal,
    length: SegmentLength | None,
    notes: Sequence[str],
    header: bytes,
) -> Receipt:
    """A job in segments that are thrown away if it ends early."""
    if workspace.is_begun:
        raise JobChangedError(
            f"an unfinished job of {workspace.output} is there",
            "continue it without --no-resume, or pass --restart to begin anew",
        )
    try:
        with _party(prepared, stop, show, length, alone=True) as party:
            return _LongRun(prepared, party, workspace, show, stop, keeps=False).run(notes, header)
    except BaseException:
        with suppress(OutputError):  # which must not hide why it ended
            workspace.clear()
        raise


def _is_short(prepared: Prepared, party: Alone, workspace: Workspace) -> bool:
    """Whether dividing the job would protect nothing."""
    total = prepared.frames_expected
    return not workspace.is_begun and total is not None and total <= party.length.shortest


@contextmanager
def _party(
    prepared: Prepared, stop: StopSignal, show: Show, length: SegmentLength | None, *, alone: bool
) -> Iterator[Party]:
    """Whoever is to compute the job: this process, one for each device where several are named, a cluster."""
    job = prepared.job
    if len(prepared.devices) > 1 or job.ray is not None:
        index = None if alone or prepared.filtering is not None else KeyIndex.of(prepared.info)
        if index is not None:
            frames = LEASED_FRAMES if length is None else length.longest
            if job.ray is not None:
                from vidsr.execute.cluster.party import RayCluster  # noqa: PLC0415 (Ray is an extra)

                with RayCluster(prepared, job.ray, index, frames, show, stop) as cluster:
                    yield cluster
                return
            with Crew(job, [str(device) for device in prepared.devices], index, frames) as crew:
                yield crew
            return
        if alone:
            reason = "it is to be written in one go"
        elif prepared.filtering is not None:
            reason = "filters need all frames in a row"
        else:
            reason = "its time stamps are unclear"
        show(_undivided(reason, prepared))
    engine = open_engine(prepared, prepared.devices[0], stop)
    yield Alone(engine, length or LENGTHS.get(engine.device.type, LENGTHS["other"]))


def _undivided(reason: str, prepared: Prepared) -> Note:
    return Note(f"the work cannot be divided: {reason}; only {prepared.devices[0]} is used")


@dataclass
class _LongRun:
    """One run of a job in segments.

    keeps: whether what is finished is there for another run. only_joins: the output is there, and to be
    named anew if nothing has to be computed for it.
    """

    prepared: Prepared
    party: Party
    workspace: Workspace
    show: Show
    stop: StopSignal
    command: str | None = None
    keeps: bool = True
    only_joins: bool = False

    def run(self, notes: Sequence[str], stream_header: bytes) -> Receipt:
        record = self._record(stream_header)
        found = self.workspace.adopt(record)
        gaps = missing(record.segment, [receipt.segment for receipt in found.receipts])
        if gaps and self.only_joins:  # an earlier run had begun to clear up
            self.workspace.remove()
            check_target(self.workspace.output, self.prepared.job.source, overwrite=False)
        filling = Filling(
            self.prepared, self.workspace, digest(record.identity), found.receipts, self.show, self.stop
        )
        before = filling.frames_before
        self.show(self.prepared.started(", ".join(self.party.words), frames_before=before))
        if self.keeps and not self.workspace.names_are_safe:
            notes = (*notes, "this disk does not say when names are safe; a power cut may cost the job")
        for text in (*notes, *_words_about(found, record)):
            self.show(Note(text))
        begun = time.perf_counter()
        with self._telling_what_is_kept(filling):
            bottleneck = self.party.fill(filling, gaps) if gaps else "disk"
            self._refuse_a_changed_source(record)
            with self.prepared.open_writer() as writer:
                self._join(writer, filling)
                writer.complete()
                damage = (*united(filling.damage), *writer.damage)
                elapsed = time.perf_counter() - begun
                proof = prove(self.prepared, writer, damage, self.show, self.stop)
                self.workspace.announce_output(writer.temporary)
                is_safe = publish(writer, self.show)
        receipt = receipt_of(writer, frames_read=filling.frames, elapsed_seconds=elapsed, damage=proof.damage)
        if is_safe or not self.keeps:
            self._clear_up()
        else:  # its pieces are what a power cut leaves
            self.show(Note(f"the pieces of {self.workspace.output} stay; vidsr jobs clean removes them"))
        end = finished(receipt, bottleneck, self.party.engine, frames_before=before, verified=proof.verified)
        self.show(end)
        return receipt

    def _clear_up(self) -> None:
        try:
            self.workspace.remove()
        except OutputError as error:  # the output is whole all the same
            self.show(Note(f"{error.message}; vidsr jobs clean does that"))

    def _record(self, stream_header: bytes) -> JobRecord:
        prepared = self.prepared
        return JobRecord(
            source=_place_of(prepared.info.path),
            command=self.command or shlex.join(["vidsr", *sys.argv[1:]]),
            begun=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
            identity=identity_of(prepared, self.party.words, stream_header),
            plan=plan_to_json(prepared),
            segment=prepared.frames_segment,
            frames_total=prepared.frames_expected,
            folder=_here(),
        )

    def _refuse_a_changed_source(self, record: JobRecord) -> None:
        """Sound and all the rest are read at the end: they must not be of another film."""
        info = self.prepared.info
        if changes_of_source(record.identity, info):
            raise JobChangedError(
                f"{info.path} was changed while it was read",
                "pass --restart to begin anew with what it is now",
            )

    def _join(self, writer: Writer, filling: Filling) -> None:
        ordered = [receipt for receipt in filling.ordered if receipt.file]
        if not ordered:
            check_frames(self.prepared.job, 0, 0, filling.damage)  # says that there was nothing to decode

        def show_joining(done: int) -> None:
            if len(ordered) > 1:  # a single one is not put together with anything
                self.show(Joining(done, len(ordered)))

        join(
            writer,
            [self.workspace.path(receipt) for receipt in ordered],
            reorder=max(receipt.reorder for receipt in ordered),
            stop=self.stop,
            on_file=show_joining,
        )

    @contextmanager
    def _telling_what_is_kept(self, filling: Filling) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            if not filling.frames or not self.keeps or isinstance(error, JobChangedError):
                raise
            if not is_interrupt(error):
                kept = f"{filling.frames} frames are finished and kept; the same command continues there"
                show_at_the_end(self.show, Note(kept))
                raise
            total = self.prepared.frames_expected
            of = "" if total is None else f" of about {total}"
            raise InterruptedByUser(
                f"{str(error) or 'interrupted'}; {filling.frames}{of} frames are finished and kept",
                "run the same command again to continue",
            ) from error


def _place_of(source: Path) -> str:
    """Where a job's source can be found from anywhere."""
    return str(source if is_address(source) else source.absolute())


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed meanwhile
        return ""


def _words_about(found: Contents, record: JobRecord) -> Iterator[str]:
    """Lines for people about what an earlier run has left."""
    if found.damaged:
        count = "1 finished piece" if found.damaged == 1 else f"{found.damaged} finished pieces"
        yield f"{count} could not be read back and will be computed again"
    if found.frames:
        total = "" if record.frames_total is None else f" of about {record.frames_total}"
        saved = duration_words(found.seconds)
        yield f"continuing: {found.frames}{total} frames are finished, which saves {saved} of work"
