"""Writes both families as ncnn graphs, in the two spellings that exporters leave behind.

Independent of the package's reader: it follows ncnn's own converters. "optimised" is what
onnx2ncnn with ncnnoptimize gives (activations fused into convolutions, sums with coefficients in
`Eltwise`), "plain" what pnnx gives (a `ReLU` of its own, multiplications and sums as `BinaryOp`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from torch import Tensor

State = Mapping[str, Tensor]
Spelling = Literal["optimised", "plain"]


@dataclass
class Graph:
    """Lines and bytes so far. offsets: layer name -> the range of bytes that it has in the .bin."""

    half: bool
    spelling: Spelling
    ops: list[tuple[str, str, list[str], str, str]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)

    def op(self, kind: str, inputs: list[str], params: str = "") -> str:
        name = f"{kind}_{len(self.ops)}"
        out = f"blob_{len(self.ops)}"
        self.ops.append((kind, name, inputs, out, params))
        return out

    def _store(self, weight: Tensor) -> None:
        values = weight.detach().numpy().ravel()
        if self.half:
            raw = values.astype("<f2").tobytes()
            self.data += struct.pack("<I", 0x01306B47) + raw + b"\0" * (len(raw) % 4)
        else:
            self.data += struct.pack("<I", 0) + values.astype("<f4").tobytes()

    def conv(self, state: State, name: str, x: str, slope: float | None = None) -> str:
        """slope: of the (leaky) ReLU after it; 0 is a ReLU, None is no activation."""
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        start = len(self.data)
        self._store(weight)
        self.data += bias.detach().numpy().astype("<f4").tobytes()
        explicit = " 11=3 12=1 13=1 14=1 2=1 3=1" if self.spelling == "plain" else ""
        params = f"0={weight.shape[0]} 1=3{explicit} 4=1 5=1 6={weight.numel()}"
        fused = self.spelling == "optimised" and slope is not None
        if fused:
            params += " 9=1" if slope == 0 else f" 9=2 -23310=1,{slope:e}"
        out = self.op("Convolution", [x], params)
        self.offsets[self.ops[-1][1]] = (start, len(self.data))
        return out if fused or slope is None else self.op("ReLU", [out], f"0={slope:e}")

    def prelu(self, slopes: Tensor, x: str) -> str:
        start = len(self.data)
        self.data += slopes.detach().numpy().astype("<f4").tobytes()
        out = self.op("PReLU", [x], f"0={slopes.numel()}")
        self.offsets[self.ops[-1][1]] = (start, len(self.data))
        return out

    def residual(self, result: str, kept: str, scale: float) -> str:
        if self.spelling == "optimised":
            return self.op("Eltwise", [result, kept], f"0=1 -23301=2,{scale:e},1.000000e+00")
        return self.add(self.op("BinaryOp", [result], f"0=2 1=1 2={scale:e}"), kept)

    def add(self, a: str, b: str) -> str:
        return self.op("BinaryOp", [a, b], "0=0" if self.spelling == "plain" else "")

    def nearest(self, x: str, factor: int) -> str:
        explicit = " 3=0 4=0 6=0" if self.spelling == "plain" else ""
        return self.op("Interp", [x], f"0=1 1={factor:e} 2={factor:e}{explicit}")

    def param(self) -> str:
        """The text: every blob that is read more than once goes through a Split, as ncnn demands."""
        readers: dict[str, int] = {}
        for _, _, inputs, _, _ in self.ops:
            for blob in inputs:
                readers[blob] = readers.get(blob, 0) + 1
        taken: dict[str, int] = {}
        lines: list[str] = []
        blobs = 0
        for kind, name, inputs, out, params in self.ops:
            read = []
            for blob in inputs:
                if readers[blob] > 1:
                    read.append(f"{blob}_splitncnn_{taken.get(blob, 0)}")
                    taken[blob] = taken.get(blob, 0) + 1
                else:
                    read.append(blob)
            words = [f"{kind:<24}", f"{name:<24}", str(len(read)), "1", *read, out, params]
            lines.append(" ".join(word for word in words if word))
            blobs += 1
            if (count := readers.get(out, 0)) > 1:
                copies = [f"{out}_splitncnn_{i}" for i in range(count)]
                lines.append(" ".join([f"{'Split':<24}", f"split_{out}", "1", str(count), out, *copies]))
                blobs += count
        return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])


def srvgg(
    state: State, *, upscale: int, act_type: str, half: bool = False, spelling: Spelling = "optimised"
) -> Graph:
    graph = Graph(half, spelling)
    picture = graph.op("Input", [])
    slope = {"prelu": None, "relu": 0.0, "leakyrelu": 0.1}[act_type]
    convolutions = sorted(int(name.split(".")[1]) for name in state if state[name].dim() == 4)
    x = picture
    for index in convolutions[:-1]:
        x = graph.conv(state, f"body.{index}", x, slope)
        if act_type == "prelu":
            x = graph.prelu(state[f"body.{index + 1}.weight"], x)
    x = graph.conv(state, f"body.{convolutions[-1]}", x)
    if upscale > 1 or spelling == "plain":
        x = graph.op("PixelShuffle", [x], f"0={upscale}")
        picture = graph.nearest(picture, upscale)
    graph.add(x, picture)
    return graph


def rrdb(
    state: State,
    *,
    num_block: int,
    factors: tuple[int, ...],
    unshuffle: int = 1,
    half: bool = False,
    spelling: Spelling = "optimised",
) -> Graph:
    graph = Graph(half, spelling)
    x = graph.op("Input", [])
    if unshuffle > 1:
        x = graph.op("Reorg", [x], f"0={unshuffle}")
    first = x = graph.conv(state, "conv_first", x)
    for number in range(num_block):
        block_input = x
        for dense in (1, 2, 3):
            name = f"body.{number}.rdb{dense}"
            known = [x]
            for layer in (1, 2, 3, 4):
                joined = known[0] if layer == 1 else graph.op("Concat", list(known))
                known.append(graph.conv(state, f"{name}.conv{layer}", joined, 0.2))
            x = graph.residual(graph.conv(state, f"{name}.conv5", graph.op("Concat", known)), x, 0.2)
        x = graph.residual(x, block_input, 0.2)
    x = graph.add(first, graph.conv(state, "conv_body", x))
    for number, factor in enumerate(factors, start=1):
        x = graph.conv(state, f"conv_up{number}", graph.nearest(x, factor), 0.2)
    x = graph.conv(state, "conv_hr", x, 0.2)
    graph.conv(state, "conv_last", x)
    return graph


def expected_half(tensor: Tensor) -> Tensor:
    """What a weight is after a stay in float16."""
    half = tensor.detach().numpy().astype(np.float16).astype(np.float32)
    return tensor.new_tensor(half)
