"""What a network asks of a machine, for each pixel of its input: arithmetic and memory traffic.

It knows layers and counts; what a machine offers is `ceiling`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from vidsr.models.architecture import Architecture
from vidsr.models.base import Convolve, Enlarge, Fold, Step
from vidsr.models.facts import flops_per_pixel

BYTES_PER_VALUE = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}


@dataclass(frozen=True, slots=True)
class Work:
    """Per pixel of the input. A multiplication and an addition are two FLOPs.

    values_by_layer: numbers read and written when every convolution, with its bias and activation,
    fetches its input from memory and puts its output there. values_at_least: picture in, picture
    out, everything between kept in caches. Weights count in neither: one read serves a whole frame.
    """

    flops: int
    values_by_layer: int
    values_at_least: int

    def bytes_by_layer(self, precision: str) -> int:
        return self.values_by_layer * BYTES_PER_VALUE[precision]

    def bytes_at_least(self, precision: str) -> int:
        return self.values_at_least * BYTES_PER_VALUE[precision]

    def floor_seconds(self, pixels: int, precision: str, *, flops_rate: float, bytes_rate: float) -> float:
        """The roofline: no less time than the arithmetic takes, nor than the layers' traffic takes.

        flops_rate, bytes_rate: what the machine does in a second.
        """
        return pixels * max(self.flops / flops_rate, self.bytes_by_layer(precision) / bytes_rate)


def work_of(architecture: Architecture) -> Work:
    """Read off the layers, without weights."""
    with torch.device("meta"):
        network = architecture.build()
    steps = network.steps()
    return Work(
        flops=flops_per_pixel(steps),
        values_by_layer=values_moved(steps),
        values_at_least=3 + 3 * network.scale**2,
    )


def values_moved(steps: Sequence[Step]) -> int:
    """(in + out) channels of every convolution, times the pixels it has for one of the input."""
    values = Fraction(0)
    enlarged = Fraction(1)  # along one axis, relative to the input
    for step in steps:
        match step:
            case Convolve(in_channels, out_channels, _):
                values += (in_channels + out_channels) * enlarged**2
            case Enlarge(factor):
                enlarged *= factor
            case Fold(factor):
                enlarged /= factor
    return math.ceil(values)
