"""Opens the backend a run uses: the fastest that is installed for the device, or the one asked for."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import torch

from vidsr.backends.base import Backend, Checkpoint, never_stop
from vidsr.backends.choose import DTYPES, choose_precision
from vidsr.backends.fixed_shape import FixedShapeBackend
from vidsr.backends.onnx_runtime import OnnxRuntimeBackend
from vidsr.backends.openvino import OpenVinoBackend, openvino_is_installed
from vidsr.backends.torch_compiled import CompiledTorchBackend
from vidsr.backends.torch_eager import TorchBackend
from vidsr.errors import ArchitectureError, DeviceError, ToolMissingError, UsageError
from vidsr.job import BackendName, Precision
from vidsr.models.base import Network
from vidsr.models.foreign import ForeignNetwork
from vidsr.models.graph import Graph
from vidsr.weights.int8 import SUFFIX, Int8Constants, constants_files


def open_backend(
    network: Network | Graph,
    device: torch.device,
    *,
    name: BackendName = "auto",
    precision: Precision = "auto",
    checkpoint: Checkpoint = never_stop,
    constants: Int8Constants | None = None,
) -> Backend:
    """The network, ready to run.

    constants: the network's own in int8, where there are some; used for that precision only.

    "auto" is OpenVINO on CPUs where it is installed (extra `openvino`); everywhere else torch for
    networks and ONNX Runtime for graphs. Raises ToolMissingError where what the named backend needs is not
    installed, DeviceError where it cannot use the device, UsageError where it cannot run this kind of
    network in this number format.
    """
    if name == "openvino":
        if device.type != "cpu":
            raise DeviceError(f"the openvino backend runs on the CPU, not on {device}", "pass --device cpu")
        if not openvino_is_installed():
            raise ToolMissingError.of_extra("--backend openvino needs OpenVINO", "openvino")
    with_openvino = name == "openvino" or (
        name == "auto" and device.type == "cpu" and openvino_is_installed()
    )
    if precision == "int8":
        _check_int8(constants, name, with_openvino=with_openvino)
    if isinstance(network, Graph):
        return _open_graph(network, device, name, precision, checkpoint, with_openvino=with_openvino)
    if name == "onnxruntime":
        raise UsageError("the onnxruntime backend runs .onnx files only", "leave out --backend")
    if isinstance(network, ForeignNetwork):
        precision = _precision_for(network, precision, device)
        with_openvino = name == "openvino"  # which refuses it: it knows the layers of ours
    precision = choose_precision(precision, device)
    if with_openvino:
        return OpenVinoBackend(
            network, precision, checkpoint=checkpoint, cache=compiled_graphs_folder(), constants=constants
        )
    torch_backend = CompiledTorchBackend if name == "inductor" else TorchBackend
    return torch_backend(network, device, DTYPES[precision], checkpoint=checkpoint)


def _check_int8(constants: Int8Constants | None, name: BackendName, *, with_openvino: bool) -> None:
    if constants is None:
        models = ", ".join(sorted(path.name.removesuffix(SUFFIX) for path in constants_files()))
        raise UsageError(
            "int8 needs constants that were tuned for exactly these weights, and there are none",
            f"leave out --precision; {models} has int8" if models else "leave out --precision",
        )
    if not with_openvino:
        chosen = "torch" if name == "auto" else name
        raise UsageError(
            f"the {chosen} backend has no int8",
            "use --device cpu --backend openvino (the extra [openvino]), or leave out --precision",
        )


def _precision_for(network: ForeignNetwork, precision: Precision, device: torch.device) -> Precision:
    if precision == "auto":
        return precision if DTYPES[choose_precision("auto", device)] in network.dtypes else "fp32"
    if DTYPES[precision] not in network.dtypes:
        raise UsageError(f"{network.words} does not compute well in {precision}", "leave out --precision")
    return precision


def _open_graph(
    graph: Graph,
    device: torch.device,
    name: BackendName,
    precision: Precision,
    checkpoint: Checkpoint,
    *,
    with_openvino: bool,
) -> Backend:
    if name in {"torch", "inductor"}:
        raise UsageError(
            f"the {name} backend cannot run .onnx files", "pass --backend onnxruntime, or leave it out"
        )
    backend: Backend | None = None
    if with_openvino:
        try:
            backend = OpenVinoBackend(
                graph,
                choose_precision(precision, device),
                checkpoint=checkpoint,
                cache=compiled_graphs_folder(),
            )
        except ArchitectureError:  # an operation that it has not
            if name == "openvino":
                raise
    if backend is None:
        if precision not in {"auto", graph.source.number_format}:
            raise UsageError(
                f"ONNX Runtime computes in the model's own format, {graph.source.number_format}",
                f"leave out --precision, or use a model exported in {precision}",
            )
        backend = OnnxRuntimeBackend(graph, device, checkpoint=checkpoint, exact=precision == "fp32")
    if graph.source.size is None and graph.source.batch is None:
        return backend
    return FixedShapeBackend(backend, graph.source.size)


def compiled_graphs_folder() -> Path:
    """Where compiled graphs are kept between runs; deleting it costs a second at the next start."""
    return Path(platformdirs.user_cache_dir("vidsr", appauthor=False)) / "openvino"
