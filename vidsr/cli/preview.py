"""`vidsr preview IN`: a page that shows a few moments before and after, by one model or several."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsr.api.options import make_job
from vidsr.cli.interrupts import interruptible
from vidsr.cli.loading import loading
from vidsr.cli.options import TIME, GroupedCommand, option_group
from vidsr.cli.upscale import open_renderer, upscale
from vidsr.errors import UsageError
from vidsr.job import Job
from vidsr.presets import DEFAULT_MODEL

if TYPE_CHECKING:
    from vidsr.preview.clip import Layout

MOST_MOMENTS = 50
"""All of their frames are held in memory, and a page with more would be too heavy to look at."""

moment_option = option_group("Moments")
model_option = option_group("Models")
result_option = option_group("Results")

_OF_THE_JOB = {
    "denoise",
    "scale",
    "width",
    "height",
    "start",
    "end",
    "frames",
    "deinterlace",
    "vf",
    "colorspace",
} | {"device", "backend", "precision", "tile", "overwrite", "on_bad_frame", "on_size_change", "progress"}


class TimesType(click.ParamType[tuple[Fraction, ...]]):
    """One time or several with commas between, to exact fractions."""

    name = "TIME[,TIME...]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Fraction, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(TIME.convert(part, param, ctx) for part in value.split(","))


@click.command(cls=GroupedCommand, short_help="Compare models on a few moments, in a page for the browser.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("page", metavar="[PAGE]", required=False, type=click.Path(path_type=Path))
@moment_option(
    "--at",
    multiple=True,
    type=TimesType(),
    help="Show these moments; default: detailed ones of a few scenes.",
)
@moment_option(
    "--count",
    metavar="N",
    type=click.IntRange(1, MOST_MOMENTS),
    default=5,
    show_default=True,
    help="How many moments to choose at most.",
)
@model_option(
    "--models",
    "--model",
    "-m",
    metavar="A,B,...",
    multiple=True,
    help=f"See `vidsr models`. [default: {DEFAULT_MODEL}]",
)
@model_option(
    "--weights",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A weight file as one more model; may be repeated.",
)
@result_option("--png", is_flag=True, help="Also write every picture as PNG, into a folder named like PAGE.")
@result_option(
    "--lossless", is_flag=True, help="Lossless pictures in PAGE too; it grows to three times the size."
)
@result_option(
    "--clip", is_flag=True, help="Also make a video of --frames or --start/--end, named like PAGE."
)
@result_option(
    "--layout",
    type=click.Choice(["split", "side"]),
    metavar="HOW",
    help="Of the clip: split (default; one picture, the source at its left) or side (beside each other).",
)
def preview(
    source: Path,
    page: Path | None,
    at: tuple[tuple[Fraction, ...], ...],
    count: int,
    models: tuple[str, ...],
    weights: tuple[Path, ...],
    png: bool,
    lossless: bool,
    clip: bool,
    layout: Layout | None,
    **words: Any,
) -> None:
    """Show a few moments of INPUT before and after, by one model or several, in one HTML file.

    PAGE holds all of its pictures and needs no network; default: INPUT's name with .preview.html, in the
    current folder. The pictures are what the same options give without `preview`.
    """
    job = _job(source, words)
    times = tuple(time for several in at for time in several)
    if times and not clip and not job.range.is_whole:
        raise UsageError("--at contradicts a range, in which moments would be chosen", "give one of them")
    if len(times) > MOST_MOMENTS:
        raise UsageError(f"{len(times)} moments are too many for a page", f"name {MOST_MOMENTS} at most")
    if layout is not None and not clip:
        raise UsageError("--layout is of the clip, and none is asked for", "pass --clip, or leave it out")
    names = [name.strip() for several in models for name in several.split(",")]
    if "" in names:
        raise UsageError("--models has an empty name", "write --models A,B")
    networks: list[tuple[str | None, Path | None]] = [(name, None) for name in dict.fromkeys(names)]
    networks += [(None, file) for file in dict.fromkeys(weights)]

    with loading():
        from vidsr.preview.make import Preview, make_preview
        from vidsr.preview.outputs import Targets

    targets = Targets.beside(page or Path(f"{source.stem}.preview.html"), pictures=png, clip=clip)
    wish = Preview(
        job=job,
        networks=tuple(networks) or ((DEFAULT_MODEL, None),),
        targets=targets,
        times=times,
        count=count,
        lossless=lossless,
        layout=layout or "split",
    )
    with interruptible() as interruption, open_renderer(words["progress"], sys.stdout) as renderer:
        make_preview(wish, show=renderer.show, stop=interruption.new_stop())


preview.params += [param for param in upscale.params if param.name in _OF_THE_JOB]


def _job(source: Path, words: dict[str, Any]) -> Job:
    return make_job(
        source,
        "preview.mkv",
        denoise=words["denoise"],
        scale=words["scale"],
        width=words["width"],
        height=words["height"],
        start=words["start"],
        end=words["end"],
        frames=words["frames"],
        on_bad_frame=words["on_bad_frame"],
        on_size_change=words["on_size_change"],
        colorspace=words["colorspace"],
        deinterlace=words["deinterlace"],
        filters=words["vf"],
        device=words["device"],
        backend=words["backend"],
        precision=words["precision"],
        tile=words["tile"],
        overwrite=words["overwrite"],
    )
