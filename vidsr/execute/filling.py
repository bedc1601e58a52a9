"""What every way of computing segments is given: what is wanted, and where the results go.

One thread at a time uses it. It knows SegmentReceipts and the job's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vidsr.channel import StopSignal
from vidsr.damage import Damage
from vidsr.errors import InterruptedByUser
from vidsr.execute.prepare import Engine, Prepared
from vidsr.job import Segment, SegmentReceipt
from vidsr.progress.events import Show, Stopping, show_at_the_end
from vidsr.segments.coverage import overlap, start_key
from vidsr.segments.workspace import Workspace


@dataclass
class Filling:
    """A job's missing stretches being filled. before: what earlier runs have finished. digest: of the job."""

    prepared: Prepared
    workspace: Workspace
    digest: str
    before: Sequence[SegmentReceipt]
    show: Show
    stop: StopSignal
    receipts: list[SegmentReceipt] = field(init=False)

    def __post_init__(self) -> None:
        self.receipts = list(self.before)

    def keep(self, receipt: SegmentReceipt) -> None:
        """Put on record that a segment is finished. Raises NoSpaceError, OutputError."""
        self.workspace.add(receipt)
        self.receipts.append(receipt)

    def keep_if_new(self, receipt: SegmentReceipt) -> None:
        """The same, unless it is on record already, or some of it by another: then its file is removed."""
        if receipt in self.receipts:
            return
        if any(overlap(receipt.segment, other.segment) for other in self.receipts):
            self.discard(receipt)
        else:
            self.keep(receipt)

    def discard(self, receipt: SegmentReceipt) -> None:
        """Remove a segment that somebody else has finished earlier."""
        if receipt.file:
            self.workspace.path(receipt).unlink(missing_ok=True)

    @property
    def frames(self) -> int:
        """How many are finished in all."""
        return sum(receipt.frames for receipt in self.receipts)

    @property
    def frames_before(self) -> int:
        return sum(receipt.frames for receipt in self.before)

    @property
    def damage(self) -> list[Damage]:
        return [damage for receipt in self.receipts for damage in receipt.damage]

    @property
    def ordered(self) -> list[SegmentReceipt]:
        """The finished segments in the order of the source."""
        return sorted(self.receipts, key=lambda receipt: start_key(receipt.segment))

    def announce_saving(self, error: BaseException) -> None:
        """Tell people who ended the run that it is not over yet."""
        if is_interrupt(error):
            words = "saving what is finished; Ctrl+C once more stops at once"
            show_at_the_end(self.show, Stopping(words))

    def frames_ahead_of(self, gap: Segment) -> int:
        """How many of the frames that earlier runs have finished come before a gap."""
        return sum(r.frames for r in self.before if start_key(r.segment) < start_key(gap))


class Party(Protocol):
    """Whoever computes: this process, a crew of processes, a cluster.

    words: what computes the network, one entry for each device. engine: the one in this process, if any.
    """

    @property
    def words(self) -> Sequence[str]: ...
    @property
    def engine(self) -> Engine | None: ...

    def fill(self, filling: Filling, gaps: Sequence[Segment]) -> str:
        """Compute what is missing. Returns which stage waited least for the others.

        Raises what ended the work; what was finished by then has been put on record.
        """
        ...


def is_interrupt(error: BaseException) -> bool:
    return isinstance(error, KeyboardInterrupt | InterruptedByUser)
