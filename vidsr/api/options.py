"""The options of a job as keywords, and the Job they make; the command line makes its jobs here too.

Plain words in, a frozen record out: no file is opened and neither torch nor av loaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, TypedDict, get_args

from vidsr.api.arguments import (
    check_flags,
    check_options,
    check_paths,
    check_texts,
    exact,
    frame_pair,
    real,
    whole,
)
from vidsr.errors import UsageError
from vidsr.job import (
    REUSE_TOLERANCE,
    BackendName,
    BadFrames,
    ColorSpace,
    Deinterlace,
    EncoderRequest,
    Job,
    PipeFormat,
    Precision,
    RangeRequest,
    ReadingRules,
    Resume,
    ReuseMode,
    SizeChange,
    SizeRequest,
)

FilePath = str | os.PathLike[str]
Number = int | float | Fraction


class Options(TypedDict, total=False):
    """What can be asked for beside source and output; what is left out is decided as the command does.

    model: a preset's name (`vidsr models`). weights: a file instead of its own. denoise: 0 to 1.
    scale: output factor; or width, height in pixels (one of them: the other follows).
    start, end: seconds of the source's time. frames: (first, behind the last), counted from 0; None = open.
    deinterlace: "off", "auto", "bwdif", "ivtc". filters, post_filters: libavfilter's chains before and
        behind the network.
    colorspace: "keep", "bt709".
    encoder, crf, encoder_preset, pixel_format, encoder_options: of the video encoder (`vidsr encoders`).
    ffmpeg: path or name of an ffmpeg program that is to encode; `encoder` is then any it has.
    pipe_format: "nut", "y4m"; where the output is "-".
    audio, subtitles: "all", "first", "none" or languages ("jpn", "jpn,eng").
    strict: fail rather than convert or leave out a stream.
    device: "auto", "cpu", "cuda", "cuda:1", several divided by commas. ray: address of a Ray cluster, "auto"
        for the nearest; None = this machine.
    backend: "auto", "torch", "inductor", "openvino", "onnxruntime".
    precision: "auto", "fp32", "bf16", "fp16", "int8".
    batch: frames at once. tile: side of windows in input pixels.
    reuse: "off", "exact", "near"; reuse_tolerance: of "near", in 8-bit code values; None = 7.
    hwaccel: what decodes, by FFmpeg's name for it ("cuda"); None = the processor.
    on_bad_frame: "keep", "error", "repeat", "skip". on_size_change: "error", "rescale".
    overwrite: replace an existing output. verify: compare the output with its source at the end.
    allow_network: the source may be an address, or a playlist that leads elsewhere.
    """

    model: str | None
    weights: FilePath | None
    denoise: float | None
    scale: Number | None
    width: int | None
    height: int | None
    start: Number | None
    end: Number | None
    frames: tuple[int | None, int | None] | None
    deinterlace: Deinterlace
    filters: str
    post_filters: str
    colorspace: ColorSpace
    encoder: str | None
    crf: float | None
    encoder_preset: str | None
    pixel_format: str | None
    encoder_options: Mapping[str, str | float]
    ffmpeg: FilePath | None
    pipe_format: PipeFormat
    audio: str
    subtitles: str
    strict: bool
    device: str
    ray: str | None
    backend: BackendName
    precision: Precision
    batch: int | None
    tile: int | None
    reuse: ReuseMode
    reuse_tolerance: float | None
    hwaccel: str | None
    on_bad_frame: BadFrames
    on_size_change: SizeChange
    overwrite: bool
    verify: bool
    allow_network: bool


def make_job(
    source: FilePath,
    output: FilePath,
    *,
    model: str | None = None,
    weights: FilePath | None = None,
    denoise: float | None = None,
    scale: Number | None = None,
    width: int | None = None,
    height: int | None = None,
    start: Number | None = None,
    end: Number | None = None,
    frames: tuple[int | None, int | None] | None = None,
    deinterlace: Deinterlace = "off",
    filters: str = "",
    post_filters: str = "",
    colorspace: ColorSpace = "keep",
    encoder: str | None = None,
    crf: float | None = None,
    encoder_preset: str | None = None,
    pixel_format: str | None = None,
    encoder_options: Mapping[str, str | float] | None = None,
    ffmpeg: FilePath | None = None,
    pipe_format: PipeFormat = "nut",
    audio: str = "all",
    subtitles: str = "all",
    strict: bool = False,
    device: str = "auto",
    ray: str | None = None,
    backend: BackendName = "auto",
    precision: Precision = "auto",
    batch: int | None = None,
    tile: int | None = None,
    reuse: ReuseMode = "exact",
    reuse_tolerance: float | None = None,
    hwaccel: str | None = None,
    on_bad_frame: BadFrames = "keep",
    on_size_change: SizeChange = "error",
    overwrite: bool = False,
    verify: bool = True,
    allow_network: bool = False,
) -> Job:
    """The Job of these `Options`.

    Raises TypeError for a value of the wrong type, UsageError for values that contradict each other or
    cannot be.
    """
    check_texts(audio=audio, subtitles=subtitles, device=device)
    check_texts(
        or_none=True,
        model=model,
        encoder=encoder,
        encoder_preset=encoder_preset,
        pixel_format=pixel_format,
        hwaccel=hwaccel,
        ray=ray,
    )
    check_texts(  # "" is no filter, as "null" is
        filters="null" if filters == "" else filters,
        post_filters="null" if post_filters == "" else post_filters,
    )
    check_paths(weights=weights, ffmpeg=ffmpeg)
    check_flags(strict=strict, overwrite=overwrite, verify=verify, allow_network=allow_network)
    check_options("encoder_options", encoder_options)
    width, height, batch, tile = (
        whole("width", width),
        whole("height", height),
        whole("batch", batch),
        whole("tile", tile),
    )
    denoise, crf = real("denoise", denoise), real("crf", crf)
    _check_said_once(encoder_options or {}, crf=crf, preset=encoder_preset)
    if scale is not None and (width is not None or height is not None):
        raise UsageError("--scale cannot be combined with --width or --height", "give one of them")
    is_piped = Path(output) == Path("-")
    if ray is not None and (is_piped or Path(source) == Path("-")):
        raise UsageError("--ray needs files: a cluster cannot continue a pipe", "name INPUT and OUTPUT")
    if ffmpeg is not None and is_piped:
        raise UsageError("--ffmpeg makes files", "for a pipe: vidsr INPUT - | ffmpeg -i - ...")
    if pipe_format != "nut" and not is_piped:
        raise UsageError(
            f"--pipe-format {pipe_format} says what OUTPUT - is, not {output}",
            "leave it out: a file's suffix says what it is",
        )
    check_network_options(backend, precision, batch, tile)
    _check_count("width", width)
    _check_count("height", height)
    if denoise is not None and not 0 <= denoise <= 1:
        raise UsageError(f"denoise is {denoise:g}", "it is between 0 and 1")
    _check_word("pipe_format", pipe_format, PipeFormat)
    _check_word("colorspace", colorspace, ColorSpace)
    _check_word("deinterlace", deinterlace, Deinterlace)
    _check_word("reuse", reuse, ReuseMode)
    _check_word("on_bad_frame", on_bad_frame, BadFrames)
    _check_word("on_size_change", on_size_change, SizeChange)
    return Job(
        source=Path(source),
        output=Path(output),
        pipe_format=pipe_format,
        model=model,
        weights=None if weights is None else Path(weights),
        denoise=denoise,
        size=SizeRequest(_factor(scale), width, height),
        hwaccel=hwaccel,
        rules=ReadingRules(on_bad_frame, on_size_change),
        colorspace=colorspace,
        deinterlace=deinterlace,
        filters=filters,
        post_filters=post_filters,
        range=_range(start, end, frames),
        encoder=EncoderRequest(
            encoder,
            crf,
            encoder_preset,
            pixel_format,
            tuple((key, str(value)) for key, value in (encoder_options or {}).items()),
            None if ffmpeg is None else str(ffmpeg),
        ),
        device=device,
        ray=ray,
        backend=backend,
        precision=precision,
        batch=batch,
        tile=tile,
        reuse=reuse,
        reuse_tolerance=_tolerance(reuse, reuse_tolerance),
        audio=audio,
        subtitles=subtitles,
        strict=strict,
        overwrite=overwrite,
        verify=verify,
        allow_network=allow_network,
    )


def check_network_options(
    backend: BackendName, precision: Precision, batch: int | None, tile: int | None
) -> None:
    """What holds for videos and pictures alike. Raises UsageError."""
    _check_word("backend", backend, BackendName)
    _check_word("precision", precision, Precision)
    _check_count("batch", batch, most=MOST_BATCH)
    _check_count("tile", tile, least=LEAST_TILE)


def check_resume(resume: Resume, ray: str | None) -> None:
    """Raises UsageError for a word that means nothing, or contradicts a cluster."""
    _check_word("resume", resume, Resume)
    if resume == "never" and ray is not None:
        raise UsageError(
            "--no-resume contradicts --ray", "a cluster computes a job in pieces: give one of them"
        )


MOST_BATCH = 256
LEAST_TILE = 32
"""Input pixels: smaller windows are nearly all halo."""
LEAST_SCALE, MOST_SCALE = Fraction(1, 16), 64
MOST_TOLERANCE = 64
LONGEST_SECONDS = 10**9
"""No video lasts so long: 32 years. FFmpeg counts nine times as many in nanoseconds."""


def _check_word(name: str, word: str, known: Any) -> None:
    """known: the Literal. Whoever calls without a type checker learns here that a word means nothing."""
    words = get_args(known)
    if word not in words:
        raise UsageError(f"{name} is {word!r}", f"it is one of {', '.join(words)}")


def _check_count(name: str, count: int | None, *, least: int = 1, most: int | None = None) -> None:
    if count is None:
        return
    if count < least:
        raise UsageError(f"{name} is {count}", f"it is at least {least}")
    if most is not None and count > most:
        raise UsageError(f"{name} is {count}", f"it is {most} at most")


def _check_said_once(options: Mapping[str, str | float], **said: object) -> None:
    for name, value in said.items():
        if value is not None and name in options:
            word = "--crf" if name == "crf" else "--encoder-preset"
            raise UsageError(f"{word} {value} contradicts -x {name}={options[name]}", "give one of them")


def _factor(scale: Number | None) -> Fraction | None:
    factor = exact("scale", scale)
    if factor is not None and not LEAST_SCALE <= factor <= MOST_SCALE:
        raise UsageError(f"scale is {scale}", f"it is between {LEAST_SCALE} and {MOST_SCALE}")
    return factor


def _range(
    start: Number | None, end: Number | None, frames: tuple[int | None, int | None] | None
) -> RangeRequest:
    times = exact("start", start), exact("end", end)
    for name, time in zip(("start", "end"), times, strict=True):
        if time is not None and time < 0:
            raise UsageError(f"{name} is {float(time):g}", "times count from 0")
        if time is not None and time > LONGEST_SECONDS:
            raise UsageError(f"{name} is {float(time):g} seconds", "no video lasts so long")
    first, behind = frame_pair("frames", frames)
    if min(first or 0, behind or 0) < 0:
        raise UsageError(f"frames is {frames}", "frames count from 0")
    return RangeRequest(*times, first, behind)


def _tolerance(reuse: ReuseMode, tolerance: float | None) -> float:
    tolerance = real("reuse_tolerance", tolerance)
    if tolerance is None:
        return REUSE_TOLERANCE
    if not 0 < tolerance <= MOST_TOLERANCE:
        raise UsageError(f"reuse_tolerance is {tolerance:g}", f"it is above 0, and {MOST_TOLERANCE} at most")
    if reuse != "near":
        raise UsageError(
            f"--reuse-tolerance has no effect with --reuse {reuse}", "pass --reuse near, or leave it out"
        )
    return tolerance
