"""Events in words for people: what both the live display and plain lines say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vidsr.progress.events import (
    Fetching,
    Finished,
    Joining,
    Made,
    NextInQueue,
    Rendering,
    Reused,
    Started,
    Verifying,
    Working,
)
from vidsr.progress.speed import Pace

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def one_line(text: str) -> str:
    """For a terminal: line ends and what moves its cursor, which names of files may hold, as escapes."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def fetching_words(event: Fetching) -> str:
    if event.is_waiting:
        return f"waiting for another process that downloads {event.file}"
    total = "" if event.total_bytes is None else f" of {size_words(event.total_bytes)}"
    return f"downloading {event.file}: {size_words(event.done_bytes)}{total}"


def passing_words(event: Fetching | Joining | Rendering) -> tuple[str, str]:
    """(what it is about, words) of an event that comes again and again."""
    match event:
        case Fetching():
            return event.file, fetching_words(event)
        case Joining():
            return "segments", joining_words(event)
        case Rendering():
            return event.text, rendering_words(event)


def queue_words(event: NextInQueue) -> str:
    failed = f", {event.failures} failed so far" if event.failures else ""
    return f"[{event.number}/{event.files}] {event.source}{failed}"


def overall_words(queue: NextInQueue, done: int) -> str:
    """done: frames of this file and those before."""
    percent = min(100 * done // queue.frames_total, 99) if queue.frames_total else 0  # 100 when all is over
    share = f", {percent}% of all frames" if queue.frames_total else ""
    return f"file {queue.number} of {queue.files}{share}"


def joining_words(event: Joining) -> str:
    return f"putting the segments together: {event.segments_done} of {event.segments_total}"


def verifying_words(event: Verifying) -> str:
    return f"comparing {event.output} with its source"


def rendering_words(event: Rendering) -> str:
    return f"{event.text}: {event.done / event.total:.0%}" if event.total else event.text


def made_words(event: Made) -> str:
    return f"{event.output}: {event.text}"


def opening_lines(event: Started) -> list[str]:
    return [
        f"{event.source} ({event.source_picture}) -> {event.output} ({event.output_picture})",
        f"{event.model}, {event.engine}, {event.encoder}",
    ]


def reused_words(reused: Reused, computed: int) -> str:
    """computed: frames of this run."""
    words = f"Reused: {reused.area_share:.0%} of the area, {reused.frames} of {computed} frames as a whole"
    if reused.work_share < 1 and (times := 1 / (1 - reused.work_share)) >= 1.05:
        words += f"; {times:.3g}x less for the network to compute"
    return words


_VERIFIED = {True: "verified", False: "verified but for the damage", None: "not verified"}


def closing_lines(event: Finished, started: Started | None) -> list[str]:
    computed = event.frames - event.frames_before
    fps = computed / event.elapsed_seconds if event.elapsed_seconds else 0.0
    before = f" ({event.frames_before} of them finished before)" if event.frames_before else ""
    line = (
        f"{event.output}: {event.frames} frame{'s' if event.frames != 1 else ''}{before}, "
        f"{size_words(event.size_bytes)}, {_VERIFIED[event.verified]}, "
        f"in {duration_words(event.elapsed_seconds)}"
    )
    if not computed:
        return [*damage_lines(event.damage), line]
    line += f" ({fps:.2f} fps"
    if (realtime := realtime_factor(started, fps)) is not None:
        line += f", {realtime:.3g}x real time"
    line += f"); limited by {event.bottleneck}"
    if event.advice:
        line += f" ({event.advice})"
    reused = [reused_words(event.reused, computed)] if event.reused and event.reused.area_share else []
    return [*damage_lines(event.damage), *reused, line]


MOST_PLACES = 12
"""So many damaged places are named one by one, so that they do not push the rest out of the terminal."""


def damage_lines(damage: Sequence[str]) -> list[str]:
    named = damage if len(damage) <= MOST_PLACES + 1 else damage[:MOST_PLACES]
    lines = [f"Damaged: {text}" for text in named]
    if rest := len(damage) - len(named):
        lines.append(f"Damaged: {rest} more places, the last: {damage[-1]} (--progress json names all)")
    return lines


def position(event: Working, started: Started | None) -> str:
    done = event.frames_done
    if event.is_finishing:
        return f"{done} frames computed"  # 100% would say that it is over
    if started is None or started.frames_total is None:
        return f"{done} frames"
    total = f"{'' if started.frames_total_is_exact else '~'}{started.frames_total}"
    percent = f" {min(100 * done // started.frames_total, 100)}%" if started.frames_total else ""
    return f"{done}/{total} frames{percent}"


def speed_words(event: Working, started: Started | None, pace: Pace) -> str:
    if event.is_finishing:
        return finishing_words(event.frames_held)
    if pace.fps is None:
        return f"{duration_words(event.elapsed_seconds)} elapsed, first frames under way"
    words = f"{pace.fps:.2f} fps"
    if (realtime := realtime_factor(started, pace.fps)) is not None:
        words += f" ({realtime:.3g}x real time)"
    if pace.seconds_left is not None:
        words += f", {duration_words(pace.seconds_left)} left"
    return words


def finishing_words(held: int) -> str:
    """held: frames in the encoder, behind which no other will come."""
    if not held:
        return "closing the file"
    return f"encoding the last {'frame' if held == 1 else f'{held} frames'}"


def duration_words(seconds: float) -> str:
    """12.3 s, 4:05 min, 2:04:05 h."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def size_words(size_bytes: int) -> str:
    """Decimal units, as disks are sold: 12.3 MB."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if round(size, 1) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def realtime_factor(started: Started | None, fps: float | None) -> float | None:
    """Seconds of the film computed in a second; None where its rate or the speed is not known."""
    if started is None or not started.source_fps or fps is None:
        return None
    return fps / started.source_fps
