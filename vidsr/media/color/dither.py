"""The pattern that turns rounding error into noise too fine to be seen.

It knows numbers between -1/2 and 1/2, never what they are added to.

Blue noise, the same in every frame. On 24 frames of animevideov3's output at 2560x1920 (x264 veryfast,
crf 18; the second column a slow synthetic gradient, PSNR of the means of 16x16 samples):

    dither             size, clip    gradient: size, PSNR
    none                 857.6 kB      15.5 kB   59.7 dB
    this pattern         879.5 kB     150.9 kB   67.0 dB
    Bayer's 8x8         1022.6 kB     131.5 kB   72.1 dB
    interleaved gradient 904.8 kB     129.2 kB   69.4 dB

So it costs 3% on drawn pictures, where the encoder drops most of it again, and keeps slow gradients from
breaking into bands, where it does not. A pattern that changed from frame to frame would have to be coded
anew in each.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE = 32  # samples; the pattern repeats in both directions. Made in 0.03 s; 64 takes 0.12 s, looks alike
_SIGMA = 1.5  # samples; Ulichney's choice
_SEED = 1


WIDTHS = 1024
"""Samples; patterns are made in multiples of it. One of every width was asked for: up to 129 in a job that
reuses regions, each of them copied to the device, for which a GPU's host waited until all was done."""


def threshold_bands(device: torch.device, plane: int, columns: int, *, dither: bool = True) -> Tensor:
    """(SIDE, columns) float32 on the device: the pattern repeated from left to right, or zeros.

    The pattern is SIDE x SIDE samples that have every value (k + 1/2) / SIDE^2 - 1/2 once. Added before
    rounding to integers it keeps the mean of a flat area to within 1 / (2 SIDE^2), and leaves an exact
    integer as it is, for no value reaches 1/2. plane: 0, 1 or 2, patterns that are mirror images of each
    other, lest the noise of luma and chroma coincide. The result is shared: not to be changed.
    """
    return _bands(device, plane, -(-columns // WIDTHS) * WIDTHS, dither=dither)[:, :columns]


@lru_cache(maxsize=32)
def _bands(device: torch.device, plane: int, columns: int, *, dither: bool) -> Tensor:
    """The same, of a multiple of SIDE columns."""
    if not dither:
        # by a copy, which is waited for: whoever shares it may compute on another stream
        return torch.zeros(SIDE, columns).to(device)
    ranks = _void_and_cluster()
    if plane:
        ranks = np.flip(ranks, plane - 1)
    values = np.tile((ranks + 0.5) / SIDE**2 - 0.5, (1, columns // SIDE))
    return torch.from_numpy(values.astype(np.float32)).to(device)


def forget_bands() -> None:
    """Give back what is kept of them."""
    _bands.cache_clear()


@lru_cache(maxsize=1)
def _void_and_cluster() -> NDArray[np.float64]:
    """Each number from 0 to SIDE^2 - 1 once, neighbours as different as can be.

    R. Ulichney, "The void-and-cluster method for dither array generation", SPIE 1913 (1993): points are
    ranked by taking them out of the tightest cluster of a pattern, or putting them into its largest
    void, distances being measured around the edges of the tile.
    """
    distance = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE))
    bell = np.exp(-(distance[:, None] ** 2 + distance[None] ** 2) / (2 * _SIGMA**2))

    def around(point: int) -> NDArray[np.float64]:
        return np.roll(bell, divmod(point, SIDE), (0, 1))

    def tightest(points: NDArray[np.bool_], energy: NDArray[np.float64]) -> int:
        return int(np.argmax(np.where(points, energy, -np.inf)))

    def emptiest(points: NDArray[np.bool_], energy: NDArray[np.float64]) -> int:
        return int(np.argmin(np.where(points, np.inf, energy)))

    # A first pattern of a tenth of the points, spread out until moving any one changes nothing
    points = np.zeros((SIDE, SIDE), bool)
    points.flat[np.random.default_rng(_SEED).choice(SIDE**2, SIDE**2 // 10, replace=False)] = True
    energy = np.sum([around(int(p)) for p in np.flatnonzero(points)], axis=0)
    while True:
        crowded = tightest(points, energy)
        points.flat[crowded] = False
        energy = energy - around(crowded)
        empty = emptiest(points, energy)
        points.flat[empty] = True
        energy = energy + around(empty)
        if empty == crowded:
            break

    ranks = np.zeros((SIDE, SIDE))
    left, left_energy = points.copy(), energy.copy()
    for rank in range(int(points.sum()) - 1, -1, -1):
        point = tightest(left, left_energy)
        left.flat[point] = False
        left_energy -= around(point)
        ranks.flat[point] = rank
    for rank in range(int(points.sum()), SIDE**2):
        point = emptiest(points, energy)
        points.flat[point] = True
        energy = energy + around(point)
        ranks.flat[point] = rank
    return ranks
