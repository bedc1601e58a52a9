"""Pictures that are begun and asked for later are those of computing one after another."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from vidsr.backends.base import LostResultError, Overlapping, Result
from vidsr.errors import DeviceMemoryError
from vidsr.frames import Color, Frame, PixelFormat
from vidsr.infer.picture import Picture
from vidsr.infer.upscaler import PendingFrames, Upscaler
from vidsr.job import ReuseMode
from vidsr.media.color.convert import assume
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact

YUV420 = PixelFormat.parse("yuv420p")
WIDTH, HEIGHT = 160, 96


class InTurn:
    """The plain network: a call is all it has."""

    def __init__(self, network: Network, *, most_pixels: int = 10**9) -> None:
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.scale, self.halo, self.input_multiple = network.scale, network.halo, network.input_multiple
        self.streams, self.words = 2, "in turn"
        self.pixels = 0
        self.most_pixels = most_pixels
        self._network = network

    def __call__(self, batch: Tensor) -> Tensor:
        self.pixels += batch[:, 0].numel()
        if batch.shape[2] * batch.shape[3] > self.most_pixels:
            raise DeviceMemoryError("full")
        # one by one: the last bit depends on how many are computed together
        return torch.cat([self._network(picture[None]) for picture in batch])


class Late(InTurn):
    """Three may be begun. Each is computed when it is asked for, into memory that is used in turn."""

    under_way = 3

    def __init__(self, network: Network, *, most_pixels: int = 10**9) -> None:
        super().__init__(network, most_pixels=most_pixels)
        self.begun = 0
        self.lost = 0
        self._owner = [-1] * self.under_way
        self._memory = [torch.empty(0)] * self.under_way

    def begin(self, picture: Tensor) -> Result:
        assert len(picture) == 1
        number, slot = self.begun, self.begun % self.under_way
        self.begun += 1
        self._owner[slot] = number
        self._memory[slot].fill_(torch.nan)

        def result() -> Tensor:
            if self._owner[slot] != number:
                self.lost += 1
                raise LostResultError
            larger = self(picture)
            if self._memory[slot].shape != larger.shape:
                self._memory[slot] = larger.clone()
            return self._memory[slot].copy_(larger)

        return result

    def abandon(self) -> None:
        self._owner = [-1] * self.under_way


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(5)
    made = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return made.requires_grad_(False)


def new_picture(random: np.random.Generator) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], ...]:
    shapes = [YUV420.plane_shape(plane, HEIGHT, WIDTH) for plane in range(YUV420.plane_count)]
    return tuple(random.integers(16, 235, shape).astype(np.uint8) for shape in shapes)


def scene() -> list[Frame]:
    """New pictures, pictures changed in one place, and the same again, after each other in every order."""
    random = np.random.default_rng(3)
    color = assume(Color(), HEIGHT, YUV420, width=WIDTH)
    planes = new_picture(random)
    frames = []
    for index, kind in enumerate("nnncnnchhcnnnhcnnnchnn"):
        if kind == "n":
            planes = new_picture(random)
        elif kind == "c":
            luma = planes[0].copy()
            y, x = random.integers(0, HEIGHT - 8), random.integers(0, WIDTH - 8)
            luma[y : y + 8, x : x + 8] = 255 - luma[y : y + 8, x : x + 8]
            planes = (luma, *planes[1:])
        frames.append(Frame(planes, YUV420, color, pts=index, time_base=Fraction(1, 24), index=index))
    return frames


def upscaler(backend: InTurn, reuse: ReuseMode) -> Upscaler:
    source, target = (
        Picture(WIDTH * n, HEIGHT * n, YUV420, assume(Color(), HEIGHT, YUV420, width=WIDTH))
        for n in (1, backend.scale)
    )
    return Upscaler(backend, source, target, batch_size=2, reuse=reuse)


def pictures_of(frames: Sequence[Frame]) -> list[list[bytes]]:
    return [[np.asarray(plane).tobytes() for plane in frame.planes] for frame in frames]


def upscaled(stage: Upscaler, frames: Sequence[Frame], *, behind: int = 0) -> list[list[bytes]]:
    """Every result is asked for when so many batches more have been submitted."""
    pending: deque[PendingFrames] = deque()
    done: list[Frame] = []
    for number in range(0, len(frames), 2):
        pending.append(stage.submit(frames[number : number + 2]))
        if len(pending) > behind:
            done += pending.popleft().result()
    for one in pending:
        done += one.result()
    return pictures_of(done)


@pytest.mark.parametrize("behind", [0, 1, 2, 99])
@pytest.mark.parametrize("reuse", ["off", "exact", "near"])
def test_results_asked_for_late_are_those_of_computing_in_turn(
    network: Network, reuse: ReuseMode, behind: int
) -> None:
    plain, late = InTurn(network), Late(network)
    expected = upscaled(upscaler(plain, reuse), scene())
    assert upscaled(upscaler(late, reuse), scene(), behind=behind) == expected
    assert late.begun >= 10  # pairs of new pictures, also where only those are computed
    assert late.lost == 0
    assert late.pixels == plain.pixels  # nothing is computed twice
    assert isinstance(late, Overlapping)
    assert not isinstance(plain, Overlapping)


def test_pictures_under_way_do_not_overtake_each_other(network: Network) -> None:
    """Frames of one stage come back in order however their results are asked for."""
    stage, frames = upscaler(Late(network), "off"), scene()
    first, second = stage.submit(frames[:2]), stage.submit(frames[2:4])
    later, sooner = second.result(), first.result()
    assert [frame.index for frame in (*sooner, *later)] == [0, 1, 2, 3]
    assert pictures_of([*sooner, *later]) == upscaled(upscaler(InTurn(network), "off"), frames[:4])


@pytest.mark.parametrize("reuse", ["off", "exact"])
def test_what_was_abandoned_is_computed_again(network: Network, reuse: ReuseMode) -> None:
    backend = Late(network)
    stage, frames = upscaler(backend, reuse), scene()
    pending = stage.submit(frames[:2])
    backend.abandon()
    after = stage.submit(frames[2:4])
    expected = upscaled(upscaler(InTurn(network), reuse), frames[:4])
    assert pictures_of([*pending.result(), *after.result()]) == expected
    assert backend.lost >= 2  # each may be looked for before it is wanted


def test_what_was_abandoned_and_nobody_wants_is_not_computed_again(network: Network) -> None:
    """As where a run ended in the middle, and another one begins with the same stage."""
    backend = Late(network)
    stage, frames = upscaler(backend, "off"), scene()
    stage.submit(frames[:2])
    backend.abandon()
    assert upscaled(stage, frames[2:8]) == upscaled(upscaler(InTurn(network), "off"), frames[2:8])
    assert backend.pixels == 6 * WIDTH * HEIGHT


@pytest.mark.parametrize("reuse", ["off", "exact"])
def test_memory_that_runs_out_behind_the_beginning_is_healed_with_tiles(
    network: Network, reuse: ReuseMode
) -> None:
    backend = Late(network, most_pixels=WIDTH * HEIGHT // 3)
    stage, frames = upscaler(backend, reuse), scene()
    expected = upscaled(upscaler(InTurn(network), reuse), frames)
    found = upscaled(stage, frames, behind=1)
    # tiles sum in another order: now and then a sample lies on the other side of a half
    for ours, theirs in zip(found, expected, strict=True):
        for plane, other in zip(ours, theirs, strict=True):
            difference = np.frombuffer(plane, np.uint8).astype(int) - np.frombuffer(other, np.uint8)
            assert np.abs(difference).max() <= 1
    assert backend.begun <= 3  # once it is known, nothing is begun that does not fit


def test_memory_that_suffices_for_nothing_is_an_error(network: Network) -> None:
    pending = upscaler(Late(network, most_pixels=10), "off").submit(scene()[:2])
    with pytest.raises(DeviceMemoryError, match="too little memory for one frame of 160x96"):
        pending.result()


@pytest.mark.parametrize("kind", [InTurn, Late])
@pytest.mark.parametrize("reuse", ["off", "exact", "near"])
def test_the_network_goes_with_its_upscaler(network: Network, kind: type[InTurn], reuse: ReuseMode) -> None:
    """And not when Python looks for cycles: the next file of a batch loads its own meanwhile."""
    gc.collect()
    gc.disable()
    try:
        backend = kind(network)
        left = weakref.ref(backend)
        stage = upscaler(backend, reuse)
        upscaled(stage, scene()[:8])
        del stage, backend
        assert left() is None
    finally:
        gc.enable()
