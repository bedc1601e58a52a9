"""An upscaler whose network repeats pixels, and pictures to see that by."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.errors import DeviceMemoryError
from vidsr.frames import ChromaLocation, Color, Frame, Matrix, PixelFormat, Range
from vidsr.infer.picture import Picture
from vidsr.infer.upscaler import Upscaler

BT709 = Color(Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT)


class NearestBackend:
    """Repeats pixels: an enlargement whose result is known without a network.

    It fails, as a full device does, for batches of more than `room` frames or `pixels` input pixels.
    """

    def __init__(self, scale: int = 2, *, multiple: int = 1, room: int = 99, pixels: int = 10**9) -> None:
        self.device = torch.device("cpu")
        self.dtype = torch.float32
        self.scale = scale
        self.halo = 0
        self.input_multiple = multiple
        self.streams = 1
        self.words = "nearest"
        self.room = room
        self.pixels = pixels
        self.batches: list[tuple[int, ...]] = []

    def __call__(self, batch: Tensor) -> Tensor:
        self.batches.append(tuple(batch.shape))
        assert batch.shape[2] % self.input_multiple == 0
        assert batch.shape[3] % self.input_multiple == 0
        if batch.shape[0] > self.room or batch.shape[2] * batch.shape[3] > self.pixels:
            raise DeviceMemoryError("full")
        return F.interpolate(batch, scale_factor=float(self.scale), mode="nearest")


def gray_frame(index: int, value: int | None = None, *, width: int = 12, height: int = 10) -> Frame:
    """A picture of one gray; its code value tells which frame it was."""
    fmt = PixelFormat.parse("yuv420p")
    luma = 16 + index if value is None else value
    planes = tuple(
        np.full(fmt.plane_shape(i, height, width), luma if i == 0 else 128, np.uint8) for i in range(3)
    )
    return Frame(planes, fmt, BT709, pts=index * 1001, time_base=Fraction(1, 24000), index=index)


def picture(width: int, height: int, name: str = "yuv420p") -> Picture:
    return Picture(width, height, PixelFormat.parse(name), BT709)


def make_upscaler(backend: NearestBackend, batch: int, *, width: int = 12, height: int = 10) -> Upscaler:
    target = picture(width * backend.scale, height * backend.scale)
    return Upscaler(backend, picture(width, height), target, batch_size=batch)
