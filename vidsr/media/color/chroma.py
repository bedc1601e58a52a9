"""Where chroma samples lie between luma samples, and how planes go from one grid to the other.

It knows positions and filters, never matrices, ranges or bit depths.

Filters, by PSNR of R'G'B' after 4:4:4 -> 4:2:0 -> 4:4:4, LEFT, three frames of animevideov3's output at
2560x1920 (chroma made there) and at 640x480 (chroma read there):

    made by, read by        read as nearest  linear  Catmull-Rom  Lanczos-3
    area mean, 2560x1920              44.02   44.50        44.53      44.47
    tent, 2560x1920                   43.95   44.37        44.42      44.40
    Catmull-Rom, 2560x1920            43.97   44.48        44.52      44.50
    area mean, 640x480                43.31   46.51        47.36      47.63
    Catmull-Rom, 640x480              43.21   46.72        47.48      47.76

So chroma is made as the area mean, the cheapest and no worse, and read by Catmull-Rom: repeating samples
loses 4 dB, a wrong location 1.5 dB, and Lanczos-3 gains 0.3 dB for half as much work again.
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

Taps = tuple[tuple[int, float], ...]
"""(sample relative to a first one, weight), ascending without gaps, weights adding up to 1."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a chroma plane: its sample j lies at luma sample `step * j + offset`.

    offset: luma samples from the first luma sample to the first chroma sample, 0 to step - 1; a half
    where the chroma sample lies between two luma samples.
    """

    step: int
    offset: float

    def length(self, luma: int) -> int:
        """Chroma samples along an axis of so many luma samples."""
        return -(-luma // self.step)

    def taps_down(self) -> Taps:
        """The low-pass in front of subsampling: chroma sample j from luma samples `step * j + k`.

        The mean over the stretch of one step around the chroma sample: 1-2-1 where it lies on a luma
        sample, 1-1 where it lies between two.
        """
        half = self.step / 2
        first, last = math.ceil(self.offset - half), math.floor(self.offset + half)
        at_end = 0.5 if self.offset == int(self.offset) and self.step % 2 == 0 else 1.0
        weights = {k: at_end if k in (first, last) else 1.0 for k in range(first, last + 1)}
        return tuple((k, w / sum(weights.values())) for k, w in weights.items())

    @property
    def gain(self) -> float:
        """The weight of the first tap of the low-pass; the others are this or twice this."""
        return self.taps_down()[0][1] if self.step > 1 else 1.0

    def taps_up(self, phase: int) -> Taps:
        """Luma sample `step * j + phase` from chroma samples `j + k`: Catmull-Rom interpolation."""
        position = (phase - self.offset) / self.step
        if position == int(position):
            return ((int(position), 1.0),)
        first = math.floor(position) - 1
        return tuple((k, _catmull_rom(abs(position - k))) for k in range(first, first + 4))


def _catmull_rom(x: float) -> float:
    """Keys' cubic with a = -1/2, at 0 <= x < 2. IEEE Trans. ASSP 29 (1981), equation 15."""
    if x < 1:
        return (1.5 * x - 2.5) * x * x + 1
    return ((-0.5 * x + 2.5) * x - 4) * x + 2


@dataclass(frozen=True, slots=True)
class ChromaGrid:
    """Both axes of a chroma plane."""

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, format: PixelFormat, location: ChromaLocation) -> ChromaGrid:
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


def upsample(plane: Tensor, axis: Axis, length: int, dim: int) -> Tensor:
    """Chroma samples along dim interpolated at every luma sample.

    plane: float, count along dim. Returns length = count * step (less for odd sizes) along dim. Beyond
    the outermost chroma samples their value is repeated.
    """
    if axis.step == 1:
        return plane
    count = plane.shape[dim]
    padded = repeat_ends(plane, dim, 2, 2)
    shape = list(plane.shape)
    shape[dim] = count * axis.step
    full = plane.new_empty(shape)
    between = torch.empty_like(plane)
    for phase in range(axis.step):
        parts = [(padded.narrow(dim, 2 + k, count), w) for k, w in axis.taps_up(phase)]
        # summed up in one piece first: samples a step apart are slow to add to
        _every(full, dim, phase, axis.step, count).copy_(_weighted_sum(parts, between))
    return full.narrow(dim, 0, length)


def subsample(plane: Tensor, axis: Axis, dim: int, out: Tensor) -> Tensor:
    """Low-pass along dim and keep the chroma samples, not yet multiplied by the axis' gain.

    plane: float; along dim the luma samples that the chroma samples are made of, see luma_span.
    out: where they go; its length along dim says how many. Returns out, or plane itself where the step
    is 1 and nothing is to be done.
    """
    if axis.step == 1:
        return plane
    taps = axis.taps_down()
    count = out.shape[dim]
    parts = [(_every(plane, dim, k - taps[0][0], axis.step, count), w / axis.gain) for k, w in taps]
    return _weighted_sum(parts, out)


def luma_span(axis: Axis, start: int, stop: int, length: int) -> tuple[int, int, int, int]:
    """The luma samples that chroma samples [start, stop) are made of: (first, end, before, after).

    [first, end) is what lies inside the picture of so many luma samples, before and after what is
    missing of it at either end.
    """
    if axis.step == 1:
        return start, stop, 0, 0
    taps = axis.taps_down()
    wanted, wanted_end = axis.step * start + taps[0][0], axis.step * (stop - 1) + taps[-1][0] + 1
    first = min(max(wanted, 0), length - 1)  # a cell of a tiny picture may lie beyond it altogether
    end = max(min(wanted_end, length), first + 1)
    before = max(-wanted, 0)
    return first, end, before, wanted_end - wanted - before - (end - first)


def repeat_ends(plane: Tensor, dim: int, before: int, after: int) -> Tensor:
    """The outermost samples along dim repeated so many times more at either end."""
    if before == after == 0:
        return plane
    first, last = plane.narrow(dim, 0, 1), plane.narrow(dim, plane.shape[dim] - 1, 1)
    return torch.cat([first] * before + [plane] + [last] * after, dim)


def _weighted_sum(parts: list[tuple[Tensor, float]], out: Tensor) -> Tensor:
    """Into out, which it returns. A weight of 1 in front saves a pass over the samples."""
    (first, weight), *others = parts
    if weight == 1 and others:
        (second, second_weight), *others = others
        torch.add(first, second, alpha=second_weight, out=out)
    else:
        torch.mul(first, weight, out=out)
    for samples, w in others:
        out.add_(samples, alpha=w)
    return out


def _every(plane: Tensor, dim: int, first: int, step: int, count: int) -> Tensor:
    """A view of count samples along dim: first, first + step, ..."""
    kept = [slice(None)] * plane.ndim
    kept[dim] = slice(first, first + step * (count - 1) + 1, step)
    return plane[tuple(kept)]
