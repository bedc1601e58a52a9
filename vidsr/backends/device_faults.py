"""What torch says when a device fails, as errors of ours.

It knows torch's words, never what was computed. CUDA reports an error of a kernel at some later call, so
that these are met wherever torch is called, not only where a network is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vidsr.errors import DeviceError, DeviceFailedError, DeviceMemoryError

OUT_OF_MEMORY = (
    "CUDA out of memory",  # of torch's allocator, where inductor has wrapped it
    "error: out of memory",  # of the driver (CUDA's, HIP's): for pinned memory, a kernel's code, a context
    "MPS backend out of memory",
    "STATUS_ALLOC_FAILED",  # of cuDNN and cuBLAS, which have memory of their own
    "ALLOCATION_FAILED",  # cuDNN 9
    "unable to find an engine",  # of torch, when cuDNN had no workspace for any of its ways
    "can't allocate memory",  # of torch on a CPU
    "not enough memory",  # the same on Windows
)
"""Words of errors that are no torch.OutOfMemoryError, which only torch's own allocator on a device raises."""
DEVICE_FAILED = (
    "CUDA error",
    "CUDA driver error",
    "CUDA unknown error",
    "HIP error",
    "cuDNN error",
    "CUDNN_STATUS",
    "CUBLAS_STATUS",
)
NO_CODE = "no kernel image"


def is_out_of_memory(error: Exception) -> bool:
    """Whether less at once may do."""
    if isinstance(error, DeviceMemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


@contextmanager
def faults_named(device: torch.device) -> Iterator[None]:
    """Within it, what torch raises when the device fails is a DeviceError or a DeviceMemoryError.

    What it raises for other reasons is left as it is: that is a bug.
    """
    try:
        yield
    except RuntimeError as error:
        # Not kept in a variable: with its traceback it would keep alive itself, and all tensors on the way
        if is_out_of_memory(error):
            raise _memory_error(device) from error
        if isinstance(error, torch.AcceleratorError) or any(words in str(error) for words in DEVICE_FAILED):
            raise _device_error(error, device) from error
        raise


def _memory_error(device: torch.device) -> DeviceMemoryError:
    return DeviceMemoryError(
        f"{device} has too little memory",
        "close other programs that use it, or pass --tile 128"
        + ("" if device.type == "cpu" else " or --device cpu"),
    )


def _device_error(error: RuntimeError, device: torch.device) -> DeviceError:
    said = str(error).strip().splitlines()[0]
    if NO_CODE in said:
        return DeviceError(
            f"the installed torch has no code for {device}",
            "install a build of torch made for this card, or pass --device cpu",
        )
    return DeviceFailedError(
        f"{device} failed: {said}", "run it again; if it fails again, update its driver or pass --device cpu"
    )
