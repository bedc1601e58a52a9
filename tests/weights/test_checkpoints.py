"""Checkpoints as people have them: every wrapping and naming is read, every stranger is refused."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from tests.weights.samples import RRDB, SRVGG, first_esrgan_names, mmsr_names, random_state
from vidsr.errors import ArchitectureError, WeightsError, WeightsFormatError
from vidsr.models import Architecture
from vidsr.weights import tensor_files
from vidsr.weights.checkpoint import Checkpoint
from vidsr.weights.formats import read_checkpoint


def holds(checkpoint: Checkpoint, architecture: Architecture, state: dict[str, Tensor]) -> bool:
    return (
        checkpoint.architecture == architecture
        and set(checkpoint.state) == set(state)
        and all(torch.equal(checkpoint.state[name], state[name]) for name in state)
    )


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["", "module.", "netG.", "module.generator."])
@pytest.mark.parametrize("architecture", [SRVGG, RRDB], ids=lambda a: a.kind)
def test_wrappers_and_prefixes_are_taken_off(
    architecture: Architecture, prefix: str, wrapper: str | None, tmp_path: Path
) -> None:
    state = random_state(architecture)
    named = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({wrapper: named} if wrapper else named, tmp_path / "m.pth")
    assert holds(read_checkpoint(tmp_path / "m.pth"), architecture, state)


def test_the_moving_average_is_preferred(tmp_path: Path) -> None:
    last, average = random_state(SRVGG, seed=1), random_state(SRVGG, seed=2)
    torch.save({"params": last, "params_ema": average}, tmp_path / "m.pth")
    assert holds(read_checkpoint(tmp_path / "m.pth"), SRVGG, average)


def test_training_states_beside_the_network_do_not_matter(tmp_path: Path) -> None:
    state = random_state(SRVGG)
    torch.save({"state_dict": {"params": state}, "epoch": 7, "lr": 1e-4}, tmp_path / "m.ckpt")
    assert holds(read_checkpoint(tmp_path / "m.ckpt"), SRVGG, state)


@pytest.mark.parametrize(
    ("scale", "unshuffle", "doublings"), [(1, 1, 0), (2, 1, 1), (4, 1, 2), (8, 1, 3), (2, 2, 2), (1, 4, 2)]
)
def test_the_first_esrgan_names_are_read_at_every_scale(
    scale: int, unshuffle: int, doublings: int, tmp_path: Path
) -> None:
    architecture = Architecture.rrdb(num_feat=5, num_block=3, num_grow_ch=2, scale=scale, unshuffle=unshuffle)
    state = random_state(architecture)
    torch.save(first_esrgan_names(state, 3, doublings), tmp_path / "m.pth")
    assert holds(read_checkpoint(tmp_path / "m.pth"), architecture, state)


def test_the_second_esrgan_names_are_read(tmp_path: Path) -> None:
    state = random_state(RRDB)
    torch.save(mmsr_names(state), tmp_path / "m.pth")
    assert holds(read_checkpoint(tmp_path / "m.pth"), RRDB, state)


def test_the_pixel_shuffle_variant_of_esrgan_is_refused(tmp_path: Path) -> None:
    state = first_esrgan_names(random_state(RRDB), 2, 2)
    # its upconv is convolution, shuffle, activation: the convolution stands one place earlier
    moved = {
        name.replace("model.3.", "model.2.").replace("model.6.", "model.5."): t for name, t in state.items()
    }
    torch.save(moved, tmp_path / "m.pth")
    with pytest.raises(ArchitectureError, match="positions 2, 5, 8, 10"):
        read_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_other_float_types_become_float32(dtype: torch.dtype, suffix: str, tmp_path: Path) -> None:
    state = random_state(SRVGG)
    stored = {name: tensor.to(dtype) for name, tensor in state.items()}
    path = tmp_path / f"m{suffix}"
    if suffix == ".pth":
        torch.save(stored, path)
    else:
        save_file(stored, path)
    expected = {name: tensor.float() for name, tensor in stored.items()}
    assert holds(read_checkpoint(path), SRVGG, expected)


def test_files_of_pytorch_before_1_6_are_read(tmp_path: Path) -> None:
    state = random_state(RRDB)
    torch.save({"params_ema": state}, tmp_path / "m.pth", _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(tmp_path / "m.pth")
    assert holds(read_checkpoint(tmp_path / "m.pth"), RRDB, state)


# --- strangers ---


class Payload:
    """Runs a shell command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.system, (self.command,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(zipped: bool, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    evil = {**random_state(SRVGG), "extra": Payload(f"touch {mark}")}
    torch.save(evil, tmp_path / "m.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsFormatError, match=r"wants to run or build (posix|nt)\.system.*refused"
    ) as refusal:
        read_checkpoint(tmp_path / "m.pth")
    assert not mark.exists()
    assert refusal.value.hint is not None
    assert ".safetensors" in refusal.value.hint
    torch.load(tmp_path / "m.pth", weights_only=False)
    assert mark.exists()  # the payload does work: only the refusal kept it from running


def test_a_bare_pickle_is_refused_without_running(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "m.pth").write_bytes(pickle.dumps(Payload(f"touch {mark}")))
    with pytest.raises(WeightsFormatError):
        read_checkpoint(tmp_path / "m.pth")
    assert not mark.exists()


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(3, 3, 1), tmp_path / "m.pth")
    with pytest.raises(WeightsFormatError, match=r"wants to run or build torch\.nn\.modules\.conv\.Conv2d"):
        read_checkpoint(tmp_path / "m.pth")


def test_a_torchscript_file_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:  # the marks by which PyTorch knows one
        archive.writestr("m/constants.pkl", pickle.dumps(()))
        archive.writestr("m/data.pkl", pickle.dumps(()))
        archive.writestr("m/version", "3\n")
        archive.writestr("m/code/__torch__.py", "")
    with pytest.raises(WeightsFormatError):
        read_checkpoint(tmp_path / "m.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2, 3], "holds no tensors by name"),
        ({}, "holds no tensors by name"),
        ({"params": {}}, "holds no tensors by name"),
        ({"epoch": 3}, "the entry 'epoch' is a int, not a tensor"),
        ({5: torch.zeros(1)}, "the entry 5 is a Tensor"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, r"the tensor a is torch\.complex64"),
        ({"a": torch.tensor([1.0, float("nan")])}, "the tensor a holds values that are no numbers"),
        ({"a": torch.zeros(1).expand(1 << 29)}, "its tensors need over 1024 MiB"),  # 4 bytes in the file
    ],
)
def test_content_that_is_no_network_is_refused(content: object, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(WeightsFormatError, match=words):
        read_checkpoint(tmp_path / "m.pth")


def test_tables_of_integers_are_taken_for_another_family(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2, dtype=torch.int64)}, tmp_path / "m.pth")
    with pytest.raises(ArchitectureError, match=r"the tensor a of torch\.int64") as refusal:
        read_checkpoint(tmp_path / "m.pth")
    assert ".onnx" in str(refusal.value.hint)


