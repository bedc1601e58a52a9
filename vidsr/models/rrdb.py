"""RRDBNet: residual-in-residual dense blocks, the network of ESRGAN and of Real-ESRGAN's best models.

Parameters carry the official names (conv_first, body.0.rdb1.conv1, conv_body, conv_up1, conv_up2,
conv_hr, conv_last), so official checkpoints load strictly. It knows layers only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.base import Convolve, Enlarge, Fold, Network, Step

SLOPE = 0.2  # negative slope of every LeakyReLU (ESRGAN)
RESIDUAL_SCALE = 0.2  # beta of the residuals, of dense blocks and of RRDBs alike (ESRGAN)

# Real-ESRGAN runs its x2 and x1 networks as the x4 one behind a pixel unshuffle.
OFFICIAL_UNSHUFFLE = {1: 4, 2: 2}


def enlargement_factors(total: int) -> tuple[int, ...]:
    """The nearest-neighbour steps that make up a factor: powers of two by twos, otherwise one 3.

    Raises ValueError for a factor that ESRGAN's networks do not have.
    """
    if total == 3:
        return (3,)
    stages = total.bit_length() - 1
    if total < 1 or total != 1 << stages:
        raise ValueError(f"an RRDBNet enlarges 1, 2, 3, 4, 8, ... times, not {total} times")
    return (2,) * stages


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each seeing the outputs of all before it; the last is added at 0.2."""

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_feat, num_grow_ch, 3, 1, 1)
        self.conv2 = nn.Conv2d(num_feat + num_grow_ch, num_grow_ch, 3, 1, 1)
        self.conv3 = nn.Conv2d(num_feat + 2 * num_grow_ch, num_grow_ch, 3, 1, 1)
        self.conv4 = nn.Conv2d(num_feat + 3 * num_grow_ch, num_grow_ch, 3, 1, 1)
        self.conv5 = nn.Conv2d(num_feat + 4 * num_grow_ch, num_feat, 3, 1, 1)

    def convolutions(self) -> list[Convolve]:
        """All five lie on one path: each reads the one before it."""
        return [Convolve.of(c) for c in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5)]

    def forward(self, x: Tensor) -> Tensor:
        x1 = _leaky(self.conv1(x))  # (N, num_grow_ch, H, W), as are x2, x3, x4
        x2 = _leaky(self.conv2(torch.cat((x, x1), 1)))
        x3 = _leaky(self.conv3(torch.cat((x, x1, x2), 1)))
        x4 = _leaky(self.conv4(torch.cat((x, x1, x2, x3), 1)))
        x5: Tensor = self.conv5(torch.cat((x, x1, x2, x3, x4), 1))  # (N, num_feat, H, W)
        return x5 * RESIDUAL_SCALE + x


class RRDB(nn.Module):
    """Three dense blocks in a row; their result is added at 0.2."""

    def __init__(self, num_feat: int, num_grow_ch: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb2 = ResidualDenseBlock(num_feat, num_grow_ch)
        self.rdb3 = ResidualDenseBlock(num_feat, num_grow_ch)

    def convolutions(self) -> list[Convolve]:
        return [c for block in (self.rdb1, self.rdb2, self.rdb3) for c in block.convolutions()]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return out * RESIDUAL_SCALE + x


class RRDBNet(Network):
    """num_block RRDBs at low resolution, then nearest-neighbour steps with a convolution each.

    num_feat: channels of the trunk. num_grow_ch: channels each dense layer adds.
    scale: native factor. unshuffle: the input is folded into blocks of this side first; None
    means what Real-ESRGAN does (2 for scale 2, 4 for scale 1, otherwise none). Older ESRGAN
    networks of scale 1 and 2 have unshuffle=1 and fewer enlarging steps instead.

    Raises ValueError for sizes below 1 or a scale * unshuffle that is neither 3 nor a power of two.
    """

    def __init__(
        self,
        *,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 23,
        num_grow_ch: int = 32,
        scale: int = 4,
        unshuffle: int | None = None,
    ) -> None:
        super().__init__()
        if min(num_in_ch, num_out_ch, num_feat, num_block, num_grow_ch, scale) < 1:
            raise ValueError(f"no network has {num_block} blocks of {num_feat} channels and scale {scale}")
        self.scale = scale
        self.unshuffle = OFFICIAL_UNSHUFFLE.get(scale, 1) if unshuffle is None else unshuffle
        self.input_multiple = self.unshuffle
        self.factors = enlargement_factors(scale * self.unshuffle)

        self.conv_first = nn.Conv2d(num_in_ch * self.unshuffle**2, num_feat, 3, 1, 1)
        self.body = nn.Sequential(*(RRDB(num_feat, num_grow_ch) for _ in range(num_block)))
        self.conv_body = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        for number in range(1, len(self.factors) + 1):  # conv_up1, conv_up2, ...
            self.add_module(f"conv_up{number}", nn.Conv2d(num_feat, num_feat, 3, 1, 1))
        self.conv_hr = nn.Conv2d(num_feat, num_feat, 3, 1, 1)
        self.conv_last = nn.Conv2d(num_feat, num_out_ch, 3, 1, 1)

    def steps(self) -> list[Step]:
        steps: list[Step] = [Fold(self.unshuffle)] if self.unshuffle > 1 else []
        steps.append(Convolve.of(self.conv_first))
        for block in self.body:
            assert isinstance(block, RRDB)
            steps += block.convolutions()
        steps.append(Convolve.of(self.conv_body))
        for factor, convolution in self._enlargements():
            steps += [Enlarge(factor), Convolve.of(convolution)]
        return [*steps, Convolve.of(self.conv_hr), Convolve.of(self.conv_last)]

    def forward(self, x: Tensor) -> Tensor:
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)  # (N, 3*u*u, H/u, W/u)
        features = self.conv_first(x)  # (N, num_feat, H/u, W/u)
        features = features + self.conv_body(self.body(features))
        for factor, convolution in self._enlargements():
            # In one expression, so that the enlarged features are freed before the next layer: this
            # is where the memory peaks.
            features = _leaky(
                convolution(F.interpolate(features, scale_factor=float(factor), mode="nearest"))
            )
        features = _leaky(self.conv_hr(features))  # (N, num_feat, scale*H, scale*W)
        result: Tensor = self.conv_last(features)
        return result  # (N, 3, scale*H, scale*W)

    def _enlargements(self) -> list[tuple[int, nn.Module]]:
        return [(factor, self.get_submodule(f"conv_up{i}")) for i, factor in enumerate(self.factors, start=1)]


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, negative_slope=SLOPE, inplace=True)
