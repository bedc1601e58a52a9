"""How many pictures fit, by hand."""

from __future__ import annotations

import pytest
import torch

from vidsr.infer.memory import batch_of_small_ones, batch_that_fits, free_memory, picture_bytes
from vidsr.models.architecture import Architecture
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.facts import facts, widest_values_per_pixel
from vidsr.models.rrdb import RRDBNet

SD, HD = 640 * 480, 1920 * 1080


def test_bytes_of_a_picture_are_those_of_its_widest_layer_and_of_its_colours() -> None:
    """64 channels in and out, two bytes each; 16 output pixels of 12 floats."""
    network = SRVGGNetCompact(num_feat=64, num_conv=2, upscale=4)
    assert picture_bytes(network, SD, 2) == SD * (128 * 2 + 16 * 12 * 4)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture.srvgg(num_feat=64, num_conv=16, upscale=4),
        Architecture.srvgg(num_feat=24, num_conv=4, upscale=2),
        Architecture.rrdb(num_block=2),
        Architecture.rrdb(num_block=2, scale=2),
    ],
    ids=str,
)
def test_the_quick_look_is_near_what_following_every_tensor_gives(architecture: Architecture) -> None:
    exact = facts(architecture).peak_values_per_pixel
    assert 0.7 * exact < widest_values_per_pixel(architecture.build().steps()) <= exact


@pytest.mark.parametrize(
    ("free", "most", "expected"), [(11_700, 8, 7), (11_600, 8, 6), (10**6, 8, 8), (0, 8, 1)]
)
def test_as_many_as_three_fifths_of_the_free_memory_hold(free: int, most: int, expected: int) -> None:
    assert batch_that_fits(1000, free, most) == expected


def test_a_cpu_takes_two_small_pictures_and_one_large_one() -> None:
    """Of the default model 0.4 GB and 2.7 GB, of the largest 2.8 GB."""
    compact = SRVGGNetCompact(num_feat=64, num_conv=2, upscale=4)
    assert batch_of_small_ones(picture_bytes(compact, SD, 4), 2) == 2
    assert batch_of_small_ones(picture_bytes(compact, HD, 4), 2) == 1
    assert batch_of_small_ones(picture_bytes(RRDBNet(num_block=1), SD, 4), 2) == 1


def test_what_torch_keeps_for_later_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 of 24 GB are free; of 19 that torch has, an earlier job left 18 unused."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (4, 24))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 19)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 1)
    assert free_memory(torch.device("cuda")) == 22
    assert free_memory(torch.device("cpu")) is None
