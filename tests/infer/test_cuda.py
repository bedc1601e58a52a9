"""The stage between decoder and encoder on a CUDA device, against the same on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from tests.cuda import require_cuda
from tests.infer.films import HEIGHT, WIDTH, film
from tests.infer.nearest import picture
from vidsr.backends.torch_compiled import CompiledTorchBackend
from vidsr.backends.torch_eager import TorchBackend
from vidsr.frames import Frame, PixelFormat
from vidsr.infer.memory import free_memory
from vidsr.infer.upscaler import Upscaler
from vidsr.job import ReuseMode
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RRDBNet

pytestmark = pytest.mark.cuda

CPU = torch.device("cpu")


@pytest.fixture
def device() -> Iterator[torch.device]:
    yield require_cuda()
    torch.cuda.empty_cache()


@pytest.fixture
def network() -> Network:
    torch.manual_seed(4)
    return SRVGGNetCompact(num_feat=16, num_conv=2, upscale=2).eval().requires_grad_(False)


def upscaler(network: Network, device: torch.device, reuse: ReuseMode = "off", batch: int = 4) -> Upscaler:
    backend = TorchBackend(network, device, torch.float32)
    target = picture(2 * WIDTH, 2 * HEIGHT)
    return Upscaler(backend, picture(WIDTH, HEIGHT), target, batch_size=batch, reuse=reuse)


def run(stage: Upscaler, frames: Sequence[Frame], batch: int = 4) -> list[Frame]:
    """As the pipeline does: the next batch is begun before the last one is fetched."""
    pending, done = [], []
    for start in range(0, len(frames), batch):
        pending.append(stage.submit(frames[start : start + batch]))
        if len(pending) > stage.in_flight:
            done += pending.pop(0).result()
    for rest in pending:
        done += rest.result()
    return done


def assert_alike(got: Sequence[Frame], expected: Sequence[Frame]) -> None:
    """Within one code: sums may be rounded otherwise, and a code's boundary may lie between."""
    assert [frame.pts for frame in got] == [frame.pts for frame in expected]
    for one, other in zip(got, expected, strict=True):
        for a, b in zip(one.planes, other.planes, strict=True):
            assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


@pytest.mark.parametrize("reuse", ["off", "exact"])
def test_frames_are_those_of_the_cpu(device: torch.device, network: Network, reuse: ReuseMode) -> None:
    frames = film(22)
    assert_alike(run(upscaler(network, device, reuse), frames), run(upscaler(network, CPU), frames))


@pytest.mark.parametrize("wanted", ["10 bits", "any size", "RRDBNet", "near"])
def test_frames_of_other_kinds_are_those_of_the_cpu(
    device: torch.device, network: Network, wanted: str
) -> None:
    frames, layout, size = film(22), "yuv420p", (2 * WIDTH, 2 * HEIGHT)
    if wanted == "10 bits":
        layout = "yuv420p10le"
        frames = [deepened(frame, layout) for frame in frames]
    if wanted == "any size":
        size = (2 * WIDTH - 26, 2 * HEIGHT - 18)
    if wanted == "RRDBNet":
        torch.manual_seed(4)
        network = RRDBNet(num_feat=8, num_block=1, num_grow_ch=4, scale=2).eval().requires_grad_(False)

    def stage(on: torch.device) -> Upscaler:
        source, target = picture(WIDTH, HEIGHT, layout), picture(*size, layout)
        reuse: ReuseMode = "near" if wanted == "near" else "off"
        backend = TorchBackend(network, on, torch.float32)
        return Upscaler(backend, source, target, batch_size=4, reuse=reuse)

    assert_alike(run(stage(device), frames), run(stage(CPU), frames))


def deepened(frame: Frame, layout: str) -> Frame:
    """Two more bits, which are not all zeros."""
    planes = tuple(plane.astype(np.uint16) * 4 + plane % 4 for plane in frame.planes)
    return frame.with_planes(planes, PixelFormat.parse(layout), frame.color)


def test_what_torch_keeps_for_later_counts_as_free(device: torch.device) -> None:
    """Else the second job of a process would get a smaller batch than the first."""
    before = free_memory(device)
    used = torch.empty(2**30, dtype=torch.uint8, device=device)
    during = free_memory(device)
    del used
    after = free_memory(device)
    assert before is not None
    assert during is not None
    assert after is not None
    assert before - during >= 2**30
    assert before - after < 2**26


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="no Triton")
def test_the_compiled_network_gives_the_plain_one_s_frames(device: torch.device, network: Network) -> None:
    """Of batches of 4 and of a last one of 2, for which the graph is made anew."""
    source, target = picture(WIDTH, HEIGHT), picture(2 * WIDTH, 2 * HEIGHT)
    frames = film(10)
    compiled = CompiledTorchBackend(network, device, torch.float32)
    got = run(Upscaler(compiled, source, target, batch_size=4), frames)
    assert_alike(got, run(upscaler(network, device), frames))


def test_nothing_of_a_frame_is_overwritten_by_the_next_ones(device: torch.device, network: Network) -> None:
    """All are kept, so that memory given out too early would show; thrice, since it would be a race."""
    frames = film(22)
    expected = run(upscaler(network, CPU), frames)
    stage = upscaler(network, device)
    for _ in range(3):
        assert_alike(run(stage, frames), expected)


def test_no_operation_makes_the_host_wait(device: torch.device, network: Network) -> None:
    """But the wait for finished frames, which is one for an event."""
    stage = upscaler(network, device)
    run(stage, film(4))  # the pattern for dithering is brought to the device once
    torch.cuda.set_sync_debug_mode("error")
    try:
        run(stage, film(12))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_full_device_gives_the_same_frames(device: torch.device) -> None:
    """A network that keeps 256 channels: eight frames of 640x512 and x2 do not fit into 1 GiB."""
    torch.manual_seed(4)
    wide = SRVGGNetCompact(num_feat=256, num_conv=1, upscale=2).eval().requires_grad_(False)
    width, height = 4 * WIDTH, 4 * HEIGHT
    plain = film(1)[0]
    planes = tuple(plane.repeat(4, 0).repeat(4, 1) for plane in plain.planes)
    frames = [plain.with_planes(planes, plain.format, plain.color)] * 8
    source, target = picture(width, height), picture(2 * width, 2 * height)
    expected = Upscaler(TorchBackend(wide, device, torch.float32), source, target, batch_size=1)
    one = expected.submit(frames[:1]).result()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(2**30 / total, 1.0), device)
    try:
        stage = Upscaler(TorchBackend(wide, device, torch.float32), source, target, batch_size=8)
        got = stage.submit(frames).result()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert stage.batch_size < 8
    assert_alike(got, one * 8)
