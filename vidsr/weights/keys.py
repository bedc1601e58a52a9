"""Tensor names as people's files have them, turned into the official ones.

Training programs wrap the tensors (`params_ema`), prefix them (`module.`) or, before Real-ESRGAN,
named them otherwise. It knows names, never what the tensors mean together (`detect` does).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from vidsr.errors import ArchitectureError, WeightsFormatError

# In the order of preference: the exponential moving average is the network that authors publish.
WRAPPERS = ("params_ema", "params-ema", "params", "state_dict", "model", "net")

# of DataParallel, of training loops that hold the generator beside a discriminator, of torch.compile
PREFIXES = ("module.", "netG.", "generator.", "_orig_mod.")


def unwrap(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, whatever it wraps and prefixes them with.

    Raises WeightsFormatError where there is no dictionary of tensors.
    """
    for _ in range(len(WRAPPERS)):  # wrappers can be nested
        if not isinstance(content, Mapping):
            break
        inner = next((content[name] for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise WeightsFormatError(f"{path} holds no tensors by name", "a checkpoint of a whole model has them")
    tensors: dict[str, Tensor] = {}
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise WeightsFormatError(
                f"{path}: the entry {name!r} is a {type(value).__name__}, not a tensor",
                "this may be a training state; the published model file is wanted",
            )
        tensors[name] = value
    return _strip_prefixes(tensors)


def _strip_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while True:
        prefix = next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), None)
        if prefix is None:
            return tensors
        tensors = {name[len(prefix) :]: tensor for name, tensor in tensors.items()}


def official_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under Real-ESRGAN's names, if they have one of ESRGAN's two older sets of names.

    Raises ArchitectureError for the older ESRGAN variants that RRDBNet cannot express.
    """
    if "model.0.weight" in tensors and any(name.startswith("model.1.sub.") for name in tensors):
        return _rename_first_esrgan(tensors)
    if any(name.startswith("RRDB_trunk.") for name in tensors):
        return {_mmsr_name(name): tensor for name, tensor in tensors.items()}
    return dict(tensors)


def _rename_first_esrgan(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of ESRGAN's first release: positions in one nn.Sequential.

    0: first convolution. 1: trunk, its last entry a convolution. Then for each doubling an
    nn.Upsample, a convolution and an activation; then a convolution, an activation, a convolution.
    """
    trunk = re.compile(r"model\.1\.sub\.(\d+)\.RDB([123])\.conv([1-5])\.0\.(weight|bias)")
    trunk_end = re.compile(r"model\.1\.sub\.(\d+)\.(weight|bias)")
    top = re.compile(r"model\.(\d+)\.(weight|bias)")
    tail = sorted({int(m[1]) for name in tensors if (m := top.fullmatch(name)) and int(m[1]) >= 2})
    doublings = len(tail) - 2
    if doublings < 0 or tail != [*range(3, 3 * doublings + 1, 3), 3 * doublings + 2, 3 * doublings + 4]:
        positions = ", ".join(map(str, tail))
        raise ArchitectureError(
            f"an ESRGAN with convolutions at the positions {positions} after its trunk",
            "only ESRGAN with nearest-neighbour upsampling can be read, not its pixel-shuffle variant",
        )
    places = {0: "conv_first", tail[-2]: "conv_hr", tail[-1]: "conv_last"}
    places |= {position: f"conv_up{number}" for number, position in enumerate(tail[:-2], start=1)}
    renamed: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if m := trunk.fullmatch(name):
            renamed[f"body.{m[1]}.rdb{m[2]}.conv{m[3]}.{m[4]}"] = tensor
        elif m := trunk_end.fullmatch(name):
            renamed[f"conv_body.{m[2]}"] = tensor
        elif (m := top.fullmatch(name)) and int(m[1]) in places:
            renamed[f"{places[int(m[1])]}.{m[2]}"] = tensor
        else:
            renamed[name] = tensor  # detection names it as the one that does not belong
    return renamed


def _mmsr_name(name: str) -> str:
    """The names of ESRGAN's second release (the training program mmsr)."""
    if m := re.fullmatch(r"RRDB_trunk\.(\d+)\.RDB([123])\.(conv[1-5]\.(?:weight|bias))", name):
        return f"body.{m[1]}.rdb{m[2]}.{m[3]}"
    if m := re.fullmatch(r"upconv(\d+)\.(weight|bias)", name):
        return f"conv_up{m[1]}.{m[2]}"
    return re.sub(r"^HRconv\.", "conv_hr.", re.sub(r"^trunk_conv\.", "conv_body.", name))
