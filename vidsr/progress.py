"""What a run says while it works: events, and the three ways of showing them.

`run` emits events; a renderer turns them into a terminal display (rich), plain lines or one JSON object
a line. No renderer knows where events come from, and none of them touches a frame.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from vidsr.weights.download import DownloadProgress

PLAIN_SECONDS = 5.0
"""Seconds between plain lines: often enough to see life in a log, rare enough to keep it short."""
JSON_SECONDS = 0.5
SPEED_WINDOW_SECONDS = 20.0
"""fps is measured over this window, so that the time left follows the content and not the start-up."""


@dataclass(frozen=True, slots=True)
class Started:
    """What is about to be done, in words for people. frames_total is None when nobody knows.

    frames_before: how many of them an earlier run has finished.
    """

    source: str
    output: str
    model: str
    source_picture: str
    output_picture: str
    engine: str
    encoder: str
    frames_total: int | None
    frames_total_is_exact: bool
    source_fps: float | None
    frames_before: int = 0


@dataclass(frozen=True, slots=True)
class Fetching:
    """A weight file is being downloaded, or waited for while another process downloads it.

    total_bytes is None if unknown; done_bytes includes what an earlier run had fetched.
    """

    file: str
    address: str
    is_waiting: bool
    done_bytes: int
    total_bytes: int | None

    @classmethod
    def of(cls, progress: DownloadProgress) -> Fetching:
        return cls(
            progress.file,
            progress.address,
            progress.state == "waiting",
            progress.done_bytes,
            progress.total_bytes,
        )


@dataclass(frozen=True, slots=True)
class Note:
    """One line that the user should know: what was converted, left out or assumed."""

    text: str


@dataclass(frozen=True, slots=True)
class Reused:
    """What did not have to be computed again, of this run.

    area_share: of the pictures' area, 0 to 1. frames: shown as a whole picture once more. work_share: of
    the network's work, halos included, 0 to 1.
    """

    area_share: float
    frames: int
    work_share: float


@dataclass(frozen=True, slots=True)
class Working:
    """Where the run stands. Queues are (items, capacity); stages are shares of time at work.

    frames_done: with those of earlier runs. reused: None where nothing is.
    """

    frames_done: int
    frames_decoded: int
    elapsed_seconds: float
    decoded_queue: tuple[int, int]
    upscaled_queue: tuple[int, int]
    stages: tuple[tuple[str, float], ...]
    bottleneck: str
    reused: Reused | None = None


@dataclass(frozen=True, slots=True)
class NextInQueue:
    """One of several files is begun: number `number` (from 1) of `files`.

    frames_ahead: of the files before it. frames_total: of all files; None if nobody knows. failures: how
    many files failed so far.
    """

    number: int
    files: int
    source: str
    frames_ahead: int
    frames_total: int | None
    failures: int


@dataclass(frozen=True, slots=True)
class Joining:
    """The segments of a long job are being put together: so many of so many."""

    segments_done: int
    segments_total: int


@dataclass(frozen=True, slots=True)
class Verifying:
    """The complete output is compared with its source, before it gets its name."""

    output: str


@dataclass(frozen=True, slots=True)
class Rendering:
    """Pictures for looking at are being made: `done` of `total` units of what `text` says."""

    text: str
    done: float
    total: float


@dataclass(frozen=True, slots=True)
class Made:
    """A file or folder is finished. text: what is in it, for people."""

    output: str
    text: str


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run was interrupted and saves what it has; nothing else is shown after this but notes."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The run ended well (apart from `damage`, lines about what of the source could not be decoded).

    frames_before: how many of the frames an earlier run had finished. verified: the output was compared with
    the source and nothing is lost; False if only damage of the source explains what is; None if it was not
    compared.
    """

    output: str
    frames: int
    elapsed_seconds: float
    size_bytes: int
    media_seconds: float | None
    bottleneck: str
    advice: str | None
    damage: tuple[str, ...] = ()
    frames_before: int = 0
    reused: Reused | None = None
    verified: bool | None = None


Event = (
    NextInQueue
    | Fetching
    | Started
    | Note
    | Working
    | Joining
    | Verifying
    | Rendering
    | Made
    | Stopping
    | Finished
)


class Renderer(Protocol):
    """Shows events. A context manager, so that a live display is put away whatever happens."""

    def __enter__(self) -> Renderer: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def show(self, event: Event) -> None: ...


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


