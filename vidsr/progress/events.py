"""What happens in a run: plain frozen records.

Whoever emits them knows no renderer, and no renderer knows where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsr.weights.download import DownloadProgress


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

    frames_done: that the encoder has, with those of earlier runs. reused: None where nothing is.
    is_finishing: it has all of them, of which it still holds frames_held; those take a while where it looks
    far ahead.
    """

    frames_done: int
    frames_decoded: int
    elapsed_seconds: float
    decoded_queue: tuple[int, int]
    upscaled_queue: tuple[int, int]
    stages: tuple[tuple[str, float], ...]
    bottleneck: str
    reused: Reused | None = None
    frames_held: int = 0
    is_finishing: bool = False


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
class Failed:
    """A file came to nothing, or was interrupted. What people read of it comes at the end."""

    source: str
    message: str
    hint: str | None


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
    bottleneck: str
    advice: str | None
    damage: tuple[str, ...] = ()
    frames_before: int = 0
    reused: Reused | None = None
    verified: bool | None = None


Event = (
    NextInQueue
    | Failed
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

Show = Callable[[Event], None]
"""Takes an event for people or programs; called in one thread."""


def heeding(show: Show, check: Callable[[], None]) -> Show:
    """The same, calling `check` first where work begins or goes on that asks nowhere else if it is wanted.

    check: raises what ends the run. Of the other events some come while it is being ended.
    """

    def heed(event: Event) -> None:
        if isinstance(event, Fetching | Started | Verifying | Rendering):
            check()
        show(event)

    return heed


def show_at_the_end(show: Show, event: Event) -> None:
    """Show an event of a run that something has ended: that nobody can read it neither is that nor hides it.

    Ctrl+C ends what reads a pipe (`vidsr ... | tee log`) along with the run.
    """
    with suppress(OSError):
        show(event)
