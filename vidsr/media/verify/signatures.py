"""A picture shrunk to the mean colours of a grid of blocks, and what makes two of them differ.

A super-resolution network sharpens; it keeps the local mean of what it sees, apart from a brightness of
its own. So the means of blocks of the source and of the output can be compared, whatever their sizes,
layouts and bit depths. numpy only; no files, no time.

Measured on blocks of 8 source pixels, in units of 1/255, over drawn clips and all models at hand
(animevideov3, x4plus, x4plus_anime_6B): means differ by 0 to 4.0 a picture, by at most 18.2 in a block;
without the common shift of brightness by 0 to 3.7 (root mean square). Another picture of the same scene
two frames later differs by 4 to 10, of another scene by 50 and more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vidsr.frames import Color, Matrix, PixelFormat, Plane, Range

Grid = npt.NDArray[np.float32]
"""(3, rows, columns), R'G'B' in 0..255."""

BLOCK_SIDE = 8
"""Source samples; smaller blocks would see the sharpening itself."""
MOST_BLOCKS = 64
"""Of a row or a column: more cost time and find nothing more."""

# Weights of R' and B' in Y' (ITU-T H.273 table 4)
_WEIGHTS = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.FCC: (0.30, 0.11),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
}


def grid_shape(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of blocks for pictures of this size, or of larger ones."""
    return _block_count(height), _block_count(width)


def _block_count(side: int) -> int:
    return min(max(side // BLOCK_SIDE, 1), MOST_BLOCKS)


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """Block means of the planes as coded, in code values: float64 (planes, rows, columns)."""

    means: npt.NDArray[np.float64]
    layout: PixelFormat

    @classmethod
    def of(cls, planes: Sequence[Plane], layout: PixelFormat, shape: tuple[int, int]) -> Signature:
        """shape: (rows, columns) of the grid; blocks differ by one sample where it does not divide."""
        return cls(np.stack([_block_means(plane, *shape) for plane in planes]), layout)

    @classmethod
    def within_gamut(
        cls, planes: Sequence[Plane], layout: PixelFormat, shape: tuple[int, int], color: Color
    ) -> Signature:
        """The means of what can be shown of a picture: samples whose R'G'B' lies beyond black and white are
        brought back first, as a network that works in R'G'B' does. `of` is ten times as fast.

        color: what the samples mean, nothing unspecified.
        """
        if layout.family != "yuv":
            return cls.of(planes, layout, shape)
        height, width = planes[0].shape
        full = [
            plane.repeat(-(-height // plane.shape[0]), 0).repeat(-(-width // plane.shape[1]), 1)[
                :height, :width
            ]
            for plane in planes
        ]
        rgb = _decode(np.stack(full).astype(np.float64), layout, color).clip(0, 1)
        return cls(np.stack([_block_means(p, *shape) for p in _encode(rgb, layout, color)]), layout)

    def rgb(self, color: Color) -> Grid:
        """What the means look like, read by a colour's matrix and range. Clipped to 0..255.

        color: nothing unspecified (see `assume`).
        """
        return _clipped(_decode(self.means, self.layout, color))


def _block_means(plane: Plane | npt.NDArray[np.float64], rows: int, columns: int) -> npt.NDArray[np.float64]:
    top, left = (_edges(length, count) for length, count in zip(plane.shape, (rows, columns), strict=True))
    narrow, wide = (np.uint32, np.uint64) if plane.dtype.kind == "u" else (np.float64, np.float64)
    # columns first: numpy adds along contiguous memory four times as fast as across it
    sums = np.add.reduceat(np.add.reduceat(plane, left, axis=1, dtype=narrow), top, axis=0, dtype=wide)
    sizes = np.outer(np.diff(top, append=plane.shape[0]), np.diff(left, append=plane.shape[1]))
    means: npt.NDArray[np.float64] = sums / sizes
    return means


def _edges(length: int, count: int) -> npt.NDArray[np.intp]:
    """First sample of each of `count` blocks; where there are fewer samples than blocks they repeat."""
    return np.arange(count) * length // count


def _ranges(layout: PixelFormat, range_: Range) -> tuple[float, float, float, float]:
    """(black, span of luma, neutral, span of chroma) in code values. H.273, 8.3."""
    unit = float(1 << (layout.bits - 8))
    if range_ is Range.FULL:
        return 0.0, float(layout.peak), 128 * unit, float(layout.peak)
    return 16 * unit, 219 * unit, 128 * unit, 224 * unit


def _matrix(matrix: Matrix) -> npt.NDArray[np.float64]:
    """R'G'B' to Y'CbCr; Y' in [0, 1], chroma in [-1/2, 1/2]."""
    if matrix is Matrix.YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]])
    red, blue = _WEIGHTS.get(matrix, _WEIGHTS[Matrix.BT709])
    luma = np.array([red, 1 - red - blue, blue])
    cb = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue))
    cr = (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.stack([luma, cb, cr])


def _decode(means: npt.NDArray[np.float64], layout: PixelFormat, color: Color) -> npt.NDArray[np.float64]:
    black, span, neutral, chroma_span = _ranges(layout, color.range)
    if layout.family == "gray":
        return np.repeat((means - black) / span, 3, axis=0)
    if layout.family == "rgb":
        green, blue, red = (means - black) / span
        return np.stack([red, green, blue])
    ycc = np.stack([(means[0] - black) / span, *((means[1:] - neutral) / chroma_span)])
    return np.tensordot(np.linalg.inv(_matrix(color.matrix)), ycc, axes=1)


def _encode(rgb: npt.NDArray[np.float64], layout: PixelFormat, color: Color) -> npt.NDArray[np.float64]:
    """The inverse of `_decode`, for layouts with chroma."""
    black, span, neutral, chroma_span = _ranges(layout, color.range)
    ycc = np.tensordot(_matrix(color.matrix), rgb, axes=1)
    return np.stack([ycc[0] * span + black, *(ycc[1:] * chroma_span + neutral)])


def _clipped(rgb: npt.NDArray[np.float64]) -> Grid:
    return (rgb.clip(0, 1) * 255).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two grids are apart, in 1/255.

    mean: of all blocks and channels. pattern: root mean square after each channel's mean difference has been
    taken out. far_blocks: share of blocks of which a channel is off by more than FAR.
    """

    mean: float
    pattern: float
    far_blocks: float

    @classmethod
    def of(cls, ours: Grid, theirs: Grid) -> Difference:
        off = ours - theirs
        pattern = off - off.mean(axis=(1, 2), keepdims=True)
        far = np.abs(off).max(axis=0) > FAR
        return cls(float(np.abs(off).mean()), float(np.sqrt((pattern**2).mean())), float(far.mean()))


FAR = 64.0
"""A block is elsewhere altogether; networks stay below 19."""


def unlikeness(ours: Grid, theirs: Grid) -> float:
    """What is left of a picture, root mean square in 1/255, after the best fit by another one.

    Each channel may be brightened and stretched, lest in a fade a network that adds contrast seems to
    show the moment before.
    """
    residual = 0.0
    for channel, other in zip(ours.astype(np.float64), theirs.astype(np.float64), strict=True):
        a, b = channel - channel.mean(), other - other.mean()
        power = float((b * b).sum())
        gain = float((a * b).sum()) / power if power else 0.0
        residual += float(((a - gain * b) ** 2).mean())
    return math.sqrt(residual / 3)


def contrast(grid: Grid) -> float:
    """Root mean square of the blocks' distances from the picture's mean colour, in 1/255."""
    return float(np.sqrt(((grid - grid.mean(axis=(1, 2), keepdims=True)) ** 2).mean()))


@dataclass(frozen=True, slots=True)
class Mistake:
    """A way of getting colours wrong. words: what happened. seen: the source as it would then look."""

    words: str
    seen: Grid


def mistakes(signature: Signature, color: Color, target: Color) -> Iterator[Mistake]:
    """How a source picture would look after each of the usual mistakes.

    color: what the source's samples mean; target: what the output's do. Only pictures with chroma can show
    them, except for the range.
    """
    rgb = _decode(signature.means, signature.layout, color)
    yield Mistake("red and blue are swapped", _clipped(rgb[::-1]))
    layout = signature.layout if signature.layout.family == "yuv" else PixelFormat("yuv444p", "yuv", 8)
    coded = _encode(rgb, layout, target)
    if target.matrix is not Matrix.RGB:
        yield Mistake("the chroma planes are swapped", _clipped(_decode(coded[[0, 2, 1]], layout, target)))
    other_range = Range.LIMITED if target.range is Range.FULL else Range.FULL
    names = {Range.LIMITED: "limited", Range.FULL: "full"}
    for written in (True, False):
        how = "written as" if written else "read as"
        wrong = _with(target, range_=other_range)
        yield Mistake(f"{how} {names[other_range]} range", _misread(rgb, layout, target, wrong, written))
        for matrix, name in (
            (Matrix.SMPTE170M, "BT.601"),
            (Matrix.BT709, "BT.709"),
            (Matrix.BT2020_NCL, "BT.2020"),
        ):
            if target.matrix is not Matrix.RGB and _WEIGHTS.get(matrix) != _WEIGHTS.get(target.matrix):
                wrong = _with(target, matrix=matrix)
                yield Mistake(f"{how} {name}", _misread(rgb, layout, target, wrong, written))


def _with(color: Color, *, matrix: Matrix | None = None, range_: Range | None = None) -> Color:
    return Color(matrix or color.matrix, range_ or color.range, color.primaries, color.transfer)


def _misread(
    rgb: npt.NDArray[np.float64], layout: PixelFormat, right: Color, wrong: Color, written: bool
) -> Grid:
    """Encoded by one meaning and decoded by the other."""
    first, second = (wrong, right) if written else (right, wrong)
    return _clipped(_decode(_encode(rgb, layout, first), layout, second))


@dataclass(frozen=True, slots=True)
class Explanation:
    """How well a mistake explains errors, by least squares.

    share: how much of its effect is in them, 0 for none to 1 for all of it. size: of the effect, root mean
    square in 1/255. part: of the errors' power that it explains, 0 to 1.
    """

    share: float
    size: float
    part: float


def explain(errors: Sequence[Grid], effects: Sequence[Grid]) -> Explanation:
    """errors: output less source, a picture each. effects: mistaken source less source.

    Each channel's mean is left out, because networks shift it by themselves.
    """
    product = power = whole = 0.0
    count = 0
    for error, effect in zip(errors, effects, strict=True):
        pattern = effect - effect.mean(axis=(1, 2), keepdims=True)
        rest = error - error.mean(axis=(1, 2), keepdims=True)
        product += float((pattern * rest).sum(dtype=np.float64))
        power += float((pattern**2).sum(dtype=np.float64))
        whole += float((rest**2).sum(dtype=np.float64))
        count += pattern.size
    share = product / power if power else 0.0
    part = product * share / whole if whole else 0.0
    return Explanation(share, float(np.sqrt(power / max(count, 1))), part)
