"""Files of named tensors: PyTorch's .pth and .safetensors.

A weight file is data from a stranger: nothing in it is ever executed, and nothing is allocated
that the file does not hold. It knows containers, never what the tensors are of.
"""

from __future__ import annotations

import os
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vidsr.errors import WeightsFormatError

# The largest network of the two families that is in use, a 23-block RRDBNet, has 67 MB in float32.
LARGEST_BYTES = 1 << 30

# What torch.load raises for files that are cut, flipped or forged: its unpickler, its zip reader and
# the rebuilding of tensors each have their own.
_LOAD_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    AssertionError,
    ArithmeticError,
    EOFError,
    MemoryError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
)


def read_pth(path: Path) -> object:
    """What torch.save wrote, if it is made of tensors and plain containers only.

    Raises WeightsFormatError for a damaged file, one above LARGEST_BYTES, and one that would run code.
    """
    _check_size(path)
    _check_zip(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old storage classes and TorchScript files
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if wanted := re.search(r"(?:GLOBAL|[Uu]nsupported class) ([\w.]+)", str(error)):
            raise WeightsFormatError(
                f"{path} wants to run or build {wanted[1]} when it is loaded; refused",
                "model files need no code: get this model as .safetensors, or from its author",
            ) from error
        # torch's own words advise to load the file with its code
        raise _damaged(path, ValueError("it does not hold what torch.save writes")) from error
    except _LOAD_ERRORS as error:
        raise _damaged(path, error) from error


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """(tensors by name, the file's own notes). Raises WeightsFormatError for a damaged file."""
    _check_size(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, RuntimeError, ValueError, TypeError, OSError, AttributeError) as error:
        raise _damaged(path, error) from error


def plain_floats(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors as float32 copies in plain memory order.

    Raises WeightsFormatError for tensors that are no dense, finite floating-point numbers or too large.
    """
    total = 0
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or not tensor.is_floating_point() or tensor.is_quantized:
            raise WeightsFormatError(
                f"{path}: the tensor {name} is {tensor.dtype}, not floating-point numbers"
            )
        total += 4 * tensor.numel()  # a view can promise more values than its file has
        if total > LARGEST_BYTES:
            raise WeightsFormatError(f"{path}: its tensors need over {LARGEST_BYTES >> 20} MiB")
        plain[name] = tensor.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        if not bool(torch.isfinite(plain[name]).all()):
            raise WeightsFormatError(f"{path}: the tensor {name} holds values that are no numbers")
    return plain


def _check_size(path: Path) -> None:
    try:
        with path.open("rb") as file:  # what reads it says of all that may not be read that it is not there
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise WeightsFormatError(
            f"{path} cannot be read: {error.strerror}", "check the path and its permissions"
        ) from error
    if size > LARGEST_BYTES:
        raise WeightsFormatError(f"{path} has {size >> 20} MiB; no such model has over {LARGEST_BYTES >> 20}")


def _check_zip(path: Path) -> None:
    """torch.save stores without compression; entries that would unpack to more are no such file."""
    try:
        if not zipfile.is_zipfile(path):
            return  # PyTorch before 1.6 wrote bare pickles
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    if unpacked > LARGEST_BYTES:
        raise WeightsFormatError(f"{path} would unpack to {unpacked >> 20} MiB")


def _damaged(path: Path, error: BaseException) -> WeightsFormatError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return WeightsFormatError(
        f"{path} is damaged, or not a model file: {lines[0].rstrip('.')}", "fetch the file again"
    )
