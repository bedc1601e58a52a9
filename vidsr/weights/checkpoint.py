"""What every file format is read into: the architecture and its tensors under their official names.

It knows tensors and names, never files, folders or the network.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction

import torch
from torch import Tensor

from vidsr.models.architecture import Architecture

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Weights as read from one file or pair of files.

    state: float32 tensors on the CPU, official names, exactly those that architecture.build() has.
    requested_scale: the factor that the file itself wants its output resized to, where that is not
    the native one (ncnn graphs that end in a resize); None otherwise.
    notes: what had to be inferred and could be wrong, one sentence each, for people.
    """

    architecture: Architecture
    state: StateDict
    requested_scale: Fraction | None = None
    notes: tuple[str, ...] = ()


def content_digest(architecture: Architecture, state: StateDict) -> str:
    """sha256 (hexadecimal) of a network: its architecture and float32 values, whatever the file format."""
    digest = hashlib.sha256(json.dumps(asdict(architecture), sort_keys=True).encode())
    for name in sorted(state):
        tensor = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"\n{name} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().astype("<f4", copy=False).tobytes())
    return digest.hexdigest()
