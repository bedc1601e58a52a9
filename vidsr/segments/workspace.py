"""The folder beside an output in the making: its lock, its journal, its finished segments.

    .film.mkv.vidsr/
        lock                        held by the process that works on it
        journal.jsonl               what the job is, then one line for each finished segment
        <start>-<random>.packets
        appearing                   which file gets the output's name, from just before to the end

A segment is finished when its line is in the journal. Lines can be lost, so each segment file also carries
its own receipt and the digest of its job: a file without a line is taken over once it has been checked. It
knows files and receipts, never frames or codecs.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vidsr.durable import output_error, remove_temporaries, sync_folder, write_whole, writing
from vidsr.errors import JobChangedError, JobRunningError, LocksMissingError, OutputError
from vidsr.job import SegmentReceipt
from vidsr.media.write.packet_file import checked_digest
from vidsr.segments.contents import (
    FORMAT,
    JOURNAL,
    LOCK,
    SUFFIX,
    UNFINISHED_SUFFIX,
    Contents,
    Found,
    JobRecord,
    files_in,
    folder_of,
    read_folder,
    receipt_inside,
    start_of,
)
from vidsr.segments.coverage import Disjoint
from vidsr.segments.identity import changes, digest, sample
from vidsr.segments.journal import Journal, Record
from vidsr.segments.lock import NO_LOCKS, Lock

APPEARING = "appearing"
"""A file that is there while the output has its name and the folder is not yet cleared away; it says what the
output is, so that no other file of that name is taken for it."""


def made_its_output(output: Path) -> bool:
    """Whether a job of this output ended between naming it and clearing up, so that it is the job's own.

    A file that somebody else has made under that name meanwhile is not.
    """
    try:
        announced = json.loads((folder_of(output) / APPEARING).read_bytes())
        return _output_identity(output) in announced
    except (OSError, ValueError, TypeError):
        return False


def clear_up(output: Path) -> None:
    """Clear away what a job has left that was killed when its output had its name already.

    Does nothing where a process works on it, and leaves what cannot be removed.
    """
    if made_its_output(output):
        with contextlib.suppress(OutputError), Workspace.open(output) as workspace:
            if made_its_output(output):
                workspace.remove()


class Workspace:
    """The folder of one output, this process's own from `open` to `close`.

    names_are_safe: whether the disk says when what gets a name outlives a power cut.
    """

    def __init__(self, output: Path) -> None:
        self.output, self.folder = output, folder_of(output)
        self._journal = Journal(self.folder / JOURNAL)
        self._lock = Lock(self.folder / LOCK)
        self._is_removed = False
        self.names_are_safe = True

    @classmethod
    def open(cls, output: Path) -> Self:
        """Take the folder of an output, making it if need be; unfinished files for it are removed.

        Raises JobRunningError if another process has it, LocksMissingError, NoSpaceError, OutputError.
        """
        workspace = cls(output)
        while True:
            doing = "make the folder of the job"
            try:
                workspace.folder.mkdir(exist_ok=True)
                doing = "lock the folder of the job"
                if not workspace._lock.acquire():
                    raise JobRunningError(f"{workspace._lock.holder()} is working on {output}")
            except FileNotFoundError as error:
                if not output.parent.is_dir():
                    raise output_error(error, workspace.folder, doing) from error
                continue  # its last holder removed the folder just now
            except OSError as error:
                if isinstance(error, FileExistsError) and not os.path.lexists(workspace.folder):
                    continue  # the same, just before it was made again here
                with contextlib.suppress(OSError):  # it is empty if it was made just now
                    workspace.folder.rmdir()
                failure = output_error(error, workspace.folder, doing)
                if error.errno in NO_LOCKS:
                    raise LocksMissingError(failure.message) from error
                raise failure from error
            try:
                with writing(workspace.folder, "make the folder of the job"):
                    # a power cut that takes its name takes all that is in it
                    workspace.names_are_safe = sync_folder(output.parent)
            except OutputError:
                workspace.close()
                raise
            remove_temporaries(output)
            return workspace

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the folder back; it disappears if nothing was finished in it."""
        try:
            if self._is_removed:  # what is there now is another process's
                return
            # what cannot be removed now is by the next run; it must not hide why this one ended
            with contextlib.suppress(OutputError, OSError):
                for path in files_in(self.folder, UNFINISHED_SUFFIX):
                    path.unlink(missing_ok=True)
                if not files_in(self.folder):
                    self.remove()
        finally:
            self._lock.release()

    def announce_output(self, whole: Path) -> None:
        """Say on the disk which file is about to get the output's name: that one is this job's own.

        Raises NoSpaceError, OutputError.
        """
        doing = "note that the output is whole"
        with writing(self.output, doing):
            identities = [_output_identity(whole)]
            if made_its_output(self.output):  # which stays this job's own until it is replaced
                identities.append(_output_identity(self.output))
        write_whole(self.folder / APPEARING, json.dumps(identities).encode(), doing)

    @property
    def is_begun(self) -> bool:
        """Whether an earlier run left something here."""
        return self._journal.path.exists() or bool(files_in(self.folder))

    def new_file(self, segment_start: int | None) -> Path:
        """A name for a segment that begins there; no two calls give the same."""
        start = "start" if segment_start is None else f"{segment_start:012d}"
        return self.folder / f"{start}-{secrets.token_hex(4)}{SUFFIX}"

    def path(self, receipt: SegmentReceipt) -> Path:
        return self.folder / receipt.file

    def adopt(self, record: JobRecord) -> Contents:
        """What earlier runs of this very job finished; the job is begun if there is none.

        All segments are read and checked; what cannot be used is removed.

        Raises JobChangedError if the folder holds another job, JobError (also where a segment cannot be
        read that may be whole), NoSpaceError, OutputError.
        """
        found = read_folder(self.folder)
        if not files_in(self.folder):
            found = Found(None, ())  # nothing was finished, so nothing can be mixed
        if found.record is not None:
            self._refuse_changes(found, changes(found.record.identity, record.identity))
        # lines of a journal that lost its beginning do not say which job they are of; the files do
        listed = found.receipts if found.record is not None else ()
        whole = [r for r in listed if not r.file or checked_digest(self.path(r)) == r.sha256]
        lost = {*found.lost, *({receipt.file for receipt in listed} - {receipt.file for receipt in whole})}
        orphans, unreadable = self._orphans(found, whole, digest(record.identity))
        damaged = len((lost | unreadable) - {receipt.file for receipt in orphans})
        whole = sorted([*whole, *orphans], key=start_of)
        # the last run's words count: where the source lies now, which streams are wanted, what continues it
        job = _job_line(record if found.record is None else replace(record, begun=found.record.begun))
        if found.record is None or found.torn_lines or damaged or orphans:
            self._journal.rewrite([job, *map(_segment_line, whole)])
        elif job != _job_line(found.record):
            self._journal.append(job)
        with writing(self.folder, "clear the folder of the job"):
            self._remove_all_but({receipt.file for receipt in whole})
        return Contents(found.record, tuple(whole), damaged)

    def _orphans(
        self, found: Found, whole: list[SegmentReceipt], job: str
    ) -> tuple[list[SegmentReceipt], set[str]]:
        """Receipts of whole segments of this job that no line speaks of; files that cannot be used."""
        listed = {receipt.file for receipt in whole}
        taken = Disjoint()
        for receipt in whole:
            taken.add(receipt.segment)
        orphans: list[SegmentReceipt] = []
        unreadable: set[str] = set()
        for path in files_in(self.folder):
            if path.name in listed:
                continue
            owner, orphan = receipt_inside(path)
            if orphan is None:
                unreadable.add(path.name)
            elif owner == job:
                if taken.add(orphan.segment):
                    orphans.append(orphan)
            elif found.record is None:
                self._refuse_changes(found, ["its journal is lost and its segments are of another job"])
        return orphans, unreadable

    def add(self, receipt: SegmentReceipt) -> None:
        """Note that a segment is finished. Raises NoSpaceError, OutputError."""
        self._journal.append(_segment_line(receipt))

    def clear(self) -> None:
        """Throw away everything that was finished. Raises OutputError."""
        with writing(self.folder, "clear the folder of the job"):
            self._remove_all_but(set())
            self._journal.path.unlink(missing_ok=True)
            if (self.folder / APPEARING).exists():
                # it goes last, or what a power cut leaves of the rest would never be cleared away
                sync_folder(self.folder)
                (self.folder / APPEARING).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder; it is this process's no longer, and all that is left to do is `close`.

        Raises OutputError; it is still this process's then.
        """
        self.clear()
        with writing(self.folder, "clear the folder of the job"):
            try:
                self._lock.path.unlink(missing_ok=True)  # last: from now on another process may make its own
            except PermissionError:
                self._lock.release()  # Windows removes no open file, and so not another process's either
                with contextlib.suppress(PermissionError):
                    self._lock.path.unlink(missing_ok=True)
        self._is_removed = True
        with contextlib.suppress(OSError):  # another process may have made its own lock in it meanwhile
            self.folder.rmdir()

    def _refuse_changes(self, found: Found, changed: list[str]) -> None:
        if changed:
            frames = sum(receipt.frames for receipt in found.receipts)
            raise JobChangedError(
                f"{self.output} was begun before ({frames} frames are finished), but " + "; ".join(changed),
                "continue it with what it was begun with, or pass --restart to begin anew",
            )

    def _remove_all_but(self, names: set[str]) -> None:
        for suffix in (SUFFIX, UNFINISHED_SUFFIX):
            for path in files_in(self.folder, suffix):
                if path.name not in names:
                    path.unlink(missing_ok=True)


def _output_identity(path: Path) -> dict[str, Any]:
    size, content = sample(path)
    return {"size": size, "content": content}


def _job_line(record: JobRecord) -> Record:
    line: Record = json.loads(json.dumps({"kind": "job", "format": FORMAT} | record.to_json()))
    return line


def _segment_line(receipt: SegmentReceipt) -> Record:
    return {"kind": "segment"} | receipt.to_json()
