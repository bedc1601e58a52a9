"""What a run tells: how it stands while it works, and at its end what came of it.

It puts figures together, and computes and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from vidsr.damage import Damage
from vidsr.execute.prepare import Engine
from vidsr.job import Receipt
from vidsr.media.write.writer import Writer
from vidsr.pipeline import Snapshot
from vidsr.progress.events import Finished, Reused, Working


def working(snapshot: Snapshot, engine: Engine, *, frames_before: int = 0) -> Working:
    """Where a run in this process stands. frames_before: that earlier runs have finished."""
    return Working(
        frames_done=frames_before + snapshot.frames_written,
        frames_decoded=snapshot.frames_decoded,
        elapsed_seconds=snapshot.elapsed_seconds,
        decoded_queue=snapshot.decoded_queue,
        upscaled_queue=snapshot.upscaled_queue,
        stages=snapshot.shares,
        bottleneck=snapshot.bottleneck,
        reused=_reused(engine),
        frames_held=snapshot.frames_held,
        is_finishing=snapshot.is_finishing,
    )


def receipt_of(
    writer: Writer, *, frames_read: int, elapsed_seconds: float, damage: Iterable[Damage]
) -> Receipt:
    """Of an output that has its name."""
    written = writer.written
    assert written is not None
    return Receipt(
        output=written.path,
        frames_read=frames_read,
        frames_written=written.frames,
        first_pts=written.first_pts,
        last_pts=written.last_pts,
        size_bytes=written.size_bytes,
        elapsed_seconds=elapsed_seconds,
        damage=tuple(str(entry) for entry in damage),
    )


def finished(
    receipt: Receipt,
    bottleneck: str,
    engine: Engine | None,
    *,
    frames_before: int = 0,
    verified: bool | None = None,
) -> Finished:
    """The last event of a run. engine: in this process, if any. bottleneck: the stage that waited least."""
    advice = None
    if bottleneck == "encode":
        advice = "a faster --encoder-preset would help"
    elif bottleneck == "upscale" and engine is not None and engine.device.type == "cpu":
        advice = "a GPU would help"
    return Finished(
        output=str(receipt.output),
        frames=receipt.frames_written,
        elapsed_seconds=receipt.elapsed_seconds,
        size_bytes=receipt.size_bytes,
        bottleneck=bottleneck,
        advice=advice,
        damage=receipt.damage,
        frames_before=frames_before,
        reused=_reused(engine),
        verified=verified,
    )


def _reused(engine: Engine | None) -> Reused | None:
    counts = None if engine is None else engine.upscaler.reuse_counts
    if counts is None:
        return None
    return Reused(counts.share_reused, counts.frames_reused, counts.work_saved)
