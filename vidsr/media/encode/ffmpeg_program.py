"""The user's own ffmpeg: where it is, which encoders it has, and settings for one of them.

Everything is asked of the program itself, because builds differ. It knows names and options, neither frames
nor how the program is run.
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from functools import cache

from vidsr.errors import ToolMissingError, UnknownNameError
from vidsr.frames import PixelFormat
from vidsr.job import EncoderRequest
from vidsr.media.encode.encoder_table import KNOWN, Known, Quality
from vidsr.media.encode.encoders import EncoderSettings, check_container, fill_in, option_names
from vidsr.media.encode.layouts import RAW, planar_formats

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
    wish: EncoderRequest, *, source: PixelFormat, container: str = "matroska"
) -> EncoderSettings:
    """Settings for an encoder of the wished program; as `settings_for`, but opened by nobody yet.

    Raises UnknownNameError (encoder, pixel format, option), UsageError (no such knob), ToolMissingError (no
    such program), EncoderError (the container cannot hold the codec).
    """
    assert wish.program is not None
    name, path = wish.name or "", find_program(wish.program)
    offer = offer_of(path, name)
    check_container(name, offer.codec, container)
    formats = planar_formats(name, offer.pixel_formats)
    if not offer.pixel_formats:
        formats = {source.name: source.name}  # it lists none because it takes all
    return fill_in(
        replace(wish, program=path), _known(offer), formats, offer.options | option_names(RAW), source
    )


def _known(offer: Offer) -> Known:
    """What is known of an encoder whose presets only the program knows; the rest is guessed from its options.

    The knob of a guess may be turned to anything, and is left alone where nobody asks.
    """
    known = replace(KNOWN.get(offer.name, Known("")), presets=())
    if known.quality is None:
        option = next((option for option in _QUALITY_OPTIONS if option in offer.options), None)
        guess = None if option is None else Quality(option, -math.inf, math.inf, None)
        known = replace(known, quality=guess)
    if known.preset_option is None:
        option = next((option for option in _PRESET_OPTIONS if option in offer.options), None)
        known = replace(known, preset_option=option)
    return known


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
