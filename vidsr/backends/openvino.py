"""OpenVINO on the CPU: the fastest way there to run the same network.

Measured on a 2-core AVX-512 BF16 machine (640x480, animevideov3): 0.455 s a frame in bf16 where torch
takes 0.75, and 0.92 in fp32 where torch takes 1.64. In int8, which loses some of the picture and so is never
chosen by itself, it takes two thirds of bf16's time (`benchmarks/int8.py`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vidsr.backends.base import Checkpoint, Result, never_stop
from vidsr.backends.choose import cpu_is_faster_in_bf16
from vidsr.backends.onnx_session import one_line
from vidsr.backends.openvino_begun import Begun, abandon, as_openvino, start, wait
from vidsr.errors import ArchitectureError, DeviceMemoryError
from vidsr.job import Precision
from vidsr.models.base import Network
from vidsr.models.graph import Graph
from vidsr.weights.int8 import Int8Constants

if TYPE_CHECKING:
    import openvino

SHAPES_KEPT = 36
"""Compiled graphs are for one shape each: a job has two or three (frame, tail, tile), and reuse 16 windows,
one by one and in pairs. With 4 kept, 91 frames of a drawn clip compiled 154 times at 38 ms each, with 17 kept
16 times. A window's takes 5 to 30 MB."""
STREAMS = 2
"""Two pictures at a time, each on half of the cores: half as many barriers between layers at which one core
waits for another, which the encoder has just taken."""


def openvino_is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


class OpenVinoBackend:
    """A network compiled for the CPU, once for every shape it meets.

    The result of a call is a view of OpenVINO's memory: the next call overwrites it. Used by one thread.
    """

    def __init__(
        self,
        network: Network | Graph,
        precision: Precision,
        *,
        checkpoint: Checkpoint = never_stop,
        cache: Path | None = None,
        threads: int | None = None,
        streams: int = STREAMS,
        constants: Int8Constants | None = None,
    ) -> None:
        """precision: "fp32", "bf16", or "int8" with the network's constants. cache: folder for compiled
        graphs, so that a later start is quicker; None keeps none. threads: CPU threads, None = all that
        this process may use. streams: pictures of a batch computed at the same time, each with its share
        of the threads.
        """
        from vidsr.backends.openvino_alone import ov
        from vidsr.backends.openvino_graph import build_graph
        from vidsr.backends.openvino_int8 import build_int8_graph
        from vidsr.backends.openvino_onnx import read_graph

        self.device = torch.device("cpu")
        self.dtype = torch.float32
        self.scale = network.scale
        self.halo = network.halo
        self.input_multiple = network.input_multiple
        self.words = f"OpenVINO {precision} on cpu"
        self._checkpoint = checkpoint
        if precision == "int8":
            if constants is None:
                raise ArchitectureError("int8 needs constants made for this network")
            self.words += f" ({constants.loss_db:.1f} dB to fp32)"
            self._model = build_int8_graph(constants)
        else:
            self._model = read_graph(network) if isinstance(network, Graph) else build_graph(network)
        self._core = ov.Core()
        self._properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": _precision_hint(precision)}
        if threads is not None:
            self._properties["INFERENCE_NUM_THREADS"] = threads
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
            self._properties["CACHE_DIR"] = str(cache)
        self.streams = streams
        self.under_way = streams + 1
        self._requests: OrderedDict[tuple[int, ...], list[openvino.InferRequest]] = OrderedDict()
        self._larger = torch.empty(0)
        self._begun: Begun | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        # OpenVINO reads the pixels in place and does not keep them alive: this name does, until the end.
        pixels = batch.contiguous()
        if len(batch) > 1 and self.streams > 1:
            return self._beside_each_other(pixels)
        (request,) = self._requests_for(tuple(batch.shape), 1)
        with self._abandoning([request]):
            request.set_input_tensor(as_openvino(pixels))
            request.start_async()
            wait(request, self._checkpoint)
        return torch.from_numpy(request.get_output_tensor().data)

    def begin(self, picture: Tensor) -> Result:
        """See `Overlapping`. Each picture has one stream, and is queued while all of them are at work."""
        shape = tuple(picture.shape)
        if self._begun is None or self._begun.shape != shape:
            if self._begun is not None:
                self._begun.give_up()
            (request, *_) = self._requests_for((self.streams, *shape[1:]), self.streams)
            graph = request.get_compiled_model()
            with _faults_named(shape):
                self._begun = Begun(graph, shape, self.scale, self.under_way, self._checkpoint)
        return self._begun.begin(picture)

    def _beside_each_other(self, pixels: Tensor) -> Tensor:
        """The pictures of a batch, as many at a time as there are streams."""
        count, channels, height, width = pixels.shape
        shape = (count, channels, height * self.scale, width * self.scale)
        if self._larger.numel() < math.prod(shape):  # fresh memory for each call would cost page faults
            self._larger = torch.empty(math.prod(shape))
        larger = self._larger[: math.prod(shape)].view(shape)
        requests = self._requests_for((self.streams, channels, height, width), self.streams)
        with self._abandoning(requests):
            for number in range(count + self.streams):
                request = requests[number % self.streams]
                if number >= self.streams and number - self.streams < count:
                    wait(request, self._checkpoint)
                if number < count:
                    start(request, pixels[number : number + 1], larger[number : number + 1])
        return larger

    @contextlib.contextmanager
    def _abandoning(self, requests: Sequence[openvino.InferRequest]) -> Iterator[None]:
        """Whatever ends it early, no request is still at work afterwards."""
        try:
            yield
        except BaseException:
            abandon(requests)
            raise

    def _requests_for(self, shape: tuple[int, ...], streams: int) -> list[openvino.InferRequest]:
        """One request for batches of this shape, or one for each stream, which takes one picture of it."""
        if shape in self._requests:
            self._requests.move_to_end(shape)
            return self._requests[shape]
        model = self._model.clone()
        with _faults_named(shape):
            model.reshape([1, *shape[1:]] if streams > 1 else list(shape))
            compiled = self._core.compile_model(model, "CPU", self._properties | _dividing(streams))
            requests = [compiled.create_infer_request() for _ in range(streams)]
        self._requests[shape] = requests
        while len(self._requests) > SHAPES_KEPT:
            self._requests.popitem(last=False)
        return requests


@contextlib.contextmanager
def _faults_named(shape: Sequence[int]) -> Iterator[None]:
    """Within it, what OpenVINO raises for pictures of this shape has a name of ours."""
    try:
        yield
    except RuntimeError as error:
        if "memory" in str(error).lower() or "alloc" in str(error).lower():
            raise DeviceMemoryError(
                f"the CPU has too little memory for {shape[0]} of {shape[3]}x{shape[2]} at once",
                "close other programs, or pass a smaller --batch",
            ) from error
        raise ArchitectureError(
            f"OpenVINO cannot run the model on {shape[3]}x{shape[2]}: {one_line(error)}",
            "pass another --backend",
        ) from error


def _precision_hint(precision: Precision) -> str:
    """OpenVINO's name for the number format of what is not in integers."""
    in_bf16 = precision == "bf16" or (precision == "int8" and cpu_is_faster_in_bf16())
    return "bf16" if in_bf16 else "f32"


def _dividing(streams: int) -> dict[str, Any]:
    """OpenVINO's properties for so many pictures at a time."""
    if streams == 1:
        return {"PERFORMANCE_HINT": "LATENCY"}
    return {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
