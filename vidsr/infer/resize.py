"""The last step to a size that is not the network's own: one resampling on the device.

It knows pictures as tensors, never why they are wanted smaller or larger.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(rgb: Tensor, height: int, width: int) -> Tensor:
    """Bicubic resampling with centres aligned, low-passed along an axis that shrinks.

    rgb: (N, 3, h, w) float. Returns (N, 3, height, width) of the same dtype, clamped to [0, 1]; rgb
    itself where the size is right already, not clamped.
    """
    if rgb.shape[-2:] == (height, width):
        return rgb
    resized = F.interpolate(
        rgb.to(torch.float32), (height, width), mode="bicubic", align_corners=False, antialias=True
    )
    return resized.clamp_(0, 1).to(rgb.dtype)
