"""int8: the graph computes what the constants say, in integers, and near the network they stand for."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.paths import REPOSITORY
from vidsr.backends import open as opening
from vidsr.backends.choose import choose_precision, cpu_multiplies_int8
from vidsr.backends.open import open_backend
from vidsr.backends.openvino import OpenVinoBackend, openvino_is_installed
from vidsr.channel import StopSignal
from vidsr.errors import ArchitectureError, UsageError, WeightsFormatError
from vidsr.execute.prepare import prepare
from vidsr.job import Job, Precision
from vidsr.media.color.convert import planes_to_rgb
from vidsr.media.read.segment_reader import SegmentReader, Stretch
from vidsr.models.compact import SRVGGNetCompact
from vidsr.presets import find_preset, preset_folders
from vidsr.weights.checkpoint import content_digest
from vidsr.weights.int8 import (
    SUFFIX,
    Int8Constants,
    Int8Layer,
    constants_for,
    find_constants,
    loss_of,
    save_constants,
)
from vidsr.weights.store import load_network

CPU = torch.device("cpu")
MODEL = "realesr-animevideov3"
TOLERANCE_DB = 2.0  # between kinds of pictures


@pytest.fixture
def _vnni() -> None:
    if not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    if not cpu_multiplies_int8():
        pytest.skip(f"no 8-bit dot products on this {platform.machine()}")


@pytest.fixture
def _fp32_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in integers is in fp32, as on a CPU without bf16."""
    monkeypatch.setattr("vidsr.backends.openvino.cpu_is_faster_in_bf16", lambda: False)


def constants_without_ties(zero_points: Sequence[int | None] = (90, 0, 131)) -> Int8Constants:
    """Random constants of 4 convolutions, x2, made of few bits: float32 computes with them exactly, and
    nothing that is rounded lies halfway between two integers, so every order of summation agrees.
    """
    generator = torch.Generator().manual_seed(3)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    def odd(*shape: int) -> Tensor:
        return (integers(-400, 400, *shape) * 2 + 1).float()

    layers = []
    for number, outputs in enumerate((8, 8, 12)):
        layers.append(
            Int8Layer(
                weight=integers(-127, 128, outputs, 8, 3, 3).to(torch.int8),
                scale=2.0 ** integers(-9, -7, outputs).float(),
                bias=odd(outputs) / 1024,
                slope=None if number == 2 else 2.0 ** integers(-2, 1, outputs).float(),
                zero_point=zero_points[number],
            )
        )
    return Int8Constants(
        weights_digest="0" * 64,
        loss_db=45.0,
        scale=2,
        first_weight=integers(-400, 400, 8, 3, 3, 3).float() / 8,
        first_bias=odd(8) / 4096,
        first_slope=2.0 ** integers(-2, 1, 8).float(),
        layers=tuple(layers),
    )


def literally(constants: Int8Constants, picture: Tensor) -> Tensor:
    """The formulas of `weights.int8` in float64, sums of integers as integers."""
    h = F.conv2d(picture.double(), constants.first_weight.double(), constants.first_bias.double(), padding=1)
    h = torch.where(h > 0, h, h * constants.first_slope.double()[:, None, None])
    for layer in constants.layers:
        if layer.zero_point is None:
            sums = F.conv2d(h, layer.weight.double(), padding=1)
        else:
            lowest, highest = torch.tensor(-layer.zero_point), torch.tensor(255 - layer.zero_point)
            seen = torch.minimum(torch.maximum(h.round(), lowest), highest)
            sums = F.conv2d(seen.long(), layer.weight.long(), padding=1)
        h = sums * layer.scale.double()[:, None, None] + layer.bias.double()[:, None, None]
        if layer.slope is not None:
            h = torch.where(h > 0, h, h * layer.slope.double()[:, None, None])
    larger = picture.double().repeat_interleave(2, 2).repeat_interleave(2, 3)
    return F.pixel_shuffle(h, 2) + larger


@pytest.mark.usefixtures("_vnni", "_fp32_else")
@pytest.mark.parametrize("zero_points", [(90, 0, 131), (None, 0, 131), (90, 0, None)], ids=str)
def test_the_graph_computes_the_integers_of_the_formulas(zero_points: tuple[int | None, ...]) -> None:
    constants = constants_without_ties(zero_points)
    picture = torch.randint(0, 257, (2, 3, 21, 18), generator=torch.Generator().manual_seed(1)) / 256
    expected = literally(constants, picture)
    seen = literally(constants, picture[:, :, 4:, :])
    assert expected.std() > 10  # else there would be little to get wrong
    assert (seen[:, :, 20:] - expected[:, :, 28:]).abs().max() == 0  # and the borders are part of it
    backend = OpenVinoBackend(SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2), "int8", constants=constants)
    # sums of what is not rounded are large, and float32's last bit with them
    last_bit = 1e-6 * expected.abs().max() if None in zero_points else 0.0
    assert (backend(picture) - expected).abs().max() < 1e-3 + last_bit


