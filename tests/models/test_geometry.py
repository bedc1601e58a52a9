"""Halo, work and memory, checked by perturbing pixels, by torch's own counter and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vidsr.models import Architecture, Network, RRDBNet
from vidsr.models.base import Convolve, Enlarge, Fold, receptive_radius
from vidsr.models.facts import facts

# Few channels: how far a network sees depends on its layers' number and kind only.
ANIMEVIDEO = Architecture.srvgg(num_feat=4, num_conv=16, upscale=4)
GENERAL = Architecture.srvgg(num_feat=4, num_conv=32, upscale=4)
ANIME_6B = Architecture.rrdb(num_feat=3, num_block=6, num_grow_ch=2, scale=4)
X4PLUS = Architecture.rrdb(num_feat=3, num_block=23, num_grow_ch=2, scale=4)
X2PLUS = Architecture.rrdb(num_feat=3, num_block=23, num_grow_ch=2, scale=2)
X1 = Architecture.rrdb(num_feat=3, num_block=2, num_grow_ch=2, scale=1)
OLD_X2 = Architecture.rrdb(num_feat=3, num_block=2, num_grow_ch=2, scale=2, unshuffle=1)
OLD_X8 = Architecture.rrdb(num_feat=3, num_block=2, num_grow_ch=2, scale=8)
X3 = Architecture.rrdb(num_feat=3, num_block=2, num_grow_ch=2, scale=3)


def reach(network: Network, position: int) -> tuple[int, int]:
    """How many input pixels (left, right) of a perturbed pixel the outputs still change.

    All weights are positive and the picture is zero but for one huge value, so in float64 no sum
    cancels and no change is lost to rounding: an output is zero exactly if the pixel plays no part.
    """
    network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0 if parameter.dim() != 4 else 1.0 / parameter[0].numel())
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                assert module.bias is not None
                module.bias.zero_()
        middle = (network.halo + 8) // network.input_multiple * network.input_multiple + position
        width = -(-2 * (network.halo + 16) // network.input_multiple) * network.input_multiple
        picture = torch.zeros(1, 3, network.input_multiple, width, dtype=torch.float64)
        picture[..., middle] = 1e250
        changed = network(picture).ne(0).any(dim=(0, 1, 2))  # (scale*width,)
    columns = torch.nonzero(changed).flatten() // network.scale
    return middle - int(columns.min()), int(columns.max()) - middle


@pytest.mark.parametrize(
    ("architecture", "halo"),
    [
        # 18 convolutions at the input's resolution
        pytest.param(ANIMEVIDEO, 18, id="realesr-animevideov3"),
        pytest.param(GENERAL, 34, id="realesr-general-x4v3"),
        # 15 a block, conv_first and conv_body; then 1 at twice and 3 at four times the size: 2 more
        pytest.param(ANIME_6B, 6 * 15 + 2 + 2, id="RealESRGAN_x4plus_anime_6B"),
        pytest.param(X4PLUS, 23 * 15 + 2 + 2, id="RealESRGAN_x4plus"),
        # the same radius, in blocks of 2x2 pixels
        pytest.param(X2PLUS, 2 * 349, id="RealESRGAN_x2plus"),
        pytest.param(X1, None, id="x1"),
        pytest.param(OLD_X2, None, id="old x2"),
        pytest.param(OLD_X8, None, id="x8"),
        pytest.param(X3, None, id="x3"),
    ],
)
def test_a_pixel_changes_outputs_as_far_as_the_halo_and_no_further(
    architecture: Architecture, halo: int | None
) -> None:
    network = architecture.build().eval()
    furthest = max(max(reach(network, position)) for position in range(network.input_multiple))
    assert network.halo == furthest
    if halo is not None:
        assert furthest == halo


def test_random_weights_see_no_further_than_the_halo() -> None:
    torch.manual_seed(3)
    network = Architecture.srvgg(num_feat=6, num_conv=3, upscale=2, act_type="prelu").build().double().eval()
    picture = torch.rand(1, 3, 17, 17, dtype=torch.float64)
    other = picture.clone()
    other[0, 1, 8, 8] += 0.5
    with torch.inference_mode():
        changed = (network(picture) - network(other)).abs().amax(dim=(0, 1)) > 0  # (34, 34)
    rows, columns = torch.nonzero(changed, as_tuple=True)
    assert network.halo == 5
    assert (int(rows.min()), int(rows.max())) == ((8 - 5) * 2, (8 + 5) * 2 + 1)
    assert (int(columns.min()), int(columns.max())) == ((8 - 5) * 2, (8 + 5) * 2 + 1)


def test_the_radius_of_a_chain_is_what_paper_and_pencil_give() -> None:
    c3, c5 = Convolve(3, 3, 3), Convolve(3, 3, 5)
    assert receptive_radius([c3, c5]) == 3
    assert receptive_radius([Enlarge(2), c3]) == 1  # half a pixel, but it reaches the neighbour
    assert receptive_radius([Enlarge(4), c3, c3, c3, c3]) == 1
    assert receptive_radius([Enlarge(4), c3, c3, c3, c3, c3]) == 2
    assert receptive_radius([Fold(2), Enlarge(2)]) == 1
    assert receptive_radius([Enlarge(3)]) == 0


FULL = {
    "realesr-animevideov3": Architecture.srvgg(num_feat=64, num_conv=16),
    "realesr-general-x4v3": Architecture.srvgg(num_feat=64, num_conv=32),
    "RealESRGAN_x4plus": Architecture.rrdb(num_block=23),
    "RealESRGAN_x4plus_anime_6B": Architecture.rrdb(num_block=6),
    "RealESRGAN_x2plus": Architecture.rrdb(num_block=23, scale=2),
}


@pytest.mark.parametrize("name", FULL)
def test_flops_a_pixel_agree_with_torchs_own_count(name: str) -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        FULL[name].build()(torch.empty(1, 3, 16, 16))
    assert facts(FULL[name]).flops_per_pixel == math.ceil(counter.get_total_flops() / 256)


def test_animevideov3_costs_as_much_as_was_measured_for_it() -> None:
    # 2 * 9 * (3*64 + 16*64*64 + 64*48) by hand; 640x480 pixels make 0.38 TFLOP
    found = facts(FULL["realesr-animevideov3"])
    assert found.flops_per_pixel == 1_238_400
    assert round(found.flops_per_pixel * 640 * 480 / 1e12, 2) == 0.38


@pytest.mark.parametrize(
    ("name", "values"),
    [
        # a PReLU's input and output, and the picture for the skip
        ("realesr-animevideov3", 64 + 64 + 3),
        ("realesr-general-x4v3", 64 + 64 + 3),
        # conv_up2: its 64 channels in and out at 16 values a pixel, what they were enlarged from at 4
        ("RealESRGAN_x4plus", 64 * 16 + 64 * 16 + 64 * 4 + 3),
        ("RealESRGAN_x4plus_anime_6B", 64 * 16 + 64 * 16 + 64 * 4 + 3),
        # the same at a quarter of the pixels, and the picture twice: as it came and unshuffled
        ("RealESRGAN_x2plus", (64 * 16 + 64 * 16 + 64 * 4) // 4 + 3 + 3),
    ],
)
def test_peak_activations_are_what_a_walk_through_the_layers_gives(name: str, values: int) -> None:
    found = facts(FULL[name])
    assert found.peak_values_per_pixel == values
    assert found.peak_activation_bytes_per_pixel(2) == 2 * values


def test_a_dense_block_with_wide_growth_can_be_the_peak() -> None:
    # x1 from an unshuffled input of 16 pixels: the trunk has 1/16, the tail 1 of the picture's size
    wide = Architecture.rrdb(num_feat=8, num_block=2, num_grow_ch=64, scale=4)
    trunk = (
        8 + 8 + 8 + 4 * 64 + (8 + 4 * 64) + 8
    )  # kept for two sums, dense block's input, results, joined, out
    tail = 8 * 16 + 8 * 16 + 8 * 4
    assert trunk > tail
    assert facts(wide).peak_values_per_pixel == trunk + 3


def test_facts_of_weights_and_size_are_the_networks_own() -> None:
    found = facts(FULL["RealESRGAN_x2plus"])
    assert (found.scale, found.input_multiple, found.halo) == (2, 2, 698)
    assert found.parameters == 16_703_171  # 16,697,987 of x4plus and 9 more input channels: 9*64*9


def test_a_network_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="not 6 times"):
        RRDBNet(scale=6)
