"""How two videos are brought into one form in which their samples can be compared.

The first one is the yardstick: the second gets its size (if that is allowed), chroma layout, matrix and
range. Depth becomes the larger of both, which loses nothing. It knows layouts and colours, never frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vidsr.errors import FrameFormatError, FrameSizeError
from vidsr.frames import Color, Matrix, PixelFormat, Range
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo

_SCALE_NAMES = {
    Matrix.BT709: "bt709",
    Matrix.FCC: "fcc",
    Matrix.BT470BG: "smpte170m",  # the same numbers
    Matrix.SMPTE170M: "smpte170m",
    Matrix.SMPTE240M: "smpte240m",
    Matrix.BT2020_NCL: "bt2020",
}
"""What libavfilter's scale calls a matrix."""

SCALING = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two videos. filters: libavfilter's chain that brings it into the common form."""

    info: SourceInfo
    color: Color
    filters: str


@dataclass(frozen=True, slots=True)
class Meeting:
    """layout: what is compared. notes: one line for people about each thing that is converted for it."""

    reference: Side
    other: Side
    width: int
    height: int
    layout: PixelFormat
    notes: tuple[str, ...]


def arrange(reference: SourceInfo, other: SourceInfo, *, scale: bool) -> Meeting:
    """Find the common form of two videos.

    scale: whether `other` may be fitted to the reference's size.

    Raises FrameSizeError for sizes that differ if they must not, FrameFormatError for layouts or matrices
    that cannot be brought together.
    """
    ours, theirs = planar_equivalent(reference.pixel_format), planar_equivalent(other.pixel_format)
    our_color, their_color = source_color(reference), source_color(other)
    layout = _common(ours, theirs)
    same_size = (reference.width, reference.height) == (other.width, other.height)
    if not same_size and not scale:
        raise FrameSizeError(
            f"{reference.path} is {reference.width}x{reference.height}, "
            f"{other.path} is {other.width}x{other.height}",
            "pass --scale to fit the second one to the first",
        )
    notes = [] if same_size else [f"B is scaled to {reference.width}x{reference.height} (bicubic)"]
    steps = []
    if layout.family == "gray" and theirs.family == "yuv":
        steps.append("extractplanes=y")
        notes.append("only luma is compared: A has no colours")
    scaling = [] if same_size else [f"w={reference.width}:h={reference.height}"]
    if layout.family != "gray" and (words := _recolouring(ours, our_color, theirs, their_color)):
        scaling.append(words)
        notes.append(f"B is converted from {_words(theirs, their_color)} to {_words(ours, our_color)}")
    elif _chroma(theirs) != _chroma(layout) and layout.family != "gray":
        notes.append(f"B is converted from {theirs.name} to {layout.name}")
    if scaling or _chroma(theirs) != _chroma(layout):
        steps.append(":".join(["scale=" + SCALING, *scaling]))
    steps.append(f"format={layout.name}")
    if ours.bits != theirs.bits:
        notes.append(f"A has {ours.bits} bits, B {theirs.bits}: compared in {layout.bits}")
    tags = our_color if _same_numbers(our_color.matrix, their_color.matrix) else their_color
    their_tags = Color(tags.matrix, their_color.range, their_color.primaries, their_color.transfer)
    only_luma = "extractplanes=y," if layout.family == "gray" and ours.family == "yuv" else ""
    if only_luma:
        notes.append("only luma is compared: B has no colours")
    return Meeting(
        Side(reference, our_color, f"{only_luma}format={layout.name}"),
        Side(other, their_tags, ",".join(steps)),
        reference.width,
        reference.height,
        layout,
        tuple(notes),
    )


def _common(ours: PixelFormat, theirs: PixelFormat) -> PixelFormat:
    bits = max(ours.bits, theirs.bits)
    if "gray" in (ours.family, theirs.family):
        if ours.bits != theirs.bits or "rgb" in (ours.family, theirs.family):
            raise FrameFormatError(
                f"{ours.name} and {theirs.name} cannot be compared: one of them has no colours",
                "convert one of them to the other's pixel format first",
            )
        return ours if ours.family == "gray" else theirs
    base = ours.name.removesuffix("le").rstrip("0123456789") if ours.bits > 8 else ours.name
    return PixelFormat.parse(base if bits == 8 else f"{base}{bits}le")


def _chroma(layout: PixelFormat) -> tuple[str, int, int]:
    return layout.family, layout.log2_chroma_w, layout.log2_chroma_h


def _recolouring(ours: PixelFormat, our_color: Color, theirs: PixelFormat, their_color: Color) -> str:
    """Arguments for scale where the same code values mean other colours; "" where they do not."""
    if ours.family == theirs.family == "rgb":
        return ""
    same_matrix = ours.family == theirs.family and _same_numbers(our_color.matrix, their_color.matrix)
    if same_matrix and our_color.range == their_color.range:
        return ""
    if our_color.matrix == their_color.matrix and ours.family == theirs.family:
        return ":".join(_ranges(their_color.range, our_color.range))
    names = []
    for side, layout, color in (("in", theirs, their_color), ("out", ours, our_color)):
        if layout.family == "rgb":
            continue
        if color.matrix not in _SCALE_NAMES:
            raise FrameFormatError(
                f"the matrix {color.matrix.name} cannot be converted for a comparison",
                "convert one of the videos to BT.709 first",
            )
        names.append(f"{side}_color_matrix={_SCALE_NAMES[color.matrix]}")
    return ":".join([*names, *_ranges(their_color.range, our_color.range)])


def _ranges(theirs: Range, ours: Range) -> Iterator[str]:
    words = {Range.LIMITED: "limited", Range.FULL: "full"}
    yield f"in_range={words[theirs]}"
    yield f"out_range={words[ours]}"


def _same_numbers(one: Matrix, another: Matrix) -> bool:
    return one == another or _SCALE_NAMES.get(one, one.name) == _SCALE_NAMES.get(another, another.name)


def _words(layout: PixelFormat, color: Color) -> str:
    return f"{layout.name} ({color.matrix.name.lower()}, {color.range.name.lower()} range)"
