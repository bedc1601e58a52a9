"""What every network is to the rest of vidsr: a module that enlarges pictures, and the facts of its geometry.

It knows layers and how far they see, never dtypes, devices, files or video. A network lists its
layers as a chain of `Step`s, from input to output, along the path that sees furthest; everything
about sizes (halo here, work and memory in `facts`) is derived from that one list.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

EVERYWHERE = 1 << 20
"""The halo of a network whose output depends on the whole picture: more than any picture has pixels."""


@dataclass(frozen=True, slots=True)
class Convolve:
    """A convolution with stride 1 that keeps the size: it reads `radius` pixels on every side."""

    in_channels: int
    out_channels: int
    kernel: int

    @property
    def radius(self) -> int:
        return self.kernel // 2

    @classmethod
    def of(cls, layer: nn.Module) -> Convolve:
        """The step that this layer is. Raises TypeError for anything but a size-keeping Conv2d."""
        if not isinstance(layer, nn.Conv2d):
            raise TypeError(f"{type(layer).__name__} is no Conv2d")
        kernel = layer.kernel_size[0]
        if layer.kernel_size != (kernel, kernel) or layer.padding != (kernel // 2, kernel // 2):
            raise TypeError(f"{layer} does not keep the size")
        if layer.stride != (1, 1) or layer.dilation != (1, 1) or layer.groups != 1:
            raise TypeError(f"{layer} is strided, dilated or grouped")
        return cls(layer.in_channels, layer.out_channels, kernel)


@dataclass(frozen=True, slots=True)
class Enlarge:
    """Each pixel becomes factor x factor pixels: nearest-neighbour resize or pixel shuffle."""

    factor: int


@dataclass(frozen=True, slots=True)
class Fold:
    """Each factor x factor block becomes one pixel with more channels: pixel unshuffle."""

    factor: int


Step = Convolve | Enlarge | Fold


def receptive_radius(steps: list[Step]) -> int:
    """How many input pixels away an output pixel still sees, at most, along either axis.

    The interval of output samples that belong to one input pixel is followed backwards through
    the steps; folding makes the answer depend on where in its block the pixel lies, so every
    position is tried and the furthest counts.
    """
    fold = 1
    scale = 1
    for step in steps:
        match step:
            case Fold(factor):
                fold *= factor
            case Enlarge(factor):
                scale *= factor
            case Convolve():
                pass
    if scale % fold:
        raise ValueError(f"steps enlarge {scale} times after folding {fold} times")
    scale //= fold

    furthest = 0
    for position in range(fold):
        low, high = scale * position, scale * position + scale - 1
        for step in reversed(steps):
            match step:
                case Convolve():
                    low, high = low - step.radius, high + step.radius
                case Enlarge(factor):
                    low, high = low // factor, high // factor
                case Fold(factor):
                    low, high = low * factor, high * factor + factor - 1
        furthest = max(furthest, position - low, high - position)
    return furthest


class Network(nn.Module, ABC):
    """A picture enlarger: R'G'B' (N, 3, H, W) in [0, 1] to (N, 3, scale*H, scale*W), about [0, 1].

    scale: how many times larger, along each axis, the output is.
    input_multiple: H and W must be multiples of this.

    The output is not clamped: values slightly outside [0, 1] are normal at edges.
    """

    scale: int
    input_multiple: int

    @abstractmethod
    def steps(self) -> list[Step]:
        """The layers from input to output along the path that sees furthest, read off the modules."""

    @property
    def halo(self) -> int:
        """Receptive radius in input pixels: nothing further away can change an output pixel."""
        return receptive_radius(self.steps())

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """x: float (N, 3, H, W), H and W multiples of input_multiple."""

    def __call__(self, x: Tensor) -> Tensor:
        result: Tensor = super().__call__(x)
        return result