def test_a_compressed_bomb_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_files, "LARGEST_BYTES", 4 << 20)
    with zipfile.ZipFile(tmp_path / "m.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data/0", bytes(5 << 20))
        archive.writestr("m/data.pkl", pickle.dumps({}))
    assert (tmp_path / "m.pth").stat().st_size < 1 << 16
    with pytest.raises(WeightsFormatError, match="would unpack to 5 MiB"):
        read_checkpoint(tmp_path / "m.pth")


def test_a_file_above_the_cap_is_refused_unread(tmp_path: Path) -> None:
    for name in ("m.pth", "m.safetensors"):
        with (tmp_path / name).open("wb") as file:
            file.truncate((1 << 30) + (1 << 20))  # sparse: no disk is used
        with pytest.raises(WeightsFormatError, match="has 1025 MiB"):
            read_checkpoint(tmp_path / name)


def test_a_safetensors_header_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(WeightsFormatError, match="damaged, or not a model file"):
        read_checkpoint(tmp_path / "m.safetensors")


def test_what_is_no_file_of_torch_is_not_answered_with_advice_to_run_it(tmp_path: Path) -> None:
    (tmp_path / "m.pth").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    with pytest.raises(WeightsFormatError, match="damaged, or not a model file") as caught:
        read_checkpoint(tmp_path / "m.pth")
    assert "weights_only" not in caught.value.message


SMALL = Architecture.srvgg(num_feat=2, num_conv=0, upscale=1, act_type="prelu")


@functools.cache
def whole_file(kind: str) -> bytes:
    """Made once: torch's legacy form holds memory addresses, so that its length changes now and then (1245 to
    1255 bytes), which hypothesis takes for a test that depends on something else than what it draws.
    """
    if kind == "safetensors":
        return save(random_state(SMALL))
    file = io.BytesIO()
    torch.save(random_state(SMALL), file, _use_new_zipfile_serialization=kind == "zip")
    return file.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["zip", "legacy", "safetensors"]))
def test_damage_is_refused_in_our_own_words_or_harmless(
    data: st.DataObject, kind: str, tmp_path: Path
) -> None:
    """A flipped byte or a cut: another exception than ours would be a traceback in someone's terminal."""
    path = tmp_path / ("m.safetensors" if kind == "safetensors" else "m.pth")
    content = bytearray(whole_file(kind))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(WeightsError):
        assert read_checkpoint(path).architecture.kind == "srvgg"


# --- detection ---


