"""ONNX Runtime as a backend: what runs ONNX models on CUDA, and on CPUs where OpenVINO does not."""

from __future__ import annotations

import torch
from torch import Tensor

from vidsr.backends.base import Checkpoint, never_stop
from vidsr.backends.onnx_session import OnnxSession
from vidsr.backends.torch_eager import device_words
from vidsr.models.graph import Graph


class OnnxRuntimeBackend:
    """A graph in the number format that its file has. Takes pictures as the graph does: see `fixed_shape`."""

    def __init__(
        self,
        graph: Graph,
        device: torch.device,
        *,
        checkpoint: Checkpoint = never_stop,
        exact: bool = False,
    ) -> None:
        """exact: see OnnxSession. Raises DeviceError where ONNX Runtime cannot use the device."""
        self._session = OnnxSession(graph.content, graph.source, graph.result.name, device, exact=exact)
        self._graph = graph
        self._checkpoint = checkpoint
        self.device = device
        self.dtype = self._session.dtype
        self.scale = graph.scale
        self.halo = graph.halo
        self.input_multiple = graph.input_multiple
        self.streams = 1
        self.words = f"ONNX Runtime {graph.source.number_format} on {device_words(device)}"

    def __call__(self, batch: Tensor) -> Tensor:
        if self.device.type == "cuda":
            self._checkpoint()
            return self._session.on_cuda(batch, self.scale, self._graph.result)
        return self._session(batch, self._checkpoint)
