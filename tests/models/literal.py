"""The published networks written out as arithmetic on a dictionary of tensors.

An independent formulation for comparison: from the papers' and the specification's words, with no
module and no import of the package. Pixel shuffle, nearest-neighbour enlargement and the
activations are spelled with indexing, not with torch's functions of that name.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def conv(state: State, name: str, x: Tensor) -> Tensor:
    """A 3x3 convolution with zero padding, as nine shifted matrix products."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    n, _, height, width = x.shape
    padded = x.new_zeros(n, x.shape[1], height + 2, width + 2)
    padded[:, :, 1:-1, 1:-1] = x
    total = bias[None, :, None, None].expand(n, -1, height, width).clone()
    for dy in range(3):
        for dx in range(3):
            shifted = padded[:, :, dy : dy + height, dx : dx + width]
            total += torch.einsum("oi,nihw->nohw", weight[:, :, dy, dx], shifted)
    return total


def leaky(x: Tensor, slope: float | Tensor) -> Tensor:
    return torch.where(x >= 0, x, x * slope)


def nearest(x: Tensor, factor: int) -> Tensor:
    return x.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """out[c, y*f + i, x*f + j] = in[c*f*f + i*f + j, y, x]."""
    n, channels, height, width = x.shape
    out = x.new_empty(n, channels // factor**2, height * factor, width * factor)
    for i in range(factor):
        for j in range(factor):
            out[:, :, i::factor, j::factor] = x[:, i * factor + j :: factor**2]
    return out


def pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    """out[c*f*f + i*f + j, y, x] = in[c, y*f + i, x*f + j]."""
    n, channels, height, width = x.shape
    out = x.new_empty(n, channels * factor**2, height // factor, width // factor)
    for i in range(factor):
        for j in range(factor):
            out[:, i * factor + j :: factor**2] = x[:, :, i::factor, j::factor]
    return out


def srvgg(state: State, x: Tensor, *, num_conv: int, upscale: int, act_type: str) -> Tensor:
    features = x
    for number in range(num_conv + 1):
        features = conv(state, f"body.{2 * number}", features)
        if act_type == "prelu":
            slope: float | Tensor = state[f"body.{2 * number + 1}.weight"][None, :, None, None]
        else:
            slope = {"relu": 0.0, "leakyrelu": 0.1}[act_type]
        features = leaky(features, slope)
    features = conv(state, f"body.{2 * num_conv + 2}", features)
    return pixel_shuffle(features, upscale) + nearest(x, upscale)


def rrdb(state: State, x: Tensor, *, num_block: int, scale: int) -> Tensor:
    """Real-ESRGAN's scales: 4, or 2 and 1 as the x4 network on an unshuffled input."""
    if scale in (1, 2):
        x = pixel_unshuffle(x, 4 // scale)
    first = conv(state, "conv_first", x)
    trunk = first
    for number in range(num_block):
        block_input = trunk
        for dense in (1, 2, 3):
            name = f"body.{number}.rdb{dense}"
            known = [trunk]
            for layer in (1, 2, 3, 4):
                known.append(leaky(conv(state, f"{name}.conv{layer}", torch.cat(known, dim=1)), 0.2))
            trunk = trunk + 0.2 * conv(state, f"{name}.conv5", torch.cat(known, dim=1))
        trunk = block_input + 0.2 * trunk
    features = first + conv(state, "conv_body", trunk)
    for name in ("conv_up1", "conv_up2"):
        features = leaky(conv(state, name, nearest(features, 2)), 0.2)
    return conv(state, "conv_last", leaky(conv(state, "conv_hr", features), 0.2))
