"""What networks ask for, against sums done by hand and FLOPs counted by torch while a network runs."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vidsr.bench.work import Work, work_of
from vidsr.models.architecture import Architecture
from vidsr.presets import DEFAULT_MODEL, find_preset


def test_a_small_network_moves_what_its_layers_read_and_write() -> None:
    # 3 -> 8, 8 -> 8, 8 -> 12 channels, then a pixel shuffle by 2, which moves nothing by itself
    work = work_of(Architecture.srvgg(num_feat=8, num_conv=1, upscale=2))
    assert work.values_by_layer == (3 + 8) + (8 + 8) + (8 + 12)
    assert work.values_at_least == 3 + 3 * 4
    assert work.flops == 2 * 9 * (3 * 8 + 8 * 8 + 8 * 12)


def test_layers_behind_an_enlargement_count_for_every_pixel_they_have() -> None:
    small = work_of(Architecture.rrdb(num_block=1, num_feat=8, num_grow_ch=4, scale=4))
    # per input pixel: 1 for conv_first, the blocks and conv_body; 4 for conv_up1; 16 for the rest
    dense = (8 + 4) + (12 + 4) + (16 + 4) + (20 + 4) + (24 + 8)
    expected = (3 + 8) + 3 * dense + (8 + 8) + 4 * (8 + 8) + 16 * ((8 + 8) + (8 + 8) + (8 + 3))
    assert small.values_by_layer == expected


@pytest.mark.parametrize("name", ["realesr-animevideov3", "RealESRGAN_x4plus_anime_6B"])
def test_flops_are_what_torch_counts_while_the_network_runs(name: str) -> None:
    preset = find_preset(name)
    architecture = Architecture(preset.architecture, preset.arguments)
    with torch.device("meta"):
        network = architecture.build().eval()
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            network(torch.empty(1, 3, 16, 24))
    assert counted.get_total_flops() == work_of(architecture).flops * 16 * 24


def test_the_floor_is_the_slower_of_arithmetic_and_traffic() -> None:
    work = Work(flops=1000, values_by_layer=50, values_at_least=5)
    # 200 pixels: 200,000 FLOPs and, in bf16, 20,000 bytes
    assert work.floor_seconds(200, "bf16", flops_rate=1e5, bytes_rate=1e6) == pytest.approx(2.0)
    assert work.floor_seconds(200, "bf16", flops_rate=1e9, bytes_rate=1e4) == pytest.approx(2.0)
    assert work.floor_seconds(200, "fp32", flops_rate=1e9, bytes_rate=1e4) == pytest.approx(4.0)


def test_the_default_model_is_bound_by_arithmetic_on_ordinary_machines() -> None:
    """1,238,400 FLOPs over 4,454 bytes in bf16: 278 a byte, more than any CPU's or GPU's own ratio."""
    preset = find_preset(DEFAULT_MODEL)
    work = work_of(Architecture(preset.architecture, preset.arguments))
    assert work.bytes_by_layer("bf16") == 2 * (3 + 64 + 16 * 128 + 64 + 48)
    assert work.flops / work.bytes_by_layer("bf16") == pytest.approx(278, abs=0.5)
