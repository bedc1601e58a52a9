"""`vidsr IN OUT`: the options of the main job, turned into a Job and run."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

import click

from vidsr.api.options import LEAST_TILE, MOST_BATCH, MOST_TOLERANCE, check_resume, make_job
from vidsr.cli.interrupts import interruptible
from vidsr.cli.loading import loading
from vidsr.cli.options import (
    CLUSTER,
    FRAME_RANGE,
    KEY_VALUE,
    PROGRAM,
    SCALE,
    TIME,
    GroupedCommand,
    option_group,
)
from vidsr.errors import UsageError, VidsrError
from vidsr.job import (
    REUSE_TOLERANCE,
    BackendName,
    BadFrames,
    ColorSpace,
    Deinterlace,
    Job,
    PipeFormat,
    Precision,
    Resume,
    ReuseMode,
    SizeChange,
)
from vidsr.media.write.standard_streams import STANDARD, claim_stdout, spooled
from vidsr.presets import DEFAULT_MODEL

if TYPE_CHECKING:
    from vidsr.progress.renderer import Renderer

ProgressStyle = Literal["auto", "rich", "plain", "json", "none"]

EXIT_DAMAGED_SOURCE = 3
_STANDARD_INPUT = "standard input"

model_option = option_group("Model")
size_option = option_group("Size and range")
filter_option = option_group("Filters")
video_option = option_group("Video encoding")
stream_option = option_group("Other streams")
run_option = option_group("Running")


@click.command(cls=GroupedCommand, short_help="Upscale a video (the word may be left out).")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="OUTPUT", type=click.Path(path_type=Path))
@model_option(
    "--model", "-m", metavar="NAME", help=f"One that `vidsr models` lists. [default: {DEFAULT_MODEL}]"
)
@model_option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Weight file instead of the model's own.",
)
@model_option(
    "--denoise",
    metavar="0..1",
    type=click.FloatRange(0, 1),
    help="Denoising strength, where the model has one.",
)
@size_option("--scale", "-s", type=SCALE, help="Output factor; default: the model's own.")
@size_option("--width", metavar="N", type=click.IntRange(1), help="Output width; height follows.")
@size_option("--height", metavar="N", type=click.IntRange(1), help="Output height; width follows.")
@size_option("--start", type=TIME, help="Begin at this time (83.5, 1:23.5, 0:01:23.5).")
@size_option("--end", type=TIME, help="End before this time.")
@size_option("--frames", type=FRAME_RANGE, help="Only frames A to B-1, counted from 0.")
@filter_option(
    "--deinterlace",
    type=click.Choice(get_args(Deinterlace)),
    metavar="MODE",
    default="off",
    help="off (default), auto (frames marked interlaced), bwdif (all), ivtc (telecined film).",
)
@filter_option("--vf", metavar="CHAIN", default="", help="FFmpeg filters before the network (crop=704:480).")
@filter_option("--post-vf", metavar="CHAIN", default="", help="The same between the network and the encoder.")
@video_option("--encoder", metavar="NAME", help="Video encoder; default: the preset's (libx264).")
@video_option(
    "--ffmpeg",
    type=PROGRAM,
    is_flag=False,
    flag_value="ffmpeg",
    help="Encode with your own ffmpeg; --encoder names any encoder it has.",
)
@video_option("--crf", metavar="N", type=float, help="Constant quality; lower is better and larger.")
@video_option("--encoder-preset", metavar="NAME", help="Its own speed preset; `vidsr encoders` lists all.")
@video_option(
    "--pipe-format",
    type=click.Choice(get_args(PipeFormat)),
    metavar="FORMAT",
    default="nut",
    help="What OUTPUT - is: nut (default; all streams, time stamps) or y4m (bare picture).",
)
@video_option("--pix-fmt", metavar="NAME", help="Output pixel format; default: like the source.")
@video_option(
    "--colorspace",
    type=click.Choice(get_args(ColorSpace)),
    metavar="WHICH",
    default="keep",
    help="keep (default), or convert to bt709.",
)
@video_option(
    "-x",
    "encoder_options",
    type=KEY_VALUE,
    multiple=True,
    help="An option of the encoder itself; may be repeated.",
)
@stream_option(
    "--audio",
    metavar="WHICH",
    default="all",
    help="all (default), first, none or languages (jpn or jpn,pt-BR).",
)
@stream_option("--no-audio", is_flag=True, help="The same as --audio none.")
@stream_option("--subs", metavar="WHICH", default="all", help="The same for subtitles.")
@stream_option("--strict", is_flag=True, help="Fail rather than convert or leave out anything.")
@run_option(
    "--device",
    metavar="NAME",
    default="auto",
    help="cpu, cuda, cuda:1, several (cuda:0,cuda:1), mps; default: cuda where it can be used, else cpu.",
)
@run_option(
    "--ray",
    type=CLUSTER,
    is_flag=False,
    flag_value="auto",
    help="Compute on the Ray cluster at HOST:PORT; without it, the nearest.",
)
@run_option(
    "--backend",
    type=click.Choice(get_args(BackendName)),
    metavar="NAME",
    default="auto",
    help="torch, inductor (compiles first), openvino, onnxruntime; default: the fastest that starts at once.",
)
@run_option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    metavar="FORMAT",
    default="auto",
    help="fp32, bf16, fp16, or int8 (its loss: `vidsr models show`); default: by device.",
)
@run_option(
    "--batch",
    metavar="N",
    type=click.IntRange(1, MOST_BATCH),
    help="Frames at once; default: by device and model.",
)
@run_option(
    "--tile", metavar="N", type=click.IntRange(LEAST_TILE), help="Compute in windows of N input pixels."
)
@run_option("--restart", is_flag=True, help="Throw away what an earlier run left unfinished.")
@run_option("--no-resume", is_flag=True, help="Write OUTPUT in one go; keep nothing if it ends early.")
@run_option(
    "--segment",
    metavar="N",
    type=click.IntRange(1),
    help="Frames after which a piece is safe; default: scene by scene.",
)
@run_option(
    "--reuse",
    type=click.Choice(get_args(ReuseMode)),
    metavar="MODE",
    default="exact",
    help="Keep what did not change since an earlier frame: off, exact (default), or near.",
)
@run_option(
    "--reuse-tolerance",
    metavar="N",
    type=click.FloatRange(0, MOST_TOLERANCE, min_open=True),
    help=f"What near takes for no change, in 8-bit code values; default: {REUSE_TOLERANCE:g}.",
)
@run_option(
    "--hwaccel",
    metavar="NAME",
    help="Decode on hardware: cuda (NVDEC), or another that FFmpeg has here; default: the processor.",
)
@run_option("--overwrite", "-y", is_flag=True, help="Replace an existing OUTPUT.")
@run_option("--allow-network", is_flag=True, help="INPUT may be an address (https://...) or a playlist.")
@run_option(
    "--on-bad-frame",
    type=click.Choice(get_args(BadFrames)),
    metavar="WHAT",
    default="keep",
    help="keep (default: show what can be decoded), error, repeat (the last good one), skip.",
)
@run_option(
    "--on-size-change",
    type=click.Choice(get_args(SizeChange)),
    metavar="WHAT",
    default="error",
    help="error (default), or rescale (later frames to the first size).",
)
@run_option("--no-verify", is_flag=True, help="Do not compare OUTPUT with INPUT at the end.")
@run_option(
    "--progress",
    type=click.Choice(get_args(ProgressStyle)),
    metavar="STYLE",
    default="auto",
    help="rich, plain, json or none; default: rich in a terminal, else plain.",
)
def upscale(**words: Any) -> int:
    """Upscale INPUT and write OUTPUT; the suffix of OUTPUT chooses the container.

    INPUT - is standard input, read to its end first. OUTPUT - is standard output.
    """
    resume = resume_mode(words)
    segment: int | None = words.pop("segment")
    style: ProgressStyle = words.pop("progress")
    job = job_of(**words)

    with loading():
        from vidsr.api.videos import upscale_job
        from vidsr.progress.events import Event, Failed, Note, Started, show_at_the_end

    if job.is_piped:
        claim_stdout()  # before anything is printed
    with (
        interruptible() as interruption,
        open_renderer(style, sys.stdout) as renderer,
        ExitStack() as stack,
    ):

        def show(event: Event) -> None:
            if is_piped_in and isinstance(event, Started):
                event = replace(event, source=_STANDARD_INPUT)  # not the temporary file's name
            renderer.show(event)

        is_piped_in = job.source == STANDARD
        if is_piped_in:
            if sys.stdin is None:  # Python's way of saying that the shell closed it (<&-)
                raise UsageError("standard input is closed", "pipe a video into vidsr, or name a file")
            renderer.show(Note("reading standard input to its end first"))
            job = replace(job, source=stack.enter_context(spooled(sys.stdin.buffer)))
            resume = "never"  # the temporary file will not be there another time
        try:
            stop = interruption.new_stop()
            receipt = upscale_job(job, on_event=show, resume=resume, segment_frames=segment, stop=stop)
        except VidsrError as error:
            source = str(job.source)
            if is_piped_in:
                error.message = error.message.replace(source, _STANDARD_INPUT)
                source = _STANDARD_INPUT
            if style == "json":  # people read it after the progress is cleared away
                show_at_the_end(renderer.show, Failed(source, error.message, error.hint))
            raise
    return EXIT_DAMAGED_SOURCE if receipt.damage else 0


def resume_mode(words: dict[str, Any]) -> Resume:
    """Takes --restart and --no-resume out of the words. Raises UsageError if both are there."""
    restart, no_resume = words.pop("restart"), words.pop("no_resume")
    if restart and no_resume:
        raise UsageError("--restart contradicts --no-resume", "give one of them")
    resume: Resume = "restart" if restart else "never" if no_resume else "auto"
    check_resume(resume, words["ray"])
    return resume


def job_of(
    *,
    source: Path,
    output: Path,
    pipe_format: PipeFormat,
    model: str | None,
    weights: Path | None,
    denoise: float | None,
    scale: Fraction | None,
    width: int | None,
    height: int | None,
    start: Fraction | None,
    end: Fraction | None,
    frames: tuple[int | None, int | None] | None,
    colorspace: ColorSpace,
    deinterlace: Deinterlace,
    vf: str,
    post_vf: str,
    encoder: str | None,
    ffmpeg: str | None,
    crf: float | None,
    encoder_preset: str | None,
    pix_fmt: str | None,
    encoder_options: tuple[tuple[str, str], ...],
    audio: str,
    no_audio: bool,
    subs: str,
    strict: bool,
    device: str,
    ray: str | None,
    backend: BackendName,
    precision: Precision,
    batch: int | None,
    tile: int | None,
    reuse: ReuseMode,
    reuse_tolerance: float | None,
    overwrite: bool,
    hwaccel: str | None,
    on_bad_frame: BadFrames,
    on_size_change: SizeChange,
    no_verify: bool,
    allow_network: bool,
) -> Job:
    if no_audio and audio not in {"all", "none"}:
        raise UsageError(f"--no-audio contradicts --audio {audio}", "give one of them")
    return make_job(
        source,
        output,
        pipe_format=pipe_format,
        model=model,
        weights=weights,
        denoise=denoise,
        scale=scale,
        width=width,
        height=height,
        start=start,
        end=end,
        frames=frames,
        hwaccel=hwaccel,
        on_bad_frame=on_bad_frame,
        on_size_change=on_size_change,
        colorspace=colorspace,
        deinterlace=deinterlace,
        filters=vf,
        post_filters=post_vf,
        encoder=encoder,
        crf=crf,
        encoder_preset=encoder_preset,
        pixel_format=pix_fmt,
        encoder_options=dict(encoder_options),
        ffmpeg=ffmpeg,
        device=device,
        ray=ray,
        backend=backend,
        precision=precision,
        batch=batch,
        tile=tile,
        reuse=reuse,
        reuse_tolerance=reuse_tolerance,
        audio="none" if no_audio else audio,
        subtitles=subs,
        strict=strict,
        overwrite=overwrite,
        verify=not no_verify,
        allow_network=allow_network,
    )


def open_renderer(style: ProgressStyle, stdout: IO[str] | None) -> Renderer:
    """JSON goes to standard output, for programs; words for people go to standard error."""
    from rich.console import Console

    from vidsr.progress.json_lines import JsonRenderer
    from vidsr.progress.live import RichRenderer
    from vidsr.progress.plain_lines import PlainRenderer
    from vidsr.progress.renderer import SilentRenderer, UnheardRenderer

    if sys.stderr is None and style != "json":  # Python's way of saying that the shell closed it (2>&-)
        style = "none"
    console = Console(stderr=True, markup=False, emoji=False)
    if style == "auto":
        style = "rich" if console.is_terminal and not console.is_dumb_terminal else "plain"
    if style == "rich":
        return UnheardRenderer(RichRenderer(console))
    if style == "plain":
        return UnheardRenderer(PlainRenderer(sys.stderr))
    if style == "json":
        if stdout is None:  # Python's way of saying that the shell closed it (>&-)
            raise UsageError("standard output is closed", "--progress json goes there; plain goes elsewhere")
        return JsonRenderer(stdout)
    return SilentRenderer()
