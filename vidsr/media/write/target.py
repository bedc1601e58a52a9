"""Where an output goes: refused at once where it cannot be, unfinished under another name, named when whole.

It knows paths, pipes and what errors of writing mean for people; nothing of what is in the file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av.error

from vidsr.durable import (
    output_error,
    remove_unfinished,
    rename_without_replacing,
    sync,
    sync_name,
    temporary_name,
)
from vidsr.errors import OutputError, OutputExistsError, UsageError
from vidsr.media.read.demux import is_address

_LONGEST_NAME = 255
"""Bytes; of ext4, XFS, Btrfs, ZFS and tmpfs, and no more than what APFS and NTFS take."""


class Target:
    """An output that is not there yet.

    output: its name, for people too where it goes into a pipe. temporary: the file until it has its name.
    """

    def __init__(self, output: Path, source: Path, *, overwrite: bool, pipe: int | None) -> None:
        """pipe: a file descriptor to write into instead of a file.

        Raises what `check_target` does, unless it goes into a pipe.
        """
        if pipe is None:
            check_target(output, source, overwrite=overwrite)
        self.output, self.pipe = output, pipe
        self.temporary = temporary_name(output)
        self._overwrite = overwrite

    @property
    def address(self) -> str:
        """What FFmpeg opens for writing."""
        return f"file:{self.temporary}" if self.pipe is None else f"pipe:{self.pipe}"

    def sync(self) -> int:
        """Have the whole unfinished file on the disk; its size in bytes. Raises NoSpaceError, OutputError."""
        with self.naming(), self.temporary.open("rb+") as file:
            sync(file)
            return self.temporary.stat().st_size

    def publish(self) -> str | None:
        """Give the file its name; a line for people where a power cut may take it.

        Raises OutputExistsError (somebody else made the file meanwhile), NoSpaceError, OutputError.
        """
        with self.naming():
            if self._overwrite:
                self.temporary.replace(self.output)
            else:
                rename_without_replacing(self.temporary, self.output)
        return sync_name(self.output)

    def set_aside(self, name: Path) -> None:
        """Give the file another name, and never its own; replaces what is there."""
        with self.naming():
            self.temporary.replace(name)

    def remove(self) -> None:
        """Remove the unfinished file; harmless when there is none."""
        remove_unfinished(self.temporary)

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Name what goes wrong with the file as a whole."""
        try:
            yield
        except FileExistsError as error:
            raise _exists(self.output) from error
        except OSError as error:
            raise output_error(error, self.output, "finish the output") from error

    @contextmanager
    def muxing(self, doing: str) -> Iterator[None]:
        """Name what goes wrong when FFmpeg writes; `doing` ends "cannot ..."."""
        try:
            yield
        except av.error.FFmpegError as error:
            raise self._explained(error, doing) from error
        except ValueError as error:
            raise OutputError(f"{self.output.name}: cannot {doing}: {error}") from error

    def _explained(self, error: av.error.FFmpegError, doing: str) -> OutputError:
        if error.errno == errno.EPIPE:
            return OutputError("the program that read the output has ended", "look at what it says")
        found = output_error(error, self.output, doing)
        if isinstance(error, av.error.InvalidDataError):
            hint = (
                "a damaged stream of the source may be the cause: try --audio none, or an output named .mkv"
            )
            return OutputError(found.message, hint)
        return found


def check_name(output: Path) -> None:
    """Refuse a name that leaves no room for the one the file has while it is unfinished.

    Raises OutputError.
    """
    excess = len(os.fsencode(temporary_name(output).name)) - _LONGEST_NAME
    if excess > 0:
        raise OutputError(f"the output's name is too long by {excess} bytes", "give it a shorter name")


def check_target(output: Path, source: Path, *, overwrite: bool) -> None:
    """Refuse an output that must not or cannot be written.

    Raises UsageError (the output is the input, or a folder), OutputExistsError, OutputError.
    """
    check_name(output)
    try:
        _check_place(output, source, overwrite=overwrite)
    except OSError as error:  # a path that is too long in all, or has a part that is
        raise OutputError(f"{output}: {error.strerror}", "choose another folder") from error


def _check_place(output: Path, source: Path, *, overwrite: bool) -> None:
    folder = output.parent
    if output.is_dir():
        raise UsageError(f"{output} is a folder", "name a file in it")
    if not folder.is_dir():
        raise OutputError(f"there is no folder {folder}", "make it first")
    if not is_address(source) and source.exists() and output.exists() and output.samefile(source):
        raise UsageError(f"output and input are the same file: {output}", "give the output another name")
    if not overwrite and os.path.lexists(output):  # a link that leads nowhere has the name too
        raise _exists(output)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"no permission to write in {folder}", "choose another folder")


def _exists(output: Path) -> OutputExistsError:
    return OutputExistsError(f"{output} is there already", "pass --overwrite to replace it")
