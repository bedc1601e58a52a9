"""A file that several machines need: the very same one on a shared folder, or a copy carried there.

It knows files by their identity and parts of their content as objects of Ray's; nothing of what is in them.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.durable import writing
from vidsr.errors import SourceError
from vidsr.segments.identity import Identity, source_identity

PART_BYTES = 64 * 2**20
"""What of a file one object holds: few objects for a film, none so large that a node has no room for it."""

FOLDER_PREFIX = "vidsr-ray-"


@dataclass(frozen=True, slots=True)
class NeededFile:
    """A file as the machine knows it that the job was begun on.

    path: absolute. parts: references to its content in the object store, in order; None while nobody has
    asked for it.
    """

    path: Path
    identity: Identity
    parts: tuple[Any, ...] | None = None

    @classmethod
    def of(cls, path: Path) -> NeededFile:
        """Raises SourceMissingError."""
        absolute = path.absolute()
        return cls(absolute, source_identity(absolute))

    def is_here(self) -> bool:
        """Whether this machine sees the same file: by size, time of the last change, and content."""
        try:
            return source_identity(self.path) == self.identity
        except SourceError:
            return False

    def contents(self) -> Iterator[bytes]:
        """Part after part, to be put into the object store."""
        with self.path.open("rb") as file:
            while part := file.read(PART_BYTES):
                yield part


def receive(file: NeededFile, folder: Path, parts: Iterable[bytes]) -> Path:
    """Write a carried file into a folder of this machine. Raises NoSpaceError, OutputError, SourceError."""
    path = folder / file.path.name
    with writing(path, "receive a file of the job"), path.open("wb") as target:
        for part in parts:
            target.write(part)
    arrived = source_identity(path)
    if any(arrived[name] != file.identity[name] for name in ("source size", "source content")):
        raise SourceError(f"{file.path} has changed while it was sent to another machine")
    return path


def own_folder(token: str) -> Path:
    """A folder for this process and one run, outside of any shared one.

    What processes that are gone have left behind on this machine is removed on the way.
    """
    for left in folders():
        if not _lives(_process_of(left)):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.gettempdir()) / f"{FOLDER_PREFIX}{os.getpid()}-{token}"
    with writing(folder, "make a folder"):
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def remove_folders(token: str) -> None:
    """Remove what all processes of one run have on this machine."""
    for folder in folders():
        if re.fullmatch(rf"\d+-{token}", folder.name.removeprefix(FOLDER_PREFIX)):
            shutil.rmtree(folder, ignore_errors=True)


def folders() -> Sequence[Path]:
    """Those of all runs on this machine."""
    return sorted(Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*-*"))


def _process_of(folder: Path) -> int | None:
    match = re.match(r"(\d+)-", folder.name.removeprefix(FOLDER_PREFIX))
    return None if match is None else int(match[1])


def _lives(process: int | None) -> bool:
    if process is None or os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
