"""`vidsr metrics A B`: how alike two videos are."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsr.cli.interrupts import interruptible
from vidsr.cli.loading import loading
from vidsr.durable import write_whole
from vidsr.errors import ToolMissingError, UsageError
from vidsr.media.write.standard_streams import STANDARD

if TYPE_CHECKING:
    from rich.console import Console

    from vidsr.metrics.compare import Comparison
    from vidsr.metrics.meeting import Meeting


@click.command(short_help="Measure how alike two videos are: PSNR, SSIM, VMAF.")
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@click.option("--scale", is_flag=True, help="Fit B to A where their sizes differ (bicubic).")
@click.option("--ignore-times", is_flag=True, help="Pair frames in order even if shown at other times.")
@click.option(
    "--ffmpeg", metavar="PATH", type=click.Path(path_type=Path), help="An ffmpeg with libvmaf, for VMAF."
)
@click.option("--no-vmaf", is_flag=True, help="Leave VMAF out, which takes longest.")
@click.option(
    "--json",
    "json_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="All numbers as JSON; - prints them.",
)
@click.option(
    "--plot",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Draw them over time (needs matplotlib).",
)
@click.option("--per-frame", is_flag=True, help="Print a line for each frame, not the table.")
@click.option("--overwrite", "-y", is_flag=True, help="Replace existing files.")
def metrics(
    a: Path,
    b: Path,
    scale: bool,
    ignore_times: bool,
    ffmpeg: Path | None,
    no_vmaf: bool,
    json_file: Path | None,
    plot: Path | None,
    per_frame: bool,
    overwrite: bool,
) -> None:
    """Measure how alike the videos A and B are, frame by frame; A is the reference.

    PSNR and SSIM are those of FFmpeg's filters, in Y'CbCr plane by plane; VMAF needs an ffmpeg with libvmaf,
    on PATH or named by --ffmpeg. B is brought into A's layout, colours and, with --scale, size.
    """
    _check_files((a, b), json_file, plot, overwrite=overwrite)

    with loading():
        from rich.console import Console

        from vidsr.media.read.probe import probe
        from vidsr.metrics.compare import compare
        from vidsr.metrics.meeting import arrange

    meeting = arrange(probe(a), probe(b), scale=scale)
    program, why_not = (None, None) if no_vmaf else _vmaf_program(ffmpeg)
    notes = Console(stderr=True, markup=False, emoji=False)
    with interruptible() as interruption, notes.status("comparing") as status:

        def on_frame(count: int) -> None:
            interruption.check()
            status.update(f"comparing: {count} frames")

        found = compare(meeting, ignore_times=ignore_times, on_frame=on_frame)
        interruption.check()
        if program is not None:
            status.update("VMAF")
            found = _with_vmaf(found, meeting, program)
    if why_not is not None:
        found = replace(found, notes=(*found.notes, f"VMAF is left out: {why_not}"))
    _show(found, notes if json_file == STANDARD else Console(markup=False, emoji=False), per_frame=per_frame)
    _write_files(found, json_file, plot)


def _check_files(
    compared: tuple[Path, Path], json_file: Path | None, plot: Path | None, *, overwrite: bool
) -> None:
    """Refuse now what would be refused at the end."""
    from vidsr.media.write.target import check_target

    for file in (json_file, plot):
        if file is not None and file != STANDARD:
            for source in compared:
                check_target(file, source, overwrite=overwrite)
    if plot is not None:
        if plot.suffix.lower() != ".png":
            raise UsageError(f"--plot {plot}: a plot is a PNG file", f"name it {plot.stem or 'plot'}.png")
        from vidsr.metrics.plot import check_can_plot

        check_can_plot()


def _show(found: Comparison, shown: Console, *, per_frame: bool) -> None:
    from vidsr.metrics.report import closing_lines, frame_lines, opening_lines, table

    if per_frame:
        for line in frame_lines(found):
            click.echo(line, err=shown.stderr)  # rich would make spaces of the tabs
        return
    for line in opening_lines(found):
        shown.print(line, markup=False, highlight=False, soft_wrap=True)
    shown.print(table(found))
    for line in closing_lines(found):
        shown.print(line, markup=False, highlight=False)


def _write_files(found: Comparison, json_file: Path | None, plot: Path | None) -> None:
    if plot is not None:
        from vidsr.metrics.plot import draw

        write_whole(plot, draw(found), "write the plot")
    if json_file is not None:
        from vidsr.metrics.summary import to_json

        text = json.dumps(to_json(found), ensure_ascii=False, indent=2) + "\n"
        if json_file == STANDARD:
            sys.stdout.write(text)
        else:
            write_whole(json_file, text.encode(), "write the report")


def _vmaf_program(named: Path | None) -> tuple[Path | None, str | None]:
    """(an ffmpeg that can measure VMAF, or why there is none).

    Raises ToolMissingError where one was asked for by name.
    """
    from vidsr.metrics.vmaf import find_ffmpeg

    try:
        return find_ffmpeg(named), None
    except ToolMissingError as error:
        if named is not None:
            raise
        return None, f"{error.message}; {error.hint}"


def _with_vmaf(found: Comparison, meeting: Meeting, program: Path) -> Comparison:
    from vidsr.metrics.vmaf import MODEL, measure_vmaf

    scores = measure_vmaf(program, meeting)
    expected = max(found.a_frames, found.b_frames)
    if len(scores) != expected:
        words = f"{program} decodes {len(scores)} frames, not {expected}"
        return replace(found, notes=(*found.notes, f"VMAF is left out: {words}"))
    frames = tuple(replace(frame, vmaf=score) for frame, score in zip(found.frames, scores, strict=False))
    return replace(found, frames=frames, vmaf_model=MODEL)
