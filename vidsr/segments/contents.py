"""What the folder of a job holds, as far as it tells without being locked or changed.

It knows the names in the folder, its journal and the receipts inside segment files; never who may use it.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidsr.errors import CHECK_THE_DISK, DamagedSegmentError, JobError
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.write.packet_file import PacketFileReader, checked_digest, reading
from vidsr.segments.coverage import Disjoint, start_key
from vidsr.segments.identity import Identity
from vidsr.segments.journal import Journal
from vidsr.segments.lock import Lock

FORMAT = 1
"""Of the folder; another number is left alone, unless its job is cleaned away by name."""

FOLDER_SUFFIX = ".vidsr"
SUFFIX = ".packets"
UNFINISHED_SUFFIX = ".part"
JOURNAL, LOCK = "journal.jsonl", "lock"


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
    folder: in which the command was given; empty where that is not known.
    """

    source: str
    command: str
    begun: str
    identity: Identity
    plan: dict[str, Any]
    segment: Segment
    frames_total: int | None
    folder: str = ""

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


@dataclass(frozen=True, slots=True)
class Found:
    """What the journal says. lost: names of listed files that are gone or have another size."""

    record: JobRecord | None
    receipts: tuple[SegmentReceipt, ...]
    lost: frozenset[str] = frozenset()
    torn_lines: int = 0


def read_contents(folder: Path) -> Contents:
    """What the journal lists and is there in its full size; nothing is locked, changed or read through.

    Raises JobError if it cannot be read, or a version of vidsr made the folder that kept it in another way.
    """
    found = read_folder(folder)
    return Contents(found.record, found.receipts, len(found.lost))


def read_folder(folder: Path) -> Found:
    lines, torn = Journal(folder / JOURNAL).read()
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
    taken = Disjoint()
    for receipt in receipts:
        if not _has_its_size(folder, receipt):
            lost.add(receipt.file)
        elif taken.add(receipt.segment):
            kept.append(receipt)
    return Found(record, tuple(sorted(kept, key=start_of)), frozenset(lost), torn)


def files_in(folder: Path, suffix: str = SUFFIX) -> list[Path]:
    """The files of a kind, by name; segments by default.

    Raises JobError where the folder cannot be looked into: that does not say that there are none, as `glob`
    would make of it.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith(suffix))
    except FileNotFoundError:  # somebody has removed it
        return []
    except OSError as error:
        raise JobError(f"{folder} cannot be read: {error.strerror}", CHECK_THE_DISK) from error


def unlisted(folder: Path, contents: Contents) -> tuple[int, int]:
    """How many segment files are there that the contents do not speak of, and their size in bytes.

    So it is where the journal is lost, or could not be read. None where the folder cannot be looked into.
    """
    listed = {receipt.file for receipt in contents.receipts}
    number = size = 0
    with suppress(JobError):
        for path in files_in(folder):
            if path.name not in listed:
                number += 1
                with suppress(OSError):
                    size += path.stat().st_size
    return number, size


def is_running(folder: Path) -> bool:
    """Whether a process works in the folder at this moment. Raises JobError where that cannot be told."""
    lock = Lock(folder / LOCK)
    try:
        return lock.is_held()
    except OSError as error:
        raise JobError(f"{lock.path} cannot be read: {error.strerror}", CHECK_THE_DISK) from error


def _has_its_size(folder: Path, receipt: SegmentReceipt) -> bool:
    if not receipt.file:
        return True
    path = folder / receipt.file
    try:
        with reading(path):
            return path.stat().st_size == receipt.size_bytes
    except DamagedSegmentError:
        return False


def receipt_inside(path: Path) -> tuple[str, SegmentReceipt | None]:
    """(digest of the job, receipt) that a segment file carries; the receipt is None if it is damaged.

    Raises JobError where it cannot be read that may well be whole.
    """
    sha256 = checked_digest(path)
    if sha256 is None:
        return "", None
    try:
        with PacketFileReader(path) as reader:
            for _ in reader.packets():
                pass
            receipt = SegmentReceipt.from_json(reader.tail or {})
            job = reader.head.job
        with reading(path):
            size = path.stat().st_size
    except (DamagedSegmentError, KeyError, TypeError, ValueError):
        return "", None
    return job, replace(receipt, file=path.name, sha256=sha256, size_bytes=size)


def start_of(receipt: SegmentReceipt) -> tuple[bool, int]:
    return start_key(receipt.segment)
