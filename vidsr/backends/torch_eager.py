"""torch as it is: runs everywhere, and is the plain path that every faster backend is compared with."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vidsr.backends.base import Checkpoint, never_stop
from vidsr.backends.choose import DTYPES
from vidsr.backends.device_faults import faults_named, is_out_of_memory
from vidsr.errors import DeviceMemoryError
from vidsr.models.base import Network


class TorchBackend:
    """A network run layer by layer.

    Weights and batches are channels_last: on a 2-core AVX-512 machine that took 1.64 s a frame where
    NCHW took 2.5 (fp32, 640x480), and CUDA's tensor cores want it too.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        dtype: torch.dtype,
        *,
        checkpoint: Checkpoint = never_stop,
    ) -> None:
        """Raises DeviceMemoryError where the weights do not fit, DeviceError where torch cannot run there."""
        self.device = device
        self.dtype = dtype
        self.scale = network.scale
        self.halo = network.halo
        self.input_multiple = network.input_multiple
        self.streams = 1
        self.words = f"torch {precision_words(dtype)} on {device_words(device)}"
        # A copy: the caller's network stays in fp32 for whoever wants it next.
        with faults_named(device):
            self._network = copy.deepcopy(network).to(device=device, dtype=dtype).eval()
            self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def before_layer(_module: nn.Module, _inputs: Any) -> None:
            checkpoint()

        # A frame of the largest net takes a minute on a small CPU; between layers it is interruptible.
        for module in self._network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(before_layer)

    @torch.inference_mode()
    def __call__(self, batch: Tensor) -> Tensor:
        try:
            with full_float32(self.dtype):
                result: Tensor = self._network(batch.contiguous(memory_format=torch.channels_last))
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise out_of_memory(self.device, batch) from error
            raise
        return result


@contextmanager
def full_float32(dtype: torch.dtype) -> Iterator[None]:
    """Within it, convolutions of float32 multiply float32.

    On CUDA torch lets cuDNN multiply TF32 instead, which has float16's 10 bits: nobody who asks for fp32
    wants that, since fp16 is faster and as exact. The setting is the process's, so it is put back when the
    last thread leaves.
    """
    if dtype != torch.float32:
        yield
        return
    _ieee.enter()
    try:
        yield
    finally:
        _ieee.leave()


class _IeeeConvolutions:
    """torch's setting, held while any thread needs it, and what it was before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before = ("", "")

    def enter(self) -> None:
        cudnn: Any = torch.backends.cudnn
        with self._lock:
            if self._holders == 0:
                self._before = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
                cudnn.allow_tf32 = False  # both: where they differ, torch refuses to say what allow_tf32 is
            self._holders += 1

    def leave(self) -> None:
        cudnn: Any = torch.backends.cudnn
        with self._lock:
            self._holders -= 1
            if self._holders > 0:
                return
            if self._before == ("tf32", "tf32"):
                cudnn.allow_tf32 = True
            else:
                cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = self._before


_ieee = _IeeeConvolutions()


def out_of_memory(device: torch.device, batch: Tensor) -> DeviceMemoryError:
    """The error for a batch that did not fit."""
    n, _, height, width = batch.shape
    return DeviceMemoryError(
        f"{device_words(device)} has too little memory for {n} of {width}x{height} at once",
        "close other programs that use the device, or pass a smaller --batch",
    )


def precision_words(dtype: torch.dtype) -> str:
    """The number format's name as the command line has it: "fp32", "bf16", "fp16"."""
    names = {known: name for name, known in DTYPES.items()}
    return names.get(dtype, str(dtype).removeprefix("torch."))


def device_words(device: torch.device) -> str:
    """A device's name for people: "cpu", or the card's own name."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} ({device})"
    return str(device)
