"""A measurement shown: a table for people, Markdown for a page, one JSON line for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from rich.table import Table

from vidsr.bench.measure import PICTURES, CeilingResult, Report, Result, Speed, Spread

BUSY_LOAD_PER_CORE = 0.5
"""Other programs' share of the cores before the measurement from which its figures are called low."""

REFERENCE = PICTURES[0]
REFERENCE_WORDS = f"{REFERENCE[0]}x{REFERENCE[1]}"
"""Speeds are told for this picture, so that models can be compared; see `fps_at_reference`."""

HEADINGS = ("Backend", "Model", "Of ceiling", "Pipeline", "To file", "Limit", "Memory")
"""Model: the network alone. Of ceiling: how near that is to the roofline. Pipeline: decoded, upscaled, thrown
away. To file: the same, encoded. Limit: the stage that the others waited for."""


def fps_at_reference(fps: float, speed: Speed) -> float:
    """Frames a second of a REFERENCE picture, if a pixel costs there what it cost on the measured one."""
    return fps * speed.width * speed.height / (REFERENCE[0] * REFERENCE[1])


def tables(report: Report) -> Iterator[Table]:
    """For a terminal: one table for each model and device, narrow enough for 80 columns."""
    for title, results in _groups(report):
        shown = Table(title=f"{title}; fps of {REFERENCE_WORDS}", title_justify="left")
        for number, heading in enumerate(HEADINGS):
            shown.add_column(heading, justify="left" if number in {0, 5} else "right", no_wrap=True)
        for result in results:
            if result.speed is not None:
                shown.add_row(*_cells(result, result.speed))
            else:
                shown.add_row(_way_words(result), *["-"] * (len(HEADINGS) - 1))
        yield shown


def _groups(report: Report) -> Iterator[tuple[str, list[Result]]]:
    """(words, results) of each model on each device."""
    for key, group in groupby(report.results, key=lambda result: (result.model, result.way.device)):
        results = list(group)
        pictures = {(r.speed.width, r.speed.height, r.speed.batch) for r in results if r.speed is not None}
        measured = ", ".join(
            f"{width}x{height}" + (f" by {batch}" if batch > 1 else "") for width, height, batch in pictures
        )
        rounds = max((result.speed.rounds for result in results if result.speed is not None), default=0)
        words = f"{rounds} round{'s' if rounds != 1 else ''} of {measured}" if measured else "not measured"
        yield f"{key[0]} on {key[1]}, {words}", results


def closing_lines(report: Report) -> Iterator[str]:
    """What could not be run, and what the tables were measured on and against."""
    for result in report.results:
        if result.error is not None:
            yield f"{result.model}, {result.way}: {result.error}"
    for ceiling in report.ceilings:
        yield _ceiling_words(ceiling)
    yield str(report.machine)
    if report.load_before is None or report.load_after is None:
        return
    yield f"Load average {report.load_before:.1f} before, {report.load_after:.1f} after"
    if report.load_before > BUSY_LOAD_PER_CORE * report.machine.cores:
        yield "Other programs were busy: on a quiet machine the figures are higher"


def markdown(report: Report) -> Iterator[str]:
    """The same as lines of a Markdown page."""
    yield f"Frames of {REFERENCE_WORDS} a second: median of the rounds (lowest to highest)."
    for title, results in _groups(report):
        yield ""
        yield f"{title}:"
        yield ""
        yield "| " + " | ".join(HEADINGS) + " |"
        yield "|---|--:|--:|--:|--:|---|--:|"
        for result in results:
            if result.speed is not None:
                yield "| " + " | ".join(_cells(result, result.speed, spread=True)) + " |"
            else:
                yield f"| {_way_words(result)} |" + " - |" * (len(HEADINGS) - 1)
    yield ""
    for line in closing_lines(report):
        yield f"- {line}"


def json_line(report: Report) -> str:
    """In "speed" frames are of the measured size; beside it stand the medians for the reference one."""
    record: dict[str, Any] = asdict(report)
    for shown, result in zip(record["results"], report.results, strict=True):
        if result.speed is not None:
            for name in ("model_fps", "pipeline_fps", "file_fps"):
                measured = getattr(result.speed, name).median
                shown[f"{name}_of_{REFERENCE_WORDS}"] = fps_at_reference(measured, result.speed)
    return json.dumps(_rounded(record), ensure_ascii=False)


def _cells(result: Result, speed: Speed, *, spread: bool = False) -> list[str]:
    def fps(measured: Spread) -> str:
        words = [
            f"{fps_at_reference(value, speed):.3g}"
            for value in (measured.median, measured.low, measured.high)
        ]
        return f"{words[0]} ({words[1]} to {words[2]})" if spread else words[0]

    share = "" if result.share_of_ceiling is None else f"{result.share_of_ceiling:.0%}"
    return [
        _way_words(result),
        fps(speed.model_fps),
        share,
        fps(speed.pipeline_fps),
        fps(speed.file_fps),
        speed.bottleneck,
        _memory_words(speed),
    ]


def _way_words(result: Result) -> str:
    return f"{result.way.backend} {result.way.precision}"


def _memory_words(speed: Speed) -> str:
    parts = []
    if speed.memory.host is not None:
        parts.append(f"{speed.memory.host / 1e9:.2f} GB")
    if speed.memory.device is not None:
        parts.append(f"{speed.memory.device / 1e9:.2f} GB on the GPU")
    return ", ".join(parts) or "unknown"


def _ceiling_words(ceiling: CeilingResult) -> str:
    return (
        f"Ceiling of {ceiling.device} in {ceiling.precision}: {rate_words(ceiling.flops_rate.median)}FLOP/s "
        f"(a matrix product), {rate_words(ceiling.bytes_rate.median)}B/s (a copy, read and written)"
    )


def rate_words(rate: float) -> str:
    """Three digits and a decimal prefix: "835 G", "1.24 T"."""
    for prefix, unit in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if rate >= unit:
            return f"{rate / unit:.3g} {prefix}"
    return f"{rate:.3g} "


def _rounded(value: Any) -> Any:
    """Six significant digits: more is noise."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
