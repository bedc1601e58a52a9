"""Whether players will show the output as they show the source: colour tags, HDR metadata, shape, rotation.

It reads tags and decides nothing about samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.media.color.hdr import HDR_TRANSFERS, HdrMetadata
from vidsr.media.geometry import ROUNDED_STRETCH, is_turn
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.verify.report import Check, Json, passed

HDR_NOTE = "HDR10 metadata is left out"
"""How the encoder's note about it begins."""

HOLD_HDR = frozenset({"h264", "hevc", "av1"})
"""Codings whose bitstream has a place for mastering display and content light level."""

SHAPE_TOLERANCE = ROUNDED_STRETCH + Fraction(1, 1000)
"""What rounding sizes may cost, and limiting ratios to small numbers."""

UNITY = 65536
"""1 in a display matrix (16.16)."""

_SAME_MATRIX = {Matrix.BT470BG: Matrix.SMPTE170M}
_SAME_CURVE = {6: 1, 14: 1, 15: 1}
"""H.273 has several numbers for BT.601's coefficients and for BT.709's curve."""


def expected_color(source: SourceInfo, output: SourceInfo) -> Color:
    """What the output's samples should mean: the same, in the terms of their own layout.

    Raises FrameFormatError.
    """
    color = source_color(source)
    if planar_equivalent(output.pixel_format).family == "rgb":
        return replace(color, matrix=Matrix.RGB, range=Range.FULL)
    if color.matrix is Matrix.RGB:
        matrix = Matrix.BT2020_NCL if color.primaries == 9 else Matrix.BT709
        return replace(color, matrix=matrix, range=Range.LIMITED)
    return color


def check_color(source: SourceInfo, output: SourceInfo, wanted: Color, *, is_gray: bool = False) -> Check:
    """The output's tags say explicitly what `wanted` says. is_gray: it was encoded without chroma.

    A range that is not said is limited, a chroma location that is not said is the usual one: some
    codings have no place for them. Equal numbers under another name are equal. Grey pictures need
    neither a matrix nor a chroma location, even where a decoder adds chroma planes to them.
    """
    layout = planar_equivalent(output.pixel_format)
    is_gray = is_gray or planar_equivalent(source.pixel_format).family == "gray"
    has_chroma = layout.family == "yuv" and not is_gray
    found, read = output.color, source_color(output)
    faults = []
    if has_chroma:
        if found.matrix is Matrix.UNSPECIFIED:
            faults.append("matrix is not tagged")
        elif _SAME_MATRIX.get(read.matrix, read.matrix) != _SAME_MATRIX.get(wanted.matrix, wanted.matrix):
            faults.append(f"matrix is {_word(found.matrix)} instead of {_word(wanted.matrix)}")
    if read.range != wanted.range:
        faults.append(f"range is {_word(found.range)} instead of {_word(wanted.range)}")
    for name in ("primaries", "transfer"):
        there, meant = getattr(found, name), getattr(wanted, name)
        same = _SAME_CURVE if name == "transfer" else {}
        if there == 2:
            faults.append(f"{name} is not tagged")
        elif same.get(there, there) != same.get(meant, meant):
            faults.append(f"{name} is {there} instead of {meant} (H.273)")
    sites = wanted.chroma_location, read.chroma_location
    if (
        has_chroma
        and _is_420(layout)
        and ChromaLocation.UNSPECIFIED not in sites
        and sites[0] is not sites[1]
    ):
        faults.append(f"chroma location is {_word(sites[1])} instead of {_word(sites[0])}")
    good = (
        f"{_word(wanted.matrix)}, {_word(wanted.range)} range"
        if has_chroma
        else _word(wanted.range) + " range"
    )
    return Check("colour tags", not faults, _plain(wanted), _plain(found), "; ".join(faults) or good)


def _is_420(layout: PixelFormat) -> bool:
    return (layout.log2_chroma_w, layout.log2_chroma_h) == (1, 1)


def _word(value: Matrix | Range | ChromaLocation) -> str:
    return value.name.lower().replace("_", " ")


