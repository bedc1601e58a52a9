"""The stage between decoder and encoder on a CUDA device, against the same on the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch

from tests.cuda import require_cuda
from tests.infer.test_streams import HEIGHT, WIDTH, film
from tests.infer.test_upscaler import picture
from vidsr.backends.torch_eager import TorchBackend
from vidsr.frames import Frame
from vidsr.infer.upscaler import Upscaler
from vidsr.job import ReuseMode
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact

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
