"""How a job's pictures are written: which encoder with which settings, which size, samples and colours.

It chooses from what is asked for, the preset and the source; it opens no encoder and no file.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from vidsr.errors import StreamRefusedError
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.infer.picture import Picture
from vidsr.job import Job
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import RATE_CONTROLS, EncoderSettings, settings_for
from vidsr.media.encode.ffmpeg_program import program_settings
from vidsr.media.encode.layouts import RAW, depth_note, held_color
from vidsr.media.rec709 import rec709
from vidsr.presets import EncoderDefaults, Preset


def plan_output(
    job: Job, preset: Preset | None, source: Picture, coded_like: PixelFormat, native_scale: Fraction
) -> tuple[EncoderSettings, Picture, tuple[str, ...]]:
    """How pictures are written, and a line for people about each thing of them that is not kept.

    Raises StreamRefusedError for those with --strict.
    """
    defaults = preset.encoder if preset else EncoderDefaults()
    container = container_of(job)
    name = job.encoder.name or (RAW if job.is_piped else defaults.name)
    is_default = name == defaults.name
    replacing = RATE_CONTROLS - {"maxrate"}  # a cap replaces nothing
    keeps_quality = is_default and not dict(job.encoder.options).keys() & replacing
    crf = job.encoder.crf if job.encoder.crf is not None else (defaults.crf if keeps_quality else None)
    speed = job.encoder.preset or (defaults.preset if is_default else None)
    settle = settings_for if job.encoder.program is None else program_settings
    wish = replace(job.encoder, name=name, crf=crf, preset=speed)
    settings = settle(wish, source=coded_like, container=container.muxer)
    settings = replace(settings, post_filters=job.post_filters)
    pixel_format = PixelFormat.parse(settings.pixel_format)
    width, height = job.size.resolve(source.width, source.height, native_scale, pixel_format.size_multiple)
    color = _target_color(source, pixel_format)
    if job.colorspace == "bt709":
        color = rec709(color)
    color, change = held_color(name, color)
    chosen = job.encoder.pixel_format is not None
    coarser = None if chosen else depth_note(name, coded_like, pixel_format)
    changes = tuple(note for note in (change, coarser) if note is not None)
    if job.strict and changes:
        raise StreamRefusedError("; ".join(changes), "leave out --strict to go without")
    return settings, Picture(width, height, pixel_format, color), changes


def container_of(job: Job) -> OutputFormat:
    """The form of the output's file, or of what goes down a pipe."""
    if not job.is_piped:
        return OutputFormat.of_path(job.output)
    return OutputFormat.named({"nut": "nut", "y4m": "yuv4mpegpipe"}[job.pipe_format])


def encoder_words(settings: EncoderSettings) -> str:
    """Settings for people, such as "libx265 crf 20 preset slow"."""
    words = [settings.name]
    if settings.crf is not None:
        words.append(f"crf {settings.crf:g}")
    if settings.preset:
        words.append(f"preset {settings.preset}" if settings.preset.isdecimal() else settings.preset)
    if settings.program:
        words.append(f"by {settings.program}")
    return " ".join(words)


def _target_color(source: Picture, pixel_format: PixelFormat) -> Color:
    """The source's colours, said in the terms of another sample layout where that is another family.

    Taken from the source's assumed tags, so that an untagged 480-line source stays BT.601 at 1920 lines.
    """
    color = source.color
    if pixel_format.family == "rgb":
        return replace(color, matrix=Matrix.RGB, range=Range.FULL)
    if color.matrix is Matrix.RGB:
        matrix = Matrix.BT2020_NCL if color.primaries == 9 else Matrix.BT709
        color = replace(color, matrix=matrix, range=Range.LIMITED)
    if pixel_format.log2_chroma_w == 0:
        return replace(color, chroma_location=ChromaLocation.UNSPECIFIED)
    return color
