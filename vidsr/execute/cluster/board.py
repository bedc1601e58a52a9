"""Where the workers of a cluster say how far they are, and learn that they are to stop: an actor of Ray's.

Plain values only, so that its process needs none of the libraries the workers need.
"""

from __future__ import annotations

from typing import Any


class Board:
    """Lives on the machine the job was begun on. Stretches go by the number of their first frame."""

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[Any, ...] | None] = {}
        self._is_stopping = False

    def report(self, stretch: int, progress: tuple[Any, ...] | None) -> bool:
        """A worker is on a stretch. progress: a Progress as a tuple, None at the beginning.

        Whether it is to stop.
        """
        if not (self._is_stopping and progress is None):
            self._under_way[stretch] = progress
        return self._is_stopping

    def leave(self, stretch: int) -> None:
        """The answer about a stretch has arrived: only now may nobody wait for it any more."""
        self._under_way.pop(stretch, None)

    def under_way(self) -> dict[int, tuple[Any, ...] | None]:
        """The last report about every stretch that somebody is on."""
        return self._under_way

    def stop(self) -> list[int]:
        """Tell all workers to stop; gives the stretches that somebody is on."""
        self._is_stopping = True
        return list(self._under_way)
