"""Pictures as a player puts them on a screen: square pixels, upright, 8 bits of R'G'B'.

It knows samples, sample aspect ratios and display matrices, never networks or files. High dynamic range and
wide gamuts are shown as their code values, the same before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.frames import Color, Frame
from vidsr.infer.resize import resize
from vidsr.media.color.convert import planes_to_rgb

Pixels = npt.NDArray[np.uint8]
"""(height, width, 3), R'G'B'."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a player does to upright a picture: rows become columns, then it is mirrored.

    transposed: first of all; mirrored: left and right, flipped: top and bottom, after that.
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    @classmethod
    def of(cls, matrix: tuple[int, ...] | None) -> Turn:
        """From a display matrix (x' = a x + c y, y' = b x + d y; nine numbers a b u c d v x y w).

        Angles between right ones are taken for the nearest, as most players take them.
        """
        if matrix is None:
            return cls()
        a, b, _, c, d = matrix[:5]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, mirrored=c < 0, flipped=b < 0)
        return cls(mirrored=a < 0, flipped=d < 0)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of a picture of a size, turned."""
        return (height, width) if self.transposed else (width, height)

    def __call__(self, picture: Tensor) -> Tensor:
        """(..., H, W) turned."""
        if self.transposed:
            picture = picture.transpose(-1, -2)
        axes = [axis for axis, wanted in ((-1, self.mirrored), (-2, self.flipped)) if wanted]
        return picture.flip(axes) if axes else picture


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """(width, height) in square pixels of a picture with a sample aspect ratio; no side gets shorter."""
    if aspect is None or aspect <= 0:
        return width, height
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def pixels(frame: Frame, color: Color, size: tuple[int, int], turn: Turn) -> Pixels:
    """A frame as it is shown: converted, enlarged to a size as a player enlarges it (bicubic), upright.

    color: what the samples mean, nothing unspecified. size: (width, height), before turning.
    """
    with torch.inference_mode():
        planes = [
            torch.from_numpy(np.stack([plane])) for plane in frame.planes
        ]  # copies: views are read-only
        rgb = planes_to_rgb(planes, frame.format, color)
        width, height = size
        shown = turn(resize(rgb, height, width))[0]
        codes = shown.mul(255).add_(0.5).to(torch.uint8).permute(1, 2, 0)
        return np.ascontiguousarray(codes.numpy())
