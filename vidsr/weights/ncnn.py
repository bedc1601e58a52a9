"""ncnn's two files: `.param`, a graph in text, and `.bin`, the tensors in the order of the graph's layers.

It knows the bytes and the grammar; what network the graph is, `ncnn_topology` finds out. Written
from the description of the format on ncnn's wiki (param-and-model-file-structure, operators).

    .param   7767517
             LAYERS BLOBS
             TYPE NAME INPUTS OUTPUTS [input blobs] [output blobs] [key=value ...]
    .bin     Convolution: 4-byte tag, weights (out, in, height, width), then float32 bias
                 tag 0x01306B47: float16 weights, padded to a multiple of 4 bytes
                 tag 0 and 0x0002C056: float32 weights
             PReLU: float32 slopes, without a tag
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidsr.errors import ArchitectureError, WeightsFormatError

MAGIC = 7767517
TAG_FLOAT16 = 0x01306B47
TAGS_FLOAT32 = (0, 0x0002C056)
TAG_INT8 = 0x000D4B38

# A .param of a 23-block RRDBNet has 117 kB and 999 layers; far beyond any such network is no network.
LARGEST_PARAM_BYTES = 16 << 20
LARGEST_BIN_BYTES = 1 << 30

Floats = npt.NDArray[np.float32]
ParamValue = int | float | tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One line of the graph, and its tensors once they are read.

    params: ncnn's numbered parameters; an array parameter (written as -23300 - key) has its plain key.
    """

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Mapping[int, ParamValue]
    tensors: Mapping[str, Floats] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"layer {self.name!r} ({self.type})"

    def integer(self, key: int, default: int) -> int:
        """A whole-number parameter. Raises WeightsFormatError where the file has something else."""
        value = self.params.get(key, default)
        if not isinstance(value, int):
            raise WeightsFormatError(f"{self}: parameter {key} is {value!r}, not a whole number")
        return value

    def number(self, key: int, default: float) -> float:
        value = self.params.get(key, default)
        if isinstance(value, tuple):
            raise WeightsFormatError(f"{self}: parameter {key} is an array, not a number")
        return float(value)

    def array(self, key: int) -> tuple[float, ...]:
        value = self.params.get(key, ())
        if not isinstance(value, tuple):
            raise WeightsFormatError(f"{self}: parameter {key} is {value!r}, not an array")
        return value


def parse_param(text: str) -> list[Layer]:
    """The layers of a .param, in file order, without tensors. Raises WeightsFormatError with the line."""
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines or lines[0][1] != [str(MAGIC)]:
        raise WeightsFormatError(f"it does not begin with {MAGIC}", "this is no ncnn .param text file")
    if len(lines) < 2 or len(lines[1][1]) != 2 or not all(word.isdigit() for word in lines[1][1]):
        raise WeightsFormatError("its second line is not the two counts of layers and blobs")
    layer_count, blob_count = (int(word) for word in lines[1][1])
    layers = [_parse_layer(number, words) for number, words in lines[2:]]
    if len(layers) != layer_count:
        raise WeightsFormatError(f"it promises {layer_count} layers and has {len(layers)}; it may be cut")
    blobs = sum(len(layer.outputs) for layer in layers)
    if blobs != blob_count:
        raise WeightsFormatError(f"it promises {blob_count} blobs and has {blobs}")
    return layers


def _parse_layer(number: int, words: list[str]) -> Layer:
    try:
        kind, name, inputs, outputs = words[0], words[1], int(words[2]), int(words[3])
        blobs, rest = words[4 : 4 + inputs + outputs], words[4 + inputs + outputs :]
        params = dict(_parse_pair(word) for word in rest)
    except (IndexError, ValueError) as error:
        raise WeightsFormatError(f"line {number} ({' '.join(words[:2])}) cannot be read: {error}") from error
    if inputs < 0 or outputs < 0 or len(blobs) != inputs + outputs:
        raise WeightsFormatError(
            f"line {number} ({kind} {name}) promises {inputs} inputs and {outputs} outputs"
        )
    return Layer(kind, name, tuple(blobs[:inputs]), tuple(blobs[inputs:]), params)


def _parse_pair(word: str) -> tuple[int, ParamValue]:
    key_text, separator, value = word.partition("=")
    if not separator:
        raise ValueError(f"{word!r} is not key=value")
    key = int(key_text)
    if key <= -23300:
        count, *items = value.split(",")
        if int(count) != len(items):
            raise ValueError(f"{word!r} promises {count} values and has {len(items)}")
        return -23300 - key, tuple(float(item) for item in items)
    try:
        return key, int(value)
    except ValueError:
        return key, float(value)


