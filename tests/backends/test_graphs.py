"""The contract of backends for ONNX graphs: the torch module's own numbers, whatever the file's form."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs
import pytest
import torch
from torch import Tensor, nn

from tests.weights.graphs import Attentive, compact, rrdb, seeded, write
from vidsr.backends import open as opening
from vidsr.backends.base import Backend, never_stop
from vidsr.backends.onnx_session import OnnxSession
from vidsr.backends.open import open_backend
from vidsr.backends.openvino import openvino_is_installed
from vidsr.channel import Stopped
from vidsr.errors import ArchitectureError, DeviceError, ToolMissingError, UsageError
from vidsr.infer.tiles import TiledBackend
from vidsr.job import BackendName, Precision
from vidsr.models.base import EVERYWHERE
from vidsr.models.graph import Graph
from vidsr.weights.onnx_graph import load_graph

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))


@pytest.fixture(params=["openvino", "onnxruntime"])
def name(request: pytest.FixtureRequest) -> BackendName:
    if request.param == "openvino" and not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    found: BackendName = request.param
    return found


def opened(name: BackendName, graph: Graph) -> Backend:
    return open_backend(graph, CPU, name=name, precision="fp32" if name == "openvino" else "auto")


def pictures(count: int, height: int, width: int) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize("form", ["plain", "channels last", "half", "one at a time", "fold", "attention"])
def test_every_form_of_file_computes_the_torch_module(name: BackendName, form: str, tmp_path: Path) -> None:
    network: nn.Module = (
        rrdb(2) if form == "fold" else seeded(Attentive()) if form == "attention" else compact(4)
    )
    path = write(
        copy.deepcopy(network),
        tmp_path / "m.onnx",
        channels_last=form == "channels last",
        half=form == "half",
        batch=1 if form == "one at a time" else None,
    )
    backend = opened(name, load_graph(path)[0])
    for height, width in ((24, 40), (18, 30), (24, 40)):
        x = pictures(2, height, width)
        with torch.inference_mode():
            expected = network(x)
            got = backend(x.to(backend.dtype)).float()
        assert got.shape == expected.shape
        # fp16 keeps 11 bits
        assert (got - expected).abs().max() < (3e-3 if form == "half" else 1e-5)


def test_a_fixed_size_gives_the_same_as_an_open_one_inside_a_picture(
    name: BackendName, tmp_path: Path
) -> None:
    network = compact()
    graph, _, _ = load_graph(write(network, tmp_path / "m.onnx", size=(48, 56), batch=1))
    backend = opened(name, graph)
    assert backend.halo == EVERYWHERE
    for height, width in ((48, 56), (96, 120), (61, 57), (30, 200), (10, 12)):
        x = pictures(2, height, width)
        with torch.inference_mode():
            expected = network(x)
            got = backend(x)
        assert got.shape == expected.shape
        # Where a picture was extended to windows, its lower and right borders see the extension.
        extended_rows, extended_columns = height < 48 or height % 8, width < 56 or width % 8
        inside = (
            slice(None, -2 * network.halo if extended_rows else None),
            slice(None, -2 * network.halo if extended_columns else None),
        )
        assert (got - expected)[:, :, inside[0], inside[1]].abs().max() < 1e-5


def test_tiles_of_a_graph_are_the_whole_picture(name: BackendName, tmp_path: Path) -> None:
    """The measured halo is enough."""
    network = rrdb(4)
    backend = opened(name, load_graph(write(network, tmp_path / "m.onnx"))[0])
    x = pictures(1, 90, 130)
    with torch.inference_mode():
        assert (TiledBackend(backend, 64)(x) - network(x)).abs().max() < 1e-5


def test_a_computation_is_abandoned_at_the_next_checkpoint(name: BackendName, tmp_path: Path) -> None:
    asked = 0

    def stop_at_the_second() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Stopped

    # seconds of work if it is not abandoned: a machine in use may leave no time to ask twice in less
    graph, _, _ = load_graph(write(compact(1, convolutions=80), tmp_path / "m.onnx"))
    backend = open_backend(graph, CPU, name=name, checkpoint=stop_at_the_second)
    with pytest.raises(Stopped):
        backend(pictures(1, 1200, 1200).to(backend.dtype))
    assert asked == 2


def test_the_default_is_openvino_and_onnx_runtime_where_that_cannot_read_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, _, _ = load_graph(write(compact(), tmp_path / "m.onnx"))
    assert ("OpenVINO" in open_backend(graph, CPU).words) == openvino_is_installed()
    if openvino_is_installed():
        unreadable = replace(graph, content=graph.content[:100])
        with pytest.raises(ArchitectureError, match="OpenVINO cannot read") as caught:
            open_backend(unreadable, CPU, name="openvino")
        assert "\n" not in caught.value.message

    monkeypatch.setattr(opening, "openvino_is_installed", lambda: False)
    assert open_backend(graph, CPU).words == "ONNX Runtime fp32 on cpu"


def test_what_cannot_run_a_graph_is_refused(tmp_path: Path) -> None:
    graph, _, _ = load_graph(write(compact(), tmp_path / "m.onnx"))
    with pytest.raises(UsageError, match=r"cannot run \.onnx"):
        open_backend(graph, CPU, name="torch")
    with pytest.raises(UsageError, match="the model's own format, fp32"):
        open_backend(graph, CPU, name="onnxruntime", precision="bf16")
    with pytest.raises(UsageError, match=r"\.onnx files only"):
        open_backend(compact(), CPU, name="onnxruntime")
    with pytest.raises(DeviceError, match="cannot be used on meta"):
        open_backend(graph, torch.device("meta"))


def test_a_runtime_without_cuda_says_so(tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    graph, _, _ = load_graph(write(compact(), tmp_path / "m.onnx"))
    with pytest.raises(ToolMissingError, match="no CUDA support"):
        OnnxSession(graph.content, graph.source, graph.result.name, torch.device("cuda", 0))


@pytest.mark.parametrize(("precision", "tf32"), [("auto", "1"), ("fp32", "0")])
def test_fp32_that_was_asked_for_is_not_tf32_on_cuda(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision, tf32: str
) -> None:
    import onnxruntime

    graph, _, _ = load_graph(write(compact(), tmp_path / "m.onnx"))

    class Session:
        asked: Any = None

        def __init__(self, content: bytes, options: Any, *, providers: list[Any]) -> None:
            Session.asked = dict([providers[0]])

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    open_backend(graph, torch.device("cuda", 1), precision=precision)
    told = Session.asked["CUDAExecutionProvider"]
    assert (told["device_id"], told["use_tf32"]) == ("1", tf32)


def test_a_size_that_a_graph_cannot_take_is_one_line(tmp_path: Path) -> None:
    graph, _, _ = load_graph(write(rrdb(2), tmp_path / "m.onnx"))
    session = OnnxSession(graph.content, graph.source, graph.result.name, CPU)
    with pytest.raises(ArchitectureError, match="cannot take 15x16") as caught:
        session(pictures(1, 16, 15), never_stop)
    assert "\n" not in caught.value.message
