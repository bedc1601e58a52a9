"""A comparison shown: a table for people, lines for every frame."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.table import Table

from vidsr.metrics.compare import Comparison, FrameScore
from vidsr.metrics.summary import LOW_PERCENTILE, Row, rows

HEADINGS = ("", "Overall", "Median", f"Worst {LOW_PERCENTILE}%", "Lowest", "at")
PLANE_WORDS = {"all": "", "y": "luma", "u": "Cb", "v": "Cr", "r": "red", "g": "green", "b": "blue"}


def opening_lines(comparison: Comparison) -> Iterator[str]:
    a, b = comparison.meeting.reference.info, comparison.meeting.other.info
    yield f"A {comparison.a} ({a.width}x{a.height} {a.pixel_format}), {comparison.a_frames} frames"
    yield f"B {comparison.b} ({b.width}x{b.height} {b.pixel_format}), {comparison.b_frames} frames"
    for note in comparison.notes:
        yield f"Note: {note}"


def table(comparison: Comparison) -> Table:
    """The summary, narrow enough for 80 columns."""
    shown = Table(title_justify="left")
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in {"", "at"} else "right", no_wrap=True)
    for row in rows(comparison):
        style = None if row.plane == "all" or row.metric == "vmaf" else "dim"
        shown.add_row(*_cells(row), style=style)
    return shown


def closing_lines(comparison: Comparison) -> Iterator[str]:
    same = sum(frame.is_identical for frame in comparison.frames)
    if same:
        yield f"{same} of {len(comparison.frames)} frames {'are' if same > 1 else 'is'} identical"


def frame_lines(comparison: Comparison) -> Iterator[str]:
    """A heading, then a line for each frame, separated by tabs."""
    first = comparison.frames[0]
    planes = [plane for plane in first.mse if plane != "all"]
    names = [
        "frame",
        "seconds",
        "psnr",
        *(f"psnr_{p}" for p in planes),
        "ssim",
        *(f"ssim_{p}" for p in planes),
    ]
    yield "\t".join([*names, *(["vmaf"] if first.vmaf is not None else [])])
    for frame in comparison.frames:
        values = [*frame.psnr.values()]
        cells = [str(frame.index), f"{float(frame.time):.3f}", *(f"{value:.3f}" for value in values)]
        cells += [f"{value:.6f}" for value in frame.ssim.values()]
        if frame.vmaf is not None:
            cells.append(f"{frame.vmaf:.3f}")
        yield "\t".join(cells)


def _cells(row: Row) -> list[str]:
    name = row.metric.upper()
    if row.metric != "vmaf" and row.plane != "all":
        name = f"  {PLANE_WORDS[row.plane]}"
    values = (row.overall, row.median, row.low, row.lowest)
    return [name, *(_value(row.metric, value) for value in values), _place(row.lowest_frame)]


def _value(metric: str, value: float) -> str:
    if math.isinf(value):
        return "identical"
    return {"psnr": f"{value:.2f} dB", "ssim": f"{value:.5f}", "vmaf": f"{value:.2f}"}[metric]


def _place(frame: FrameScore) -> str:
    return f"frame {frame.index} ({float(frame.time):.2f} s)"
