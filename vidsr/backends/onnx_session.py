"""A graph in ONNX Runtime: pictures as tensors in, larger ones out.

It knows the runtime and layouts, never factors, halos or tiles.
"""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vidsr.backends.base import Checkpoint, never_stop
from vidsr.backends.torch_eager import device_words, out_of_memory
from vidsr.errors import ArchitectureError, DeviceError, ToolMissingError, VidsrError
from vidsr.models.graph import Layout, NumberFormat, Port

if TYPE_CHECKING:
    import onnxruntime

LOOK_UP_SECONDS = 0.05
"""How often a running computation asks whether it is still wanted."""
DTYPES: dict[NumberFormat, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16}
MOST_CHARACTERS = 160
"""Of a runtime's message within ours."""
FATAL = 4
"""The log level of the runtime: what goes wrong is raised, and says so itself."""


class OnnxSession:
    """A graph, ready to run on one device.

    result_layout: found at the first run, since many files leave the output's shape open.
    """

    result_layout: Layout | None = None

    def __init__(
        self, content: bytes, source: Port, result_name: str, device: torch.device, *, exact: bool = False
    ) -> None:
        """exact: multiply fp32 as fp32 on CUDA, not as TF32, which has fp16's digits.

        Raises ArchitectureError where the runtime cannot run the graph, ToolMissingError where it was
        built without CUDA, DeviceError without a device.
        """
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # builds for Windows report to Microsoft
        self.device = device
        self.dtype = DTYPES[source.number_format]
        self._source = source
        self._result_name = result_name
        self._errors = runtime_errors()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = FATAL
        # The number torch uses, and no busy waiting: decoder and encoder work beside it.
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        if device.type == "cuda":
            _check_cuda(onnxruntime.get_available_providers())
            providers.insert(0, ("CUDAExecutionProvider", cuda_options(device, exact=exact)))
        elif device.type != "cpu":
            raise DeviceError(f"ONNX Runtime cannot be used on {device}", "pass --device cpu")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=providers)
        except self._errors as error:
            raise ArchitectureError(f"ONNX Runtime cannot run it: {one_line(error)}") from error
        if device.type == "cuda" and "CUDAExecutionProvider" not in self._session.get_providers():
            raise DeviceError(
                f"ONNX Runtime could not start on {device_words(device)}",
                "install the CUDA libraries that onnxruntime-gpu was built for, or pass --device cpu",
            )
        # One thread: it only hands over to the runtime's own threads and waits, so that this one can look up.
        self._waiter = ThreadPoolExecutor(1, thread_name_prefix="onnxruntime")

    def __call__(self, batch: Tensor, checkpoint: Checkpoint = never_stop) -> Tensor:
        """(N, 3, H, W) on the CPU -> (N, 3, H', W'), both self.dtype.

        Raises ArchitectureError where the graph does not take this size or gives no RGB pictures,
        DeviceMemoryError when there is too little memory.
        """
        picture = _as_stored(batch, self._source.layout).numpy()
        options = self._new_run()
        running = self._waiter.submit(
            self._session.run, [self._result_name], {self._source.name: picture}, options
        )
        try:
            (result,) = self._wait(running, options, checkpoint)
        except self._errors as error:
            raise self._explained(error, batch) from error
        found = torch.from_numpy(result)
        if self.result_layout is None:
            self.result_layout = _layout_of(found)
        return _as_nchw(found, self.result_layout).to(self.dtype)

    def on_cuda(self, batch: Tensor, scale: int, result: Port) -> Tensor:
        """The same on the CUDA device, for a graph of known factor and result; no copy to the host."""
        picture = _as_stored(batch, self._source.layout)
        count, _, height, width = batch.shape
        rows, columns = height * scale, width * scale
        shape = (count, 3, rows, columns) if result.layout == "NCHW" else (count, rows, columns, 3)
        enlarged = torch.empty(shape, dtype=DTYPES[result.number_format], device=self.device)
        binding = self._session.io_binding()
        for bind, port, tensor in (
            (binding.bind_input, self._source, picture),
            (binding.bind_output, result, enlarged),
        ):
            element = np.float32 if tensor.dtype == torch.float32 else np.float16
            bind(port.name, "cuda", self.device.index or 0, element, tuple(tensor.shape), tensor.data_ptr())
        # The runtime computes on a stream of its own: what torch queued must be done before, and its work
        # before torch goes on.
        torch.cuda.current_stream(self.device).synchronize()
        try:
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        except self._errors as error:
            raise self._explained(error, batch) from error
        return _as_nchw(enlarged, result.layout).to(self.dtype)

    def _new_run(self) -> onnxruntime.RunOptions:
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.log_severity_level = FATAL
        return options

    def _wait(self, running: Future[Any], options: onnxruntime.RunOptions, checkpoint: Checkpoint) -> Any:
        try:
            while True:
                try:
                    return running.result(LOOK_UP_SECONDS)
                except TimeoutError:
                    checkpoint()
        except BaseException:
            options.terminate = True
            wait([running])
            raise

    def _explained(self, error: Exception, batch: Tensor) -> VidsrError:
        if "alloc" in str(error).lower():
            return out_of_memory(self.device, batch)
        height, width = batch.shape[2:]
        return ArchitectureError(f"the model cannot take {width}x{height}: {one_line(error)}")


def cuda_options(device: torch.device, *, exact: bool) -> dict[str, str]:
    """What the runtime is told of CUDA; see OnnxSession for exact.

    Its usual search for the fastest convolution tries all of them, again for every new shape: the windows of
    reuse have up to 16 shapes in several numbers, and each would cost seconds.
    """
    return {
        "device_id": str(device.index or 0),
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0" if exact else "1",
    }


def runtime_errors() -> tuple[type[Exception], ...]:
    """What the runtime raises, which has no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(
        kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)
    )


def one_line(error: Exception) -> str:
    """The telling part of a runtime's message, which has many lines and names its own source files."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"\S+/\S+\.(?:cpp|cc|h):\d+:?( \S+\(.*?\))?", "", text).strip()
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 3] + "..."


def _check_cuda(available: list[str]) -> None:
    if "CUDAExecutionProvider" not in available:
        raise ToolMissingError(
            "the installed ONNX Runtime has no CUDA support",
            "install onnxruntime-gpu instead of onnxruntime, or pass --device cpu",
        )


def _layout_of(result: Tensor) -> Layout:
    shape = tuple(result.shape)
    if len(shape) == 4 and 3 in (shape[1], shape[3]):
        return "NCHW" if shape[1] == 3 else "NHWC"
    raise ArchitectureError(
        f"the model gives {'x'.join(map(str, shape))} numbers, no RGB picture",
        "only models that turn one RGB picture into a larger one can be used",
    )


def _as_stored(batch: Tensor, layout: Layout) -> Tensor:
    return (batch if layout == "NCHW" else batch.permute(0, 2, 3, 1)).contiguous()


def _as_nchw(result: Tensor, layout: Layout) -> Tensor:
    return result if layout == "NCHW" else result.permute(0, 3, 1, 2)
