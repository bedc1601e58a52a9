"""A picture enlarger that is given as a whole ONNX graph, instead of layers that we know.

It is to `backends` what a `Network` is, and has the same geometry. It knows bytes and numbers, never
files or what runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Layout = Literal["NCHW", "NHWC"]
NumberFormat = Literal["fp32", "fp16"]


@dataclass(frozen=True, slots=True)
class Port:
    """How a graph takes or gives pictures.

    batch: how many at once, None = any. size: their (height, width), None = any.
    """

    name: str
    layout: Layout
    number_format: NumberFormat
    batch: int | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """R'G'B' pictures in [0, 1] to pictures `scale` times as large, about [0, 1].

    content: the serialised ONNX model, which refers to no other file.
    halo: how many input pixels around a pixel its output depends on, as measured; EVERYWHERE where
    it depends on the whole picture (see `base`).
    input_multiple: height and width must be multiples of this; 1 where source.size is fixed.
    """

    content: bytes
    source: Port
    result: Port
    scale: int
    halo: int
    input_multiple: int
