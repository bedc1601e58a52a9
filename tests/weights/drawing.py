"""A drawn face with hard outlines, at any size: the truth that an enlargement can be compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SAMPLES = 4  # per pixel and axis, averaged: outlines are anti-aliased


def drawing(side: int) -> Tensor:
    """R'G'B' (1, 3, side, side) in [0, 1]."""
    grid = (torch.arange(side * SAMPLES) + 0.5) / (side * SAMPLES)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    picture = torch.tensor([0.55, 0.75, 0.95])[:, None, None].expand(3, *x.shape)

    def paint(where: Tensor, red: float, green: float, blue: float) -> None:
        nonlocal picture
        picture = torch.where(where, torch.tensor([red, green, blue])[:, None, None], picture)

    face = torch.hypot(x - 0.5, y - 0.55)
    paint(y > 0.7 + 0.05 * torch.sin(9 * x), 0.3, 0.6, 0.3)
    paint(face < 0.3, 0.08, 0.06, 0.08)
    paint(face < 0.28, 0.95, 0.8, 0.7)
    for centre in (0.4, 0.6):
        eye = torch.hypot((x - centre) * 1.4, y - 0.5)
        paint(eye < 0.06, 0.05, 0.05, 0.1)
        paint(eye < 0.045, 0.95, 0.95, 1.0)
        paint(eye < 0.025, 0.2, 0.3, 0.7)
    paint(((torch.hypot(x - 0.5, y - 0.58) - 0.12).abs() < 0.008) & (y > 0.62), 0.6, 0.1, 0.1)
    paint((x - 0.15 - 0.2 * y).abs() < 0.008, 0.1, 0.1, 0.1)
    return F.avg_pool2d(picture.unsqueeze(0), SAMPLES)


def psnr(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio in dB for values in [0, 1]."""
    return float(-10 * torch.log10((a - b).double().square().mean()))
