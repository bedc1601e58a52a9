"""The compiled network against the plain one; a small one, since compiling takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidsr.backends.open import open_backend
from vidsr.backends.torch_compiled import CompiledTorchBackend, compiler_is_installed
from vidsr.channel import Stopped
from vidsr.errors import ToolMissingError
from vidsr.models.compact import SRVGGNetCompact

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(not compiler_is_installed(), reason="no C++ compiler")


@pytest.fixture
def network() -> SRVGGNetCompact:
    torch.manual_seed(5)
    return SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).eval().requires_grad_(False)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where inductor keeps what it compiles."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.slow
@needs_compiler
def test_every_shape_gives_the_plain_network_s_numbers(network: SRVGGNetCompact, folder: Path) -> None:
    """The first one compiled, called again with other pixels and more of them; others go the plain way."""
    backend = open_backend(network, CPU, name="inductor", precision="fp32")
    assert backend.words == "torch fp32 on cpu, compiled"
    with torch.inference_mode():  # as the pipeline calls it
        for count, height, width in (
            (2, 24, 32), (2, 24, 32), (2, 16, 16), (1, 24, 32), (3, 24, 32), (4, 24, 32), (2, 24, 32),
        ):  # fmt: skip
            pixels = torch.rand(count, 3, height, width)
            assert (backend(pixels) - network(pixels)).abs().max() < 1e-5
    assert list(folder.rglob("*.cpp"))  # something was compiled


@needs_compiler
def test_the_checkpoint_is_asked_before_a_call(
    network: SRVGGNetCompact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)  # what is compiled does not matter
    asked = 0

    def stop_at_the_second() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Stopped

    backend = CompiledTorchBackend(network, CPU, torch.float32, checkpoint=stop_at_the_second)
    pixels = torch.rand(1, 3, 16, 16)
    backend(pixels)
    with pytest.raises(Stopped):
        backend(pixels)


def test_without_a_compiler_it_is_refused(network: SRVGGNetCompact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ToolMissingError, match=r"needs a C\+\+ compiler"):
        open_backend(network, CPU, name="inductor", precision="fp32")
