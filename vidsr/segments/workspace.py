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
import dataclasses
import json
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vidsr.durable import output_error, remove_temporaries, sync_folder, write_whole, writing
from vidsr.errors import (
    CHECK_THE_DISK,
    DamagedSegmentError,
    JobChangedError,
    JobError,
    JobRunningError,
    OutputError,
)
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.write.packet_file import PacketFileReader, checked_digest
from vidsr.segments.coverage import overlap, start_key
from vidsr.segments.identity import Identity, changes, digest, sample
from vidsr.segments.journal import Journal, Record
from vidsr.segments.lock import Lock

FORMAT = 1
"""Of the folder; another number is left alone."""

FOLDER_SUFFIX = ".vidsr"
SUFFIX = ".packets"
UNFINISHED_SUFFIX = ".part"
_JOURNAL, _LOCK = "journal.jsonl", "lock"


APPEARING = "appearing"
"""A file that is there while the output has its name and the folder is not yet cleared away; it says what the
output is, so that no other file of that name is taken for it."""


def folder_of(output: Path) -> Path:
    return output.with_name(f".{output.name}{FOLDER_SUFFIX}")


def output_of(folder: Path) -> Path | None:
    """The output that a folder belongs to; None if it is not called like a job's folder."""
    name = folder.name.removeprefix(".").removesuffix(FOLDER_SUFFIX)
    return folder.with_name(name) if name and folder_of(folder.with_name(name)) == folder else None


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What the journal says of the job before the first segment.

    identity: what must not change while it is continued. plan: JSON values from which the segments can be
    put together without the command line (the executor's own). segment: the part of the source that is
    wanted. frames_total: how many frames are expected in all; None if nobody knows. begun: local time.
    """

    source: str
    command: str
    begun: str
    identity: Identity
    plan: dict[str, Any]
    segment: Segment
    frames_total: int | None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> JobRecord:
        """Raises KeyError or TypeError for anything but what `to_json` gives."""
        fields = dict(fields)
        return cls(segment=Segment(**fields.pop("segment")), **fields)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds.

    receipts: of finished segments whose files are there, in order and not overlapping. damaged: how many
    others cannot be used.
    """

    record: JobRecord | None
    receipts: tuple[SegmentReceipt, ...]
    damaged: int = 0

    @property
    def frames(self) -> int:
        return sum(receipt.frames for receipt in self.receipts)

    @property
    def seconds(self) -> float:
        """The work that need not be done again."""
        return sum(receipt.seconds for receipt in self.receipts)

    @property
    def size_bytes(self) -> int:
        return sum(receipt.size_bytes for receipt in self.receipts)


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
    """The folder of one output, this process's own from `open` to `close`."""

    def __init__(self, output: Path) -> None:
        self.output, self.folder = output, folder_of(output)
        self._journal = Journal(self.folder / _JOURNAL)
        self._lock = Lock(self.folder / _LOCK)
        self._is_removed = False

    @classmethod
    def open(cls, output: Path) -> Self:
        """Take the folder of an output, making it if need be; unfinished files for it are removed.

        Raises JobRunningError if another process has it, NoSpaceError, OutputError.
        """
        workspace = cls(output)
        while True:
            try:
                workspace.folder.mkdir(exist_ok=True)
                if not workspace._lock.acquire():
                    raise JobRunningError(f"{workspace._lock.holder()} is working on {output}")
            except FileNotFoundError as error:
                if not output.parent.is_dir():
                    raise output_error(error, workspace.folder, "make the folder of the job") from error
                continue  # its last holder removed the folder just now
            except OSError as error:
                if isinstance(error, FileExistsError) and not os.path.lexists(workspace.folder):
                    continue  # the same, just before it was made again here
                with contextlib.suppress(OSError):  # it is empty if it was made just now
                    workspace.folder.rmdir()
                raise output_error(error, workspace.folder, "lock the folder of the job") from error
            try:
                with writing(workspace.folder, "make the folder of the job"):
                    sync_folder(output.parent)  # a power cut that takes its name takes all that is in it
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
                for path in self.folder.glob(f"*{UNFINISHED_SUFFIX}"):
                    path.unlink(missing_ok=True)
                if not any(self.folder.glob(f"*{SUFFIX}")):
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
        return self._journal.path.exists() or any(self.folder.glob(f"*{SUFFIX}"))

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
        found = _read(self.folder)
        if not any(self.folder.glob(f"*{SUFFIX}")):
            found = _Found(None, ())  # nothing was finished, so nothing can be mixed
        if found.record is not None:
            self._refuse_changes(found, changes(found.record.identity, record.identity))
        # lines of a journal that lost its beginning do not say which job they are of; the files do
        listed = found.receipts if found.record is not None else ()
        whole = [r for r in listed if not r.file or checked_digest(self.path(r)) == r.sha256]
        lost = {*found.lost, *(receipt.file for receipt in listed if receipt not in whole)}
        orphans, unreadable = self._orphans(found, whole, digest(record.identity))
        damaged = len((lost | unreadable) - {receipt.file for receipt in orphans})
        whole = sorted([*whole, *orphans], key=_start)
        if found.record is None or found.torn_lines or damaged or orphans:
            lines = [{"kind": "job", "format": FORMAT} | (found.record or record).to_json()]
            self._journal.rewrite(lines + [_segment_line(receipt) for receipt in whole])
        with writing(self.folder, "clear the folder of the job"):
            self._remove_all_but({receipt.file for receipt in whole})
        return Contents(found.record, tuple(whole), damaged)

    def _orphans(
        self, found: _Found, whole: list[SegmentReceipt], job: str
    ) -> tuple[list[SegmentReceipt], set[str]]:
        """Receipts of whole segments of this job that no line speaks of; files that cannot be used."""
        listed = {receipt.file for receipt in whole}
        orphans: list[SegmentReceipt] = []
        unreadable: set[str] = set()
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.name in listed:
                continue
            owner, orphan = _receipt_inside(path)
            if orphan is None:
                unreadable.add(path.name)
            elif owner == job and not any(overlap(orphan.segment, r.segment) for r in (*whole, *orphans)):
                orphans.append(orphan)
            elif owner != job and found.record is None:
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

    def _refuse_changes(self, found: _Found, changed: list[str]) -> None:
        if changed:
            frames = sum(receipt.frames for receipt in found.receipts)
            raise JobChangedError(
                f"{self.output} was begun before ({frames} frames are finished), but " + "; ".join(changed),
                "continue it with what it was begun with, or pass --restart to begin anew",
            )

    def _remove_all_but(self, names: set[str]) -> None:
        for pattern in (f"*{SUFFIX}", f"*{UNFINISHED_SUFFIX}"):
            for path in self.folder.glob(pattern):
                if path.name not in names:
                    path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the journal says. lost: names of listed files that are gone or have another size."""

    record: JobRecord | None
    receipts: tuple[SegmentReceipt, ...]
    lost: frozenset[str] = frozenset()
    torn_lines: int = 0


def read_contents(folder: Path) -> Contents:
    """What the journal lists and is there in its full size; nothing is locked, changed or read through.

    Raises JobError if it cannot be read, or a version of vidsr made the folder that kept it in another way.
    """
    found = _read(folder)
    return Contents(found.record, found.receipts, len(found.lost))


def _read(folder: Path) -> _Found:
    lines, torn = Journal(folder / _JOURNAL).read()
    record: JobRecord | None = None
    receipts: list[SegmentReceipt] = []
    for line in lines:
        kind = line.pop("kind", None)
        try:
            if kind == "job":
                if line.pop("format", None) != FORMAT:
                    raise JobError(f"{folder} was made by another version of vidsr")
                record = JobRecord.from_json(line)
            elif kind == "segment":
                receipts.append(SegmentReceipt.from_json(line))
        except (KeyError, TypeError, ValueError):
            torn += 1
    kept: list[SegmentReceipt] = []
    lost: set[str] = set()
    for receipt in receipts:
        if not _has_its_size(folder, receipt):
            lost.add(receipt.file)
        elif not any(overlap(receipt.segment, r.segment) for r in kept):
            kept.append(receipt)
    return _Found(record, tuple(sorted(kept, key=_start)), frozenset(lost), torn)


def is_running(folder: Path) -> bool:
    """Whether a process works in the folder at this moment. Raises JobError where that cannot be told."""
    lock = Lock(folder / _LOCK)
    try:
        return lock.is_held()
    except OSError as error:
        raise JobError(f"{lock.path} cannot be read: {error.strerror}", CHECK_THE_DISK) from error


def _output_identity(path: Path) -> dict[str, Any]:
    size, content = sample(path)
    return {"size": size, "content": content}


def _segment_line(receipt: SegmentReceipt) -> Record:
    return {"kind": "segment"} | receipt.to_json()


def _has_its_size(folder: Path, receipt: SegmentReceipt) -> bool:
    if not receipt.file:
        return True
    path = folder / receipt.file
    try:
        return path.stat().st_size == receipt.size_bytes
    except FileNotFoundError:
        return False
    except OSError as error:
        raise JobError(f"segment {path} cannot be read: {error.strerror}", CHECK_THE_DISK) from error


def _receipt_inside(path: Path) -> tuple[str, SegmentReceipt | None]:
    """(digest of the job, receipt) that a segment file carries; the receipt is None if it is damaged."""
    sha256 = checked_digest(path)
    if sha256 is None:
        return "", None
    try:
        with PacketFileReader(path) as reader:
            for _ in reader.packets():
                pass
            receipt = SegmentReceipt.from_json(reader.tail or {})
            job = reader.head.job
    except (DamagedSegmentError, KeyError, TypeError, ValueError):
        return "", None
    return job, replace(receipt, file=path.name, sha256=sha256, size_bytes=path.stat().st_size)


def _start(receipt: SegmentReceipt) -> tuple[bool, int]:
    return start_key(receipt.segment)
