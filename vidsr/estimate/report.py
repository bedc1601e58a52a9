"""Predictions shown: a table for people, what it was made from, and JSON for programs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from vidsr.estimate.choose import Candidate
from vidsr.estimate.predict import Prediction
from vidsr.estimate.statistics import Estimate
from vidsr.progress.words import duration_words, size_words

COSTS = ("Model", "Preset", "Time", "Size", "fps")
WORK = ("Reused", "kbit/frame", "Decode", "Upscale", "Encode", "Cores", "CPU time", "Limit")
"""Reused: of the picture's area. Decode, upscale, encode: shares of the time at work. Cores: the share of all
cores' time that is used."""


def tables(candidates: Sequence[Candidate]) -> Iterator[Table]:
    """What each way costs, best first; and what is at work meanwhile. Narrow enough for 80 columns."""
    many = len(candidates) > 1
    costs = _table(COSTS, left=2, numbered=many)
    work = _table(WORK, left=0, numbered=many)
    for number, candidate in enumerate(candidates, 1):
        first = (str(number),) if many else ()
        costs.add_row(*first, *_costs(candidate))
        work.add_row(*first, *_work(candidate.prediction))
    yield costs
    yield work


def _table(headings: Sequence[str], *, left: int, numbered: bool) -> Table:
    """left: how many columns of words come first."""
    shown = Table(box=SIMPLE, show_edge=False, pad_edge=False, collapse_padding=True)
    for number, heading in enumerate(("#", *headings) if numbered else headings):
        is_word = numbered <= number < left + numbered
        shown.add_column(heading, justify="left" if is_word else "right", no_wrap=True)
    return shown


def _costs(candidate: Candidate) -> list[str]:
    p = candidate.prediction
    size = f"{size_words(round(p.size_bytes.value))} ±{p.size_bytes.relative_margin:.0%}"
    preset = candidate.encoder_preset or candidate.encoder
    return [candidate.model, preset, time_words(p.seconds), size, f"{p.fps:.3g}"]


def _work(p: Prediction) -> list[str]:
    return [
        "-" if p.reused is None else f"{p.reused:.0%}",
        f"{p.bits_a_frame / 1000:.3g}",
        *(f"{share:.0%}" for _, share in p.busy),
        f"{p.cpu_share:.0%}",
        duration_words(p.cpu_seconds),
        p.bottleneck,
    ]


def time_words(seconds: Estimate) -> str:
    return f"{duration_words(seconds.value)} ±{seconds.relative_margin:.0%}"


def closing_lines(candidates: Sequence[Candidate]) -> Iterator[str]:
    """What was tried, and what the figures mean."""
    p = candidates[0].prediction
    exact = "" if p.frames_are_exact else "about "
    yield f"{exact}{p.frames} frames; {'; '.join(dict.fromkeys(_tried_words(c) for c in candidates))}"
    engines = dict.fromkeys(f"{c.engine}, {c.encoder}" for c in candidates)
    yield f"Tried with {'; '.join(engines)} on {p.cores} core{'s' if p.cores != 1 else ''}"
    yield "In about nine of ten cases the truth lies within ±, if the machine is as busy then as now"


def _tried_words(candidate: Candidate) -> str:
    sample = candidate.prediction.sample
    if sample.plan.is_whole:
        return "all of them were tried"
    return f"{sample.frames} of them were tried, in {len(sample.tried)} stretches"


def order_words(candidates: Sequence[Candidate]) -> str:
    """The order of quality, for people."""
    names = [f"{c.model} {c.encoder_preset or ''}".rstrip() for c in candidates]
    return f"Best first (more work a pixel, then the slower encoder preset): {', '.join(names)}"


def choice_lines(chosen: Candidate, command: Sequence[str], now: datetime, by: datetime) -> Iterator[str]:
    """now: when it would be begun."""
    seconds = chosen.prediction.seconds
    end = now + timedelta(seconds=seconds.value)
    latest = now + timedelta(seconds=seconds.high)
    yield (
        f"Done by {moment_words(by, now)}: {chosen.model} {chosen.encoder_preset or ''}".rstrip()
        + f", at about {moment_words(end, now)}, {moment_words(latest, now)} at the latest. Run:"
    )
    yield f"  {shlex.join(command)}"


def moment_words(moment: datetime, now: datetime) -> str:
    """07:00, with the date if it is not today's; with seconds if it is close."""
    pattern = "%H:%M" if abs(moment - now) > timedelta(minutes=10) else "%H:%M:%S"
    return f"{moment:{pattern}}" if moment.date() == now.date() else f"{moment:%Y-%m-%d {pattern}}"


def to_json(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Plain JSON values, best first. Times in seconds."""
    return [
        {
            "model": c.model,
            "encoder": c.encoder,
            "encoder_preset": c.encoder_preset,
            "engine": c.engine,
        }
        | _fields(c.prediction)
        for c in candidates
    ]


def _fields(p: Prediction) -> dict[str, Any]:
    sample = p.sample
    return {
        "frames": p.frames,
        "frames_are_exact": p.frames_are_exact,
        "seconds": _range(p.seconds),
        "size_bytes": _range(p.size_bytes),
        "fps": round(p.fps, 4),
        "bits_a_frame": round(p.bits_a_frame, 1),
        "share_reused": None if p.reused is None else round(p.reused, 4),
        "busy": {stage: round(share, 4) for stage, share in p.busy},
        "limited_by": p.bottleneck,
        "cpu_seconds": round(p.cpu_seconds, 3),
        "cpu_share": round(p.cpu_share, 4),
        "cores": p.cores,
        "sample": {
            "frames": sample.frames,
            "stretches": len(sample.plan.stretches),
            "is_whole": sample.plan.is_whole,
            "seconds": round(sample.seconds, 3),
        },
    }


def _range(estimate: Estimate) -> dict[str, float]:
    return {
        "value": round(estimate.value, 3),
        "low": round(estimate.low, 3),
        "high": round(estimate.high, 3),
        "margin": round(estimate.margin, 3),
    }
