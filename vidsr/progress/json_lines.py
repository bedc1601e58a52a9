"""One JSON object a line, for programs."""

from __future__ import annotations

import json
import time
from typing import IO, Any

from vidsr.progress.events import (
    Event,
    Failed,
    Fetching,
    Finished,
    Joining,
    Made,
    NextInQueue,
    Note,
    Rendering,
    Reused,
    Started,
    Stopping,
    Verifying,
    Working,
)
from vidsr.progress.lines import LineRenderer
from vidsr.progress.words import realtime_factor

JSON_SECONDS = 0.5


class JsonRenderer(LineRenderer):
    """One JSON object a line; "event" names its kind."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._last_line_at = 0.0

    def show(self, event: Event) -> None:
        match event:
            case Fetching() | Joining() | Rendering():
                if time.monotonic() - self._last_line_at >= JSON_SECONDS:
                    self._last_line_at = time.monotonic()
                    self._write(type(event).__name__.lower(), _fields(event))
            case NextInQueue():
                self._write("next", _fields(event))
            case Started():
                self._begin(event)
                self._write("started", _fields(event))
            case Note():
                self._write("note", {"text": event.text})
            case Working():
                pace = self._speed.pace(event, self._started)
                if time.monotonic() - self._last_line_at < JSON_SECONDS:
                    return
                self._last_line_at = time.monotonic()
                total = self._started.frames_total if self._started else None
                self._write(
                    "working",
                    {
                        "frames_done": event.frames_done,
                        "frames_total": total,
                        "frames_held": event.frames_held,
                        "finishing": event.is_finishing,
                        "elapsed_seconds": round(event.elapsed_seconds, 3),
                        "fps": _rounded(pace.fps),
                        "seconds_left": _rounded(pace.seconds_left),
                        "realtime_factor": _rounded(realtime_factor(self._started, pace.fps)),
                        "decoded_queue": list(event.decoded_queue),
                        "upscaled_queue": list(event.upscaled_queue),
                        "busy": {name: round(share, 3) for name, share in event.stages},
                        "bottleneck": event.bottleneck,
                        "reused": reused_fields(event.reused),
                    },
                )
            case Failed() | Verifying() | Made():
                self._write(type(event).__name__.lower(), _fields(event))
            case Stopping():
                self._write("stopping", _fields(event))
            case Finished():
                self._write("finished", _fields(event) | {"reused": reused_fields(event.reused)})

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        self._print(json.dumps({"event": kind} | fields, ensure_ascii=False))


def reused_fields(reused: Reused | None) -> dict[str, float | int] | None:
    if reused is None:
        return None
    return {
        "area_share": round(reused.area_share, 4),
        "frames": reused.frames,
        "work_share": round(reused.work_share, 4),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _fields(event: Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}
