"""What all ways of computing with several workers have in common: dividing the work, and one view of it."""

from __future__ import annotations

from collections.abc import Sequence

from vidsr.execute.filling import Filling
from vidsr.execute.leases import Task
from vidsr.execute.messages import Progress
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.read.key_index import KeyIndex
from vidsr.progress.events import Working


def divided(index: KeyIndex, filling: Filling, gaps: Sequence[Segment], length: int) -> list[Task]:
    """The gaps as stretches of at least `length` frames. Gaps without a frame are put on record at once."""
    tasks = []
    for gap in gaps:
        parts = index.divide(gap, length)
        if not parts:
            filling.keep(SegmentReceipt(gap))  # no frame is there
        ends = [part.first_index for part in parts[1:]] + [index.frames_before(gap.end_pts)]
        tasks += [Task(part, end - part.first_index) for part, end in zip(parts, ends, strict=False)]
    return tasks


def working_together(reports: Sequence[Progress], frames_done: int, elapsed_seconds: float) -> Working:
    """Several workers' reports as the state of one job: queues are added up, shares are averages."""
    shares: dict[str, float] = {}
    for report in reports:
        for name, busy in report.stages:
            shares[name] = shares.get(name, 0.0) + busy / len(reports)
    decoded = [report.decoded_queue for report in reports]
    upscaled = [report.upscaled_queue for report in reports]
    return Working(
        frames_done=frames_done,
        frames_decoded=frames_done,
        elapsed_seconds=elapsed_seconds,
        decoded_queue=(sum(items for items, _ in decoded), sum(room for _, room in decoded) or 1),
        upscaled_queue=(sum(items for items, _ in upscaled), sum(room for _, room in upscaled) or 1),
        stages=tuple(shares.items()),
        bottleneck=max(shares, key=lambda name: shares[name], default="upscale"),
        frames_held=sum(report.frames_held for report in reports),
        is_finishing=bool(reports) and all(report.is_finishing for report in reports),
    )
