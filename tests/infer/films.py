"""A film in which some frames change little, some wholly and some not at all."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from tests.infer.nearest import BT709
from vidsr.frames import Frame, PixelFormat

WIDTH, HEIGHT = 160, 128
FORMAT = PixelFormat.parse("yuv420p")


def film(count: int) -> list[Frame]:
    """A picture in which something else changes from frame to frame, and now and then nothing or all."""
    generator = np.random.default_rng(3)
    still = generator.integers(40, 190, (HEIGHT, WIDTH), np.uint8)
    gray = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    frames = []
    for index in range(count):
        luma = still.copy()
        if index % 7 == 5:
            luma = 255 - luma
        elif index % 3:
            luma[8 * index % 100 :][:20, 30:60] += 40
        planes = (luma, gray, gray)
        frames.append(Frame(planes, FORMAT, BT709, pts=index, time_base=Fraction(1, 24), index=index))
    return frames
