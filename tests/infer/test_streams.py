"""What runs beside what on CUDA, on imitated streams: every access in order, and who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.infer.films import HEIGHT, WIDTH, film
from tests.infer.nearest import NearestBackend, picture
from tests.infer.streams import Streams, imitated
from vidsr.infer import upscaler as upscaling
from vidsr.infer.transfer import CudaTransfer
from vidsr.infer.upscaler import Upscaler
from vidsr.job import ReuseMode


@contextmanager
def on_imitated_streams() -> Iterator[tuple[Streams, pytest.MonkeyPatch]]:
    names = (f"{name}{number or ''}" for number in range(9) for name in ("up", "compute", "down"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upscaling, "open_transfer", CudaTransfer)
        with imitated(patch, names) as streams:
            yield streams, patch


@pytest.fixture
def streams() -> Iterator[Streams]:
    with on_imitated_streams() as (streams, _):
        yield streams


def run(reuse: ReuseMode) -> list[tuple[np.ndarray, ...]]:
    """Two batches under way at any time, as in the pipeline."""
    backend = NearestBackend(2)
    backend.halo = 3
    target = picture(2 * WIDTH, 2 * HEIGHT)
    upscaler = Upscaler(backend, picture(WIDTH, HEIGHT), target, batch_size=4, reuse=reuse)
    frames = film(16)
    pending, done = [], []
    for start in range(0, len(frames), 4):
        pending.append(upscaler.submit(frames[start : start + 4]))
        if len(pending) > 1:
            done += pending.pop(0).result()
    done += pending.pop().result()
    return [frame.planes for frame in done]


@dataclass(frozen=True)
class Seen:
    """A run, what came of it, and what it did."""

    reuse: ReuseMode
    planes: list[tuple[np.ndarray, ...]]
    streams: Streams


@pytest.fixture(scope="module", params=["off", "exact", "near"])
def seen(request: pytest.FixtureRequest) -> Seen:
    with on_imitated_streams() as (streams, _):
        planes = run(request.param)
        streams.check_allocator()
    return Seen(request.param, planes, streams)


def test_every_access_comes_after_what_it_needs(seen: Seen) -> None:
    assert seen.streams.errors == []
    for (luma, *_), frame in zip(seen.planes, film(16), strict=True):
        assert np.array_equal(luma, frame.planes[0].repeat(2, 0).repeat(2, 1)) or seen.reuse == "near"


def test_the_host_never_waits_for_the_network(seen: Seen) -> None:
    """But for finished frames: else the next batch would not be queued in time, and the GPU stand still.

    The patterns for dithering, one for each plane, are brought to the device once.
    """
    waits = [wait for wait in seen.streams.waits if wait[0] != "up"]
    assert set(waits) <= {("compute", "to")}
    assert len(waits) <= 3


def test_a_frame_is_asked_at_most_thrice_what_changed_in_it(seen: Seen) -> None:
    """Against the last picture, which other one is like it, against that; what is renewed is told once."""
    waits = [what for stream, what in seen.streams.waits if stream == "up"]
    assert set(waits) <= {"cpu", "to"}
    times = 0 if seen.reuse == "off" else 1
    assert waits.count("cpu") <= 3 * 16 * times
    assert waits.count("to") <= 16 * times


class Weighted(NearestBackend):
    """Has weights, which are made before there are streams."""

    def __init__(self) -> None:
        super().__init__(2)
        self.weights = torch.ones(3, 1, 1) * 1

    def __call__(self, batch: Tensor) -> Tensor:
        return super().__call__(batch * self.weights)


def test_weights_are_ready_before_they_are_used(streams: Streams) -> None:
    upscaler = Upscaler(Weighted(), picture(WIDTH, HEIGHT), picture(2 * WIDTH, 2 * HEIGHT), batch_size=1)
    upscaler.submit(film(1)).result()
    assert streams.errors == []


@pytest.mark.parametrize("target", ["yuv420p", "yuv420p10le"])  # with and without dithering
def test_what_several_share_is_ready_for_all_of_them(streams: Streams, target: str) -> None:
    for _ in range(2):
        larger = picture(2 * WIDTH, 2 * HEIGHT, target)
        upscaler = Upscaler(NearestBackend(2), picture(WIDTH, HEIGHT), larger, batch_size=2)
        upscaler.submit(film(2))  # nobody waits for it
    assert "compute1" in streams.clocks
    assert streams.errors == []


def test_what_is_asked_while_the_network_runs_goes_first(streams: Streams) -> None:
    transfer = CudaTransfer(torch.device("cpu"))
    assert transfer._up.priority < transfer._compute.priority  # lower numbers go first


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("wait_stream", "comes before what it needs is written"),
        ("synchronize", "the host reads what is still being written"),
        ("record_stream", "without record_stream"),
    ],
)
def test_the_imitation_sees_what_is_left_out(missing: str, words: str) -> None:
    with on_imitated_streams() as (streams, patch):
        owner = {"wait_stream": torch.cuda.Stream, "synchronize": torch.cuda.Event}.get(missing, Tensor)
        patch.setattr(owner, missing, lambda *_: None)
        run("exact")
        streams.check_allocator()
    assert any(words in error for error in streams.errors)
