"""Runs a few stretches of a job through its real pipeline and encoder, and takes down what that cost.

Everything is as in a run but for the file: packets are counted and dropped. What follows for the whole
job is `predict`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from vidsr.channel import StopSignal
from vidsr.errors import DamagedSourceError
from vidsr.estimate.counting import CountingSink
from vidsr.estimate.plan import Plan, plan_stretches
from vidsr.estimate.scan import SourceLog
from vidsr.estimate.small import SmallVideo, encode_small
from vidsr.estimate.stretches import Range, open_stretches
from vidsr.execute.flow import open_run
from vidsr.execute.prepare import Engine, Prepared
from vidsr.infer.reuse import ReuseCounts
from vidsr.pipeline import Snapshot

WARM_UP_PLACES = 4
"""A batch from each, all over the file: the first is slower, and the others are computed as a whole, so that
the pace they give is the slowest there is."""
FILTERED_LEAST = 12
"""Frames of a stretch at least where filters lie before the network: they look at several at a time."""
CHUNKS = 6
"""Where everything is tried in one stretch, so many parts of it show how much the speed varies."""
MUCH_LONGER = 1.5
"""Than asked for: worth a word, as a large network on a CPU may take many minutes for the fewest frames."""

SMALL_SHARE = 0.5
"""How long the small video may take, as a share of the time for the large one."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A stretch, without its lead.

    seconds: until the encoder had taken its last frame; closing_seconds: until the encoder was done with
    what it had held back of these frames. video_bytes: of these frames; first_bytes: of the stretch's first
    frame, which has nothing before it.
    """

    frames: int
    seconds: float
    closing_seconds: float
    video_bytes: int
    first_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """What came of a plan. frames, seconds, cpu_seconds: of all of it, leads and the end included.

    opening_seconds: until the first frame could be computed. busy: share of the time each stage was at work,
    in order of the flow. reused: share of the area that was not computed, None where nothing is reused.
    small: None where everything was tried, or nothing small could be.
    """

    plan: Plan
    tried: tuple[Tried, ...]
    frames: int
    seconds: float
    opening_seconds: float
    cpu_seconds: float
    busy: tuple[tuple[str, float], ...]
    bottleneck: str
    reused: float | None
    small: SmallVideo | None


def take_sample(
    prepared: Prepared,
    engine: Engine,
    log: SourceLog,
    *,
    seconds: float,
    opening_seconds: float,
    stop: StopSignal,
    announce: Callable[[int, float], None],
) -> Sample:
    """Try a job for about so many seconds.

    announce: called with (frames, seconds) before what takes much longer than asked for, since less would say
    too little.

    Raises DamagedSourceError if there is no frame to try, and whatever a run of the job would raise.
    """
    total = len(log.stamps)
    if not total:
        raise DamagedSourceError(f"{prepared.job.source} has no frame in the wanted range")
    lead = engine.batch_size
    if prepared.filtering is not None:
        lead = max(lead, FILTERED_LEAST // 3)
    pace = _warm_up(prepared, engine, log, stop)
    plan = plan_stretches(total, round(seconds / pace), lead=lead)
    if plan.frames * pace > MUCH_LONGER * seconds:
        announce(plan.frames, plan.frames * pace)
    small = None
    if not plan.is_whole:
        small = encode_small(prepared, log.stamps, plan, seconds=seconds * SMALL_SHARE, stop=stop)
    return try_plan(prepared, engine, log, plan, small, opening_seconds=opening_seconds, stop=stop)


def _warm_up(prepared: Prepared, engine: Engine, log: SourceLog, stop: StopSignal) -> float:
    """Seconds a frame of those that are computed as a whole."""
    total, size, count = len(log.stamps), engine.batch_size, WARM_UP_PLACES
    if prepared.filtering is not None:  # which may need several frames to give one
        size, count = max(size, FILTERED_LEAST), 2
    places = sorted({number * max(total - size, 0) // (count - 1) for number in range(count)})
    ranges = [(place, min(place + size, total)) for place in places]
    ranges = [r for r, after in zip(ranges, [*ranges[1:], (total, total)], strict=True) if r[1] <= after[0]]
    sink = _run(prepared, engine, log, ranges or [(0, total)], stop)[0]
    times = [group.entries[-1].at for group in sink.groups]
    count = sum(len(group.entries) for group in sink.groups[1:])
    if count:
        return max((times[-1] - times[0]) / count, 1e-4)
    return max(sink.finished_at - sink.begun_at, 1e-4) / len(sink.groups[0].entries)


def try_plan(
    prepared: Prepared,
    engine: Engine,
    log: SourceLog,
    plan: Plan,
    small: SmallVideo | None,
    *,
    opening_seconds: float,
    stop: StopSignal,
) -> Sample:
    """Run a plan's stretches and take down what they cost."""
    before, cpu_before = engine.upscaler.reuse_counts, time.process_time()
    sink, end = _run(prepared, engine, log, plan.stretches, stop)
    cpu = time.process_time() - cpu_before
    tried = tuple(_chunks(sink) if plan.is_whole else _stretches(sink, plan.lead))
    return Sample(
        plan,
        tried,
        frames=end.frames_written,
        seconds=sink.finished_at - sink.begun_at,
        opening_seconds=opening_seconds,
        cpu_seconds=cpu,
        busy=end.shares,
        bottleneck=end.bottleneck,
        reused=_share_reused(before, engine.upscaler.reuse_counts, 0 if plan.is_whole else len(sink.groups)),
        small=small,
    )


