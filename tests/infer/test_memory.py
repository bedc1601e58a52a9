"""How many pictures fit, by hand."""

from __future__ import annotations

import pytest

from vidsr.infer.memory import batch_that_fits
from vidsr.models.architecture import Architecture
from vidsr.models.facts import Facts, facts

NETWORK = Facts(
    scale=4, input_multiple=1, halo=18, parameters=0, flops_per_pixel=0, peak_values_per_pixel=150
)
A_PICTURE = 640 * 480 * (150 * 2 + 12 * 16 * 4)
"""Bytes of one picture in fp16: activations, and what colours are converted in."""


@pytest.mark.parametrize(
    ("free", "most", "expected"),
    [
        (A_PICTURE * 7 / 0.6 + 1000, 8, 7),
        (A_PICTURE * 7 / 0.6 - 1000, 8, 6),
        (A_PICTURE * 100, 8, 8),
        (0, 8, 1),
    ],
)
def test_as_many_as_three_fifths_of_the_free_memory_hold(free: float, most: int, expected: int) -> None:
    assert batch_that_fits(NETWORK, 640 * 480, 2, int(free), most) == expected


def test_a_small_card_takes_fewer_of_the_default_model_and_a_large_one_the_preset_s_eight() -> None:
    """640x480 and 1920x1080 in fp16, 4 and 24 GB free."""
    network = facts(Architecture.srvgg(num_feat=64, num_conv=16, upscale=4))
    counts = [
        batch_that_fits(network, pixels, 2, free * 10**9, 8)
        for free in (4, 24)
        for pixels in (640 * 480, 1920 * 1080)
    ]
    assert counts[0] < 8
    assert counts[1] == 1
    assert counts[2] == 8
    assert 1 < counts[3] < 8
