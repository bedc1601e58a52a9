"""From a sample to what a whole job will take: time, size, how busy the stages and processors are.

docs/estimate.md says how, and what the margins mean. Pure numbers.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from vidsr.estimate.sampling import Sample
from vidsr.estimate.small import SmallVideo
from vidsr.estimate.statistics import Cluster, Estimate, total_of

TIME_UNCERTAINTY = 0.05
"""A machine does not run at the same pace for hours: what short stretches cannot show."""
SIZE_UNCERTAINTY = 0.05
"""What an encoder does differently in short stretches than in long scenes."""
WHOLE_SIZE_UNCERTAINTY = 0.01
"""If everything was encoded only the container's own bytes are unknown, and where segments will end."""
ALONE_SIZE_UNCERTAINTY = 0.3
"""Of short stretches without the small video: encoders spend less where they see no future, and changes of
scene are missed. Sizes came out 10 to 30% too small."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one job. frames_are_exact: counted, not estimated.

    seconds: from start to the finished file. size_bytes: of the file. video_bytes: of its video. reused:
    share of the area, None where nothing is. busy: share of the time, by stage. cpu_seconds: of all cores.
    cores: how many there are.
    """

    frames: int
    frames_are_exact: bool
    seconds: Estimate
    size_bytes: Estimate
    video_bytes: Estimate
    reused: float | None
    busy: tuple[tuple[str, float], ...]
    bottleneck: str
    cpu_seconds: float
    cores: int
    sample: Sample

    @property
    def fps(self) -> float:
        return self.frames / self.seconds.value if self.seconds.value else 0.0

    @property
    def bits_a_frame(self) -> float:
        return 8 * self.video_bytes.value / self.frames if self.frames else 0.0

    @property
    def cpu_share(self) -> float:
        """Of all cores' time, 0 to 1."""
        return min(self.cpu_seconds / (self.seconds.value * self.cores), 1.0) if self.seconds.value else 0.0


def predict(
    sample: Sample,
    *,
    frames: int,
    frames_are_exact: bool,
    bytes_beside: int,
    shares_cores: bool,
    cores: int,
) -> Prediction:
    """frames: of the whole job. bytes_beside: of everything in the output but the video. shares_cores:
    whether network and encoder compete for the same processors.
    """
    video = _video_bytes(sample, frames)
    return Prediction(
        frames,
        frames_are_exact,
        _seconds(sample, frames, shares_cores=shares_cores),
        video.plus(bytes_beside),
        video,
        sample.reused,
        sample.busy,
        sample.bottleneck,
        sample.cpu_seconds / max(sample.frames, 1) * frames,
        cores,
        sample,
    )


def _seconds(sample: Sample, frames: int, *, shares_cores: bool) -> Estimate:
    """What the encoder held back was work too: where it shares the cores it would have slowed the rest down,
    and where it is the slowest stage it alone sets the pace; else it is a pause at the end.
    """
    is_work = shares_cores or sample.bottleneck == "encode"
    clusters = [
        Cluster(entry.seconds + (entry.closing_seconds if is_work else 0.0), entry.frames)
        for entry in sample.tried
    ]
    pause = 0.0 if is_work else max(entry.closing_seconds for entry in sample.tried)
    steady = total_of(clusters, frames, sampled_share=1.0 if sample.plan.is_whole else 0.0)
    return steady.no_surer_than(TIME_UNCERTAINTY).plus(sample.opening_seconds + pause)


def _video_bytes(sample: Sample, frames: int) -> Estimate:
    counted = sum(entry.frames for entry in sample.tried)
    if sample.plan.is_whole:
        total = sum(entry.video_bytes for entry in sample.tried)
        return Estimate(total * frames / max(counted, 1), 0.0).no_surer_than(WHOLE_SIZE_UNCERTAINTY)
    small = sample.small
    if small is not None and len(small.stretches) == len(sample.tried):
        by_small = _by_small(sample, small, frames)
        if by_small is not None:
            return by_small.no_surer_than(SIZE_UNCERTAINTY)
    clusters = [Cluster(entry.video_bytes, entry.frames) for entry in sample.tried]
    alone = total_of(clusters, frames, sampled_share=min(counted / frames, 1.0))
    first = statistics.fmean(entry.first_bytes for entry in sample.tried)
    return alone.plus(first).no_surer_than(ALONE_SIZE_UNCERTAINTY)


def _by_small(sample: Sample, small: SmallVideo, frames: int) -> Estimate | None:
    """The small video's bytes, times what large frames take of small ones: key frames and others apart.

    None where the small frames have no bytes to compare with.
    """
    tried = list(zip(sample.tried, small.stretches, strict=True))
    if not all(of_small.first and of_small.counted for _, of_small in tried):
        return None
    keys = total_of([Cluster(entry.first_bytes, of_small.first) for entry, of_small in tried], 1.0)
    others = total_of([Cluster(entry.video_bytes, of_small.counted) for entry, of_small in tried], 1.0)
    amounts = [Cluster(keys.value * p.keys + others.value * p.others, p.frames) for p in small.pieces]
    covered = sum(piece.frames for piece in small.pieces)
    share = 1.0 if small.is_whole else min(covered / frames, 1.0)
    total = total_of(amounts, frames, sampled_share=share)
    if not small.is_whole:
        total = total.plus(keys.value * statistics.fmean(of_small.first for _, of_small in tried))
    scale = frames / covered
    of_keys = keys.margin * scale * sum(piece.keys for piece in small.pieces)
    of_others = others.margin * scale * sum(piece.others for piece in small.pieces)
    return Estimate(total.value, math.hypot(total.margin, of_keys, of_others))
