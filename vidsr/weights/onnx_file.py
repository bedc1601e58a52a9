"""An .onnx file as one self-contained graph, and what the graph says of its input and output.

Weights may lie in files beside it (external data): they are read here, into the graph, and only from the
model's own folder. What computes the graph is given bytes and never opens a file, so that a model
cannot make it read elsewhere. Nothing in an ONNX file is code; operations that are no part of the
standard are refused by whatever would run them. It knows the file format, never what is computed.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vidsr.errors import ArchitectureError, ToolMissingError, WeightsFormatError
from vidsr.models.graph import Layout, NumberFormat, Port

if TYPE_CHECKING:
    import onnx

ONNX_SUFFIX = ".onnx"
PACKAGES = ("onnx", "onnxruntime")

MOST_BYTES = 1 << 30
"""Of a model with its external data. The largest upscalers have 0.2 GB; protobuf ends at 2 GiB."""

ONLY_PICTURES_HINT = "only models that turn one RGB picture into a larger one can be used"


@dataclass(frozen=True, slots=True, eq=False)
class OnnxFile:
    """content: the serialised model without external data. digest: sha256 of the file, or of the list of
    sums of all its files. result_name, result_format: of the output, whose shape files often leave open.
    """

    content: bytes
    digest: str
    source: Port
    result_name: str
    result_format: NumberFormat


def read_onnx(path: Path) -> OnnxFile:
    """Read a model and its external data.

    Raises WeightsFormatError for what is no ONNX model, is too large or refers to files outside its
    folder; ArchitectureError where it takes anything but RGB pictures; ToolMissingError without the extra.
    """
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise ToolMissingError.of_extra(f"{path} needs {' and '.join(missing)}", "onnx")
    from google.protobuf.message import DecodeError  # noqa: PLC0415 (comes with onnx)
    from onnx import ModelProto  # noqa: PLC0415 (an optional dependency)

    data = _read(path, 0, None, MOST_BYTES)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise WeightsFormatError(f"{path} is no ONNX model, or is cut") from error
    if not model.ir_version or not model.graph.node:
        raise WeightsFormatError(f"{path} is no ONNX model: it has no graph")
    model.ClearField("training_info")
    external = _External(path, MOST_BYTES - len(data))
    for tensor in _tensors(model):
        external.embed(tensor)
    source = _source(model.graph, path)
    result = model.graph.output[0]
    result_format = _number_format(result, path, "gives")
    content = model.SerializeToString() if external.sums else data
    return OnnxFile(content, external.digest(data), source, result.name, result_format)


@dataclass
class _External:
    """The files beside a model. bytes_left: how much more may be read. sums: sha256 by relative name."""

    model: Path
    bytes_left: int
    sums: dict[str, str] = field(default_factory=dict)

    def embed(self, tensor: onnx.TensorProto) -> None:
        """Put the values into the tensor, where they lie in another file."""
        if tensor.data_location != tensor.EXTERNAL:
            return
        where = {entry.key: entry.value for entry in tensor.external_data}
        location = where.get("location", "")
        try:
            offset = int(where.get("offset", 0))
            length = int(where["length"]) if "length" in where else None
        except ValueError as error:
            raise WeightsFormatError(f"{self.model}: {tensor.name} lies at no place in {location}") from error
        if offset < 0 or (length is not None and length < 0):
            raise WeightsFormatError(f"{self.model}: {tensor.name} lies at no place in {location}")
        path = self._inside(location)
        tensor.raw_data = _read(path, offset, length, self.bytes_left)
        self.bytes_left -= len(tensor.raw_data)
        tensor.ClearField("external_data")
        tensor.data_location = tensor.DEFAULT
        if location not in self.sums:
            with path.open("rb") as file:
                self.sums[location] = hashlib.file_digest(file, "sha256").hexdigest()

    def digest(self, data: bytes) -> str:
        own = hashlib.sha256(data).hexdigest()
        if not self.sums:
            return own
        listed = "".join(f"{value}  {name}\n" for name, value in sorted(self.sums.items()))
        return hashlib.sha256(f"{own}\n{listed}".encode()).hexdigest()

    def _inside(self, location: str) -> Path:
        folder = self.model.parent.resolve()
        try:
            path = (folder / location).resolve()
        except (OSError, ValueError) as error:  # a NUL byte, a circle of links
            raise WeightsFormatError(f"{self.model} refers to a file of no possible name") from error
        if not location or not path.is_relative_to(folder) or path == folder:
            raise WeightsFormatError(
                f"{self.model} refers to {location!r}, outside its own folder",
                "put all its files into one folder; if it still refers elsewhere, export it again",
            )
        if not path.is_file():
            raise WeightsFormatError(
                f"{self.model} needs {location} beside it", "this model consists of several files"
            )
        return path


def _read(path: Path, offset: int, length: int | None, most: int) -> bytes:
    try:
        size = path.stat().st_size
        wanted = max(size - offset, 0) if length is None else length
        if wanted > most:
            raise WeightsFormatError(
                f"{path} is too large: a model may have {MOST_BYTES >> 20} MiB with all its files"
            )
        if offset + wanted > size:
            raise WeightsFormatError(f"{path} is cut: {offset + wanted} bytes are needed, it has {size}")
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(wanted)
    except OSError as error:
        raise WeightsFormatError(f"{path} cannot be read: {error.strerror}") from error


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor of the model: weights, and constants of nodes wherever they are nested."""
    yield from _tensors_of_graph(model.graph)
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)


