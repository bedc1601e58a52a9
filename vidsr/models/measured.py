"""The geometry of a network whose layers are unknown, measured by running it on noise.

    factor     one run on a picture of two odd sides, then of multiples of 2, 4, 8, ... until it fits
    halo       all pixels on one side of a line are exchanged; how far beyond the line does the output
               change? Repeated with a larger picture until the answer lies inside it.

A whole side is exchanged, not one pixel, so that the furthest taps of every row and channel are tried at
once. It is done a second time with NaN, which passes through a convolution however small its weights
are, where products of many small weights fall below the rounding of float32 (how far, depends on the
processor: one with AVX2 alone sees 60 of 76 pixels where one with AVX-512 sees all). It knows a function
from pictures to pictures, never what computes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from vidsr.errors import ArchitectureError
from vidsr.models.base import EVERYWHERE

Run = Callable[[Tensor], Tensor]
"""(1, 3, H, W) float32 in [0, 1] -> (1, 3, H', W'). Raises ArchitectureError for a size it cannot take."""

MOST_SCALE = 8
MULTIPLES = (1, 2, 4, 8, 16, 32, 64, 3, 6, 12, 24, 48)
"""Tried in this order; foldings and windows are powers of two, or three times one."""
PRIMES = (5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 61, 67)
LEAST_SIDE = 60
"""Of the pictures tried first: networks with windows or reflecting borders refuse very small ones."""
UNIT = 64
"""The line is drawn at a multiple of this, so that it lies between blocks however pixels are folded."""
LONGEST_SIDE = 1024
"""Of the pictures by which the halo is measured; they are UNIT pixels wide. A halo of 511 can be told."""
DOUBT = 4
"""NaN that reaches the end of a picture may mean a halo beyond it: only where the line lies this many times
as far from the end as noise reached is it believed to be of another kind."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """As in `models.base.Network`; halo may be EVERYWHERE."""

    scale: int
    halo: int
    input_multiple: int


@dataclass(frozen=True, slots=True)
class _Reach:
    """pixels: that the output sees along an axis. is_sure: whether NaN ended within the picture too."""

    pixels: int
    is_sure: bool


def measure(run: Run, size: tuple[int, int] | None = None) -> Geometry:
    """size: the (height, width) that the network is fixed to; None = it takes any, or any multiple.

    Raises ArchitectureError where no size tried gives a picture 1 to 8 times as large.
    """
    scale, multiple = _measure_scale(run, size)
    if size is None:
        unit = math.lcm(multiple, UNIT)
        reaches = [_growing(run, axis, scale, unit) for axis in (2, 3)]
    else:
        reaches = [_reach(run, size, axis, scale, size[axis - 2] // 16 * 8) for axis in (2, 3)]
    halo = max(EVERYWHERE if reach is None else reach.pixels for reach in reaches)
    return Geometry(scale, halo, multiple)


def _measure_scale(run: Run, size: tuple[int, int] | None) -> tuple[int, int]:
    """(factor, multiple)"""
    refusal: ArchitectureError | None = None
    sizes = [(1, size)] if size else [(multiple, _odd_size(multiple)) for multiple in MULTIPLES]
    for multiple, (height, width) in sizes:
        try:
            rows, columns = run(_noise(height, width)).shape[2:]
        except ArchitectureError as error:
            refusal = refusal or error
            continue
        scale = rows // height
        if (rows, columns) == (height * scale, width * scale) and 1 <= scale <= MOST_SCALE:
            return scale, multiple
        refusal = ArchitectureError(
            f"it makes {columns}x{rows} of {width}x{height}; only factors from 1 to {MOST_SCALE} can be used"
        )
    assert refusal is not None
    raise refusal


def _odd_size(multiple: int) -> tuple[int, int]:
    """Two different sides that are multiples of this, but of no greater one that is in use."""
    return next(
        (multiple * a, multiple * b)
        for a, b in pairwise(prime for prime in PRIMES if multiple % prime)
        if multiple * a >= LEAST_SIDE
    )


def _growing(run: Run, axis: int, scale: int, unit: int) -> _Reach | None:
    side, reach = 2 * unit, None
    while side <= max(LONGEST_SIDE, 2 * unit):
        size = (side, unit) if axis == 2 else (unit, side)
        reach = _reach(run, size, axis, scale, side // 2)
        if reach is not None and (reach.is_sure or side // 2 >= DOUBT * reach.pixels):
            return reach
        side *= 2
    return reach


def _reach(run: Run, size: tuple[int, int], axis: int, scale: int, line: int) -> _Reach | None:
    """What the output sees along the axis (2: rows, 3: columns); None if not less than the picture.

    line: pixels before it in the pictures tried; a multiple of all foldings.
    """
    picture, other = _noise(*size), _noise(*size, seed=1)
    unchanged = run(picture)
    furthest = _furthest(run, picture, other, unchanged, axis, scale, line)
    if furthest is None:
        return None
    # Attention over windows that wrap around masks what comes from the other side of the picture by
    # multiplying with zero, which NaN survives: there the first answer is the right one.
    broken = torch.full_like(picture, torch.nan)
    beyond = _furthest(run, picture, broken, unchanged, axis, scale, line)
    return _Reach(furthest, False) if beyond is None else _Reach(max(furthest, beyond), True)


def _furthest(
    run: Run, picture: Tensor, other: Tensor, unchanged: Tensor, axis: int, scale: int, line: int
) -> int | None:
    furthest = 0
    for where, nearest, is_before in _sides(line):
        exchanged = picture.clone()
        index = [slice(None)] * 4
        index[axis] = where
        exchanged[tuple(index)] = other[tuple(index)]
        changed = _changed_lines(run(exchanged), unchanged, axis)
        if not changed:
            continue
        first, last = changed[0] // scale, changed[-1] // scale
        if is_before:
            if last == picture.shape[axis] - 1:
                return None
            furthest = max(furthest, last - nearest)
        else:
            if first == 0:
                return None
            furthest = max(furthest, nearest - first)
    return furthest


def _sides(line: int) -> Iterator[tuple[slice, int, bool]]:
    """(pixels to exchange, the one nearest to the line, whether they lie before it).

    Where pixels are folded into blocks, the last one of a block is the furthest from what it changes
    before it, the first one from what it changes after it: so each side begins once with either.
    """
    for start in (line, line - 1):
        yield slice(start, None), start, False
    for stop in (line, line + 1):
        yield slice(None, stop), stop - 1, True


def _changed_lines(found: Tensor, unchanged: Tensor, axis: int) -> list[int]:
    differs = (found != unchanged) & ~(found.isnan() & unchanged.isnan())
    others = [dim for dim in range(4) if dim != axis]
    lines: list[int] = differs.any(others[0], keepdim=True).any(others[1], keepdim=True).any(
        others[2], keepdim=True
    ).flatten().nonzero().flatten().tolist()  # fmt: skip
    return lines


def _noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
