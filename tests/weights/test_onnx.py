""".onnx files: what is read from the graph, what is measured, and what is refused."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from tests.weights.conftest import Home
from tests.weights.graphs import Attentive, Sized, compact, rrdb, seeded, write, write_in_two_files
from vidsr.errors import ArchitectureError, ToolMissingError, WeightsError, WeightsFormatError
from vidsr.models.base import EVERYWHERE, Network
from vidsr.models.graph import Graph
from vidsr.weights import onnx_file
from vidsr.weights.formats import read_checkpoint
from vidsr.weights.imported import import_weights
from vidsr.weights.store import LoadedGraph, load_weights_file

pytestmark = pytest.mark.usefixtures("home")


def load(path: Path) -> LoadedGraph:
    loaded = load_weights_file(path)
    assert isinstance(loaded, LoadedGraph)
    return loaded


def geometry(graph: Graph) -> tuple[int, int, int]:
    return graph.scale, graph.halo, graph.input_multiple


@pytest.mark.parametrize(
    "network",
    [compact(1, 3), compact(2, 1), compact(3, 2), compact(4, 4), rrdb(1), rrdb(2), rrdb(4)],
    ids=["compact x1", "compact x2", "compact x3", "compact x4", "rrdb x1", "rrdb x2", "rrdb x4"],
)
def test_measured_geometry_is_what_follows_from_the_layers(network: Network, tmp_path: Path) -> None:
    graph = load(write(network, tmp_path / "m.onnx")).network
    assert geometry(graph) == (network.scale, network.halo, network.input_multiple)


def test_a_network_that_looks_at_the_whole_picture_has_no_halo(tmp_path: Path) -> None:
    loaded = load(write(seeded(Attentive()), tmp_path / "m.onnx"))
    assert geometry(loaded.network) == (2, EVERYWHERE, 1)
    assert "whole picture" in loaded.notes[0]


def test_layouts_formats_and_fixed_shapes_are_read_from_the_graph(tmp_path: Path) -> None:
    graph = load(write(compact(), tmp_path / "last.onnx", channels_last=True)).network
    assert (graph.source.layout, graph.result.layout) == ("NHWC", "NHWC")
    graph = load(write(compact(), tmp_path / "half.onnx", half=True)).network
    assert (graph.source.number_format, graph.result.number_format) == ("fp16", "fp16")
    loaded = load(write(compact(), tmp_path / "fixed.onnx", size=(48, 56), batch=1))
    assert (loaded.network.source.size, loaded.network.source.batch) == ((48, 56), 1)
    assert geometry(loaded.network) == (2, 4, 1)
    assert "takes only 56x48" in loaded.notes[0]


def test_a_fixed_size_must_leave_something_between_its_halos(tmp_path: Path) -> None:
    # compact() has four 3x3 convolutions: halo 4, so that 2 * 4 + 16 = 24 is just enough
    load(write(compact(), tmp_path / "enough.onnx", size=(24, 24), batch=1))
    path = write(compact(), tmp_path / "small.onnx", size=(40, 23), batch=1)
    with pytest.raises(ArchitectureError, match="takes only 23x40, and each pixel depends on 4 pixels"):
        load(path)
    path = write(seeded(Attentive()), tmp_path / "all.onnx", size=(48, 48), batch=1)
    with pytest.raises(ArchitectureError, match="depends on all of it"):
        load(path)


@pytest.mark.parametrize(
    ("network", "channels", "message"),
    [
        (Sized(1, 1), 1, "1 channel"),
        (Sized(4, 3), 4, "4 channels, not R, G and B"),
        (Sized(3, 1), 3, "no RGB picture"),
        (Sized(factor=9), 3, "only factors from 1 to 8"),
    ],
    ids=["luma", "four channels", "one channel out", "x9"],
)
def test_other_networks_than_enlargers_of_rgb_pictures_are_refused(
    network: nn.Module, channels: int, message: str, tmp_path: Path
) -> None:
    path = write(seeded(network), tmp_path / "m.onnx", channels=channels)
    with pytest.raises(ArchitectureError, match=message):
        load(path)


def test_pictures_of_integers_are_refused_by_name(tmp_path: Path) -> None:
    model = onnx.load(write(compact(), tmp_path / "m.onnx"))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ArchitectureError, match="takes pictures of uint8, not float32 or float16"):
        load(tmp_path / "m.onnx")


def test_unknown_operations_are_one_line(tmp_path: Path) -> None:
    model = onnx.load(write(compact(), tmp_path / "m.onnx"))
    next(node for node in model.graph.node if node.op_type == "Conv").op_type = "Blur"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ArchitectureError, match="Blur") as caught:
        load(tmp_path / "m.onnx")
    assert "\n" not in caught.value.message


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = write(compact(), tmp_path / "m.onnx").read_bytes()
    path = tmp_path / "cut.onnx"
    for content in (b"", b"PK\x03\x04 not a model", whole[: len(whole) // 2], whole[:40]):
        path.write_bytes(content)
        with pytest.raises(WeightsError):
            load(path)
    with pytest.raises(WeightsFormatError, match="cannot be read"):
        load(tmp_path / "absent.onnx")


def test_values_in_a_file_beside_the_model_are_read(tmp_path: Path) -> None:
    network = compact()
    single = load(write(network, tmp_path / "one.onnx"))
    double = load(write_in_two_files(network, tmp_path / "two.onnx"))
    assert (tmp_path / "two.onnx.data").stat().st_size > 1000
    assert geometry(double.network) == geometry(single.network)
    assert b"two.onnx.data" not in double.network.content
    found = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.ModelProto.FromString(
        double.network.content).graph.initializer}  # fmt: skip
    assert (found["body.0.weight"] == network.state_dict()["body.0.weight"].numpy()).all()


def test_the_digest_covers_every_file(tmp_path: Path) -> None:
    path = write(compact(), tmp_path / "one.onnx")
    assert load(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()
    path = write_in_two_files(compact(), tmp_path / "two.onnx")
    before = load(path).digest
    values = tmp_path / "two.onnx.data"
    changed = bytearray(values.read_bytes())
    changed[0] ^= 1
    values.write_bytes(changed)
    assert load(path).digest != before


def _refer_to(path: Path, **where: str) -> None:
    """Let every tensor of the model lie there."""
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        known = {entry.key: entry.value for entry in tensor.external_data} | where
        del tensor.external_data[:]
        for key, value in known.items():
            tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())


def test_values_outside_the_models_folder_are_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(100_000))
    (folder / "link").symlink_to(secret)
    for location in ("../secret", str(secret), "link", "a/../../secret", "", "..", "."):
        path = write_in_two_files(compact(), folder / "m.onnx")
        _refer_to(path, location=location)
        with pytest.raises(WeightsFormatError, match="outside its own folder"):
            load(path)


def test_missing_and_cut_values_are_refused(tmp_path: Path) -> None:
    path = write_in_two_files(compact(), tmp_path / "m.onnx")
    values = tmp_path / "m.onnx.data"
    os.truncate(values, values.stat().st_size // 2)
    with pytest.raises(WeightsFormatError, match="is cut"):
        load(path)
    values.unlink()
    with pytest.raises(WeightsFormatError, match=r"needs m\.onnx\.data beside it"):
        load(path)
    for where in ({"offset": "-1"}, {"length": "-4"}, {"offset": "x"}):
        path = write_in_two_files(compact(), tmp_path / "m.onnx")
        _refer_to(path, **where)
        with pytest.raises(WeightsFormatError, match="at no place"):
            load(path)


def test_a_model_larger_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_in_two_files(compact(), tmp_path / "m.onnx")
    size = path.stat().st_size
    monkeypatch.setattr(onnx_file, "MOST_BYTES", size + 100)  # the model fits, its values do not
    with pytest.raises(WeightsFormatError, match="too large"):
        load(path)


def test_what_was_measured_is_remembered_under_the_files_digest(tmp_path: Path, home: Home) -> None:
    path = write(compact(), tmp_path / "m.onnx")
    loaded = load(path)
    record = home.cache / "onnx" / f"{loaded.digest}.json"
    note = json.loads(record.read_text())
    note["geometry"]["halo"] = 7
    record.write_text(json.dumps(note))
    assert load(path).network.halo == 7  # not measured again
    for unreadable in ("", "[]", '{"method": 1}', json.dumps(note | {"result_layout": "CHW"})):
        record.write_text(unreadable)
        assert load(path).network.halo == 4


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "PACKAGES", ("onnx", "onnxruntime_that_is_not_there"))
    with pytest.raises(ToolMissingError, match="needs onnxruntime_that_is_not_there, which is not") as caught:
        load(write(compact(), tmp_path / "m.onnx"))
    assert "[onnx]" in str(caught.value.hint)


def test_a_graph_is_neither_a_presets_weights_nor_imported(tmp_path: Path) -> None:
    path = write(compact(), tmp_path / "m.onnx")
    for use in (read_checkpoint, import_weights):
        with pytest.raises(ArchitectureError, match="holds a graph") as caught:
            use(path)
        assert "--weights" in str(caught.value.hint)


def test_a_graph_that_gives_another_layout_than_it_takes_is_understood(tmp_path: Path) -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = compact()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = self.network(x).permute(0, 2, 3, 1)
            return result

    graph = load(write(Turned(), tmp_path / "m.onnx")).network
    assert (graph.source.layout, graph.result.layout) == ("NCHW", "NHWC")
    assert geometry(graph) == (2, 4, 1)
