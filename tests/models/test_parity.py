"""The networks compute what the published formulation says, with the published parameter names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models import literal
from vidsr.models import Architecture

TOLERANCE = 1e-5  # float32, outputs of order 1

ANIMEVIDEO = Architecture.srvgg(num_feat=64, num_conv=16, upscale=4, act_type="prelu")
GENERAL = Architecture.srvgg(num_feat=64, num_conv=32, upscale=4, act_type="prelu")
X4PLUS = Architecture.rrdb(num_feat=64, num_block=23, num_grow_ch=32, scale=4)
ANIME_6B = Architecture.rrdb(num_feat=64, num_block=6, num_grow_ch=32, scale=4)
X2PLUS = Architecture.rrdb(num_feat=64, num_block=23, num_grow_ch=32, scale=2)


def random_state(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """Weights under which every layer changes the output: signals keep their size through the layers."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}
    for name, value in architecture.build().state_dict().items():
        noise = torch.randn(value.shape, generator=generator)
        state[name] = noise * (2 / value[0].numel()) ** 0.5 if value.dim() == 4 else 0.1 * noise
    return state


def literal_output(architecture: Architecture, state: dict[str, Tensor], picture: Tensor) -> Tensor:
    a = architecture.arguments
    if architecture.kind == "rrdb":
        return literal.rrdb(state, picture, num_block=int(a["num_block"]), scale=int(a["scale"]))
    return literal.srvgg(
        state, picture, num_conv=int(a["num_conv"]), upscale=int(a["upscale"]), act_type=str(a["act_type"])
    )


def random_case(architecture: Architecture, seed: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """(state, picture, what the literal formulation makes of it), scaled to a picture's values."""
    state = random_state(architecture, seed)
    picture = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(seed))
    expected = literal_output(architecture, state, picture)
    if architecture.kind == "rrdb":  # its residuals add up; the last layer, a linear one, brings them back
        loud = 4 * expected.std()
        state |= {name: state[name] / loud for name in ("conv_last.weight", "conv_last.bias")}
        expected = expected / loud
    return state, picture, expected


@pytest.mark.parametrize(
    ("architecture", "seed"),
    [
        pytest.param(ANIMEVIDEO, 1, id="realesr-animevideov3"),
        pytest.param(GENERAL, 2, id="realesr-general-x4v3"),
        pytest.param(X4PLUS, 3, id="RealESRGAN_x4plus"),
        pytest.param(X4PLUS, 4, id="RealESRNet_x4plus"),
        pytest.param(ANIME_6B, 5, id="RealESRGAN_x4plus_anime_6B"),
        pytest.param(X2PLUS, 6, id="RealESRGAN_x2plus"),
    ],
)
def test_the_six_published_networks_equal_their_literal_formulation(
    architecture: Architecture, seed: int
) -> None:
    state, picture, expected = random_case(architecture, seed)
    network = architecture.build().eval()
    network.load_state_dict(state, strict=True)
    with torch.inference_mode():
        ours = network(picture)
    assert ours.shape == (1, 3, 8 * architecture.scale, 12 * architecture.scale)
    assert 0.1 < float(expected.std()) < 1.0  # the comparison is between signals of a picture's size
    assert float((ours - expected).abs().max()) < TOLERANCE


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture.srvgg(num_feat=5, num_conv=0, upscale=1, act_type="prelu"),
        Architecture.srvgg(num_feat=24, num_conv=8, upscale=2, act_type="relu"),
        Architecture.srvgg(num_feat=7, num_conv=3, upscale=3, act_type="leakyrelu"),
        Architecture.srvgg(num_feat=8, num_conv=2, upscale=8, act_type="prelu"),
        Architecture.rrdb(num_feat=6, num_block=2, num_grow_ch=5, scale=1),
        Architecture.rrdb(num_feat=8, num_block=1, num_grow_ch=3, scale=2),
    ],
    ids=str,
)
def test_other_sizes_scales_and_activations_equal_it_too(architecture: Architecture) -> None:
    state, picture, expected = random_case(architecture, seed=7)
    network = architecture.build().eval()
    network.load_state_dict(state, strict=True)
    with torch.inference_mode():
        ours = network(picture)
    assert float((ours - expected).abs().max()) < TOLERANCE


# Names as they stand in the published checkpoints; torch's own container numbering would differ.
SRVGG_NAMES = ["body.0.weight", "body.0.bias", "body.1.weight", "body.2.weight", "body.34.bias"]
RRDB_NAMES = [
    "conv_first.weight",
    "body.0.rdb1.conv1.weight",
    "body.22.rdb3.conv5.bias",
    "conv_body.weight",
    "conv_up1.weight",
    "conv_up2.bias",
    "conv_hr.weight",
    "conv_last.bias",
]


def test_parameters_carry_the_published_names_and_number() -> None:
    animevideo = dict(ANIMEVIDEO.build().named_parameters())
    assert set(SRVGG_NAMES) <= set(animevideo)
    # 18 convolutions with weight and bias, 17 PReLU; 3*64*9+64 + 16*(64*64*9+64) + 64*48*9+48 + 17*64
    assert len(animevideo) == 2 * 18 + 17
    assert sum(p.numel() for p in animevideo.values()) == 621_424
    x4plus = dict(X4PLUS.build().named_parameters())
    assert set(RRDB_NAMES) <= set(x4plus)
    assert len(x4plus) == 702
    assert sum(p.numel() for p in x4plus.values()) == 16_697_987  # "16.7 M" of the specification


def test_a_network_leaves_its_input_alone() -> None:
    picture = torch.rand(1, 3, 8, 8)
    before = picture.clone()
    for architecture in (
        Architecture.srvgg(num_feat=4, num_conv=1, upscale=1, act_type="relu"),
        Architecture.rrdb(num_feat=4, num_block=1, num_grow_ch=2, scale=4),
    ):
        with torch.inference_mode():
            architecture.build()(picture)
        assert torch.equal(picture, before)
