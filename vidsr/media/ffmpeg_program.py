"""The user's own ffmpeg: where it is, which encoders it has, and settings for one of them.

Everything is asked of the program itself, because builds differ. It knows names and options, neither frames
nor how the program is run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from vidsr.errors import ToolMissingError, UnknownNameError, UsageError
from vidsr.frames import PixelFormat
from vidsr.media.encoder_table import KNOWN, Quality
from vidsr.media.encoders import (
    RATE_CONTROLS,
    RAW,
    EncoderSettings,
    check_container,
    choose_pixel_format,
    option_names,
    planar_formats,
    profile_for,
    quality_options,
)

ANSWER_SECONDS = 30
"""A program that takes longer to list its encoders is no ffmpeg."""

_QUALITY_OPTIONS = ("crf", "cq", "global_quality", "qp")
"""What --crf turns in encoders that vidsr has no table of, in order of preference."""
_PRESET_OPTIONS = ("preset", "cpu-used", "quality")

_LISTED = re.compile(r"^ V\S{5} (\S+)\s+(.*)$", re.MULTILINE)
_CODEC = re.compile(r"\(codec (\S+)\)\s*$")
_FORMATS = re.compile(r"Supported pixel formats:(.*)")
_OPTION = re.compile(r"^ +-(\S+) +<", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Offer:
    """An encoder of the program. options: its own ones. pixel_formats: what it takes."""

    name: str
    codec: str
    pixel_formats: tuple[str, ...]
    options: frozenset[str]


@cache
def find_program(wish: str) -> str:
    """The path of a program that is named as a path or lies on PATH. Raises ToolMissingError."""
    found = shutil.which(wish)
    if found is None:
        raise ToolMissingError(
            f"there is no program {wish!r}", "install ffmpeg, or name its path: --ffmpeg=PATH"
        )
    return found


@cache
def version_of(program: str) -> str:
    """What the program calls itself ("ffmpeg version 7.1"). Raises ToolMissingError if it is no ffmpeg."""
    words = _answer(program, "-version").splitlines()
    if not words or "version" not in words[0]:
        raise ToolMissingError(f"{program} is not ffmpeg", "name the path of an ffmpeg program")
    return words[0].partition(" Copyright")[0]


@cache
def offer_of(program: str, name: str) -> Offer:
    """What the program's encoder takes.

    Raises UnknownNameError if it has none of that name, ToolMissingError if it is no ffmpeg.
    """
    version_of(program)
    listed = dict(_LISTED.findall(_answer(program, "-encoders")))
    if name not in listed:
        raise UnknownNameError("encoder", name, listed, f"{program} -encoders", owner=program)
    codec = _CODEC.search(listed[name])
    help_text = _answer(program, "-h", f"encoder={name}")
    formats = _FORMATS.search(help_text)
    return Offer(
        name,
        codec[1] if codec else name,
        tuple(formats[1].split()) if formats else (),
        frozenset(_OPTION.findall(help_text)),
    )


def program_settings(
    program: str,
    name: str,
    *,
    crf: float | None = None,
    preset: str | None = None,
    pixel_format: str | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
    source: PixelFormat,
    container: str = "matroska",
) -> EncoderSettings:
    """Settings for an encoder of a program; as `settings_for`, but opened by nobody yet.

    Raises UnknownNameError (encoder, pixel format, option), UsageError (no such knob), ToolMissingError (no
    such program), EncoderError (the container cannot hold the codec).
    """
    path = find_program(program)
    offer = offer_of(path, name)
    check_container(name, offer.codec, container)
    formats = planar_formats(name, offer.pixel_formats)
    if not offer.pixel_formats:
        formats = {source.name: source.name}  # it lists none because it takes all
    chosen = choose_pixel_format(name, formats, pixel_format, source)
    known = KNOWN.get(name)
    final: dict[str, str] = {} if known is None else dict(known.fixed)
    if crf is None and known is not None and known.quality is not None and not RATE_CONTROLS & set(options):
        crf = known.quality.default
    if crf is not None:
        final |= quality_options(name, _quality(path, offer, crf), crf)
    preset = preset or (known and known.preset) or profile_for(name, PixelFormat.parse(chosen))
    if preset is not None:
        final[_preset_option(path, offer)] = preset
    allowed = offer.options | option_names(RAW)
    for key, value in options.items():
        if key not in allowed:
            raise UnknownNameError("option", key, sorted(allowed), f"{path} -h encoder={name}", owner=name)
        joined = known is not None and key == known.params_option and key in final
        final[key] = f"{final[key]}:{value}" if joined else value
    return EncoderSettings(
        name,
        crf,
        preset,
        chosen,
        MappingProxyType(final),
        coded_format=formats[chosen],
        program=path,
    )


def _quality(program: str, offer: Offer, crf: float) -> Quality:
    known = KNOWN.get(offer.name)
    if known is not None and known.quality is not None:
        if not known.quality.lowest <= crf <= known.quality.highest:
            raise UsageError(
                f"--crf {crf:g} is outside {offer.name}'s range "
                f"{known.quality.lowest:g} to {known.quality.highest:g}"
            )
        return known.quality
    option = next((option for option in _QUALITY_OPTIONS if option in offer.options), None)
    if option is None:
        raise UsageError(
            f"{offer.name} has no quality setting for --crf",
            f"{program} -h encoder={offer.name} lists its options",
        )
    return Quality(option, crf, crf, crf)


def _preset_option(program: str, offer: Offer) -> str:
    known = KNOWN.get(offer.name)
    if known is not None and known.preset_option is not None:
        return known.preset_option
    option = next((option for option in _PRESET_OPTIONS if option in offer.options), None)
    if option is None:
        raise UsageError(
            f"{offer.name} has no presets", f"{program} -h encoder={offer.name} lists its options"
        )
    return option


def _answer(program: str, *words: str) -> str:
    try:
        done = subprocess.run(
            [program, "-hide_banner", *words],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolMissingError(
            f"{program} cannot be run: {error}", "name the path of an ffmpeg program"
        ) from error
    return done.stdout.decode(errors="replace")
