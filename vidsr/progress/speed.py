"""How fast a run is at the moment, and how long the rest of it takes."""

from __future__ import annotations

SPEED_WINDOW_SECONDS = 20.0
"""fps is measured over this window, so that the time left follows the content and not the start-up."""


class Speedometer:
    """Frames a second over the last SPEED_WINDOW_SECONDS."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def update(self, elapsed_seconds: float, frames: int) -> float | None:
        """None until a frame has been finished."""
        if not self._marks or self._marks[-1][1] != frames:
            self._marks.append((elapsed_seconds, frames))
        while len(self._marks) > 2 and elapsed_seconds - self._marks[1][0] > SPEED_WINDOW_SECONDS:
            self._marks.pop(0)
        first_time, first_frames = self._marks[0]
        if frames == first_frames or elapsed_seconds <= first_time:
            return None
        return (frames - first_frames) / (elapsed_seconds - first_time)


def seconds_left(done: int, total: int | None, fps: float | None) -> float | None:
    if total is None or not fps:
        return None
    return max(total - done, 0) / fps
