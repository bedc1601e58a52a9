"""What each blob of an ncnn graph is a function of.

In these values the different spellings of exporters and optimisers become one: a Split is its
input, a fused activation is an activation, and `Eltwise` with coefficients and `BinaryOp` after a
multiplication are both a weighted sum. It knows what single layers compute, never which network
they make together (`ncnn_topology` does).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vidsr.errors import ArchitectureError, WeightsFormatError
from vidsr.weights.detect import OTHER_FAMILIES_HINT
from vidsr.weights.ncnn import Floats, Layer


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The picture."""

    layer: Layer
    channels: int = 3


@dataclass(frozen=True, slots=True, eq=False)
class Convolution:
    layer: Layer
    of: Value
    channels: int


@dataclass(frozen=True, slots=True, eq=False)
class Activated:
    """slope: of negative values, one a channel ("prelu") or one for all; 0 is a ReLU."""

    layer: Layer
    of: Value
    channels: int
    slope: float | Floats


@dataclass(frozen=True, slots=True, eq=False)
class Concatenated:
    layer: Layer
    of: tuple[Value, ...]
    channels: int


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Weighted sum of values of one shape."""

    layer: Layer
    of: tuple[tuple[float, Value], ...]
    channels: int


@dataclass(frozen=True, slots=True, eq=False)
class Resized:
    layer: Layer
    of: Value
    channels: int
    mode: str  # "nearest", "bilinear", "bicubic"
    factor: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class Shuffled:
    """Pixel shuffle; factor 1/n is an unshuffle by n."""

    layer: Layer
    of: Value
    channels: int
    factor: Fraction


Value = Source | Convolution | Activated | Concatenated | Sum | Resized | Shuffled


def evaluate(layers: list[Layer]) -> Value:
    """The graph's output.

    Raises ArchitectureError for a layer of neither family and for a graph without exactly one input
    and one output, WeightsFormatError for a blob that is missing or made twice.
    """
    blobs: dict[str, Value] = {}
    values: list[Value] = []
    read: set[int] = set()
    for layer in layers:
        try:
            inputs = [blobs[name] for name in layer.inputs]
        except KeyError as missing:
            raise WeightsFormatError(
                f"{layer} reads the blob {missing}, which no layer before it makes"
            ) from None
        build = _BUILDERS.get(layer.type)
        if build is None:
            raise ArchitectureError(
                f"{layer}: neither SRVGGNetCompact nor RRDBNet has a layer of this type", OTHER_FAMILIES_HINT
            )
        value = build(layer, inputs)
        if all(value is not known for known in inputs):  # otherwise another name for its input
            read.update(id(known) for known in inputs)
            if not (
                isinstance(value, Sum) and len(value.of) == 1
            ):  # a scaled value lives on as a coefficient
                values.append(value)
        for name in layer.outputs:
            if name in blobs:
                raise WeightsFormatError(f"{layer} makes the blob {name!r} a second time")
            blobs[name] = value
    outputs = [value for value in values if id(value) not in read]
    if len(outputs) != 1:
        names = " and ".join(str(value.layer) for value in outputs) or "none"
        raise ArchitectureError(f"the graph must have one output, and has those of {names}")
    if sum(isinstance(value, Source) for value in values) != 1:
        raise ArchitectureError("the graph does not have exactly one input")
    return outputs[0]


def _arity(layer: Layer, inputs: list[Value], wanted: int) -> Value:
    if len(inputs) != wanted or not layer.outputs or (layer.type != "Split" and len(layer.outputs) != 1):
        raise WeightsFormatError(f"{layer} has {len(inputs)} inputs and {len(layer.outputs)} outputs")
    return inputs[0]


def _source(layer: Layer, inputs: list[Value]) -> Value:
    if inputs or len(layer.outputs) != 1:
        raise WeightsFormatError(f"{layer} is no input")
    return Source(layer)


def _alias(layer: Layer, inputs: list[Value]) -> Value:
    return _arity(layer, inputs, 1)


def _convolution(layer: Layer, inputs: list[Value]) -> Value:
    of = _arity(layer, inputs, 1)
    kernel = (layer.integer(11, layer.integer(1, 0)), layer.integer(1, 0))
    pad = layer.integer(4, 0)
    pads = {layer.integer(key, pad) for key in (14, 15, 16)} | {pad}
    dilation_stride = {layer.integer(2, 1), layer.integer(12, 1), layer.integer(3, 1), layer.integer(13, 1)}
    # -233 and -234 are ncnn's "same" paddings: 1 on every side for a 3x3 kernel at stride 1
    if kernel != (3, 3) or pads not in ({1}, {-233}, {-234}) or dilation_stride != {1}:
        raise ArchitectureError(f"{layer} is not a 3x3 convolution with stride 1 and padding 1")
    if layer.number(18, 0.0) != 0.0 or layer.integer(19, 0) or "bias" not in layer.tensors:
        raise ArchitectureError(
            f"{layer} pads with other than zeros, or has no bias or no weights of its own"
        )
    channels = layer.tensors["weight"].shape[1]
    if channels != of.channels:
        raise ArchitectureError(f"{layer} takes {channels} channels, {of.layer} gives {of.channels}")
    made = Convolution(layer, of, layer.integer(0, 0))
    match layer.integer(9, 0):
        case 0:
            return made
        case 1:
            return Activated(layer, made, made.channels, 0.0)
        case 2:
            slope = (*layer.array(10), 0.0)[0]
            return Activated(layer, made, made.channels, slope)
        case other:
            raise ArchitectureError(f"{layer} has the fused activation {other}, not a (leaky) ReLU")


def _relu(layer: Layer, inputs: list[Value]) -> Value:
    of = _arity(layer, inputs, 1)
    return Activated(layer, of, of.channels, layer.number(0, 0.0))


def _prelu(layer: Layer, inputs: list[Value]) -> Value:
    of = _arity(layer, inputs, 1)
    slope = layer.tensors["slope"]
    if slope.size == 1:  # one slope for all channels
        slope = np.repeat(slope, of.channels)
    if slope.size != of.channels:
        raise ArchitectureError(f"{layer} has {slope.size} slopes, {of.layer} gives {of.channels} channels")
    return Activated(layer, of, of.channels, slope)


def _concat(layer: Layer, inputs: list[Value]) -> Value:
    _arity(layer, inputs, max(1, len(inputs)))
    if layer.integer(0, 0) != 0:
        raise ArchitectureError(f"{layer} does not join along the channels")
    return Concatenated(layer, tuple(inputs), sum(value.channels for value in inputs))


def _eltwise(layer: Layer, inputs: list[Value]) -> Value:
    _arity(layer, inputs, max(1, len(inputs)))
    coefficients = layer.array(1) or (1.0,) * len(inputs)
    if layer.integer(0, 0) != 1 or len(coefficients) != len(inputs):
        raise ArchitectureError(f"{layer} is not a sum with one coefficient an input")
    return _sum(layer, list(zip(coefficients, inputs, strict=True)))


def _binary(layer: Layer, inputs: list[Value]) -> Value:
    operation = layer.integer(0, 0)
    if layer.integer(1, 0):
        of = _arity(layer, inputs, 1)
        factor = layer.number(2, 0.0)
        if operation != 2:
            raise ArchitectureError(f"{layer} is not a sum, nor a multiplication with a number")
        return _sum(layer, [(factor, of)])
    _arity(layer, inputs, 2)
    if operation != 0:
        raise ArchitectureError(f"{layer} is not a sum, nor a multiplication with a number")
    return _sum(layer, [(1.0, value) for value in inputs])


def _sum(layer: Layer, terms: list[tuple[float, Value]]) -> Sum:
    flat: list[tuple[float, Value]] = []
    for outer, value in terms:
        if isinstance(value, Sum) and len(value.of) == 1:  # a scaled value: its factor joins the sum's
            inner, scaled = value.of[0]
            flat.append((outer * inner, scaled))
        else:
            flat.append((outer, value))
    channels = {value.channels for _, value in flat}
    if len(channels) != 1:
        raise ArchitectureError(f"{layer} adds values of {sorted(channels)} channels")
    return Sum(layer, tuple(flat), channels.pop())


def _interp(layer: Layer, inputs: list[Value]) -> Value:
    of = _arity(layer, inputs, 1)
    modes = {1: "nearest", 2: "bilinear", 3: "bicubic"}
    mode = modes.get(layer.integer(0, 0))
    height, width = layer.number(1, 1.0), layer.number(2, 1.0)
    fixed = layer.integer(3, 0) or layer.integer(4, 0)
    if mode is None or fixed or height != width or not 0 < height <= 64:
        raise ArchitectureError(f"{layer} does not resize both axes by one factor")
    factor = Fraction(height).limit_denominator(64)
    return of if factor == 1 else Resized(layer, of, of.channels, mode, factor)


def _pixel_shuffle(layer: Layer, inputs: list[Value]) -> Value:
    of = _arity(layer, inputs, 1)
    factor = layer.integer(0, 1)
    if factor < 1 or of.channels % factor**2 or layer.integer(1, 0) != 0:
        raise ArchitectureError(f"{layer} cannot shuffle {of.channels} channels by {factor}")
    return of if factor == 1 else Shuffled(layer, of, of.channels // factor**2, Fraction(factor))


def _reorg(layer: Layer, inputs: list[Value]) -> Value:
    of = _arity(layer, inputs, 1)
    factor = layer.integer(0, 1)
    if not 1 <= factor <= 8 or layer.integer(1, 0) != 0:
        raise ArchitectureError(f"{layer} is not a pixel unshuffle by 1 to 8")
    return of if factor == 1 else Shuffled(layer, of, of.channels * factor**2, Fraction(1, factor))


_BUILDERS: dict[str, Callable[[Layer, list[Value]], Value]] = {
    "Input": _source,
    "Split": _alias,
    "Noop": _alias,
    "Convolution": _convolution,
    "ReLU": _relu,
    "PReLU": _prelu,
    "Concat": _concat,
    "Eltwise": _eltwise,
    "BinaryOp": _binary,
    "Interp": _interp,
    "PixelShuffle": _pixel_shuffle,
    "Reorg": _reorg,
}