def changed(state: dict[str, Tensor], **replaced: Tensor | None) -> dict[str, Tensor]:
    new = {**state, **{name.replace("__", "."): tensor for name, tensor in replaced.items()}}
    return {name: tensor for name, tensor in new.items() if tensor is not None}


@pytest.mark.parametrize(
    ("architecture", "replaced", "words"),
    [
        (SRVGG, {"body__2__bias": None}, r"lacks the tensor body\.2\.bias"),
        (SRVGG, {"body__2__weight": torch.zeros(4, 4, 5, 5)}, r"body\.2\.weight is 4x4x5x5, not 4x4x3x3"),
        (SRVGG, {"extra__weight": torch.zeros(3)}, r"has no tensor extra\.weight"),
        (SRVGG, {"body__3__weight": None}, "only some of its activations have slopes"),
        (SRVGG, {"body__0__weight": torch.zeros(4, 1, 3, 3)}, "takes 1 channels"),
        (SRVGG, {"body__6__weight": torch.zeros(13, 4, 3, 3)}, "makes 13"),
        (SRVGG, {"body__999999999__weight": torch.zeros(4, 4, 3, 3)}, "not convolutions with an activation"),
        (RRDB, {"body__1__rdb2__conv3__weight": None}, r"lacks the tensor body\.1\.rdb2\.conv3\.weight"),
        (
            RRDB,
            {"body__0__rdb1__conv1x1__weight": torch.zeros(3, 5, 1, 1)},
            r"no tensor body\.0\.rdb1\.conv1x1",
        ),
        (RRDB, {"body__77__rdb1__conv1__weight": torch.zeros(3, 5, 3, 3)}, r"lacks the tensor body\.2\.rdb1"),
        (RRDB, {"conv_first__weight": torch.zeros(5, 1, 3, 3)}, "takes 1 channels"),
        (RRDB, {"conv_first__weight": torch.zeros(5, 27, 3, 3)}, "folds its input by 3 and enlarges 4 times"),
        (RRDB, {"conv_first__weight": torch.zeros(5)}, "conv_first.weight has 1 dimensions"),
        (RRDB, {"conv_last__weight": None}, "conv_last.weight is missing"),
        (RRDB, {"conv_up3__weight": torch.zeros(5, 5, 3, 3)}, r"x8.* lacks the tensor conv_up3\.bias"),
    ],
)
def test_the_tensor_that_does_not_belong_is_named(
    architecture: Architecture, replaced: dict[str, Tensor | None], words: str, tmp_path: Path
) -> None:
    torch.save(changed(random_state(architecture), **replaced), tmp_path / "m.pth")
    with pytest.raises(ArchitectureError, match=words):
        read_checkpoint(tmp_path / "m.pth")


def test_another_family_is_refused_with_a_hint(tmp_path: Path) -> None:
    torch.save({"layers.0.attn.qkv.weight": torch.zeros(12, 4)}, tmp_path / "swinir.pth")
    with pytest.raises(ArchitectureError, match="of no known network") as refusal:
        read_checkpoint(tmp_path / "swinir.pth")
    assert refusal.value.hint


def test_an_expected_architecture_settles_what_tensors_leave_open(tmp_path: Path) -> None:
    x3 = Architecture.rrdb(num_feat=4, num_block=1, num_grow_ch=2, scale=3)
    relu = Architecture.srvgg(num_feat=4, num_conv=1, upscale=2, act_type="relu")
    for architecture in (x3, relu):
        torch.save(random_state(architecture), tmp_path / "m.pth")
        assert read_checkpoint(tmp_path / "m.pth", architecture).architecture == architecture
    torch.save(random_state(x3), tmp_path / "m.pth")
    assert read_checkpoint(tmp_path / "m.pth").architecture.scale == 2  # the documented guess


def test_a_file_of_another_network_than_expected_is_refused(tmp_path: Path) -> None:
    torch.save(random_state(SRVGG), tmp_path / "m.pth")
    with pytest.raises(
        ArchitectureError, match=r"holds SRVGGNetCompact x2, 2 conv.*not RRDBNet x4, 2 blocks"
    ):
        read_checkpoint(tmp_path / "m.pth", RRDB)


@pytest.mark.parametrize("name", ["m.onnx.data", "m.txt", "m"])
def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(WeightsFormatError, match="has an unknown format") as refusal:
        read_checkpoint(tmp_path / name)
    assert ".safetensors" in str(refusal.value.hint)


@pytest.mark.parametrize("name", ["gone.pth", "gone.safetensors", "gone.param"])
def test_a_missing_file_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsFormatError, match="gone"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Tried with a refusal of the file's opening: permissions do not hold for everybody."""
    (tmp_path / name).write_bytes(b"anything")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsFormatError) as caught:
        read_checkpoint(tmp_path / name)
    assert caught.value.message == f"{tmp_path / name} cannot be read: Permission denied"
    assert caught.value.hint == "check the path and its permissions"
