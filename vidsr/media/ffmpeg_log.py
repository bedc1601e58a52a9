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


@contextmanager
def listening(level: int, *, verbose: bool = False) -> Iterator[list[Message]]:
    """Collect this thread's messages up to a level; the list is filled when the block is left.

    verbose: let FFmpeg believe that it is asked for details, which it then puts into its descriptions.
    """
    heard: list[Message] = []
    with _LOCK:
        before, skips = av.logging.get_level(), av.logging.get_skip_repeated()
        av.logging.set_skip_repeated(False)  # the same finding about the next file counts as well
        if verbose:
            av.logging.set_libav_level(av.logging.VERBOSE)
        av.logging.set_level(level)
        try:
            with av.logging.Capture(local=False), av.logging.Capture() as records:
                yield heard
        finally:
            av.logging.set_level(before)
            av.logging.set_skip_repeated(skips)
            av.logging.set_libav_level(av.logging.INFO)
            heard.extend(Message(*record) for record in records)
