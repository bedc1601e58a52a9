"""What of a folder a power cut may leave: recorded while a job works, then put down as folders of their own.

Between two calls of fsync a disk may write what it was given in any order, or not at all. So at every fsync,
rename, link and removal it is put on record what the folder looks like to programs, and what of it has been
synced: a file's content by a sync of the file, its name by a sync of the folder it is in. It knows files
and folders, nothing of jobs. (For Linux and macOS: an open file keeps its number there.)
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from vidsr import durable

Names = dict[str, int]
"""What a folder holds: numbers of files and folders by name."""

NAMES = ("synced", "all", "new ones", "no old ones")
"""Which changes of a folder since its last sync have come to the disk."""

CONTENTS = ("synced", "zeros", "torn", "all")
"""What is there of what was written to a file since its last sync; "zeros": its length only."""

Kind = tuple[str, str, str]
"""What is lost: of the names in the folder, of those in the folders within it, of the contents."""

ALL_KINDS = tuple(product(NAMES, NAMES, CONTENTS))
USUAL_KINDS = (("synced", "synced", "synced"), ("all", "all", "zeros"))
"""A disk that wrote nothing early, and a file system that names files before it fills them."""


@dataclass(frozen=True)
class Moment:
    """The folder at one moment. promised: what whoever works in it had promised to keep by then."""

    event: str
    folders: dict[int, Names]
    files: dict[int, bytes]
    synced_folders: dict[int, Names]
    synced_files: dict[int, bytes]
    promised: int


@dataclass(frozen=True)
class State:
    """What a power cut left: contents by path; a folder's is None."""

    words: str
    entries: dict[str, bytes | None]
    promised: int

    def put_down(self, folder: Path) -> None:
        """Make an empty folder look like this."""
        for name, content in sorted(self.entries.items()):
            if content is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(content)


@dataclass
class Recorder:
    """Watches a folder while it is worked in. promised: asked at each moment."""

    root: Path
    promised: Callable[[], int]
    moments: list[Moment] = field(default_factory=list)
    _synced_folders: dict[int, Names] = field(default_factory=dict)
    _synced_files: dict[int, bytes] = field(default_factory=dict)
    _held: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What is there at the beginning counts as synced."""
        self._synced_folders, self._synced_files = self._look()
        with pytest.MonkeyPatch.context() as patch:
            sync_descriptor = durable.sync_descriptor

            def synced(descriptor: int) -> None:
                self._note("before a sync")
                sync_descriptor(descriptor)
                self._note_sync(os.fstat(descriptor).st_ino)
                self._note("after a sync")

            patch.setattr(durable, "sync_descriptor", synced)
            for name in ("replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir"):
                patch.setattr(os, name, self._noted(name, getattr(os, name)))
            try:
                yield
            finally:
                self._note("the end")
                for descriptor in self._held.values():
                    os.close(descriptor)

    def states(self, kinds: Iterable[Kind] = ALL_KINDS) -> list[State]:
        """All that differ, in the order in which they may come about."""
        found: dict[str, State] = {}
        kinds, top = list(kinds), self.root.stat().st_ino
        for number, moment in enumerate(self.moments):
            for outer, inner, contents in kinds:
                words = f"{number} {moment.event}; names: {outer}, within: {inner}; contents: {contents}"
                entries = dict(_entries(moment, top, (outer, inner), contents))
                key = hashlib.sha256(repr((sorted(entries.items()), moment.promised)).encode()).hexdigest()
                found.setdefault(key, State(words, entries, moment.promised))
        return list(found.values())

    def _noted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._note(f"before {name}")
            return original(*arguments, **named)

        return call

    def _note(self, event: str) -> None:
        folders, files = self._look()
        self.moments.append(
            Moment(
                event, folders, files, dict(self._synced_folders), dict(self._synced_files), self.promised()
            )
        )

    def _note_sync(self, number: int) -> None:
        folders, files = self._look()
        if number in files:
            self._synced_files[number] = files[number]
        if number in folders:
            self._synced_folders[number] = folders[number]

    def _look(self) -> tuple[dict[int, Names], dict[int, bytes]]:
        folders: dict[int, Names] = {}
        files: dict[int, bytes] = {}
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            names = folders[self._number(folder)] = {}
            for path in folder.iterdir():
                names[path.name] = self._number(path)
                if path.is_dir():
                    waiting.append(path)
                else:
                    files[names[path.name]] = path.read_bytes()
        return folders, files

    def _number(self, path: Path) -> int:
        """A file's own number, held open so that no other one gets it."""
        number = path.stat().st_ino
        if number not in self._held:
            self._held[number] = os.open(path, os.O_RDONLY)
        return number


def _entries(
    moment: Moment, folder: int, names: tuple[str, str], contents: str, prefix: str = ""
) -> Iterator[tuple[str, bytes | None]]:
    which, within = names
    for name, number in _names(moment, folder, which).items():
        if number in moment.folders or number in moment.synced_folders:
            yield prefix + name, None
            yield from _entries(moment, number, (within, within), contents, f"{prefix}{name}/")
        else:
            yield prefix + name, _content(moment, number, contents)


def _names(moment: Moment, folder: int, which: str) -> Names:
    synced = moment.synced_folders.get(folder, {})
    live = moment.folders.get(folder, {})
    if which == "synced":
        return synced
    if which == "all":
        return live
    if which == "new ones":  # and no old one is gone
        return synced | live
    return {name: number for name, number in synced.items() if name in live}


def _content(moment: Moment, number: int, contents: str) -> bytes:
    synced = moment.synced_files.get(number, b"")
    live = moment.files.get(number, synced)
    if contents == "synced" or live == synced:
        return synced
    if contents == "all":
        return live
    kept = synced if live.startswith(synced) else b""
    if contents == "zeros":
        return kept + bytes(len(live) - len(kept))
    return live[: (len(kept) + len(live)) // 2]