def read_tensors(layers: list[Layer], data: bytes) -> list[Layer]:
    """The layers with their tensors: "weight" (out, in, 3, 3 ...), "bias" (out), "slope" (channels).

    Raises WeightsFormatError that names the layer where the bytes end, and where bytes are left over.
    """
    tensors = _TensorReader(data)
    filled = [_with_tensors(layer, tensors) for layer in layers]
    if tensors.left:
        last = next((layer for layer in reversed(filled) if layer.tensors), None)
        raise WeightsFormatError(
            f"{tensors.left} bytes are left over after the last {last or 'layer'}",
            "the .param and the .bin do not belong together",
        )
    return filled


def _with_tensors(layer: Layer, tensors: _TensorReader) -> Layer:
    match layer.type:
        case "Convolution":
            found = _convolution_tensors(layer, tensors)
        case "PReLU":
            found = {"slope": tensors.plain(layer, layer.integer(0, 0), "slopes")}
        case _:
            return layer
    return Layer(layer.type, layer.name, layer.inputs, layer.outputs, layer.params, found)


def _convolution_tensors(layer: Layer, tensors: _TensorReader) -> dict[str, Floats]:
    out_channels, kernel_w, size = layer.integer(0, 0), layer.integer(1, 0), layer.integer(6, 0)
    kernel_h = layer.integer(11, kernel_w)
    taps = out_channels * kernel_w * kernel_h
    if min(out_channels, kernel_w, kernel_h, size) < 1 or size % taps:
        raise WeightsFormatError(f"{layer}: {size} weights are not {out_channels} filters of whole channels")
    if layer.integer(8, 0):
        raise ArchitectureError(f"{layer} is quantised to int8", "use the fp16 or fp32 files of this model")
    weight = tensors.tagged(layer, size).reshape(out_channels, size // taps, kernel_h, kernel_w)
    found = {"weight": weight}
    if layer.integer(5, 0):
        found["bias"] = tensors.plain(layer, out_channels, "bias")
    return found


class _TensorReader:
    """Takes tensors off the front of the bytes; never allocates more than the file holds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def plain(self, layer: Layer, count: int, what: str) -> Floats:
        """float32 values without a tag."""
        return np.frombuffer(self._take(layer, 4 * count, what), dtype="<f4").astype(np.float32)

    def tagged(self, layer: Layer, count: int) -> Floats:
        """Weights stored as their tag says."""
        (tag,) = struct.unpack("<I", self._take(layer, 4, "tag"))
        if tag in TAGS_FLOAT32:
            return self.plain(layer, count, "float32 weights")
        if tag == TAG_FLOAT16:
            padded = -(-2 * count // 4) * 4
            raw = self._take(layer, padded, "float16 weights")
            return np.frombuffer(raw, dtype="<f2", count=count).astype(np.float32)
        stored = "int8" if tag == TAG_INT8 else f"an unknown form (tag 0x{tag:08X})"
        raise WeightsFormatError(
            f"{layer}: weights are stored as {stored}, not float16 or float32",
            "either the .param and .bin do not belong together, or use the fp16 or fp32 files of this model",
        )

    def _take(self, layer: Layer, count: int, what: str) -> bytes:
        if count < 0 or count > self.left:
            raise WeightsFormatError(
                f"the .bin ends inside {layer}: {what} need {count} bytes, {self.left} are left",
                "the file is cut or does not belong to its .param; fetch both again",
            )
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece


def read_graph(param: Path, binary: Path) -> list[Layer]:
    """Both files: every layer with its tensors, every byte accounted for.

    Raises WeightsFormatError, its message naming the file and the layer or line.
    """
    text = _read_capped(param, LARGEST_PARAM_BYTES)
    data = _read_capped(binary, LARGEST_BIN_BYTES)
    try:
        layers = parse_param(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise WeightsFormatError(f"{param}: it is not text", "this is no ncnn .param text file") from error
    except WeightsFormatError as error:
        raise WeightsFormatError(f"{param}: {error.message}", error.hint) from error
    try:
        return read_tensors(layers, data)
    except (WeightsFormatError, ArchitectureError) as error:
        raise type(error)(f"{binary}: {error.message}", error.hint) from error


def _read_capped(path: Path, most: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > most:
            raise WeightsFormatError(f"{path} has {size} bytes; no file of this kind has over {most}")
        return path.read_bytes()
    except OSError as error:
        raise WeightsFormatError(f"{path} cannot be read: {error.strerror}") from error
