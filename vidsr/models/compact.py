"""SRVGGNetCompact: a plain chain of 3x3 convolutions at the input's resolution, then a pixel shuffle.

Real-ESRGAN's fast family (realesr-animevideov3, realesr-general-x4v3) and the community's
"Compact", "UltraCompact" and "SuperUltraCompact" models. Parameters carry the official names
(body.0.weight ...), so official checkpoints load strictly. It knows layers only.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from vidsr.models.base import Convolve, Enlarge, Network, Step

Activation = Literal["prelu", "relu", "leakyrelu"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

LEAKY_SLOPE = 0.1  # the specification's, and the official network's, fixed slope for "leakyrelu"


class SRVGGNetCompact(Network):
    """The network learns what to add to its nearest-neighbour enlarged input.

    num_feat: channels of the hidden layers. num_conv: hidden convolutions between the first and
    the last, so there are num_conv + 2 in all. upscale: native factor, any from 1.
    act_type: "prelu" has one learned slope a channel, the others have no parameters.

    Raises ValueError for sizes below 1 or an unknown activation.
    """

    def __init__(
        self,
        *,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_conv: int = 16,
        upscale: int = 4,
        act_type: Activation = "prelu",
    ) -> None:
        super().__init__()
        if num_in_ch != num_out_ch:
            raise ValueError(f"the input is added to the output, so {num_in_ch} and {num_out_ch} must agree")
        if min(num_in_ch, num_feat, upscale) < 1 or num_conv < 0:
            raise ValueError(f"no network has {num_feat} channels, {num_conv} layers and scale {upscale}")
        self.scale = upscale
        self.input_multiple = 1

        layers: list[nn.Module] = [nn.Conv2d(num_in_ch, num_feat, 3, 1, 1), _activation(act_type, num_feat)]
        for _ in range(num_conv):
            layers += [nn.Conv2d(num_feat, num_feat, 3, 1, 1), _activation(act_type, num_feat)]
        layers.append(nn.Conv2d(num_feat, num_out_ch * upscale * upscale, 3, 1, 1))
        self.body = nn.ModuleList(layers)
        self.upsampler = nn.PixelShuffle(upscale)

    def steps(self) -> list[Step]:
        convolutions: list[Step] = [Convolve.of(layer) for layer in self.body if isinstance(layer, nn.Conv2d)]
        return [*convolutions, Enlarge(self.scale)]

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = x  # (N, 3, H, W)
        for layer in self.body:
            features = layer(features)  # (N, num_feat, H, W), at last (N, 3*scale*scale, H, W)
        features = self.upsampler(features)  # (N, 3, scale*H, scale*W)
        features += F.interpolate(x, scale_factor=float(self.scale), mode="nearest")
        return features


def _activation(act_type: str, channels: int) -> nn.Module:
    match act_type:
        case "prelu":
            return nn.PReLU(num_parameters=channels)
        case "relu":
            return nn.ReLU(inplace=True)
        case "leakyrelu":
            return nn.LeakyReLU(LEAKY_SLOPE, inplace=True)
        case _:
            raise ValueError(f"activation {act_type!r} is none of {', '.join(ACTIVATIONS)}")
