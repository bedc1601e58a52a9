"""What torch raises when a device fails, raised here in its place: no device that fails is needed."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.infer.nearest import NearestBackend, gray_frame, make_upscaler, picture
from vidsr.backends.device_faults import faults_named
from vidsr.backends.torch_compiled import CompiledTorchBackend, compiler_is_installed
from vidsr.backends.torch_eager import TorchBackend, full_float32
from vidsr.errors import DeviceError, DeviceMemoryError
from vidsr.infer.upscaler import Upscaler
from vidsr.models.compact import SRVGGNetCompact

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)

# As torch 2.13 words them; the last two are of its CPU allocator
MEMORY_IS_FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1.00 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory:"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:99] data. DefaultCPUAllocator: not enough memory:"),
]


class _FullBackend(NearestBackend):
    """Raises what a library raises for more than `room` pictures."""

    error: Exception = RuntimeError()

    def __call__(self, batch: Tensor) -> Tensor:
        if batch.shape[0] > self.room:
            raise self.error
        return super().__call__(batch)


@pytest.mark.parametrize("error", MEMORY_IS_FULL, ids=lambda error: str(error).splitlines()[0][:40])
def test_every_way_of_saying_that_memory_is_full_makes_batches_smaller(error: Exception) -> None:
    backend = _FullBackend(room=2)
    backend.error = error
    upscaler = make_upscaler(backend, 8)
    result = upscaler.submit([gray_frame(i) for i in range(8)]).result()
    assert [int(frame.planes[0][0, 0]) for frame in result] == [16 + i for i in range(8)]
    assert upscaler.batch_size == 2


def test_another_failure_is_not_taken_for_full_memory() -> None:
    backend = _FullBackend(room=0)
    backend.error = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        make_upscaler(backend, 8).submit([gray_frame(0)])


def test_a_device_that_fails_is_named_and_no_bug() -> None:
    backend = _FullBackend(room=0)
    backend.error = torch.AcceleratorError("CUDA error: unspecified launch failure\nCompile with ...")
    with pytest.raises(DeviceError, match=r"cpu failed: CUDA error: unspecified launch failure$"):
        make_upscaler(backend, 8).submit([gray_frame(0)])


def test_a_failure_that_comes_to_light_when_frames_are_fetched_is_named_too() -> None:
    pending = make_upscaler(NearestBackend(), 1).submit([gray_frame(0)])
    (batch, _), *_ = pending._parts

    def fail() -> list[tuple[np.ndarray, ...]]:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    pending._parts = [(batch, fail)]
    with pytest.raises(DeviceError, match="an illegal memory access"):
        pending.result()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "cuda:0 failed: cuDNN error"),
        (
            torch.AcceleratorError("CUDA error: no kernel image is available for execution on the device"),
            "the installed torch has no code for cuda:0",
        ),
    ],
)
def test_faults_are_told_apart(error: Exception, words: str) -> None:
    with pytest.raises(DeviceError, match=words) as caught, faults_named(CUDA):
        raise error
    assert not isinstance(caught.value, DeviceMemoryError)
    with pytest.raises(ValueError, match="a bug"), faults_named(CUDA):
        raise ValueError("a bug")


class _RememberingNetwork(SRVGGNetCompact):
    """Fails when it has made a tensor, and looks after the one it made before."""

    made: weakref.ref[Tensor] | None = None
    was_alive: bool | None = None
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        _RememberingNetwork.calls += 1
        if _RememberingNetwork.made is not None:
            _RememberingNetwork.was_alive = _RememberingNetwork.made() is not None
            return super().forward(x)
        large = x * 2
        _RememberingNetwork.made = weakref.ref(large)
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_nothing_of_a_failed_attempt_is_alive_when_less_is_tried() -> None:
    """Or its memory would be missing for the next: an exception keeps every frame's variables alive."""
    network = _RememberingNetwork(num_feat=4, num_conv=0, upscale=2).eval().requires_grad_(False)
    backend = TorchBackend(network, CPU, torch.float32)
    upscaler = Upscaler(backend, picture(12, 10), picture(24, 20), batch_size=2)
    gc.collect()
    gc.disable()  # what only the collector of cycles frees is freed at any time, or not in time
    try:
        upscaler.submit([gray_frame(0), gray_frame(1)]).result()
    finally:
        gc.enable()
    assert _RememberingNetwork.was_alive is False
    assert _RememberingNetwork.calls == 3


def test_weights_that_do_not_fit_are_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> nn.Module:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    network = SRVGGNetCompact(num_feat=4, num_conv=0, upscale=2).eval()
    monkeypatch.setattr(nn.Module, "to", full)
    with pytest.raises(DeviceMemoryError, match="cpu has too little memory"):
        TorchBackend(network, CPU, torch.float32)


class _AskingNetwork(SRVGGNetCompact):
    """Remembers how cuDNN would multiply float32 while it runs."""

    allowed: bool | None = None

    def forward(self, x: Tensor) -> Tensor:
        _AskingNetwork.allowed = torch.backends.cudnn.allow_tf32
        return super().forward(x)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fp32_is_not_tf32_and_the_process_keeps_its_setting(before: bool, dtype: torch.dtype) -> None:
    network = _AskingNetwork(num_feat=4, num_conv=0, upscale=2).eval().requires_grad_(False)
    backend = TorchBackend(network, CPU, dtype)
    setting = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = before
    try:
        backend(torch.zeros(1, 3, 8, 8, dtype=dtype))
        assert torch.backends.cudnn.allow_tf32 is before
        assert _AskingNetwork.allowed is (before and dtype != torch.float32)
    finally:
        torch.backends.cudnn.allow_tf32 = setting


def test_of_two_networks_at_work_neither_takes_the_other_s_setting() -> None:
    """One begins, the other begins, the one ends: the other still multiplies float32."""
    before = torch.backends.cudnn.allow_tf32
    one, other = full_float32(torch.float32), full_float32(torch.float32)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 is False
    other.__exit__(None, None, None)
    assert torch.backends.cudnn.allow_tf32 is before


@pytest.mark.skipif(not compiler_is_installed(), reason="no C++ compiler")
def test_a_network_that_cannot_be_compiled_is_no_bug_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Failed to find C compiler. Please specify via CC\nand more")

    monkeypatch.setattr(torch, "compile", fail)
    network = SRVGGNetCompact(num_feat=4, num_conv=0, upscale=2).eval().requires_grad_(False)
    backend = CompiledTorchBackend(network, CPU, torch.float32)
    with pytest.raises(DeviceError, match=r"could not compile the network: Failed to find C compiler.* CC$"):
        backend(torch.zeros(1, 3, 8, 8))
