"""What renderers of lines share: a stream that shows each line at once, and how fast the job goes."""

from __future__ import annotations

from typing import IO, Self

from vidsr.progress.events import Started
from vidsr.progress.speed import Speedometer
from vidsr.progress.words import one_line


class LineRenderer:
    """Writes lines to a stream; what has begun and its speed are its children's to follow."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._started: Started | None = None
        self._speed = Speedometer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """What could not be written is no news where another error is on its way, and may come of that."""
        if exc_info[0] is None:
            self._stream.flush()

    def _begin(self, event: Started) -> None:
        self._started, self._speed = event, Speedometer()

    def _print(self, *lines: str) -> None:
        self._stream.write("".join(f"{one_line(line)}\n" for line in lines))
        self._stream.flush()
