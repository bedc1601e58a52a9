"""How fast a run is at the moment, and how long the rest of it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsr.progress.events import Started, Working

SPEED_WINDOW_SECONDS = 20.0
"""fps is measured over this window, so that the time left follows the content and not the start-up."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Frames a second, and seconds to the end of the job's frames; None where they are not known.

    Behind the last frame neither is: encoders give the frames that they hold at any speed.
    """

    fps: float | None
    seconds_left: float | None


class Speedometer:
    """Frames a second over the last SPEED_WINDOW_SECONDS."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []
        self._most_held = 0

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

    def pace(self, event: Working, started: Started | None) -> Pace:
        """What is known of the speed with this event.

        The time left is that of the frames to come, and that which the encoder will need for those it holds
        when the last one has come: as many as it ever held, each for as long as it is at work on one.
        """
        self._most_held = max(self._most_held, event.frames_held)
        fps = self.update(event.elapsed_seconds, event.frames_done)
        if event.is_finishing or fps is None:
            return Pace(None, None)
        total = None if started is None else started.frames_total
        behind = self._most_held * dict(event.stages).get("encode", 0.0)
        return Pace(fps, None if total is None else (max(total - event.frames_done, 0) + behind) / fps)