def _tensors_of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _tensors_of_sparse(graph.sparse_initializer)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            yield from _tensors_of_sparse([*sparse, *attribute.sparse_tensors])
            for graph in [attribute.g] if attribute.HasField("g") else []:
                yield from _tensors_of_graph(graph)
            for graph in attribute.graphs:
                yield from _tensors_of_graph(graph)


def _tensors_of_sparse(tensors: Iterable[onnx.SparseTensorProto]) -> Iterator[onnx.TensorProto]:
    for tensor in tensors:
        yield tensor.values
        yield tensor.indices


def _source(graph: onnx.GraphProto, path: Path) -> Port:
    """What the graph takes."""
    known = {tensor.name for tensor in graph.initializer}  # old files list weights among the inputs
    inputs = [value for value in graph.input if value.name not in known]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ArchitectureError(
            f"{path} has {len(inputs)} inputs and {len(graph.output)} outputs", ONLY_PICTURES_HINT
        )
    value = inputs[0]
    number_format = _number_format(value, path, "takes")
    shape = [dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim]
    if len(shape) != 4:
        raise ArchitectureError(f"{path} takes {len(shape)} dimensions, not 4", ONLY_PICTURES_HINT)
    layout: Layout = "NHWC" if shape[3] == 3 and shape[1] != 3 else "NCHW"
    batch, channels, height, width = shape if layout == "NCHW" else (shape[0], shape[3], shape[1], shape[2])
    if channels not in (3, None):
        some = "1 channel (brightness alone)" if channels == 1 else f"{channels} channels"
        raise ArchitectureError(f"{path} takes {some}, not R, G and B", ONLY_PICTURES_HINT)
    if batch not in (1, None):
        raise ArchitectureError(f"{path} takes {batch} pictures at once", "export it for one, or any number")
    if (height is None) != (width is None):
        raise ArchitectureError(
            f"{path} fixes one side of the picture to {height or width} and leaves the other open",
            "export it with both sides open",
        )
    size = None if height is None or width is None else (height, width)
    return Port(value.name, layout, number_format, batch, size)


def _number_format(value: onnx.ValueInfoProto, path: Path, verb: str) -> NumberFormat:
    import onnx  # noqa: PLC0415

    kind = value.type.tensor_type.elem_type
    if kind == onnx.TensorProto.FLOAT:
        return "fp32"
    if kind == onnx.TensorProto.FLOAT16:
        return "fp16"
    known = (
        onnx.TensorProto.DataType.Name(kind).lower() if kind in onnx.TensorProto.DataType.values() else kind
    )
    raise ArchitectureError(
        f"{path} {verb} pictures of {known}, not float32 or float16",
        "export it with float pictures in [0, 1]",
    )
