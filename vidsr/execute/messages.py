"""What a job's process and its workers say to each other. Plain records that can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from vidsr import errors
from vidsr.errors import VidsrError
from vidsr.job import SegmentReceipt
from vidsr.media.read.segment_reader import Stretch
from vidsr.pipeline import Snapshot

# From a worker


@dataclass(frozen=True, slots=True)
class Ready:
    """The network is loaded. words: what computes it, for people."""

    words: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Another stretch is wanted. waits: nothing is left to do without one; else it is for later."""

    waits: bool


@dataclass(frozen=True, slots=True)
class Progress:
    """Frames written since the worker began, and how its stages stand (see pipeline.Snapshot)."""

    frames_decoded: int
    frames_written: int
    decoded_queue: tuple[int, int]
    upscaled_queue: tuple[int, int]
    stages: tuple[tuple[str, float], ...]
    frames_held: int = 0
    is_finishing: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot, *, written_before: int = 0) -> Progress:
        """written_before: frames of the worker's runs before this one."""
        return cls(
            snapshot.frames_decoded,
            written_before + snapshot.frames_written,
            snapshot.decoded_queue,
            snapshot.upscaled_queue,
            snapshot.shares,
            snapshot.frames_held,
            snapshot.is_finishing,
        )


@dataclass(frozen=True, slots=True)
class Done:
    """A segment is finished, or the part of it up to where the worker was stopped."""

    receipt: SegmentReceipt


@dataclass(frozen=True, slots=True)
class Failed:
    """The worker has ended because of an error. is_local: another device may well do better."""

    kind: str
    message: str
    hint: str | None
    is_local: bool

    def error(self, place: str) -> VidsrError:
        """As an error of our own. place: where it happened, for people who look for it."""
        kind = getattr(errors, self.kind, VidsrError)  # by name: with other constructors it cannot be pickled
        error: VidsrError
        try:
            error = kind(self.message, self.hint)
        except TypeError:
            error = VidsrError(self.message, self.hint)
        error.add_note(place)
        return error


@dataclass(frozen=True, slots=True)
class Ended:
    """The worker has stopped because it was told to, and saved what it had."""


FromWorker = Ready | Wanted | Progress | Done | Failed | Ended

# To a worker


@dataclass(frozen=True, slots=True)
class Begin:
    """digest: of the job, to be written into its segments."""

    digest: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Compute this stretch as one segment."""

    stretch: Stretch


@dataclass(frozen=True, slots=True)
class NothingNow:
    """There is no stretch to be had at the moment."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Save what is finished and end."""


ToWorker = Begin | Lease | NothingNow | Stop
