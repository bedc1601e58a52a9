"""Video encoders: which ones there are, what each knob is called, and settings that have been checked.

Names, options and sizes are refused here, before a frame is computed: FFmpeg itself accepts unknown
options in silence. It knows codecs, never files or frames.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from functools import cache
from types import MappingProxyType
from typing import Any

import av
import av.error
from av.video.codeccontext import VideoCodecContext

from vidsr.errors import EncoderError, UnknownNameError, UsageError
from vidsr.frames import PixelFormat
from vidsr.job import EncoderRequest
from vidsr.media.color.hdr import HdrMetadata
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoder_table import KNOWN, Known, Quality
from vidsr.media.encode.layouts import choose_pixel_format, codec_exists, known_planar_formats
from vidsr.media.ffmpeg_log import WARNING, listening

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints 20 lines to stderr for each encoder; 1 = errors only

RATE_CONTROLS = frozenset({"qp", "b", "crf", "cq", "global_quality", "qp_i", "qp_p", "rc", "maxrate"})
"""Options with which a user takes the choice of quality into their own hands."""

PROBED_SIZE = (640, 480)
"""Trial openings use it; below 160 lines some hardware encoders refuse."""


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """One encoder of this machine.

    available: whether a trial opening succeeded; `problem` says why not.
    pixel_formats: the planar ones vidsr can feed it. bits: their depths.
    """

    name: str
    codec: str
    about: str
    available: bool
    problem: str | None
    quality: Quality | None
    presets: tuple[str, ...]
    default_preset: str | None
    pixel_formats: tuple[str, ...]
    bits: tuple[int, ...]
    containers: tuple[str, ...]
    hardware: bool


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Everything an encoder is opened with, checked.

    pixel_format: the planar layout of the frames to write. coded_format: the layout the encoder is
        opened with, where that is another one with the same samples (nv12 for yuv420p).
    options: the complete FFmpeg options, quality and preset among them.
    post_filters: what the frames go through just before they are encoded.
    program: path of the ffmpeg that is to encode, "" = FFmpeg's libraries in this process.
    """

    name: str
    crf: float | None
    preset: str | None
    pixel_format: str
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0
    coded_format: str = ""
    post_filters: str = ""
    program: str = ""

    @property
    def layout(self) -> PixelFormat:
        return PixelFormat.parse(self.pixel_format)

    def to_json(self) -> dict[str, Any]:
        return {known.name: getattr(self, known.name) for known in fields(self)} | {
            "options": dict(self.options)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EncoderSettings:
        """Raises KeyError or TypeError for anything but what `to_json` gives."""
        return cls(**{**values, "options": MappingProxyType(dict(values["options"]))})


def list_encoders() -> list[EncoderInfo]:
    """All encoders vidsr has settings for and this PyAV was built with, software first."""
    return [_describe(name) for name in KNOWN if codec_exists(name)]


def settings_for(
    wish: EncoderRequest, *, source: PixelFormat, container: str = "matroska", threads: int = 0
) -> EncoderSettings:
    """Check wishes against what the encoder that they name knows, and fill in defaults.

    source: layout of the frames as decoded; decides the output's where that is not wished. container: the
    muxer's name ("matroska", "mp4", ...).

    Raises UnknownNameError (encoder, preset, pixel format, option), UsageError (quality out of range),
    EncoderError (the container cannot hold the codec, the encoder does not open on this machine).
    """
    name = wish.name or ""
    if not codec_exists(name):
        known = [n for n in KNOWN if codec_exists(n)]
        raise UnknownNameError("encoder", name, known, "vidsr encoders")
    known_encoder = KNOWN.get(name, Known(""))
    check_container(name, av.Codec(name, "w").canonical_name, container)
    settings = fill_in(wish, known_encoder, known_planar_formats(name), option_names(name), source)
    settings = replace(settings, threads=threads)
    problem = trial_open(settings, *PROBED_SIZE)
    if problem is not None:
        raise _refusal(name, known_encoder, problem)
    return settings


def fill_in(
    wish: EncoderRequest,
    known: Known,
    formats: Mapping[str, str],
    taken: frozenset[str],
    source: PixelFormat,
) -> EncoderSettings:
    """Wishes as an encoder's options, defaults in the place of what is not wished.

    known: with no `presets` where only the encoder itself knows them. formats: as `planar_formats` gives
    them. taken: the names of all options. Raises UnknownNameError, UsageError, EncoderError.
    """
    name, crf, preset, options = wish.name or "", wish.crf, wish.preset, dict(wish.options)
    chosen = choose_pixel_format(name, formats, wish.pixel_format, source)
    listed = f"{wish.program or 'ffmpeg'} -h encoder={name}"
    final: dict[str, str] = dict(known.fixed)
    quality = known.quality
    if crf is not None:
        if quality is None:
            raise UsageError(
                f"{name} has no quality setting for --crf", f"leave it out; {listed} lists the options"
            )
        if not quality.lowest <= crf <= quality.highest:
            raise UsageError(
                f"--crf {crf:g} is outside {name}'s range {quality.lowest:g} to {quality.highest:g}",
                "lower is better and larger; vidsr encoders lists all ranges",
            )
    elif quality is not None and not RATE_CONTROLS & set(options):
        crf = quality.default
    if crf is not None and quality is not None:
        final |= quality_options(name, quality, crf)
    if preset is not None and known.preset_option is None:
        raise UsageError(f"{name} has no presets", "leave out --encoder-preset")
    if preset is not None and known.presets and preset not in known.presets:
        raise UnknownNameError("preset", preset, known.presets, "vidsr encoders", owner=name)
    preset = preset or known.preset or profile_for(name, PixelFormat.parse(chosen))
    if preset is not None and known.preset_option is not None:
        final[known.preset_option] = preset
        preset = options.get(known.preset_option, preset)
    for key, value in options.items():
        if key not in taken:
            raise UnknownNameError("option", key, sorted(taken), listed, owner=name)
        joined = key == known.params_option and key in final
        final[key] = f"{final[key]}:{value}" if joined else value
    return EncoderSettings(
        name,
        crf,
        preset,
        chosen,
        MappingProxyType(final),
        coded_format=formats[chosen],
        program=wish.program or "",
    )


def check_container(name: str, codec: str, container: str) -> None:
    """Raise EncoderError if a container (a muxer's name) cannot hold what an encoder makes."""
    output = OutputFormat.named(container)
    if not output.holds_video(codec):
        suffixes = " or ".join(f".{suffix}" for suffix in OutputFormat.suffixes_for(codec))
        fitting = next(
            (other for other, known in KNOWN.items() if not known.hardware and _fits(other, output)), None
        )
        instead = f", or pass --encoder {fitting}" if fitting else ""
        raise EncoderError(
            f"{output.label} cannot hold {codec} ({name})",
            f"name the output {suffixes or 'otherwise'}{instead}",
        )


def _fits(name: str, output: OutputFormat) -> bool:
    return codec_exists(name) and output.holds_video(av.Codec(name, "w").canonical_name)


def configure(context: VideoCodecContext, settings: EncoderSettings, width: int, height: int) -> None:
    """Apply settings to an encoder's context that is not open yet."""
    context.width, context.height = width, height
    context.pix_fmt = settings.coded_format or settings.pixel_format
    context.options = dict(settings.options)
    context.thread_count = settings.threads
    if settings.name.startswith("libx264"):
        # PyAV's own default makes x264 cut each picture into slices, one a thread: 1.5% more bytes
        context.thread_type = "AUTO"


def with_hdr(settings: EncoderSettings, hdr: HdrMetadata) -> EncoderSettings | None:
    """The settings with HDR10's static metadata added; None if the encoder cannot write it."""
    params = hdr.encoder_params(settings.name)
    key = KNOWN[settings.name].params_option if settings.name in KNOWN else None
    if not params or key is None:
        return None
    present = settings.options.get(key)
    added = ":".join(f"{name}={value}" for name, value in params.items())
    options = {**settings.options, key: f"{present}:{added}" if present else added}
    return replace(settings, options=MappingProxyType(options))


def check_size(settings: EncoderSettings, width: int, height: int) -> None:
    """Raise EncoderError if the encoder cannot take pictures of this size; the hint says which it can."""
    known = KNOWN.get(settings.name, Known(""))
    if (side := max(width, height)) > known.max_size:
        other = ", or use ffv1" if side <= KNOWN["ffv1"].max_size else ""
        raise EncoderError(
            f"{settings.name} cannot take {width}x{height}: its largest side is {known.max_size}",
            f"ask for a smaller size{other}",
        )
    multiple_h, multiple_w = settings.layout.size_multiple
    if (width % multiple_w or height % multiple_h) and not known.odd_sizes:
        whole = f"{-(-width // multiple_w) * multiple_w}x{-(-height // multiple_h) * multiple_h}"
        takes_444 = not settings.program and "yuv444p" in known_planar_formats(settings.name)
        other = ", or pass --pix-fmt yuv444p" if takes_444 else ""
        raise EncoderError(
            f"{settings.name} cannot take {width}x{height} in {settings.pixel_format}: "
            f"sizes must be multiples of {multiple_w}x{multiple_h}",
            f"ask for {whole}{other}",
        )
    if settings.program:
        return  # it is tried with such pictures before it is used
    problem = trial_open(settings, width, height)
    if problem is not None:
        raise EncoderError(
            f"{settings.name} refuses {width}x{height} {settings.pixel_format}: {problem}",
            "try another size, --pix-fmt or --encoder",
        )


def trial_open(settings: EncoderSettings, width: int, height: int) -> str | None:
    """Open the encoder once and drop it; None if it works, else what is wrong, in FFmpeg's words.

    Warnings count as failures: that is how the encoders speak of unknown names in x264-params and the like.
    """
    context = av.CodecContext.create(settings.name, "w")
    assert isinstance(context, VideoCodecContext)
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    try:
        configure(context, settings, width, height)
    except ValueError as error:
        return str(error)
    failure: av.error.FFmpegError | None = None
    with listening(WARNING) as heard:
        try:
            context.open()
        except av.error.FFmpegError as error:
            failure = error
    lines = [message.text.strip() for message in heard if failure or message.source == settings.name]
    if failure is not None:
        return lines[0] if lines else failure.strerror or type(failure).__name__
    if unused := set(context.options) & set(settings.options):
        return f"unknown option {unused.pop()!r}"
    return next((line for line in lines if "option" in line.lower()), None)


def _refusal(name: str, known: Known, problem: str) -> EncoderError:
    if known.hardware:
        return EncoderError(
            f"{name} does not work on this machine: {problem}", "use libx264, which always works"
        )
    return EncoderError(f"{name} refuses its settings: {problem}", "vidsr encoders lists what it takes")


def quality_options(name: str, quality: Quality, crf: float) -> dict[str, str]:
    """The options that ask an encoder for a quality."""
    if quality.option == "qp":  # AMF has one quantiser for each kind of picture
        kinds = ("i", "p") if name != "h264_amf" else ("i", "p", "b")
        return {f"qp_{kind}": f"{crf:g}" for kind in kinds}
    if name == "prores_ks":  # FF_QP2LAMBDA
        return {"global_quality": str(round(crf * 118)), "flags": "+qscale"}
    return {quality.option: f"{crf:g}"}


def profile_for(name: str, layout: PixelFormat) -> str | None:
    """The profile that editing codecs need for a layout."""
    full_chroma = (layout.log2_chroma_w, layout.log2_chroma_h) == (0, 0)
    if name == "prores_ks":
        return "4444" if full_chroma else "hq"
    if name == "dnxhd":
        return "dnxhr_444" if full_chroma else "dnxhr_hqx" if layout.bits > 8 else "dnxhr_hq"
    return None


@cache
def option_names(name: str) -> frozenset[str]:
    """The names an encoder takes with -x: its own and FFmpeg's general ones for encoding video."""
    supported = av.CodecContext.create(name, "w").supported_options
    flags = av.codec.context.OptionFlags
    wanted = flags.ENCODING_PARAM | flags.VIDEO_PARAM
    return frozenset(
        [option.name for option in supported.private]
        + [option.name for option in supported.generic if option.flags & wanted == wanted]
    )


def _describe(name: str) -> EncoderInfo:
    known = KNOWN[name]
    codec = av.Codec(name, "w")
    formats = known_planar_formats(name)
    layout = choose_pixel_format(name, formats, None, PixelFormat.parse("yuv420p"))
    preset = known.preset or profile_for(name, PixelFormat.parse(layout))
    trial_options = dict(known.fixed)
    if preset is not None and known.preset_option is not None:
        trial_options[known.preset_option] = preset
    problem = trial_open(
        EncoderSettings(name, None, preset, layout, trial_options, 0, formats[layout]), *PROBED_SIZE
    )
    return EncoderInfo(
        name=name,
        codec=codec.canonical_name,
        about=known.about,
        available=problem is None,
        problem=problem,
        quality=known.quality,
        presets=known.presets,
        default_preset=preset,
        pixel_formats=tuple(formats),
        bits=tuple(sorted({PixelFormat.parse(f).bits for f in formats})),
        containers=OutputFormat.suffixes_for(codec.canonical_name),
        hardware=known.hardware,
    )
