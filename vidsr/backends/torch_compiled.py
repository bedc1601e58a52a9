"""torch with the layers fused and compiled by inductor: torch's own fastest way, for whoever waits for it.

Compiling takes a C++ compiler and, the first time, about half a minute of a 2-core CPU; what it gives
is kept by torch in a folder of its own, so that a later start takes a few seconds. Only pictures of the size
that is seen first are compiled for (whole ones, in a job), for any number of them at once: a batch is
shorter where earlier pictures are shown again, or a segment ends. Others go the plain way.

Measured on a 2-core AVX-512 BF16 machine (640x480, animevideov3, bf16): 0.63 s a frame where torch as
it is takes 0.75, and OpenVINO 0.455.
"""

from __future__ import annotations

import copy
import importlib.util
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from vidsr.backends.base import Checkpoint, never_stop
from vidsr.backends.choose import VOLTA
from vidsr.backends.device_faults import is_out_of_memory
from vidsr.backends.torch_eager import TorchBackend, full_float32, out_of_memory
from vidsr.errors import DeviceError, ToolMissingError
from vidsr.models.base import Network

COMPILERS = ("c++", "g++", "clang++", "cl")


def compiler_is_installed() -> bool:
    """Whether inductor finds a C++ compiler for what it writes."""
    return any(shutil.which(name) for name in COMPILERS)


class CompiledTorchBackend(TorchBackend):
    """A network that inductor has compiled for one size, with its weights in the layout the CPU likes.

    A running call cannot be abandoned: the checkpoint is asked before it, not between layers.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        dtype: torch.dtype,
        *,
        checkpoint: Checkpoint = never_stop,
    ) -> None:
        """Raises ToolMissingError without what inductor needs: a C++ compiler, on CUDA Triton; DeviceError
        for cards that it cannot compile for.
        """
        if device.type == "cpu" and not compiler_is_installed():
            raise ToolMissingError(
                "inductor needs a C++ compiler", "install g++ or clang++, or leave out --backend"
            )
        if device.type == "cuda":
            _check_triton(device)
        super().__init__(network, device, dtype, checkpoint=checkpoint)
        self.words = f"{self.words}, compiled"
        self._checkpoint = checkpoint
        self._plain = network
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._size: torch.Size | None = None
        self._counts: set[int] = set()

    def __call__(self, batch: Tensor) -> Tensor:
        if self._size not in (None, batch.shape[1:]):
            return super().__call__(batch)
        self._checkpoint()
        is_new = len(batch) not in self._counts
        try:
            with _unwarned() if is_new else nullcontext():
                larger = self._run(self._graph(), batch)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise out_of_memory(self.device, batch) from error
            if is_new:
                raise _could_not_compile(error) from error
            raise
        self._size = batch.shape[1:]
        self._counts.add(len(batch))
        return larger

    def _graph(self) -> Callable[[Tensor], Tensor]:
        """Compiled when it is called: for one number of pictures, then, if another comes, for any."""
        if self._compiled is None:
            # a copy without the hooks that ask the checkpoint: they are no operations of a graph
            network = copy.deepcopy(self._plain).to(device=self.device, dtype=self.dtype).eval()
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._compiled = torch.compile(network, options={"freezing": True})
        return self._compiled

    @staticmethod
    def _run(compiled: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        # frozen weights are constants of the graph, which needs gradients off but no inference mode
        with torch.inference_mode(mode=False), torch.no_grad(), full_float32(batch.dtype):
            return compiled(batch.clone(memory_format=torch.channels_last))


@contextmanager
def _unwarned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch says of itself: deprecations, TF32 it would like
        yield


def _check_triton(device: torch.device) -> None:
    if importlib.util.find_spec("triton") is None:
        raise ToolMissingError("inductor needs Triton on CUDA", "install triton, or leave out --backend")
    if torch.version.hip is None and torch.cuda.get_device_capability(device) < VOLTA:
        raise DeviceError(
            f"inductor cannot compile for {torch.cuda.get_device_name(device)}", "leave out --backend"
        )


def _could_not_compile(error: RuntimeError) -> DeviceError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return DeviceError(f"inductor could not compile the network: {said[0]}", "leave out --backend")
