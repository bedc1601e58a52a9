"""A file of records, one a line; each line checks itself, and new ones are only ever added at the end.

    {"crc32": "2144df1c", "record": {...}}

A line is on the disk when `append` returns. What a crash or a failing disk does to a line is noticed when
it is read; the lines around it stay good. It knows lines, never what the records mean.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vidsr.durable import sync, sync_folder, writing
from vidsr.errors import CHECK_THE_DISK, JobError

Record = dict[str, Any]


class Journal:
    """The records of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[list[Record], int]:
        """(records in the order they were written, number of lines that are damaged).

        Raises JobError where it is there and may not, or cannot, be read.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise JobError(f"{self.path} cannot be read: {error.strerror}", CHECK_THE_DISK) from error
        records, damaged = [], 0
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            record = _checked(line)
            if record is None:
                damaged += 1
            else:
                records.append(record)
        return records, damaged

    def append(self, record: Record) -> None:
        """Add a record and wait until it is on the disk. Raises NoSpaceError, OutputError."""
        line = _line(record)
        with writing(self.path, "note what is finished"), self.path.open("ab+") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # a crash cut the last line; it must not swallow this one
                    line = b"\n" + line
            file.write(line)
            sync(file)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Replace the file by one that holds these records only. Raises NoSpaceError, OutputError."""
        temporary = self.path.with_name(self.path.name + ".part")
        with writing(self.path, "write the journal"):
            with temporary.open("wb") as file:
                file.writelines(map(_line, records))
                sync(file)
            temporary.replace(self.path)
            sync_folder(self.path.parent)


def _line(record: Record) -> bytes:
    text = _canonical(record)
    return f'{{"crc32": "{zlib.crc32(text.encode()):08x}", "record": {text}}}\n'.encode()


def _checked(line: bytes) -> Record | None:
    try:
        fields = json.loads(line)
        record, checksum = fields["record"], int(fields["crc32"], 16)
        if isinstance(record, dict) and zlib.crc32(_canonical(record).encode()) == checksum:
            return record
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _canonical(record: Record) -> str:
    return json.dumps(record, sort_keys=True)
