"""Any size of either family comes back from every format: architecture, names and values."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.weights.ncnn_writer import Spelling, expected_half
from tests.weights.samples import random_state, write_ncnn
from vidsr.models import Architecture
from vidsr.weights.checkpoint import content_digest
from vidsr.weights.formats import read_checkpoint

srvgg = st.builds(
    Architecture.srvgg,
    num_feat=st.integers(1, 12),
    num_conv=st.integers(0, 5),
    upscale=st.sampled_from([1, 2, 3, 4, 8]),
    act_type=st.sampled_from(["prelu", "relu", "leakyrelu"]),
)
rrdb_sizes = {"num_feat": st.integers(1, 9), "num_block": st.integers(1, 3), "num_grow_ch": st.integers(1, 6)}
official_rrdb = st.builds(Architecture.rrdb, scale=st.sampled_from([1, 2, 4, 8]), **rrdb_sizes)
older_rrdb = st.builds(
    Architecture.rrdb, scale=st.sampled_from([1, 2, 3]), unshuffle=st.just(1), **rrdb_sizes
)
architectures = st.one_of(srvgg, official_rrdb, older_rrdb)
seeds = st.integers(0, 2**31)


@settings(max_examples=25, deadline=None)
@given(architecture=architectures, seed=seeds, wrapper=st.sampled_from([None, "params_ema", "params"]))
def test_pth(architecture: Architecture, seed: int, wrapper: str | None) -> None:
    state = random_state(architecture, seed)
    with tempfile.TemporaryDirectory() as folder:
        torch.save({wrapper: state} if wrapper else state, Path(folder) / "m.pth")
        check_from_tensors(architecture, state, Path(folder) / "m.pth")


@settings(max_examples=25, deadline=None)
@given(architecture=architectures, seed=seeds)
def test_safetensors(architecture: Architecture, seed: int) -> None:
    state = random_state(architecture, seed)
    with tempfile.TemporaryDirectory() as folder:
        save_file(state, Path(folder) / "m.safetensors")
        check_from_tensors(architecture, state, Path(folder) / "m.safetensors")


def check_from_tensors(architecture: Architecture, state: dict[str, torch.Tensor], path: Path) -> None:
    found = read_checkpoint(path)
    arguments = dict(architecture.arguments)
    known = dict(found.architecture.arguments)
    if arguments.get("act_type") in ("relu", "leakyrelu"):  # not in the tensors: see test_activation
        assert known.pop("act_type") in ("relu", "leakyrelu")
        del arguments["act_type"]
    if arguments.get("scale") == 3:  # the same tensors as x2
        assert known.pop("scale") == 2
        del arguments["scale"]
    assert (found.architecture.kind, known) == (architecture.kind, arguments)
    told = read_checkpoint(path, architecture)
    assert told.architecture == architecture
    assert content_digest(architecture, told.state) == content_digest(architecture, state)


@settings(max_examples=40, deadline=None)
@given(
    architecture=architectures,
    seed=seeds,
    half=st.booleans(),
    spelling=st.sampled_from(["optimised", "plain"]),
)
def test_ncnn(architecture: Architecture, seed: int, half: bool, spelling: Spelling) -> None:
    state = random_state(architecture, seed)
    with tempfile.TemporaryDirectory() as folder:
        write_ncnn(architecture, state, Path(folder) / "m.param", half=half, spelling=spelling)
        found = read_checkpoint(Path(folder) / "m.bin")
    assert found.architecture == architecture
    if half:
        state = {name: expected_half(value) if value.dim() == 4 else value for name, value in state.items()}
    assert content_digest(architecture, found.state) == content_digest(architecture, state)
