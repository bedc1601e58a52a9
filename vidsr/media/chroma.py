"""Where chroma samples lie between luma samples, and how planes go from one grid to the other.

It knows positions and filters, never matrices, ranges or bit depths.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.frames import ChromaLocation, PixelFormat

_COSITED_LEFT = (ChromaLocation.LEFT, ChromaLocation.TOPLEFT, ChromaLocation.BOTTOMLEFT)
_COSITED_TOP = (ChromaLocation.TOP, ChromaLocation.TOPLEFT)
_COSITED_BOTTOM = (ChromaLocation.BOTTOM, ChromaLocation.BOTTOMLEFT)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a subsampled plane: its sample j lies at luma sample `step * j + offset`.

    offset: luma samples from the first luma sample to the first chroma sample, 0 to step - 1; a half
    where the chroma sample lies between two luma samples.
    """

    step: int
    offset: float

    def length(self, luma: int) -> int:
        """Chroma samples along an axis of so many luma samples."""
        return -(-luma // self.step)

    def taps(self) -> tuple[tuple[int, float], ...]:
        """The low-pass in front of subsampling, as (luma sample relative to step * j, weight).

        A tent that reaches one chroma distance to either side, weights adding up to 1: 1-2-1 where the
        chroma sample lies on a luma sample, 1-3-3-1 where it lies between two. It is what zimg's default
        filter does, and the transpose of the interpolation that players show chroma with.
        """
        reach = range(math.floor(self.offset - self.step) + 1, math.ceil(self.offset + self.step))
        weights = {k: 1 - abs(k - self.offset) / self.step for k in reach}
        total = sum(weights.values())
        return tuple((k, w / total) for k, w in weights.items() if w > 0)


@dataclass(frozen=True, slots=True)
class ChromaGrid:
    """Both axes of a chroma plane."""

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, format: PixelFormat, location: ChromaLocation) -> ChromaGrid:  # noqa: A002
        """The grid of a pixel format. An unspecified location is LEFT.

        An axis that is not subsampled is the luma's own, whatever the location says of it.
        """
        step_y, step_x = format.size_multiple
        if location is ChromaLocation.UNSPECIFIED:
            location = ChromaLocation.LEFT
        x = 0.0 if location in _COSITED_LEFT else (step_x - 1) / 2
        y = (step_y - 1) / 2
        if location in _COSITED_TOP:
            y = 0.0
        elif location in _COSITED_BOTTOM:
            y = step_y - 1.0
        return cls(Axis(step_y, y), Axis(step_x, x))


def upsample(plane: Tensor, grid: ChromaGrid, height: int, width: int) -> Tensor:
    """Linear interpolation of a chroma plane at every luma sample.

    plane: float (N, rows, columns). Returns (N, height, width), the dtype of plane. Beyond the
    outermost chroma samples their value is repeated.
    """
    plane = _interpolate(plane, grid.rows, height, dim=-2)
    return _interpolate(plane, grid.columns, width, dim=-1)


def subsample(plane: Tensor, grid: ChromaGrid) -> Tensor:
    """Low-pass a full-size plane and keep the chroma samples; see Axis.taps.

    plane: float (..., H, W). Returns (..., ceil(H / step), ceil(W / step)). Beyond the border the
    outermost sample is repeated.
    """
    plane = _decimate(plane, grid.rows, dim=-2)
    return _decimate(plane, grid.columns, dim=-1)


def _interpolate(plane: Tensor, axis: Axis, length: int, dim: int) -> Tensor:
    if axis.step == 1:
        return plane
    count = plane.shape[dim]
    padded = _repeat_ends(plane, dim, 1, 1)
    shape = list(plane.shape)
    shape[dim] = count * axis.step
    full = plane.new_empty(shape)
    for phase in range(axis.step):
        # Luma sample step * j + phase lies at j + position between chroma samples.
        position = (phase - axis.offset) / axis.step
        before = math.floor(position)
        start = padded.narrow(dim, before + 1, count)
        end = padded.narrow(dim, before + 2, count) if position > before else start
        torch.lerp(start, end, position - before, out=_every(full, dim, phase, axis.step, count))
    return full.narrow(dim, 0, length)


def _decimate(plane: Tensor, axis: Axis, dim: int) -> Tensor:
    if axis.step == 1:
        return plane
    length = plane.shape[dim]
    count = axis.length(length)
    taps = axis.taps()
    before = max(0, -taps[0][0])
    after = max(0, axis.step * (count - 1) + taps[-1][0] - (length - 1))
    padded = _repeat_ends(plane, dim, before, after)
    first, *others = ((_every(padded, dim, before + shift, axis.step, count), w) for shift, w in taps)
    total = first[0] * first[1]
    for samples, weight in others:
        total.add_(samples, alpha=weight)
    return total


def _repeat_ends(plane: Tensor, dim: int, before: int, after: int) -> Tensor:
    """The outermost samples repeated so many times at either end."""
    first, last = plane.narrow(dim, 0, 1), plane.narrow(dim, plane.shape[dim] - 1, 1)
    return torch.cat([first] * before + [plane] + [last] * after, dim)


def _every(plane: Tensor, dim: int, first: int, step: int, count: int) -> Tensor:
    """A view of count samples along dim: first, first + step, ..."""
    kept = [slice(None)] * plane.ndim
    kept[dim] = slice(first, first + step * (count - 1) + 1, step)
    return plane[tuple(kept)]
