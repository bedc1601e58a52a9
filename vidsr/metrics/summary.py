"""What is said of a whole comparison: one row for each metric. Pure numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vidsr.metrics.compare import Comparison, FrameScore

LOW_PERCENTILE = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One metric over all frames.

    overall: of PSNR that of the mean squared error of all frames (as FFmpeg's summary), of the others the
    mean. low: LOW_PERCENTILE percent of the frames are no better. PSNR of identical frames is infinite.
    """

    metric: str
    plane: str
    overall: float
    median: float
    low: float
    lowest: float
    lowest_frame: FrameScore


def rows(comparison: Comparison) -> Iterator[Row]:
    """For PSNR and SSIM all planes together and each alone, then VMAF where it was measured."""
    frames = comparison.frames
    peak = comparison.meeting.layout.peak
    planes = list(frames[0].mse)
    for plane in planes:
        mean = statistics.fmean(frame.mse[plane] for frame in frames)
        overall = math.inf if mean == 0 else 10 * math.log10(peak**2 / mean)
        yield _row("psnr", plane, frames, lambda frame, p=plane: frame.psnr[p], overall)  # type: ignore[misc]
    for plane in planes:
        yield _row("ssim", plane, frames, lambda frame, p=plane: frame.ssim[p])  # type: ignore[misc]
    measured = [frame for frame in frames if frame.vmaf is not None]
    if measured:
        yield _row("vmaf", "y", measured, lambda frame: frame.vmaf or 0.0)


def _row(
    metric: str,
    plane: str,
    frames: Sequence[FrameScore],
    value: Callable[[FrameScore], float],
    overall: float | None = None,
) -> Row:
    values = sorted(map(value, frames))
    lowest = min(frames, key=value)
    return Row(
        metric,
        plane,
        statistics.fmean(values) if overall is None else overall,
        statistics.median(values),
        values[math.ceil(len(values) * LOW_PERCENTILE / 100) - 1],
        value(lowest),
        lowest,
    )


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Plain JSON values; null stands for the infinite PSNR of identical pictures."""
    meeting = comparison.meeting
    return {
        "a": str(comparison.a),
        "b": str(comparison.b),
        "compared": {
            "width": meeting.width,
            "height": meeting.height,
            "pixel_format": meeting.layout.name,
            "frames": len(comparison.frames),
        },
        "a_frames": comparison.a_frames,
        "b_frames": comparison.b_frames,
        "vmaf_model": comparison.vmaf_model,
        "notes": list(comparison.notes),
        "summary": [
            {
                "metric": row.metric,
                "plane": row.plane,
                "overall": _finite(row.overall),
                "median": _finite(row.median),
                f"percentile_{LOW_PERCENTILE}": _finite(row.low),
                "lowest": _finite(row.lowest),
                "lowest_frame": row.lowest_frame.index,
            }
            for row in rows(comparison)
        ],
        "frames": [
            {
                "index": frame.index,
                "seconds": round(float(frame.time), 6),
                "mse": dict(frame.mse),
                "psnr": {plane: _finite(value) for plane, value in frame.psnr.items()},
                "ssim": dict(frame.ssim),
                "vmaf": frame.vmaf,
            }
            for frame in comparison.frames
        ],
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
