"""A random network, as a module and as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.weights.samples import random_state
from vidsr.models import Architecture
from vidsr.models.base import Network

SMALL = Architecture.srvgg(num_feat=8, num_conv=2, upscale=2, act_type="prelu")
FOLDING = Architecture.rrdb(num_feat=5, num_block=1, num_grow_ch=3, scale=2)


def network_and_file(architecture: Architecture, folder: Path) -> tuple[Network, Path]:
    state = {name: 0.1 * value for name, value in random_state(architecture, seed=5).items()}
    network = architecture.build()
    network.load_state_dict(state)
    path = folder / f"{architecture.kind}.safetensors"
    save_file(state, path)
    return network.eval().requires_grad_(requires_grad=False), path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    return network_and_file(SMALL, tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def folding(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Path]:
    """A network whose input must be a multiple of two."""
    return network_and_file(FOLDING, tmp_path_factory.mktemp("folding"))
