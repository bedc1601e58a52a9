"""Random small networks and the ways people's files hold them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tests.weights import ncnn_writer
from tests.weights.ncnn_writer import Spelling
from vidsr.models import Architecture

SRVGG = Architecture.srvgg(num_feat=4, num_conv=2, upscale=2, act_type="prelu")
RRDB = Architecture.rrdb(num_feat=5, num_block=2, num_grow_ch=3, scale=4)


def random_state(architecture: Architecture, seed: int = 0) -> dict[str, Tensor]:
    """Float32 values that are no float16 values, under the official names."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        layout = architecture.build().state_dict()
    return {name: torch.randn(value.shape, generator=generator) for name, value in layout.items()}


def write_ncnn(
    architecture: Architecture,
    state: dict[str, Tensor],
    param: Path,
    *,
    half: bool = False,
    spelling: Spelling = "optimised",
) -> ncnn_writer.Graph:
    a = architecture.arguments
    if architecture.kind == "srvgg":
        graph = ncnn_writer.srvgg(
            state, upscale=int(a["upscale"]), act_type=str(a["act_type"]), half=half, spelling=spelling
        )
    else:
        total = int(a["scale"]) * int(a["unshuffle"])
        factors = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[total]
        graph = ncnn_writer.rrdb(
            state,
            num_block=int(a["num_block"]),
            factors=factors,
            unshuffle=int(a["unshuffle"]),
            half=half,
            spelling=spelling,
        )
    param.write_text(graph.param())
    param.with_suffix(".bin").write_bytes(graph.data)
    return graph


def first_esrgan_names(state: dict[str, Tensor], num_block: int, doublings: int) -> dict[str, Tensor]:
    """The names of ESRGAN's first release, from its network's layout: one nn.Sequential called model."""
    places = {"conv_first": "model.0", "conv_body": f"model.1.sub.{num_block}"}
    places |= {f"conv_up{i}": f"model.{3 * i}" for i in range(1, doublings + 1)}
    places |= {"conv_hr": f"model.{3 * doublings + 2}", "conv_last": f"model.{3 * doublings + 4}"}
    renamed = {}
    for name, tensor in state.items():
        layer, _, part = name.rpartition(".")
        if layer.startswith("body."):
            _, block, dense, conv = layer.split(".")
            renamed[f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{part}"] = tensor
        else:
            renamed[f"{places[layer]}.{part}"] = tensor
    return renamed


def mmsr_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of ESRGAN's second release."""
    words = {"conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv"}
    renamed = {}
    for name, tensor in state.items():
        layer, _, part = name.rpartition(".")
        layer = words.get(layer, layer)
        if layer.startswith("body."):
            layer = layer.replace("body.", "RRDB_trunk.").replace(".rdb", ".RDB")
        renamed[f"{layer}.{part}"] = tensor
    return renamed
