"""Which network tensors belong to, told from their official names and shapes alone.

Two things cannot be told from tensors. A ReLU and a leaky ReLU have none: `activation` finds out by
running the network. The oldest ESRGAN networks have the same tensors for x3 as for x2, and almost
none were x3: taken as x2, unless a preset says scale = 3. It knows shapes, never values or files.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from vidsr.errors import ArchitectureError
from vidsr.models.architecture import Architecture

OTHER_FAMILIES_HINT = (
    "other families than SRVGGNetCompact (Compact) and RRDBNet (ESRGAN) run as .onnx files, "
    "or from .pth with the extra [spandrel]"
)

_BODY = re.compile(r"body\.(\d+)\.(?:weight|bias)")
_BLOCK = re.compile(r"body\.(\d+)\.rdb[123]\.conv[1-5]\.(?:weight|bias)")
_UP = re.compile(r"conv_up(\d+)\.(?:weight|bias)")


def detect(tensors: Mapping[str, Tensor]) -> list[Architecture]:
    """The architectures that these tensors fit: one, or two that differ only in act_type.

    Raises ArchitectureError that names the first tensor which is missing, too many or misshapen.
    """
    if "conv_first.weight" in tensors:
        candidates = [_rrdb(tensors)]
    elif "body.0.weight" in tensors:
        candidates = _srvgg(tensors)
    else:
        some = ", ".join(sorted(tensors)[:3])
        raise ArchitectureError(f"the tensors ({some}, ...) are of no known network", OTHER_FAMILIES_HINT)
    check_fit(tensors, candidates[0])
    return candidates


def fits(tensors: Mapping[str, Tensor], architecture: Architecture) -> bool:
    """Whether the tensors are this architecture's, none missing and none too many."""
    try:
        check_fit(tensors, architecture)
    except ArchitectureError:
        return False
    return True


def check_fit(tensors: Mapping[str, Tensor], architecture: Architecture) -> None:
    """Raises ArchitectureError naming the first tensor that the architecture has not, or has otherwise."""
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in architecture.build().state_dict().items()}
    for name, shape in wanted.items():
        if name not in tensors:
            raise ArchitectureError(f"{architecture} lacks the tensor {name}", OTHER_FAMILIES_HINT)
        if tuple(tensors[name].shape) != shape:
            found = "x".join(map(str, tensors[name].shape)) or "a single number"
            raise ArchitectureError(
                f"{name} is {found}, not {'x'.join(map(str, shape))} as in {architecture}",
                OTHER_FAMILIES_HINT,
            )
    for name in tensors:
        if name not in wanted:
            raise ArchitectureError(f"{architecture} has no tensor {name}", OTHER_FAMILIES_HINT)


def _srvgg(tensors: Mapping[str, Tensor]) -> list[Architecture]:
    # Only as many layers as there are tensors are ever counted: a huge index in a name costs nothing.
    indices = sorted({int(m[1]) for name in tensors if (m := _BODY.fullmatch(name))})
    convolutions = [i for i in indices if _shape(tensors, f"body.{i}.weight", None)[1:]]
    slopes = [i for i in indices if len(_shape(tensors, f"body.{i}.weight", None)) == 1]
    if convolutions != list(range(0, 2 * len(convolutions), 2)) or len(convolutions) < 2:
        raise ArchitectureError(
            "its body is not convolutions with an activation after each", OTHER_FAMILIES_HINT
        )
    if slopes and slopes != list(range(1, 2 * len(convolutions) - 1, 2)):
        raise ArchitectureError("only some of its activations have slopes", OTHER_FAMILIES_HINT)
    num_feat, in_channels = _shape(tensors, "body.0.weight", 4)[:2]
    out_channels = _shape(tensors, f"body.{convolutions[-1]}.weight", 4)[0]
    upscale = math.isqrt(out_channels // 3)
    if in_channels != 3 or upscale < 1 or out_channels != 3 * upscale**2:
        raise ArchitectureError(
            f"it takes {in_channels} channels and makes {out_channels}; only RGB pictures can be enlarged"
        )
    return [
        Architecture.srvgg(
            num_feat=num_feat, num_conv=len(convolutions) - 2, upscale=upscale, act_type=act_type
        )
        for act_type in (("prelu",) if slopes else ("relu", "leakyrelu"))
    ]


def _rrdb(tensors: Mapping[str, Tensor]) -> Architecture:
    blocks = {int(m[1]) for name in tensors if (m := _BLOCK.fullmatch(name))}
    doublings = len({m[1] for name in tensors if (m := _UP.fullmatch(name))})
    num_feat, in_channels = _shape(tensors, "conv_first.weight", 4)[:2]
    unshuffle = math.isqrt(in_channels // 3)
    out_channels = _shape(tensors, "conv_last.weight", 4)[0]
    if out_channels != 3 or unshuffle < 1 or in_channels != 3 * unshuffle**2:
        raise ArchitectureError(
            f"it takes {in_channels} channels and makes {out_channels}; only RGB pictures can be enlarged"
        )
    if 2**doublings % unshuffle:
        raise ArchitectureError(f"it folds its input by {unshuffle} and enlarges {2**doublings} times")
    return Architecture.rrdb(
        num_feat=num_feat,
        num_block=len(blocks),
        num_grow_ch=_shape(tensors, "body.0.rdb1.conv1.weight", 4)[0],
        scale=2**doublings // unshuffle,
        unshuffle=unshuffle,
    )


def _shape(tensors: Mapping[str, Tensor], name: str, dimensions: int | None) -> tuple[int, ...]:
    if name not in tensors:
        raise ArchitectureError(f"the tensor {name} is missing", OTHER_FAMILIES_HINT)
    shape = tuple(tensors[name].shape)
    if dimensions is not None and len(shape) != dimensions:
        raise ArchitectureError(f"{name} has {len(shape)} dimensions, not {dimensions}", OTHER_FAMILIES_HINT)
    return shape
