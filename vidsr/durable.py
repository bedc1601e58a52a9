"""Files that survive a power cut: synced, renamed only when whole, and failures named for people.

It knows paths and errno, nothing of what is in the files.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from vidsr.errors import NoSpaceError, OutputError

if sys.platform == "darwin":
    import fcntl

_DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

_FOLDERS_ARE_NOT_SYNCED = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}
)
"""What file systems answer that know no such thing (FUSE, SMB and others of the network)."""

_synced_on: set[int] = set()
_unsure_on: set[int] = set()
"""File systems by number of device: of which this process has synced a folder, and which have answered the
first sync of one with EIO. Some do so always (a Samba share as WSL shows it): what was never there is no loss
that could be told from it."""


class SystemFailure(Protocol):
    """What an OSError tells, and an error of PyAV."""

    @property
    def errno(self) -> int | None: ...

    @property
    def strerror(self) -> str | None: ...


def output_error(error: SystemFailure, path: Path, doing: str) -> OutputError:
    """What a failure while writing means for people; `doing` ends "cannot ..."."""
    if error.errno in _DISK_IS_FULL:
        return NoSpaceError(f"no space left on the disk of {path}", "free some space or choose another disk")
    if error.errno == errno.EFBIG:
        return OutputError(f"{path.name}: the disk cannot hold a file of this size", "FAT32 ends at 4 GiB")
    return OutputError(f"{path.name}: cannot {doing}: {error.strerror or type(error).__name__}")


def temporary_name(path: Path) -> Path:
    """A name beside `path` for a file that will get its name when it is whole; no two calls give the same."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def remove_unfinished(path: Path) -> None:
    """Remove an unfinished file, if there is one and it can be: whatever went wrong before counts more."""
    with contextlib.suppress(OSError):
        path.unlink()


def remove_temporaries(path: Path) -> None:
    """Remove the unfinished files for `path` that processes left when they were killed.

    Only for whoever holds the lock of `path`: others' files in the making are removed as well.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????.part"):
        remove_unfinished(left)  # on Windows not one that is still open


@contextmanager
def writing(path: Path, doing: str) -> Iterator[None]:
    """Name every OSError on the way. Raises NoSpaceError or another OutputError."""
    try:
        yield
    except OSError as error:
        raise output_error(error, path, doing) from error


def write_whole(path: Path, data: bytes, doing: str) -> None:
    """Make a file of some bytes: it has its name only when it is on the disk, whole.

    Raises NoSpaceError, OutputError; nothing is left then, unless all that fails is the sync of the name: the
    file is there, whole.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with writing(path, doing):
            with temporary.open("wb") as file:
                file.write(data)
                sync(file)
            temporary.replace(path)
            sync_folder(path.parent)
    except BaseException:
        remove_unfinished(temporary)
        raise


def sync(file: IO[Any]) -> None:
    """Wait until everything written to an open file is on the disk. Raises OSError."""
    file.flush()
    sync_descriptor(file.fileno())


def sync_folder(folder: Path) -> bool:
    """Make renames and new names in a folder durable, where the system can (not on Windows).

    Returns False on a file system that fails at it from the first time on: it does not say when names are
    safe, and is not asked again. Raises OSError where it can and the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return True  # Windows; elsewhere a folder that may be written to, but not read
    try:
        device = os.fstat(descriptor).st_dev
        if device not in _unsure_on:
            _sync_folder(descriptor, device)
        return device not in _unsure_on
    finally:
        os.close(descriptor)


def _sync_folder(descriptor: int, device: int) -> None:
    try:
        sync_descriptor(descriptor)
    except OSError as error:
        if error.errno == errno.EIO and device not in _synced_on:
            _unsure_on.add(device)
        elif error.errno not in _FOLDERS_ARE_NOT_SYNCED:
            raise
    else:
        _synced_on.add(device)


def sync_name(path: Path) -> str | None:
    """Make the name durable that a whole file has been given.

    Where the disk fails at it, a line for people: the file is there all the same.
    """
    try:
        sync_folder(path.parent)
    except OSError as error:
        why = error.strerror or type(error).__name__
        return f"{path.name} is whole, but the disk does not say that its name is safe ({why})"
    return None


def sync_descriptor(descriptor: int) -> None:
    """Wait for the disk: all syncs of files and folders go through here. Raises OSError."""
    if sys.platform == "darwin":
        # fsync leaves it to the drive there when to write what it has been given
        with contextlib.suppress(OSError):  # network drives cannot be asked
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
            return
    os.fsync(descriptor)


def rename_without_replacing(temporary: Path, output: Path) -> None:
    """Atomic where the file system has hard links. Raises FileExistsError if the name is taken, OSError."""
    try:
        os.link(temporary, output)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(output):
            raise FileExistsError(output) from None
        temporary.rename(output)
    else:
        remove_unfinished(temporary)  # where that fails, the file has its name all the same
