"""What running a network costs and how far it sees, computed from its layers.

It knows layers and counts, never seconds, devices or dtypes: multiply the values by the size of one.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from vidsr.models.architecture import Architecture
from vidsr.models.base import Convolve, Enlarge, Fold, Network, Step


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one network; "a pixel" is always one of the input.

    halo: receptive radius in input pixels. flops_per_pixel: of the convolutions, a multiplication
    and an addition counted as two. peak_values_per_pixel: numbers that are alive at once at the
    worst moment, input and output included, weights and a convolution's own workspace not.
    """

    scale: int
    input_multiple: int
    halo: int
    parameters: int
    flops_per_pixel: int
    peak_values_per_pixel: int

    def peak_activation_bytes_per_pixel(self, bytes_per_value: int) -> int:
        """bytes_per_value: 4 for float32, 2 for float16 and bfloat16."""
        return self.peak_values_per_pixel * bytes_per_value


def facts(architecture: Architecture) -> Facts:
    """Compute them without weights or arithmetic: the network is traced on torch's meta device."""
    with torch.device("meta"):
        network = architecture.build().eval().requires_grad_(requires_grad=False)
    return Facts(
        scale=network.scale,
        input_multiple=network.input_multiple,
        halo=network.halo,
        parameters=sum(p.numel() for p in network.parameters()),
        flops_per_pixel=flops_per_pixel(network.steps()),
        peak_values_per_pixel=_peak_values_per_pixel(network),
    )


def flops_per_pixel(steps: Sequence[Step]) -> int:
    """2 * in * out * kernel^2 for every convolution, times the pixels it has for one of the input."""
    flops = Fraction(0)
    enlarged = Fraction(1)  # along one axis, relative to the input
    for step in steps:
        match step:
            case Convolve(in_channels, out_channels, kernel):
                flops += 2 * in_channels * out_channels * kernel**2 * enlarged**2
            case Enlarge(factor):
                enlarged *= factor
            case Fold(factor):
                enlarged /= factor
    return math.ceil(flops)


def widest_values_per_pixel(steps: Sequence[Step]) -> int:
    """Numbers that the widest convolution reads and writes for each pixel of the input.

    A quick look at the layers where Facts follow every tensor, which takes over a second: 128 for 131
    (compact networks), 2,048 for 2,307 (RRDBNet x4, 23 blocks).
    """
    widest, enlarged = Fraction(0), Fraction(1)
    for step in steps:
        match step:
            case Convolve(in_channels, out_channels):
                widest = max(widest, (in_channels + out_channels) * enlarged**2)
            case Enlarge(factor):
                enlarged *= factor
            case Fold(factor):
                enlarged /= factor
    return math.ceil(widest)


def _peak_values_per_pixel(network: Network) -> int:
    side = 8 * network.input_multiple
    picture = torch.empty(1, 3, side, side, device="meta")
    with torch.no_grad(), _LiveValues(network, picture) as live:
        network(picture)
    return math.ceil(Fraction(live.peak, side * side))


class _LiveValues(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the values of all tensors alive while a network runs; they end when Python drops them."""

    def __init__(self, network: Network, picture: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._weights = {p.untyped_storage()._cdata for p in network.parameters()}
        self._holders: dict[int, int] = {}  # storage -> how many tensors show it
        self._values: dict[int, int] = {}
        self.peak = 0
        self._hold(picture)

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not any(result is argument for argument in args):
            self._hold(result)
            self.peak = max(self.peak, sum(self._values.values()))
        return result

    def _hold(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()._cdata  # torch's own identity of a storage
        if storage in self._weights:
            return
        self._holders[storage] = self._holders.get(storage, 0) + 1
        self._values[storage] = tensor.untyped_storage().nbytes() // tensor.element_size()
        weakref.finalize(tensor, self._release, storage)

    def _release(self, storage: int) -> None:
        self._holders[storage] -= 1
        if not self._holders[storage]:
            del self._holders[storage], self._values[storage]