@pytest.mark.usefixtures("_vnni")
@pytest.mark.parametrize(
    ("zero_points", "expected"),
    [((90, 0, 131), ["f32", "u8", "u8", "u8"]), ((None, 0, None), ["f32", "f32", "u8", "f32"])],
    ids=str,
)
def test_convolutions_of_bytes_run_in_integers_with_what_follows_them(
    zero_points: tuple[int | None, ...], expected: list[str]
) -> None:
    import openvino

    from vidsr.backends.openvino_int8 import build_int8_graph

    model = build_int8_graph(constants_without_ties(zero_points))
    model.reshape([1, 3, 64, 64])
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    facts = [node.get_rt_info() for node in compiled.get_runtime_model().get_ordered_ops()]
    kinds = [str(fact["layerType"].astype(str)) for fact in facts if "layerType" in fact]
    formats = [
        str(fact["runtimePrecision"].astype(str))
        for fact in facts
        if "layerType" in fact and fact["layerType"].astype(str) == "Convolution"
    ]
    assert formats == expected
    assert not {"FakeQuantize", "PRelu", "Eltwise"} & set(kinds)


@pytest.mark.usefixtures("_vnni")
def test_int8_is_as_near_to_fp32_as_it_says_on_the_sample(tmp_path: Path) -> None:
    """Frames that no constants were tuned on as they are: an interlude's tolerance below the stated mean."""
    loaded = load_network(find_preset(MODEL))
    stated = loss_of(MODEL)
    assert stated is not None
    backend = open_backend(loaded.network, CPU, precision="int8", constants=find_constants(loaded.digest))
    assert backend.words == f"OpenVINO int8 on cpu ({stated:.1f} dB to fp32)"
    prepared = prepare(Job(REPOSITORY / "samples" / "cel.mkv", tmp_path / "out.mkv"), lambda _: None)
    reader = SegmentReader(prepared.info, [Stretch(prepared.segment)], length=None, stop=StopSignal())
    found = []
    for number, frame in enumerate(reader.frames()):
        if number in {8, 44}:
            planes = [torch.from_numpy(plane.copy())[None] for plane in frame.planes]
            picture = planes_to_rgb(planes, prepared.source.format, prepared.source.color)
            with torch.inference_mode():
                exact = loaded.network(picture).clamp(0, 1)
            error = (backend(picture).clamp(0, 1) - exact).square().mean()
            found.append(float(-10 * torch.log10(error)))
        if number == 44:
            break
    assert min(found) > stated - TOLERANCE_DB


def test_constants_serve_exactly_the_weights_they_were_made_for() -> None:
    loaded = load_network(find_preset(MODEL))
    assert find_constants(loaded.digest) is not None
    assert loaded.architecture is not None
    other = {name: value.clone() for name, value in loaded.network.state_dict().items()}
    other["body.0.bias"][0] += 1e-3
    assert find_constants(content_digest(loaded.architecture, other)) is None


def test_only_int8_asks_for_constants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a damaged file of them is nobody's trouble who computes in another format."""
    digest = load_network(find_preset(MODEL)).digest
    found = constants_for("int8", digest)
    assert found is not None
    assert found.weights_digest == digest
    (tmp_path / f"mine{SUFFIX}").write_bytes(b"12345678")
    monkeypatch.setattr("vidsr.weights.int8.preset_folders", lambda: [tmp_path])
    others: list[Precision] = ["auto", "fp32", "bf16", "fp16"]
    assert [constants_for(precision, digest) for precision in others] == [None] * 4
    with pytest.raises(WeightsFormatError, match="mine"):
        constants_for("int8", digest)


def test_what_cannot_run_in_int8_is_refused_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    network = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2).eval()
    with pytest.raises(UsageError, match="tuned for exactly these weights") as caught:
        open_backend(network, CPU, precision="int8")
    assert MODEL in str(caught.value.hint)
    constants = constants_without_ties()
    with pytest.raises(UsageError, match="the torch backend has no int8") as caught:
        open_backend(network, CPU, name="torch", precision="int8", constants=constants)
    assert "--backend openvino" in str(caught.value.hint)
    monkeypatch.setattr(opening, "openvino_is_installed", lambda: False)
    with pytest.raises(UsageError, match="the torch backend has no int8"):
        open_backend(network, CPU, precision="int8", constants=constants)
    with pytest.raises(UsageError, match="CPUs only, not on cuda:0"):
        choose_precision("int8", torch.device("cuda", 0))
    monkeypatch.setattr("vidsr.backends.choose.cpu_multiplies_int8", lambda: False)
    with pytest.raises(UsageError, match="VNNI"):
        choose_precision("int8", CPU)


def test_int8_without_constants_is_no_backend() -> None:
    if not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    with pytest.raises(ArchitectureError, match="needs constants"):
        OpenVinoBackend(SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2), "int8")


def test_int8_is_never_chosen_by_itself() -> None:
    assert choose_precision("auto", CPU) != "int8"


def test_constants_come_back_from_their_file_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = constants_without_ties((90, None, 131))
    monkeypatch.setattr("vidsr.weights.int8.preset_folders", lambda: [tmp_path])
    save_constants(constants, tmp_path / f"mine{SUFFIX}", made_by="a test")
    again = find_constants(constants.weights_digest)
    assert again is not None
    assert (again.loss_db, again.scale, loss_of("mine")) == (45.0, 2, 45.0)
    picture = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(2))
    assert torch.equal(literally(again, picture), literally(constants, picture))
    assert [layer.zero_point for layer in again.layers] == [90, None, 131]
    (tmp_path / f"mine{SUFFIX}").write_bytes(b"12345678")
    with pytest.raises(WeightsFormatError, match="mine"):
        find_constants(constants.weights_digest)


def test_the_packaged_constants_are_small() -> None:
    files = list(preset_folders()[0].glob(f"*{SUFFIX}"))
    assert files
    assert all(path.stat().st_size < 1_500_000 for path in files)
