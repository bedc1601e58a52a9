"""Networks written as .onnx files by torch's own exporter, in the forms that people share.

The reference for what a file computes is the torch module that it was made from.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RRDBNet


class ChannelsLast(nn.Module):
    """The same network for (N, H, W, 3)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.network(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return result


class Attentive(nn.Module):
    """x2, each pixel weighted by the mean of the whole picture (squeeze and excitation)."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Conv2d(3, 12, 3, 1, 1)
        self.excite = nn.Conv2d(12, 12, 1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.spread(x)
        weights = torch.sigmoid(self.excite(features.mean((2, 3), keepdim=True)))
        result: Tensor = self.shuffle(features * weights)
        return result


class Sized(nn.Module):
    """A 3x3 convolution from and to so many channels, x1; `factor` repeats every pixel."""

    def __init__(self, takes: int = 3, gives: int = 3, factor: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(takes, gives, 3, 1, 1)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.convolution(x)
        if self.factor == 1:
            return result
        return nn.functional.interpolate(result, scale_factor=self.factor, mode="nearest")


def compact(scale: int = 2, convolutions: int = 2, seed: int = 3) -> SRVGGNetCompact:
    torch.manual_seed(seed)
    network = SRVGGNetCompact(num_feat=8, num_conv=convolutions, upscale=scale)
    return network.eval().requires_grad_(requires_grad=False)


def rrdb(scale: int = 2) -> RRDBNet:
    torch.manual_seed(4)
    network = RRDBNet(num_feat=8, num_block=1, num_grow_ch=4, scale=scale)
    return network.eval().requires_grad_(requires_grad=False)


def seeded(module: nn.Module) -> nn.Module:
    torch.manual_seed(5)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.2)
    return module.eval().requires_grad_(requires_grad=False)


def write(
    network: nn.Module,
    path: Path,
    *,
    size: tuple[int, int] | None = None,
    batch: int | None = None,
    channels: int = 3,
    channels_last: bool = False,
    half: bool = False,
    opset: int = 17,
) -> Path:
    """size, batch: fixed to these; None = left open."""
    height, width = size or (16, 24)
    x = torch.rand(batch or 1, channels, height, width)
    axes = {0: "batch"} if batch is None else {}
    if size is None:
        axes |= {1: "height", 2: "width"} if channels_last else {2: "height", 3: "width"}
    if channels_last:
        network, x = ChannelsLast(network), x.permute(0, 2, 3, 1)
    if half:
        network, x = network.half(), x.half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter, which needs no further package, says it is old
        torch.onnx.export(
            network,
            (x,),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": axes, "output": axes} if axes else None,
        )
    return path


def write_in_two_files(network: nn.Module, path: Path) -> Path:
    """Its values in `path`.data beside it."""
    model = onnx.load(write(network, path))
    onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data", size_threshold=0)
    return path
