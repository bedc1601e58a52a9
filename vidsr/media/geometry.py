"""In which shape the output is shown. It knows sizes only."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vidsr.media.read.source_info import SourceInfo

ROUNDED_STRETCH = Fraction(1, 100)
"""A change of shape up to 1% comes from rounding sizes and is not worth an odd sample aspect ratio."""


def output_aspect(source: SourceInfo, width: int, height: int) -> Fraction | None:
    """The sample aspect ratio with which the output is shown in the source's shape.

    It is the source's own unless the two sides are scaled by clearly different factors; rounding of the
    size to whole chroma samples does not count. None if the source gives none and needs none.
    """
    own = source.sample_aspect_ratio
    stretch = Fraction(width * source.height, height * source.width)
    if abs(stretch - 1) <= ROUNDED_STRETCH:
        return own
    return ((own or 1) / stretch).limit_denominator(1000)


def is_turn(matrix: Sequence[int] | None) -> bool:
    """Whether a display matrix (nine numbers, 16.16) only turns or mirrors, which all containers can hold."""
    if matrix is None:
        return True
    a, b, c, d = (matrix[i] / 65536 for i in (0, 1, 3, 4))
    lengths, angle = (a * a + b * b, c * c + d * d), a * c + b * d
    return abs(angle) < 0.01 and all(abs(length - 1) < 0.01 for length in lengths)
