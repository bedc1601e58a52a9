"""The pattern that turns rounding error into invisible noise.

It knows numbers between -1/2 and 1/2, never what they are added to.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

SIDE = 8  # samples; the pattern repeats in both directions


@lru_cache(maxsize=16)
def threshold_tile(device: torch.device) -> Tensor:
    """(SIDE, SIDE) float32 on the device: every value (k + 1/2) / SIDE^2 - 1/2 once, symmetric about 0.

    Added before rounding to integers it keeps the mean of a flat area to 1 / (2 SIDE^2), and leaves an
    exact integer as it is, for no value reaches 1/2.
    """
    rank = torch.zeros(1, 1)
    while rank.shape[0] < SIDE:  # Bayer's recursion: each quadrant is the last matrix, four times finer
        rank = torch.cat(
            [torch.cat([4 * rank, 4 * rank + 2], 1), torch.cat([4 * rank + 3, 4 * rank + 1], 1)], 0
        )
    return ((rank + 0.5) / SIDE**2 - 0.5).to(device)
