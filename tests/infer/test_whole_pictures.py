"""Networks that look at the whole picture are never given a part of it, whatever was asked for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from vidsr.errors import DeviceMemoryError
from vidsr.frames import Color, Frame, PixelFormat
from vidsr.infer.picture import Picture
from vidsr.infer.upscaler import Upscaler
from vidsr.job import ReuseMode
from vidsr.media.color.convert import assume
from vidsr.models.base import EVERYWHERE

FORMAT = PixelFormat.parse("yuv420p")
WIDTH, HEIGHT = 96, 72


class MeanOfAll:
    """x2; brighter by the picture's mean, so that a part of it gives something else."""

    device = torch.device("cpu")
    dtype = torch.float32
    scale = 2
    halo = EVERYWHERE
    input_multiple = 1
    streams = 1
    words = "mean of all"

    def __init__(self) -> None:
        self.sizes: set[tuple[int, ...]] = set()
        self.calls = 0

    def __call__(self, batch: Tensor) -> Tensor:
        self.sizes.add(tuple(batch.shape[2:]))
        self.calls += 1
        brighter = batch / 2 + batch.mean((1, 2, 3), keepdim=True) / 2
        return brighter.repeat_interleave(2, 2).repeat_interleave(2, 3)


class NeverEnough(MeanOfAll):
    def __call__(self, batch: Tensor) -> Tensor:
        raise DeviceMemoryError("full")


def _picture(factor: int) -> Picture:
    return Picture(WIDTH * factor, HEIGHT * factor, FORMAT, assume(Color(), HEIGHT, FORMAT, width=WIDTH))


def _frames() -> list[Frame]:
    """One picture, then a small change, the same again, another change."""
    noise = np.random.default_rng(0)
    first = tuple(
        noise.integers(40, 200, FORMAT.plane_shape(i, HEIGHT, WIDTH)).astype(np.uint8) for i in range(3)
    )
    luma = first[0].copy()
    luma[:8, :8] = 235
    second = (luma, *first[1:])
    luma = first[0].copy()
    luma[60:, 80:] = 16
    third = (luma, *first[1:])
    color = assume(Color(), HEIGHT, FORMAT, width=WIDTH)
    return [
        Frame(planes, FORMAT, color, pts=i, time_base=Fraction(1, 24), index=i)
        for i, planes in enumerate((first, second, second, third))
    ]


def _upscaled(backend: MeanOfAll, reuse: ReuseMode, tile: int | None) -> list[list[bytes]]:
    upscaler = Upscaler(backend, _picture(1), _picture(2), batch_size=1, tile=tile, reuse=reuse)
    found = [upscaler.submit([frame]).result()[0] for frame in _frames()]
    return [[np.asarray(plane).tobytes() for plane in frame.planes] for frame in found]


@pytest.mark.parametrize("tile", [None, 32])
def test_tiles_and_reuse_change_nothing(tile: int | None) -> None:
    plain, careful = MeanOfAll(), MeanOfAll()
    assert _upscaled(careful, "exact", tile) == _upscaled(plain, "off", None)
    assert careful.sizes == {(HEIGHT, WIDTH)}
    assert careful.calls == 3  # the third frame is the second


def test_near_computes_whole_pictures_too() -> None:
    backend = MeanOfAll()
    _upscaled(backend, "near", None)
    assert backend.sizes == {(HEIGHT, WIDTH)}


def test_too_little_memory_for_a_whole_picture_is_an_error() -> None:
    with pytest.raises(DeviceMemoryError, match="too little memory for one frame"):
        _upscaled(NeverEnough(), "off", None)
