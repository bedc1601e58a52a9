"""The network itself, spelled out once more in plain torch, for peers that bring none.

Runs in the peers' environment, where vidsr is not installed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

CHANNELS, LAYERS, SCALE = 64, 16, 4


class Network(nn.Module):
    """realesr-animevideov3: 18 convolutions at the input's size, then a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 3, 1, 1), nn.PReLU(CHANNELS)]
        for _ in range(LAYERS):
            layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1), nn.PReLU(CHANNELS)]
        layers.append(nn.Conv2d(CHANNELS, 3 * SCALE**2, 3, 1, 1))
        self.body = nn.ModuleList(layers)
        self.shuffle = nn.PixelShuffle(SCALE)

    def forward(self, picture: Tensor) -> Tensor:
        features = picture
        for layer in self.body:
            features = layer(features)
        enlarged = nn.functional.interpolate(picture, scale_factor=SCALE, mode="nearest")
        result: Tensor = self.shuffle(features) + enlarged
        return result


def load(weights: Path) -> Network:
    network = Network()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True)["params"])
    return network.eval().requires_grad_(False)
