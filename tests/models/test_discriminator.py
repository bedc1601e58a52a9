"""The discriminator equals its specification, and published checkpoints' tensors fit."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.models.discriminator import UNetDiscriminatorSN


def normalised(state: dict[str, Tensor], name: str) -> Tensor:
    """weight / sigma, sigma = u W v with the checkpoint's u and v (Miyato et al. 2018, eval mode)."""
    weight, u, v = (state[f"{name}.weight_{part}"] for part in ("orig", "u", "v"))
    return weight / torch.dot(u, weight.flatten(1) @ v)


def bilinear_double(x: Tensor) -> Tensor:
    """Half-pixel centres: each output lies a quarter pixel off an input; 3/4 and 1/4, edges repeated."""
    for dim in (2, 3):
        size = x.shape[dim]
        before = x.index_select(dim, torch.tensor([0, *range(size - 1)]))
        after = x.index_select(dim, torch.tensor([*range(1, size), size - 1]))
        pairs = torch.stack((0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after), dim=dim + 1)
        x = pairs.flatten(dim, dim + 1)
    return x


def literal_score(state: dict[str, Tensor], x: Tensor, *, skip_connection: bool) -> Tensor:
    def down(name: str, y: Tensor) -> Tensor:
        return F.leaky_relu(F.conv2d(y, normalised(state, name), stride=2, padding=1), 0.2)

    def same(name: str, y: Tensor) -> Tensor:
        return F.leaky_relu(F.conv2d(y, normalised(state, name), padding=1), 0.2)

    x0 = F.leaky_relu(F.conv2d(x, state["conv0.weight"], state["conv0.bias"], padding=1), 0.2)
    x1 = down("conv1", x0)
    x2 = down("conv2", x1)
    x3 = down("conv3", x2)
    x4 = same("conv4", bilinear_double(x3)) + (x2 if skip_connection else 0)
    x5 = same("conv5", bilinear_double(x4)) + (x1 if skip_connection else 0)
    x6 = same("conv6", bilinear_double(x5)) + (x0 if skip_connection else 0)
    out = same("conv8", same("conv7", x6))
    return F.conv2d(out, state["conv9.weight"], state["conv9.bias"], padding=1)


@pytest.mark.parametrize("skip_connection", [True, False])
def test_scores_equal_the_literal_formulation(*, skip_connection: bool) -> None:
    torch.manual_seed(1)
    network = UNetDiscriminatorSN(3, 8, skip_connection=skip_connection)
    picture = torch.rand(2, 3, 16, 24)
    for _ in range(3):  # power iterations move u and v off their random start
        network(picture)
    network.eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        ours = network(picture)
    assert ours.shape == (2, 1, 16, 24)
    expected = literal_score(state, picture, skip_connection=skip_connection)
    assert float((ours - expected).abs().max()) < 1e-5
    assert (
        float((ours - literal_score(state, picture, skip_connection=not skip_connection)).abs().max()) > 1e-3
    )


def test_a_checkpoint_in_the_published_layout_loads_strictly() -> None:
    # conv1 to conv3 are 4x4, conv4 to conv8 are 3x3; in and out channels of num_feat = 64
    layout = {1: (64, 128, 4), 2: (128, 256, 4), 3: (256, 512, 4), 4: (512, 256, 3), 5: (256, 128, 3)}
    layout |= {6: (128, 64, 3), 7: (64, 64, 3), 8: (64, 64, 3)}
    state = {"conv0.weight": torch.rand(64, 3, 3, 3), "conv0.bias": torch.rand(64)}
    state |= {"conv9.weight": torch.rand(1, 64, 3, 3), "conv9.bias": torch.rand(1)}
    for number, (inputs, outputs, kernel) in layout.items():
        state[f"conv{number}.weight_orig"] = torch.rand(outputs, inputs, kernel, kernel)
        state[f"conv{number}.weight_u"] = torch.rand(outputs)
        state[f"conv{number}.weight_v"] = torch.rand(inputs * kernel * kernel)
    network = UNetDiscriminatorSN(3, 64)
    network.load_state_dict(state, strict=True)
    assert torch.equal(network.state_dict()["conv4.weight_orig"], state["conv4.weight_orig"])


def test_training_normalises_the_largest_singular_value_to_one() -> None:
    torch.manual_seed(2)
    network = UNetDiscriminatorSN(3, 4)
    for _ in range(60):
        network(torch.rand(1, 3, 8, 8))
    state = {name: value.detach() for name, value in network.state_dict().items()}
    for number in range(1, 9):
        largest = torch.linalg.matrix_norm(normalised(state, f"conv{number}").flatten(1), ord=2)
        assert float(largest) == pytest.approx(1.0, abs=0.02)
