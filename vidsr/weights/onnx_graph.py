"""A graph from an .onnx file, with its geometry: the factor and the halo are found by running it.

Measuring a network of the size of realesr-animevideov3 takes a few seconds, so that the result is kept
in the cache under the file's digest.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import platformdirs
import torch
from torch import Tensor

from vidsr.backends.onnx_session import OnnxSession
from vidsr.errors import ArchitectureError
from vidsr.models.base import EVERYWHERE
from vidsr.models.graph import Graph, Layout, Port
from vidsr.models.measured import Geometry, measure
from vidsr.weights.onnx_file import OnnxFile, read_onnx

LEAST_KEPT = 16
"""Pixels of a fixed size that must be left between its halos, along either axis."""
METHOD = 2
"""Of measuring: raised when results may differ from those in people's caches."""


@dataclass(frozen=True, slots=True)
class _Measured:
    geometry: Geometry
    result_layout: Layout


def load_graph(path: Path) -> tuple[Graph, str, tuple[str, ...]]:
    """(graph, digest, notes for people).

    Raises as `read_onnx` does, and ArchitectureError where the graph cannot be run, or makes anything
    but pictures 1 to 8 times as large.
    """
    file = read_onnx(path)
    try:
        measured = _remembered(file) or _measure(file)
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error.message}", error.hint) from error
    source, geometry = file.source, measured.geometry
    notes: tuple[str, ...] = ()
    if source.size is not None:
        height, width = source.size
        if min(source.size) < 2 * geometry.halo + LEAST_KEPT:
            seen = "all of it" if geometry.halo >= EVERYWHERE else f"{geometry.halo} pixels around"
            raise ArchitectureError(
                f"{path} takes only {width}x{height}, and each pixel depends on {seen}",
                "export it with height and width left open, or for a larger size",
            )
        notes = (f"{path.name} takes only {width}x{height}: larger pictures are computed in tiles of that",)
    elif geometry.halo >= EVERYWHERE:
        notes = (f"{path.name} looks at the whole picture: nothing is computed in tiles",)
    result = Port(file.result_name, measured.result_layout, file.result_format)
    graph = Graph(file.content, source, result, geometry.scale, geometry.halo, geometry.input_multiple)
    return graph, file.digest, notes


def _measure(file: OnnxFile) -> _Measured:
    session = OnnxSession(file.content, file.source, file.result_name, torch.device("cpu"))

    def run(picture: Tensor) -> Tensor:
        return session(picture.to(session.dtype)).float()

    geometry = measure(run, file.source.size)
    assert session.result_layout is not None
    measured = _Measured(geometry, session.result_layout)
    _remember(file, measured)
    return measured


def _record(file: OnnxFile) -> Path:
    return Path(platformdirs.user_cache_dir("vidsr", appauthor=False)) / "onnx" / f"{file.digest}.json"


def _remembered(file: OnnxFile) -> _Measured | None:
    try:
        note = json.loads(_record(file).read_text(encoding="utf-8"))
        if note["method"] != METHOD or note["result_layout"] not in get_args(Layout):
            return None
        numbers = {name: int(note["geometry"][name]) for name in ("scale", "halo", "input_multiple")}
        return _Measured(Geometry(**numbers), note["result_layout"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _remember(file: OnnxFile, measured: _Measured) -> None:
    record = _record(file)
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps({"method": METHOD, **asdict(measured)}), encoding="utf-8")
    except OSError:
        return  # it will be measured again
