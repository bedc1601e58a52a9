"""What a file does not say of its pictures: neither its container nor their coding has a place for it.

FFmpeg's NUT and Y4M muxers write no colour tags, and take the sample aspect ratio from a field of the stream
that PyAV does not fill; so there only what the coding itself carries arrives. It opens no files.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from vidsr.frames import ChromaLocation, Color, Matrix, Range
from vidsr.media.color.convert import assume
from vidsr.media.containers import OutputFormat
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.source_info import SourceInfo

COLOR_IN_CODING = frozenset({"h264", "hevc", "vvc", "av1", "mpeg2video", "prores"})
"""Codecs whose own headers have all of matrix, range, primaries and transfer, or the first three at least."""
SHAPE_IN_CODING = frozenset({"h264", "hevc", "vvc", "mpeg2video", "mpeg4"})


def unsaid_words(
    container: OutputFormat, codec: str, color: Color, width: int, height: int, aspect: Fraction | None
) -> list[str]:
    """A line for people about each thing that programs will not know, and would guess wrongly.

    color, width, height, aspect: of the pictures as coded.
    """
    lines = []
    guessed = assume(Color(), height, planar_equivalent("yuv420p"), width=width)
    # R'G'B' samples say what they are
    if not _says_color(container, codec) and color.matrix is not Matrix.RGB and not _same(color, guessed):
        lines.append(
            f"{container.label} does not say that colours are {_words(color)}: programs will take them for "
            f"{_words(guessed)}; --colorspace bt709 suits most, --encoder libx264 says what they are"
        )
    if not _says_shape(container, codec) and aspect and aspect != 1:
        lines.append(
            f"the sample aspect ratio {aspect.numerator}:{aspect.denominator} is left out: {container.label} "
            f"does not hold it for {codec}"
        )
    return lines


def filled(info: SourceInfo, container: OutputFormat, color: Color, aspect: Fraction) -> SourceInfo:
    """A file as it was probed, with what it could not say filled in as it was meant."""
    if not _says_color(container, info.codec):
        found = info.color
        said = replace(
            found,
            matrix=color.matrix if found.matrix is Matrix.UNSPECIFIED else found.matrix,
            range=color.range if found.range is Range.UNSPECIFIED else found.range,
            primaries=color.primaries if found.primaries == 2 else found.primaries,
            transfer=color.transfer if found.transfer == 2 else found.transfer,
            chroma_location=(
                color.chroma_location
                if found.chroma_location is ChromaLocation.UNSPECIFIED
                else found.chroma_location
            ),
        )
        info = replace(info, color=said)
    if not _says_shape(container, info.codec) and info.sample_aspect_ratio in (None, 0, 1):
        info = replace(info, sample_aspect_ratio=aspect)
    return info


def _says_color(container: OutputFormat, codec: str) -> bool:
    return container.says_appearance or codec in COLOR_IN_CODING


def _says_shape(container: OutputFormat, codec: str) -> bool:
    return container.says_appearance or codec in SHAPE_IN_CODING


def _same(one: Color, other: Color) -> bool:
    """Where chroma samples lie is guessed well enough."""
    return replace(one, chroma_location=other.chroma_location) == other


def _words(color: Color) -> str:
    name = color.matrix.name.lower().replace("_", " ")
    return f"{name}, {color.range.name.lower()} range, primaries {color.primaries}, transfer {color.transfer}"
