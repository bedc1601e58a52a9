"""Files that survive a power cut: synced, renamed only when whole, and failures named for people.

It knows paths and errno, nothing of what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vidsr.errors import NoSpaceError, OutputError

_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def output_error(error: OSError, path: Path, doing: str) -> OutputError:
    """What an OSError (PyAV's errors are such) while writing means; `doing` ends "cannot ..."."""
    if error.errno in _DISK_IS_FULL:
        return NoSpaceError(f"no space left on the disk of {path}", "free some space or choose another disk")
    return OutputError(f"{path.name}: cannot {doing}: {error.strerror or type(error).__name__}")


@contextmanager
def writing(path: Path, doing: str) -> Iterator[None]:
    """Name every OSError on the way. Raises NoSpaceError or another OutputError."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path, doing) from error


def sync(file: IO[Any]) -> None:
    """Wait until everything written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames and new names in a folder durable, where the system can (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
