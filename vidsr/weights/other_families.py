"""Checkpoints of families that are not ours, told and built by the package spandrel.

The file is read by our own reader, which runs nothing in it; spandrel gets tensors by name.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import torch

from vidsr.errors import ArchitectureError, ToolMissingError
from vidsr.models.foreign import ForeignNetwork
from vidsr.weights.formats import INTEGERS, PTH_SUFFIXES
from vidsr.weights.keys import unwrap
from vidsr.weights.tensor_files import plain_floats, read_pth, read_safetensors

PACKAGE = "spandrel"
SUFFIXES = (*PTH_SUFFIXES, ".safetensors")


def load_other_family(path: Path, unknown: ArchitectureError) -> ForeignNetwork:
    """The network in a checkpoint that our own detection gave up on.

    unknown: what that said, raised again where spandrel is not installed or does not know better.
    Raises ToolMissingError where spandrel is there but cannot be used, ArchitectureError where the
    network is none that enlarges RGB pictures.
    """
    if path.suffix.lower() not in SUFFIXES or importlib.util.find_spec(PACKAGE) is None:
        raise unknown
    spandrel = _import(path)
    content: Any = read_safetensors(path)[0] if path.suffix.lower() == ".safetensors" else read_pth(path)
    tensors = unwrap(content, path)
    tables = {name: tensor.clone() for name, tensor in tensors.items() if tensor.dtype in INTEGERS}
    floats = {name: tensor for name, tensor in tensors.items() if name not in tables}
    state = {**plain_floats(floats, path), **tables}
    try:
        found = spandrel.ModelLoader("cpu").load_from_state_dict(state)
    except spandrel.UnsupportedModelError:
        raise unknown from None
    except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AssertionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ArchitectureError(f"{path} does not fit the network that it resembles: {reason}") from error
    name = found.architecture.name
    if not isinstance(found, spandrel.ImageModelDescriptor) or (
        (found.input_channels, found.output_channels) != (3, 3) or found.size_requirements.square
    ):
        raise ArchitectureError(f"{path} holds {name}, which is no enlarger of RGB pictures of any size")
    dtypes = {torch.float32}
    if found.supports_half:
        dtypes.add(torch.float16)
    if found.supports_bfloat16:
        dtypes.add(torch.bfloat16)
    return ForeignNetwork(found.model, dtypes, name)


def _import(path: Path) -> Any:
    try:
        return importlib.import_module(PACKAGE)
    except (ImportError, RuntimeError, OSError) as error:  # torchvision of another torch raises any of these
        reason = " ".join(str(error).split())
        raise ToolMissingError(
            f"{path} needs {PACKAGE}, which does not start: {reason}",
            "install the torchvision that matches the installed torch",
        ) from error
