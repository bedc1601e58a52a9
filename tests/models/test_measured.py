"""Geometry measured by running: what noise does not show, and what NaN shows too much of."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidsr.models.measured import Geometry, Run, measure

HALO = 76
SEEN = 60
"""Beyond this many pixels the taps are too weak for float32, as products of many small weights are."""


def blurred(halo: int) -> Run:
    taps = torch.full((2 * halo + 1,), 1e-15)
    taps[max(halo - SEEN, 0) : halo + SEEN + 1] = 1.0
    taps /= taps.sum()

    def run(picture: Tensor) -> Tensor:
        rows = F.conv2d(picture, taps.view(1, 1, -1, 1).expand(3, 1, -1, 1), padding=(halo, 0), groups=3)
        return F.conv2d(rows, taps.view(1, 1, 1, -1).expand(3, 1, 1, -1), padding=(0, halo), groups=3)

    return run


def test_a_halo_that_only_nan_shows_is_found_though_the_first_picture_is_smaller() -> None:
    assert measure(blurred(HALO)) == Geometry(1, HALO, 1)


def test_nan_that_spreads_over_everything_does_not_make_a_halo() -> None:
    def run(picture: Tensor) -> Tensor:
        masked = (picture * 0).sum()  # as attention masks what lies elsewhere
        return F.avg_pool2d(picture, 5, stride=1, padding=2) + masked

    assert measure(run) == Geometry(1, 2, 1)