def _stretches(sink: CountingSink, lead: int) -> Iterator[Tried]:
    """Each group of frames from the end of its lead on."""
    for group in sink.groups:
        counted = group.entries[lead:]
        if counted:
            stamps = group.stamps
            yield Tried(
                len(counted),
                seconds=counted[-1].at - group.entries[lead - 1].at,
                closing_seconds=(group.closed_at - counted[-1].at) * len(counted) / len(group.entries),
                video_bytes=sink.bytes_of(stamps[lead:]),
                first_bytes=sink.bytes_of(stamps[:1]),
            )


def _chunks(sink: CountingSink) -> Iterator[Tried]:
    """Everything, in CHUNKS parts."""
    entries = [entry for group in sink.groups for entry in group.entries]
    count = min(CHUNKS, len(entries))
    began = sink.begun_at
    for number in range(count):
        part = entries[len(entries) * number // count : len(entries) * (number + 1) // count]
        stamps = [entry.pts for entry in part]
        closing = sink.finished_at - part[-1].at if number == count - 1 else 0.0
        yield Tried(len(part), part[-1].at - began, closing, sink.bytes_of(stamps), 0)
        began = part[-1].at


def _share_reused(before: ReuseCounts | None, after: ReuseCounts | None, begun_anew: int) -> float | None:
    """begun_anew: how many frames were computed whole only because nothing came before them."""
    if before is None or after is None:
        return None
    frames, blocks = after.frames - before.frames, after.blocks - before.blocks
    if frames <= begun_anew:
        return 0.0
    anew = blocks / frames * begun_anew
    computed = after.blocks_computed - before.blocks_computed
    return min(max(1 - (computed - anew) / (blocks - anew), 0.0), 1.0)


def _run(
    prepared: Prepared, engine: Engine, log: SourceLog, ranges: Sequence[Range], stop: StopSignal
) -> tuple[CountingSink, Snapshot]:
    engine.upscaler.forget()
    source, info = open_stretches(prepared, log.stamps, ranges, stop)
    sink = CountingSink(replace(prepared.segment_coding(""), source=info))
    run = open_run(prepared, engine, source, sink, stop)
    run.start()
    end = run.join(lambda _: None)
    if not sink.groups:
        raise DamagedSourceError(f"{prepared.job.source}: no frame that was tried can be decoded")
    return sink, end
