"""ReLU and leaky ReLU leave no trace in a checkpoint; the picture they keep tells them apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.weights.samples import random_state, write_ncnn
from vidsr.models import Architecture
from vidsr.weights.formats import read_checkpoint

SLOPES = {"relu": 0.0, "leakyrelu": 0.1}


def keeping_network(act_type: str) -> tuple[Architecture, dict[str, Tensor]]:
    """Weights that give the enlarged picture exactly under one activation and not under the other.

    Per colour two features, act(x) = x and act(-x) = -slope*x for x >= 0; the last layer's
    -(slope*act(x) + act(-x)) is 0 only for the slope it was made with.
    """
    architecture = Architecture.srvgg(num_feat=6, num_conv=0, upscale=2, act_type=act_type)
    first, last = torch.zeros(6, 3, 3, 3), torch.zeros(12, 6, 3, 3)
    for colour in range(3):
        first[2 * colour, colour, 1, 1] = 1
        first[2 * colour + 1, colour, 1, 1] = -1
        last[4 * colour : 4 * colour + 4, 2 * colour, 1, 1] = -SLOPES[act_type]
        last[4 * colour : 4 * colour + 4, 2 * colour + 1, 1, 1] = -1
    bias = {"body.0.bias": torch.zeros(6), "body.2.bias": torch.zeros(12)}
    return architecture, {"body.0.weight": first, "body.2.weight": last, **bias}


@pytest.mark.parametrize("act_type", ["relu", "leakyrelu"])
def test_the_activation_that_keeps_a_picture_is_chosen(act_type: str, tmp_path: Path) -> None:
    architecture, state = keeping_network(act_type)
    torch.save(state, tmp_path / "m.pth")
    checkpoint = read_checkpoint(tmp_path / "m.pth")
    assert checkpoint.architecture == architecture
    (note,) = checkpoint.notes
    assert act_type in note
    assert "guess" not in note


def test_a_choice_that_means_little_says_so(tmp_path: Path) -> None:
    architecture = Architecture.srvgg(num_feat=6, num_conv=2, upscale=2, act_type="relu")
    torch.save(random_state(architecture), tmp_path / "m.pth")
    (note,) = read_checkpoint(tmp_path / "m.pth").notes
    assert "this is a guess" in note


@pytest.mark.parametrize("act_type", ["relu", "leakyrelu"])
def test_an_ncnn_graph_says_it_itself(act_type: str, tmp_path: Path) -> None:
    architecture = Architecture.srvgg(num_feat=6, num_conv=2, upscale=2, act_type=act_type)
    write_ncnn(architecture, random_state(architecture), tmp_path / "m.param")
    checkpoint = read_checkpoint(tmp_path / "m.param")
    assert checkpoint.architecture == architecture
    assert checkpoint.notes == ()


def test_a_trained_network_is_told_apart(tmp_path: Path) -> None:
    """Not built by hand: a few steps of training towards the enlarged picture, under a leaky ReLU."""
    torch.manual_seed(0)
    architecture = Architecture.srvgg(num_feat=8, num_conv=3, upscale=2, act_type="leakyrelu")
    network = architecture.build()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(100):
        picture = torch.rand(4, 3, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
        loss = (torch.nn.functional.avg_pool2d(network(picture), 2) - picture).square().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    torch.save(network.state_dict(), tmp_path / "m.pth")
    assert read_checkpoint(tmp_path / "m.pth").architecture == architecture
