"""A live display at the bottom of a terminal.

What is shown is Text and never a bare str: in one, rich takes the [x265] of a file's name for markup.
"""

from __future__ import annotations

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
    Started,
    Stopping,
    Verifying,
    Working,
)
from vidsr.progress.speed import Speedometer
from vidsr.progress.words import (
    closing_lines,
    made_words,
    one_line,
    opening_lines,
    overall_words,
    passing_words,
    position,
    queue_words,
    speed_words,
    verifying_words,
)


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
                self._say(queue_words(event), style="bold")
            case Failed():
                self._live.update(Text(), refresh=True)
            case Fetching() | Joining() | Rendering():
                self._live.update(self._passing(event), refresh=True)
            case Started():
                self._started, self._speed = event, Speedometer()
                self._say(*opening_lines(event))
            case Note():
                self._console.print(Text.assemble(("Note: ", "yellow"), one_line(event.text)))
            case Working():
                self._live.update(self._display(event), refresh=True)
            case Verifying():
                self._live.update(Text(one_line(verifying_words(event))), refresh=True)
            case Made():
                self._live.update(Text(), refresh=True)
                self._say(made_words(event))
            case Stopping():
                self._live.update(Text(), refresh=True)
                self._live.stop()  # a second Ctrl+C ends the process at once; the cursor must be back by then
                self._say(event.text)
            case Finished():
                self._live.update(Text(), refresh=True)
                self._say(*closing_lines(event, self._started))

    def _say(self, *lines: str, style: str = "") -> None:
        """As they are: square brackets and colons in names of files are no markup."""
        for line in lines:
            self._console.print(Text(one_line(line), style=style))

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
        pace = self._speed.pace(event, self._started)
        bar = ProgressBar(
            total=total,
            completed=min(event.frames_done, total or 0),
            pulse=not event.frames_done or event.is_finishing,
            width=40,
        )
        head = Table.grid(padding=(0, 1))
        head.add_row(bar, Text(position(event, self._started), style="bold"))
        speed = Text(speed_words(event, self._started, pace))
        stages = Text("decode ")
        stages.append_text(self._gauge(*event.decoded_queue))
        stages.append(" upscale ")
        stages.append_text(self._gauge(*event.upscaled_queue))
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

    def _gauge(self, items: int, capacity: int) -> Text:
        full, free = "#." if self._console.options.ascii_only else "■·"
        cells = 6
        filled = round(items / capacity * cells)
        return Text.assemble(
            "[", (full * filled, "cyan"), (free * (cells - filled), "dim"), f"] {items}/{capacity}"
        )
