"""Checkpoints of other families through spandrel.

spandrel needs the torchvision of the installed torch and may be missing: a stand-in with the few names that
are used takes its place, and builds a network that we have the torch module of.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.weights.graphs import Attentive, Sized, seeded
from vidsr.backends.open import open_backend
from vidsr.errors import ArchitectureError, ToolMissingError, UsageError, WeightsFormatError
from vidsr.models.base import EVERYWHERE
from vidsr.models.foreign import ForeignNetwork
from vidsr.weights import other_families
from vidsr.weights.store import LoadedNetwork, load_weights_file

CPU = torch.device("cpu")


class Unsupported(Exception):  # noqa: N818 (stands for spandrel's)
    pass


@dataclass
class Descriptor:
    model: nn.Module
    supports_half: bool = False
    supports_bfloat16: bool = False
    input_channels: int = 3
    output_channels: int = 3
    architecture: Any = field(default_factory=lambda: SimpleNamespace(name="Attentive"))
    size_requirements: Any = field(default_factory=lambda: SimpleNamespace(square=False))


class StandIn(ModuleType):
    UnsupportedModelError = Unsupported
    ImageModelDescriptor = Descriptor

    def __init__(self) -> None:
        super().__init__("spandrel")
        self.__spec__ = ModuleSpec("spandrel", None)
        self.channels = 3

    def ModelLoader(self, device: str) -> StandIn:  # noqa: N802
        assert device == "cpu"
        return self

    def load_from_state_dict(self, state: dict[str, Tensor]) -> Descriptor:
        if "excite.weight" not in state:
            raise Unsupported
        assert {tensor.dtype for name, tensor in state.items() if name != "table"} == {torch.float32}
        module = Attentive()
        module.load_state_dict({name: tensor for name, tensor in state.items() if name != "table"})
        return Descriptor(module, input_channels=self.channels)


@pytest.fixture
def spandrel(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, "spandrel", stand_in)
    return stand_in


def saved(module: nn.Module, path: Path, **more: Tensor) -> Path:
    torch.save({"params": {**module.state_dict(), **more}}, path)
    return path


@pytest.mark.usefixtures("spandrel")
def test_what_spandrel_builds_runs_as_the_module_itself(tmp_path: Path) -> None:
    module = seeded(Attentive())
    path = saved(module, tmp_path / "m.pth", table=torch.arange(4))
    loaded = load_weights_file(path)
    assert isinstance(loaded, LoadedNetwork)
    network = loaded.network
    assert (network.scale, network.halo, network.input_multiple) == (2, EVERYWHERE, 1)
    assert loaded.architecture is None
    assert loaded.origin == f"{path} (Attentive)"
    backend = open_backend(network, CPU)
    assert backend.words == "torch fp32 on cpu"  # it does not claim to compute well in others
    x = torch.rand(2, 3, 20, 30)
    with torch.inference_mode():
        assert (backend(x) - module(x)).abs().max() < 1e-5
    with pytest.raises(UsageError, match="does not compute well in bf16"):
        open_backend(network, CPU, precision="bf16")


def test_geometry_of_a_foreign_module_is_measured() -> None:
    network = ForeignNetwork(seeded(Sized(factor=3)), [torch.float32], "Sized")
    assert (network.scale, network.halo, network.input_multiple) == (3, 1, 1)
    folding = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 12, 3, 1, 1), nn.PixelShuffle(2))
    network = ForeignNetwork(seeded(folding), [torch.float32], "folding")
    # the last pixel of a block sees the whole of the block before: 3 pixels away
    assert (network.scale, network.halo, network.input_multiple) == (1, 3, 2)


def test_without_spandrel_the_hint_names_it_and_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_families, "PACKAGE", "a_package_that_is_not_there")
    for more in ({}, {"table": torch.arange(4)}):
        path = saved(Attentive(), tmp_path / "m.pth", **more)
        with pytest.raises(ArchitectureError, match="no known network") as caught:
            load_weights_file(path)
        assert "[spandrel]" in str(caught.value.hint)
        assert ".onnx" in str(caught.value.hint)


@pytest.mark.usefixtures("spandrel")
def test_what_spandrel_does_not_know_is_refused_as_before(tmp_path: Path) -> None:
    with pytest.raises(ArchitectureError, match="no known network"):
        load_weights_file(saved(Sized(), tmp_path / "m.pth"))


def test_networks_that_do_not_enlarge_rgb_pictures_are_refused(spandrel: StandIn, tmp_path: Path) -> None:
    spandrel.channels = 1
    with pytest.raises(ArchitectureError, match="no enlarger of RGB pictures"):
        load_weights_file(saved(Attentive(), tmp_path / "m.pth"))


def test_a_spandrel_that_cannot_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "spandrel_broken.py").write_text(
        'raise RuntimeError("operator torchvision::nms does not exist")\n'
    )
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(other_families, "PACKAGE", "spandrel_broken")
    with pytest.raises(ToolMissingError, match="torchvision::nms does not exist") as caught:
        load_weights_file(saved(Attentive(), tmp_path / "m.pth"))
    assert "matches the installed torch" in str(caught.value.hint)


@pytest.mark.usefixtures("spandrel")
def test_code_in_a_checkpoint_is_refused_before_spandrel_sees_it(tmp_path: Path) -> None:
    torch.save({"params": {"excite.weight": torch.ones(1)}, "hook": print}, tmp_path / "m.pth")
    with pytest.raises(WeightsFormatError, match="wants to run or build"):
        load_weights_file(tmp_path / "m.pth")


def real_spandrel() -> ModuleType:
    """The package itself, or a skip with the reason: it needs the torchvision of the installed torch."""
    try:
        return importlib.import_module("spandrel")
    except (ImportError, RuntimeError, OSError) as error:
        pytest.skip(f"spandrel cannot be used here: {error}")


def test_a_checkpoint_that_the_real_package_knows_runs_as_its_own_module(tmp_path: Path) -> None:
    """SPAN, of 2024: convolutions with attention, trained as several branches and run as one."""
    real_spandrel()
    span = importlib.import_module("spandrel.architectures.SPAN").SPAN
    torch.manual_seed(3)
    module: nn.Module = span(num_in_ch=3, num_out_ch=3, feature_channels=8, upscale=2).eval()
    loaded = load_weights_file(saved(module, tmp_path / "span.pth"))
    assert isinstance(loaded, LoadedNetwork)
    assert "SPAN" in loaded.origin
    assert loaded.network.scale == 2
    backend = open_backend(loaded.network, CPU, precision="fp32")
    x = torch.rand(1, 3, 40, 52)
    with torch.inference_mode():
        expected = module(x)
        assert (backend(x) - expected).abs().max() < 1e-5 * expected.abs().max().clamp(min=1)
