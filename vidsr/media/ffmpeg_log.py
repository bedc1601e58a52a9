"""What FFmpeg says while it does something: the only place where some of its findings appear.

FFmpeg's log level belongs to the whole process. It is raised for the moment only, under a lock, and what
other threads say meanwhile is swallowed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import av.logging

ERROR: int = av.logging.ERROR
WARNING: int = av.logging.WARNING
INFO: int = av.logging.INFO

_LOCK = threading.Lock()


class Message(NamedTuple):
    """severity: FFmpeg's number, lower is worse. source: the codec's or container's name."""

    severity: int
    source: str
    text: str


class Heard:
    """What was said so far; it grows while `listening` goes on."""

    def __init__(self, records: list[tuple[int, str, str]]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Message]:
        return (Message(*record) for record in self._records)

    def __len__(self) -> int:
        return len(self._records)

    def take(self) -> list[Message]:
        """What was said since the last time that this was asked."""
        taken = list(self)
        self._records.clear()
        return taken


@contextmanager
def listening(level: int, *, verbose: bool = False) -> Iterator[Heard]:
    """Collect this thread's messages up to a level.

    verbose: let FFmpeg believe that it is asked for details, which it then puts into its descriptions.
    """
    with _LOCK:
        before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_skip_repeated(False)  # the same finding about the next file counts as well
        if verbose:
            av.logging.set_libav_level(av.logging.VERBOSE)
        av.logging.set_level(level)
        try:
            with av.logging.Capture(local=False), av.logging.Capture() as records:
                yield Heard(records)
        finally:
            av.logging.set_level(before)
            av.logging.set_skip_repeated(skips)
            av.logging.set_libav_level(av.logging.INFO)
