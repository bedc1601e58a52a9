"""`vidsr verify SRC OUT`: proof that an output holds what its source holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from vidsr.cli.loading import loading
from vidsr.cli.options import FRAME_RANGE, TIME
from vidsr.job import RangeRequest
from vidsr.progress.words import one_line

if TYPE_CHECKING:
    from vidsr.media.verify import Report

EXIT_LOST = 1

CHANGED_BY_FILTERS = frozenset({"frames", "time stamps", "shape", "rotation", "colours", "pictures"})

SIGNS = ("✓", "✗")
WORDS = ("ok  ", "LOST")
"""Where the signs cannot be written, and both would become question marks (a pipe on Windows)."""

DETAIL_WIDTH = 150
"""Longer sentences are for the JSON report."""


@click.command(short_help="Compare an output with its source: frames, times, streams, pictures.")
@click.argument("source", metavar="SRC", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--start", type=TIME, help="OUT was made with this --start.")
@click.option("--end", type=TIME, help="OUT was made with this --end.")
@click.option("--frames", type=FRAME_RANGE, help="OUT was made with these --frames.")
@click.option("--audio", metavar="WHICH", default="all", help="OUT was made with this --audio.")
@click.option("--subs", metavar="WHICH", default="all", help="OUT was made with this --subs.")
@click.option("--full", is_flag=True, help="Look at every picture, not only at some.")
@click.option("--allow-network", is_flag=True, help="SRC may be an address, or a playlist.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def verify(
    source: Path,
    output: Path,
    start: Fraction | None,
    end: Fraction | None,
    frames: tuple[int | None, int | None] | None,
    audio: str,
    subs: str,
    full: bool,
    allow_network: bool,
    as_json: bool,
) -> int:
    """Compare OUT with the source SRC it was made of, reading both anew.

    Exit code 0 if nothing is lost, 1 if something is.
    """
    with loading():
        from vidsr.media.read.locate import locate
        from vidsr.media.read.probe import probe
        from vidsr.media.verify import verify as compare

    wish = RangeRequest(start, end, *(frames or (None, None)))
    segment = None if wish.is_whole else locate(probe(source, allow_network=allow_network), wish)
    report = compare(
        source, output, segment=segment, audio=audio, subtitles=subs, full=full, allow_network=allow_network
    )
    if as_json:
        click.echo(json.dumps(report.to_json(), ensure_ascii=False, indent=2))
    else:
        for line in describe(report, _marks(sys.stdout)):
            click.echo(one_line(line))
        if wish.is_whole and any(check.name == "frames" for check in report.failures):
            click.echo(
                "Hint: if it was made of a part, give its --frames, --start or --end here too", err=True
            )
        elif report.failures and all(check.name in CHANGED_BY_FILTERS for check in report.failures):
            click.echo(
                "Hint: if it was made with filters or in gray, these differ on purpose; a job compares such"
                " an output with what it wrote",
                err=True,
            )
    return 0 if report.ok else EXIT_LOST


def describe(report: Report, marks: tuple[str, str] = SIGNS) -> Iterator[str]:
    """Lines for people: one for each check, and the verdict. marks: of a check that is passed, and failed."""
    width = max(len(check.name) for check in report.checks)
    for check in report.checks:
        yield f"{marks[not check.ok]} {check.name:<{width}}  {_shortened(check.detail)}"
    for gap in report.gaps:
        yield f"{report.source} is damaged: {gap}"
    failures = report.failures
    if not failures:
        yield f"{report.output}: nothing of {report.source} is lost"
    else:
        yield f"{report.output}: {len(failures)} of {len(report.checks)} checks failed"


def _marks(stream: TextIO | None) -> tuple[str, str]:
    try:
        "".join(SIGNS).encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return WORDS
    return SIGNS


def _shortened(detail: str) -> str:
    return detail if len(detail) <= DETAIL_WIDTH else f"{detail[: DETAIL_WIDTH - 1]}…"