def _plain(color: Color) -> Json:
    return {
        "matrix": color.matrix.name.lower(),
        "range": color.range.name.lower(),
        "primaries": color.primaries,
        "transfer": color.transfer,
        "chroma_location": color.chroma_location.name.lower(),
    }


def check_hdr(source: SourceInfo, output: SourceInfo, wanted: Color, notes: Sequence[str]) -> Iterator[Check]:
    """Mastering display and content light level, where the source has them and stays HDR."""
    theirs, ours = source.hdr, output.hdr
    if theirs is None or wanted.transfer not in HDR_TRANSFERS:
        return
    if ours is None and (output.codec not in HOLD_HDR or any(n.startswith(HDR_NOTE) for n in notes)):
        yield Check("HDR metadata", True, _hdr(theirs), None, f"left out: {output.codec} was written without")
        return
    fault = "is missing" if ours is None else _hdr_fault(theirs, ours)
    detail = (
        f"mastering display or content light level {fault}" if fault else "mastering display, light level"
    )
    found = None if ours is None else _hdr(ours)
    yield Check("HDR metadata", fault is None, _hdr(theirs), found, detail)


def _hdr_fault(theirs: HdrMetadata, ours: HdrMetadata) -> str | None:
    """What differs by more than coding does: chromaticity counts in 0.00002, luminance in 0.0001 cd/m2."""
    for name in ("red", "green", "blue", "white"):
        point, there = getattr(theirs, name), getattr(ours, name)
        if point is not None and (
            there is None or max(abs(a - b) for a, b in zip(point, there, strict=True)) > Fraction(1, 10000)
        ):
            return f"has another {name}"
    for name in ("min_luminance", "max_luminance", "max_cll", "max_fall"):
        value, there = getattr(theirs, name), getattr(ours, name)
        if value is not None and (there is None or abs(value - there) > max(value / 1000, Fraction(1, 1000))):
            return f"has another {name.replace('_', ' ')}"
    return None


def _hdr(metadata: HdrMetadata) -> Json:
    def number(value: Fraction | int | None) -> Json:
        return None if value is None else round(float(value), 5)

    plain: dict[str, Json] = {
        name: [number(part) for part in getattr(metadata, name) or ()]
        for name in ("red", "green", "blue", "white")
    }
    for name in ("min_luminance", "max_luminance", "max_cll", "max_fall"):
        plain[name] = number(getattr(metadata, name))
    return plain


def check_shape(source: SourceInfo, output: SourceInfo) -> Check:
    """The shape in which the picture is shown, whatever its size in samples."""
    theirs, ours = _shape(source), _shape(output)
    ok = abs(ours / theirs - 1) <= SHAPE_TOLERANCE
    expected, found = round(float(theirs), 4), round(float(ours), 4)
    words = f"{output.width}x{output.height}, shown {float(ours):.4g}:1"
    if not ok:
        words += f" instead of {float(theirs):.4g}:1; sample aspect ratio {output.sample_aspect_ratio or 1}"
    return Check("shape", ok, expected, found, words)


def _shape(info: SourceInfo) -> Fraction:
    return Fraction(info.width, info.height) * (info.sample_aspect_ratio or 1)


def check_rotation(source: SourceInfo, output: SourceInfo) -> Check:
    """The display matrix, without its shift: rotation and mirroring."""
    theirs, ours = _turn(source), _turn(output)
    if not is_turn(source.display_matrix) and output.display_matrix is None:
        return passed("rotation", None, "a distortion, left out")
    if all(abs(a - b) < 0.001 for a, b in zip(theirs, ours, strict=True)):
        return passed(
            "rotation", [*theirs], f"{source.rotation} degrees" if theirs != [1, 0, 0, 1] else "none"
        )
    detail = f"turned by {output.rotation} degrees instead of {source.rotation}, or mirrored"
    return Check("rotation", False, [*theirs], [*ours], detail)


def _turn(info: SourceInfo) -> list[float]:
    matrix = info.display_matrix
    return [1.0, 0.0, 0.0, 1.0] if matrix is None else [matrix[i] / UNITY for i in (0, 1, 3, 4)]
