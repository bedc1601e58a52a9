"""Standard output and standard input as places for videos.

Output: nothing but the video may get into it, so everything else that is printed in this process, by
libraries too, goes to standard error from then on. Input: it is read to its end into a temporary file first,
because a video is read several times over (its description, its frames, its other streams), MP4 may have its
index at the end, and upscaling is slower than any pipe.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO

from vidsr.errors import NoSpaceError, NotAVideoError, UsageError

STANDARD = Path("-")
"""What stands for standard input and standard output."""

_COPIED_BYTES = 2**20


@cache
def claim_stdout() -> int:
    """A file descriptor of what was standard output; `print` and the like go to standard error from now on.

    Raises UsageError if standard output is a terminal, or closed.
    """
    if sys.stdout is None:  # Python's way of saying that the shell closed it (>&-)
        raise UsageError("standard output is closed", "pipe it: vidsr IN - | mpv -")
    if os.isatty(1):
        raise UsageError(
            "standard output is a terminal, which cannot show a video", "pipe it: vidsr IN - | mpv -"
        )
    sys.stdout.flush()
    descriptor = os.dup(1)
    os.dup2(2, 1)
    return descriptor


@contextmanager
def spooled(stream: IO[bytes]) -> Iterator[Path]:
    """A temporary file with all that comes from a stream, gone after the block; TMPDIR says where.

    Raises UsageError if the stream is a terminal, NotAVideoError if nothing comes, NoSpaceError.
    """
    if stream.isatty():
        raise UsageError("standard input is a terminal", "pipe a video into vidsr, or name a file")
    with tempfile.TemporaryDirectory(prefix="vidsr-") as folder:
        path = Path(folder) / "standard input"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, _COPIED_BYTES)
        except OSError as error:
            raise NoSpaceError(
                f"standard input cannot be kept in {folder}: {error.strerror}", "set TMPDIR to a larger disk"
            ) from error
        if not path.stat().st_size:
            raise NotAVideoError(
                "nothing came from standard input", "look at what was to write into the pipe"
            )
        yield path