class RichRenderer:
    """A live display of three lines at the bottom of a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._queue: NextInQueue | None = None
        self._started: Started | None = None
        self._speed = Speedometer()

    def __enter__(self) -> RichRenderer:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        match event:
            case NextInQueue():
                self._queue = event
                self._console.print(Text(queue_words(event), style="bold"))
            case Fetching() | Joining() | Rendering():
                self._live.update(self._passing(event), refresh=True)
            case Started():
                self._started, self._speed = event, Speedometer()
                for line in opening_lines(event):
                    self._console.print(line, highlight=False)
            case Note():
                self._console.print(Text.assemble(("Note: ", "yellow"), event.text))
            case Working():
                self._live.update(self._display(event), refresh=True)
            case Verifying():
                self._live.update(Text(verifying_words(event)), refresh=True)
            case Made():
                self._live.update(Text(), refresh=True)
                self._console.print(made_words(event), highlight=False)
            case Stopping():
                self._live.update(Text(), refresh=True)
                self._live.stop()  # a second Ctrl+C ends the process at once; the cursor must be back by then
                self._console.print(event.text, highlight=False)
            case Finished():
                self._live.update(Text(), refresh=True)
                for line in closing_lines(event, self._started):
                    self._console.print(line, highlight=False)

    @staticmethod
    def _passing(event: Fetching | Joining | Rendering) -> Table:
        match event:
            case Fetching(_, _, is_waiting, done, total):
                bar = ProgressBar(total=total, completed=done, pulse=is_waiting, width=40)
            case Joining(done, total):
                bar = ProgressBar(total=total, completed=done, width=40)
            case Rendering(_, share, whole):
                bar = ProgressBar(total=whole, completed=share, pulse=not share, width=40)
        row = Table.grid(padding=(0, 1))
        words = event.text if isinstance(event, Rendering) else passing_words(event)[1]
        row.add_row(bar, Text(words, no_wrap=True, overflow="ellipsis"))
        return row

    def _display(self, event: Working) -> Table:
        total = self._started.frames_total if self._started else None
        fps = self._speed.update(event.elapsed_seconds, event.frames_done)
        bar = ProgressBar(
            total=total, completed=min(event.frames_done, total or 0), pulse=not event.frames_done, width=40
        )
        head = Table.grid(padding=(0, 1))
        head.add_row(bar, Text(position(event.frames_done, self._started), style="bold"))
        speed = Text(speed_words(event, self._started, fps))
        stages = Text("decode ")
        stages.append_text(_gauge(*event.decoded_queue))
        stages.append(" upscale ")
        stages.append_text(_gauge(*event.upscaled_queue))
        stages.append(" encode")
        stages.append(f"   limited by {event.bottleneck}", style="dim")
        body = Table.grid()
        body.add_row(head)
        body.add_row(speed)
        body.add_row(stages)
        if self._queue is not None:
            body.add_row(self._overall(self._queue, event.frames_done))
        return body

    @staticmethod
    def _overall(queue: NextInQueue, frames_done: int) -> Table:
        row = Table.grid(padding=(0, 1))
        done, total = queue.frames_ahead + frames_done, queue.frames_total
        row.add_row(
            ProgressBar(total=total, completed=min(done, total or 0), width=40), overall_words(queue, done)
        )
        return row


def _gauge(items: int, capacity: int) -> Text:
    cells = 6
    filled = round(items / capacity * cells)
    return Text.assemble(
        "[", ("■" * filled, "cyan"), ("·" * (cells - filled), "dim"), f"] {items}/{capacity}"
    )


class PlainRenderer:
    """A line now and then, for logs and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._queue: NextInQueue | None = None
        self._started: Started | None = None
        self._speed = Speedometer()
        self._last_line_at = {"frames": time.monotonic()}

    def __enter__(self) -> PlainRenderer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stream.flush()

    def show(self, event: Event) -> None:
        match event:
            case Fetching() | Joining() | Rendering():
                subject, words = passing_words(event)
                if self._is_due(subject):
                    self._print(words)
            case NextInQueue():
                self._queue = event
                self._print(queue_words(event))
            case Started():
                self._started, self._speed = event, Speedometer()
                self._print(*opening_lines(event))
            case Note():
                self._print(f"Note: {event.text}")
            case Working():
                fps = self._speed.update(event.elapsed_seconds, event.frames_done)
                if self._is_due("frames"):
                    decoded, upscaled = event.decoded_queue, event.upscaled_queue
                    self._print(
                        f"{position(event.frames_done, self._started)}, "
                        f"{speed_words(event, self._started, fps)}, "
                        f"queues {decoded[0]}/{decoded[1]} {upscaled[0]}/{upscaled[1]}, "
                        f"limited by {event.bottleneck}" + self._overall(event.frames_done)
                    )
            case Verifying():
                self._print(verifying_words(event))
            case Made():
                self._print(made_words(event))
            case Stopping():
                self._print(event.text)
            case Finished():
                self._print(*closing_lines(event, self._started))

    def _overall(self, frames_done: int) -> str:
        queue = self._queue
        return "" if queue is None else f"; {overall_words(queue, queue.frames_ahead + frames_done)}"

    def _is_due(self, what: str) -> bool:
        """Whether a line about `what` is due: the first at once, the next ones now and then."""
        now = time.monotonic()
        due = now - self._last_line_at.get(what, -PLAIN_SECONDS) >= PLAIN_SECONDS
        if due:
            self._last_line_at[what] = now
        return due

    def _print(self, *lines: str) -> None:
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


