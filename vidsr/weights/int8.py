"""Constants of a network in 8-bit integers: made by `benchmarks/int8_tuning.py`, kept beside the presets.

Rounding a network's weights is not enough for a good picture: channels are rescaled so that all use the
whole range of a byte, and the rounded weights are tuned against the network's own output. So a file of
constants belongs to exactly one network's weights, which it names by their digest (`weights.checkpoint`).
It knows tensors and files, never a backend.

A chain of n convolutions computes, with round to even and z the layer's zero point:

    h = prelu(conv(picture, weight[0]) + bias[0], slope[0])                             in float32
    h = prelu(conv(q(h), weight[i]) * scale[i] + bias[i], slope[i])                     for i = 1 to n - 2
    picture enlarged + pixel_shuffle(conv(q(h), weight[n - 1]) * scale[n - 1] + bias[n - 1])
    q(h) = clamp(round(h), -z[i], 255 - z[i])                                           what a layer reads

Where z is None a layer reads h itself, and is multiplied in bf16 or fp32. Three of seventeen, the first two
and the last, keep 0.9 dB of the picture for a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from vidsr.errors import WeightsFormatError
from vidsr.job import Precision
from vidsr.presets import preset_folders
from vidsr.weights.tensor_files import read_safetensors

SUFFIX = ".int8.safetensors"
BELONGS_TO, LOSS, SCALE = "vidsr.weights_digest", "vidsr.psnr_to_fp32_db", "vidsr.scale"


@dataclass(frozen=True, slots=True, eq=False)
class Int8Layer:
    """A convolution that keeps the size, in integers, and what follows it.

    weight: int8 (out, in, k, k) in -127 to 127. scale, bias: float32 (out). slope: of the PReLU, float32
    (out); None where none follows. zero_point: 0 to 255; what it reads is -zero_point to 255 - zero_point.
    None: what it reads is not rounded.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor
    slope: Tensor | None
    zero_point: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Int8Constants:
    """A network in integers.

    weights_digest: of the network it stands for (LoadedNetwork.digest). loss_db: PSNR of its pictures
    against that network's in float32, as measured when it was made. scale: native factor. first_weight,
    first_bias, first_slope: the first convolution's, float32. layers: all others.
    """

    weights_digest: str
    loss_db: float
    scale: int
    first_weight: Tensor
    first_bias: Tensor
    first_slope: Tensor
    layers: tuple[Int8Layer, ...]


def find_constants(weights_digest: str) -> Int8Constants | None:
    """The constants that belong to a network; None where there are none for exactly its weights.

    Raises WeightsFormatError for a damaged file of them.
    """
    for path in constants_files():
        tensors, notes = read_safetensors(path)
        if notes.get(BELONGS_TO) == weights_digest:
            return _constants(tensors, notes, path)
    return None


def constants_for(precision: Precision, weights_digest: str) -> Int8Constants | None:
    """The constants that a network needs to be run in a number format: only int8 needs any.

    None also where int8 is asked for and there are none; whoever is to run it says so. Raises
    WeightsFormatError for a damaged file of them.
    """
    return find_constants(weights_digest) if precision == "int8" else None


def constants_files() -> list[Path]:
    """Every file of constants; each is named as the preset whose weights it was made from."""
    return [path for folder in preset_folders() for path in sorted(folder.glob(f"*{SUFFIX}"))]


def loss_of(model: str) -> float | None:
    """PSNR in dB against float32 that a preset's constants were measured to give; None without constants.

    Raises WeightsFormatError for a damaged file.
    """
    for path in constants_files():
        if path.name == model + SUFFIX:
            _, notes = read_safetensors(path)
            return _loss(notes, path)
    return None


def save_constants(constants: Int8Constants, path: Path, **notes: str) -> None:
    """Write a file that `find_constants` reads. notes: how it was made, for people."""
    tensors = {
        "first.weight": constants.first_weight,
        "first.bias": constants.first_bias,
        "first.slope": constants.first_slope,
        "zero_points": torch.tensor(
            [-1 if layer.zero_point is None else layer.zero_point for layer in constants.layers],
            dtype=torch.int16,
        ),
    }
    for number, layer in enumerate(constants.layers, start=1):
        tensors |= {f"{number}.weight": layer.weight, f"{number}.scale": layer.scale}
        tensors[f"{number}.bias"] = layer.bias
        if layer.slope is not None:
            tensors[f"{number}.slope"] = layer.slope
    metadata = {
        BELONGS_TO: constants.weights_digest,
        LOSS: f"{constants.loss_db:.1f}",
        SCALE: str(constants.scale),
    }
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata | notes)
    path.write_bytes(content)


def _constants(tensors: Mapping[str, Tensor], notes: Mapping[str, str], path: Path) -> Int8Constants:
    try:
        zero_points = [int(zero) for zero in tensors["zero_points"]]
        return Int8Constants(
            weights_digest=notes[BELONGS_TO],
            loss_db=_loss(notes, path),
            scale=int(notes[SCALE]),
            first_weight=tensors["first.weight"],
            first_bias=tensors["first.bias"],
            first_slope=tensors["first.slope"],
            layers=tuple(
                Int8Layer(
                    tensors[f"{number}.weight"],
                    tensors[f"{number}.scale"],
                    tensors[f"{number}.bias"],
                    tensors.get(f"{number}.slope"),
                    None if zero < 0 else zero,
                )
                for number, zero in enumerate(zero_points, start=1)
            ),
        )
    except (KeyError, ValueError) as error:
        raise WeightsFormatError(f"{path} is no file of int8 constants: {error}") from error


def _loss(notes: Mapping[str, str], path: Path) -> float:
    try:
        return float(notes[LOSS])
    except (KeyError, ValueError) as error:
        raise WeightsFormatError(f"{path} does not say what int8 costs: {error}") from error
