"""Which reader a file needs, and the way from its tensors to a checkpoint.

It knows the readers, never where files come from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from vidsr.errors import ArchitectureError, WeightsFormatError
from vidsr.models.architecture import Architecture
from vidsr.weights.activation import infer_activation
from vidsr.weights.checkpoint import Checkpoint
from vidsr.weights.detect import OTHER_FAMILIES_HINT, detect, fits
from vidsr.weights.keys import official_names, unwrap
from vidsr.weights.ncnn_topology import read_ncnn
from vidsr.weights.onnx_file import ONNX_SUFFIX
from vidsr.weights.tensor_files import plain_floats, read_pth, read_safetensors

PTH_SUFFIXES = (".pth", ".pt", ".ckpt")
NCNN_SUFFIXES = (".param", ".bin")
SUFFIXES = (*PTH_SUFFIXES, ".safetensors", *NCNN_SUFFIXES)

GRAPH_HINT = "run it as it is, with --weights and without --model"
OTHER_NETWORK_HINT = "leave out --model to run the file as what it is"

INTEGERS = (torch.int64, torch.int32, torch.bool)

# The key under which `models import` notes the architecture in a .safetensors file.
ARCHITECTURE_NOTE = "vidsr.architecture"


def read_checkpoint(path: Path, expect: Architecture | None = None) -> Checkpoint:
    """Read weights of any known format; an ncnn pair is given by either of its files.

    expect: the architecture that the file must hold; it also settles what tensors alone leave open.

    Raises WeightsFormatError for damaged or unknown files, ArchitectureError for unknown networks
    and for one other than expected.
    """
    suffix = path.suffix.lower()
    if suffix in NCNN_SUFFIXES:
        param, binary = _ncnn_pair(path)
        checkpoint = read_ncnn(param, binary)
        if expect is not None and checkpoint.architecture != expect:
            raise ArchitectureError(
                f"{param} holds {checkpoint.architecture}, not {expect}", OTHER_NETWORK_HINT
            )
        return checkpoint
    if suffix == ".safetensors":
        tensors, notes = read_safetensors(path)
        return _from_tensors(unwrap(tensors, path), path, expect or _noted_architecture(notes, path))
    if suffix in PTH_SUFFIXES:
        return _from_tensors(unwrap(read_pth(path), path), path, expect)
    if suffix == ONNX_SUFFIX:
        raise ArchitectureError(f"{path} holds a graph, not tensors of a known network", GRAPH_HINT)
    raise WeightsFormatError(f"{path} has an unknown format", f"known: {', '.join((*SUFFIXES, ONNX_SUFFIX))}")


def _from_tensors(found: Mapping[str, Tensor], path: Path, expect: Architecture | None) -> Checkpoint:
    for name, tensor in found.items():
        if tensor.dtype in INTEGERS:  # tables of positions, masks
            raise ArchitectureError(
                f"{path}: the tensor {name} of {tensor.dtype} is of no known network", OTHER_FAMILIES_HINT
            )
    state = plain_floats(found, path)
    try:
        state = official_names(state)
        if expect is not None and fits(state, expect):
            return Checkpoint(expect, state)
        candidates = detect(state)
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error.message}", error.hint) from error
    if expect is not None:
        raise ArchitectureError(f"{path} holds {candidates[0]}, not {expect}", OTHER_NETWORK_HINT)
    if len(candidates) > 1:
        architecture, note = infer_activation(candidates, state)
        return Checkpoint(architecture, state, notes=(note,))
    return Checkpoint(candidates[0], state)


def _noted_architecture(notes: Mapping[str, str], path: Path) -> Architecture | None:
    text = notes.get(ARCHITECTURE_NOTE)
    if text is None:
        return None
    try:
        note = json.loads(text)
        return Architecture(note["kind"], note["arguments"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WeightsFormatError(f"{path}: its note {ARCHITECTURE_NOTE} cannot be read: {error}") from error


def _ncnn_pair(path: Path) -> tuple[Path, Path]:
    param, binary = path.with_suffix(".param"), path.with_suffix(".bin")
    for one, other in ((param, binary), (binary, param)):
        if not one.is_file():
            raise WeightsFormatError(
                f"{one} is missing beside {other.name}", "an ncnn model is the pair of both"
            )
    return param, binary