class JsonRenderer:
    """One JSON object a line; "event" names its kind."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._started: Started | None = None
        self._speed = Speedometer()
        self._last_line_at = 0.0

    def __enter__(self) -> JsonRenderer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stream.flush()

    def show(self, event: Event) -> None:
        match event:
            case Fetching() | Joining() | Rendering():
                if time.monotonic() - self._last_line_at >= JSON_SECONDS:
                    self._last_line_at = time.monotonic()
                    self._write(type(event).__name__.lower(), _fields(event))
            case NextInQueue():
                self._write("next", _fields(event))
            case Started():
                self._started, self._speed = event, Speedometer()
                self._write("started", _fields(event))
            case Note():
                self._write("note", {"text": event.text})
            case Working():
                fps = self._speed.update(event.elapsed_seconds, event.frames_done)
                if time.monotonic() - self._last_line_at < JSON_SECONDS:
                    return
                self._last_line_at = time.monotonic()
                total = self._started.frames_total if self._started else None
                self._write(
                    "working",
                    {
                        "frames_done": event.frames_done,
                        "frames_total": total,
                        "elapsed_seconds": round(event.elapsed_seconds, 3),
                        "fps": _rounded(fps),
                        "seconds_left": _rounded(seconds_left(event.frames_done, total, fps)),
                        "realtime_factor": _rounded(_realtime(self._started, fps)),
                        "decoded_queue": list(event.decoded_queue),
                        "upscaled_queue": list(event.upscaled_queue),
                        "busy": {name: round(share, 3) for name, share in event.stages},
                        "bottleneck": event.bottleneck,
                        "reused": reused_fields(event.reused),
                    },
                )
            case Verifying() | Made():
                self._write(type(event).__name__.lower(), _fields(event))
            case Stopping():
                self._write("stopping", _fields(event))
            case Finished():
                self._write("finished", _fields(event) | {"reused": reused_fields(event.reused)})

    def _write(self, kind: str, fields: dict[str, Any]) -> None:
        self._stream.write(json.dumps({"event": kind} | fields, ensure_ascii=False) + "\n")
        self._stream.flush()


class SilentRenderer:
    """Shows nothing."""

    def __enter__(self) -> SilentRenderer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return

    def show(self, event: Event) -> None:
        return


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
    share = f", {min(done / queue.frames_total, 1):.0%} of all frames" if queue.frames_total else ""
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


def reused_fields(reused: Reused | None) -> dict[str, float | int] | None:
    if reused is None:
        return None
    return {
        "area_share": round(reused.area_share, 4),
        "frames": reused.frames,
        "work_share": round(reused.work_share, 4),
    }


def reused_words(reused: Reused, computed: int) -> str:
    """computed: frames of this run."""
    words = f"Reused: {reused.area_share:.0%} of the area, {reused.frames} of {computed} frames as a whole"
    if reused.work_share < 1:
        words += f"; {1 / (1 - reused.work_share):.3g}x less for the network to compute"
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
        return [*(f"Damaged: {text}" for text in event.damage), line]
    line += f" ({fps:.2f} fps"
    if (realtime := _realtime(started, fps)) is not None:
        line += f", {realtime:.3g}x real time"
    line += f"); limited by {event.bottleneck}"
    if event.advice:
        line += f" ({event.advice})"
    reused = [reused_words(event.reused, computed)] if event.reused and event.reused.area_share else []
    return [*(f"Damaged: {text}" for text in event.damage), *reused, line]


def position(done: int, started: Started | None) -> str:
    if started is None or started.frames_total is None:
        return f"{done} frames"
    total = f"{'' if started.frames_total_is_exact else '~'}{started.frames_total}"
    percent = f" {min(done / started.frames_total, 1):.0%}" if started.frames_total else ""
    return f"{done}/{total} frames{percent}"


def speed_words(event: Working, started: Started | None, fps: float | None) -> str:
    if fps is None:
        return f"{duration_words(event.elapsed_seconds)} elapsed, first frames under way"
    words = f"{fps:.2f} fps"
    if (realtime := _realtime(started, fps)) is not None:
        words += f" ({realtime:.3g}x real time)"
    left = seconds_left(event.frames_done, started.frames_total if started else None, fps)
    if left is not None:
        words += f", {duration_words(left)} left"
    return words


def duration_words(seconds: float) -> str:
    """12.3 s, 4:05 min, 2:04:05 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def size_words(size_bytes: int) -> str:
    """Decimal units, as disks are sold: 12.3 MB."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def _realtime(started: Started | None, fps: float | None) -> float | None:
    if started is None or not started.source_fps or fps is None:
        return None
    return fps / started.source_fps


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _fields(
    event: NextInQueue | Fetching | Started | Joining | Verifying | Rendering | Made | Stopping | Finished,
) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__dataclass_fields__}
