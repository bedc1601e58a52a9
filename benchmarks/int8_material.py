"""Pictures to tune int8 constants on: drawn here, compressed, spoilt and cut into squares.

Everything is computed: the sample clip's two artworks at many sizes, flat shapes with outlines, letters of
noise, gradients and textures of every roughness; then colours are changed and x264 does to most of them
what it does to films. Nothing here knows networks. The same seed gives the same squares on one machine.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))

from city import draw_city
from hillside import POSES, draw_hillside

Rng = np.random.Generator
Picture = npt.NDArray[np.uint8]  # (height, width, 3)

CITY_STEPS = 36


def squares(count: int, side: int, seed: int) -> Tensor:
    """(count, 3, side, side) R'G'B' in [0, 1]. Half come from drawings, half from the rest."""
    rng = np.random.default_rng(seed)
    sheets = [_through_x264(_recoloured(_sheet(number, rng), rng), rng) for number in range(-(-count // 12))]
    cut = [_cut(sheets[number % len(sheets)], side, rng) for number in range(count)]
    return torch.stack(cut)


def _sheet(number: int, rng: Rng) -> Picture:
    height = int(rng.choice([180, 240, 360, 480, 540]))
    width = height * 16 // 9 // 2 * 2
    match number % 8:
        case 0 | 2:
            return draw_hillside(width, height, int(rng.integers(len(POSES))))
        case 4 | 6:
            return draw_city(width, height, int(rng.integers(CITY_STEPS)), CITY_STEPS)
        case 1 | 5:
            return _as_picture(_shapes(360, 480, rng))
        case 3:
            return _as_picture(_texture(360, 480, rng))
        case _:
            return _as_picture(0.5 * _shapes(360, 480, rng) + 0.5 * _texture(360, 480, rng))


def _shapes(height: int, width: int, rng: Rng) -> npt.NDArray[np.float64]:
    """Ellipses and bars in flat or fading colours, most of them with an outline; strokes like letters."""
    y, x = np.mgrid[0:height, 0:width]
    slope = rng.normal(size=2) / (height, width)
    fade = (y * slope[0] + x * slope[1])[..., None]
    picture: npt.NDArray[np.float64] = np.clip(rng.random(3) + fade * rng.normal(size=3) * 0.5, 0, 1)
    for _ in range(60):
        middle = rng.random(2) * (height, width)
        turn = rng.random() * np.pi
        reach = np.exp(rng.uniform(np.log(3), np.log(120), 2))
        u = (y - middle[0]) * np.cos(turn) + (x - middle[1]) * np.sin(turn)
        v = (x - middle[1]) * np.cos(turn) - (y - middle[0]) * np.sin(turn)
        if rng.random() < 0.5:
            distance = (np.hypot(u / reach[0], v / reach[1]) - 1) * reach.min()
        else:
            distance = np.maximum(np.abs(u) - reach[0], np.abs(v) - reach[1])
        inside = np.clip(0.5 - distance, 0, 1)[..., None]
        picture = picture * (1 - inside) + np.clip(rng.random(3) + fade * rng.normal(size=3), 0, 1) * inside
        if rng.random() < 0.7:
            pen = rng.uniform(0.4, 2.5)
            stroke = np.clip(pen + 0.5 - np.abs(distance), 0, 1)[..., None]
            picture = picture * (1 - stroke) + rng.random(3) * rng.choice([0.1, 1.0]) * stroke
    return picture


def _texture(height: int, width: int, rng: Rng) -> npt.NDArray[np.float64]:
    """Noise whose power falls with frequency, as in photographs (exponent 2) and steeper or flatter."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    falling = frequency ** -rng.uniform(0.7, 1.7)
    falling[0, 0] = 0
    white = [np.fft.rfft2(rng.normal(size=(height, width))) for _ in range(3)]
    layers = np.stack([np.fft.irfft2(noise * falling, (height, width)) for noise in white], -1)
    layers /= layers.std()
    grayness = rng.random()
    layers = grayness * layers.mean(-1, keepdims=True) * 1.7 + (1 - grayness) * layers
    return np.asarray(np.clip(rng.uniform(0.2, 0.8) + layers * rng.uniform(0.05, 0.25), 0, 1))


def _recoloured(picture: Picture, rng: Rng) -> Picture:
    """Other colours, lighter or darker, softer or noisier, mirrored: so that few squares look alike."""
    values = picture.astype(np.float64) / 255
    values = values[..., rng.permutation(3)]
    if rng.random() < 0.3:
        values = 1 - values
    values = values ** np.exp(rng.normal() * 0.4)
    contrast, gray = np.exp(rng.normal() * 0.3), rng.random() * 0.7
    values = gray * values.mean(-1, keepdims=True) + (1 - gray) * values
    values = np.clip(0.5 + (values - 0.5) * contrast + rng.normal() * 0.1, 0, 1)
    if rng.random() < 0.4:
        soft = torch.from_numpy(values).permute(2, 0, 1)[None]
        factor = rng.uniform(1.2, 2.5)
        small = F.interpolate(soft, scale_factor=1 / factor, mode="bilinear", antialias=True)
        values = F.interpolate(small, soft.shape[2:], mode="bilinear")[0].permute(1, 2, 0).numpy()
    if rng.random() < 0.4:
        values = values + rng.normal(size=values.shape) * rng.uniform(0.003, 0.04)
    if rng.random() < 0.5:
        values = values[:, ::-1]
    return _as_picture(values)


def _as_picture(values: npt.NDArray[np.float64]) -> Picture:
    return np.ascontiguousarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))


def _through_x264(picture: Picture, rng: Rng) -> Picture:
    """What a decoder gives of it after compression; one in five is left alone."""
    if rng.random() < 0.2:
        return picture
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(int(rng.integers(10, 34))), "preset": "medium", "threads": "1"}
        frame = av.VideoFrame.from_ndarray(
            np.ascontiguousarray(picture[: stream.height, : stream.width]), format="rgb24"
        )
        container.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file, "r") as coded:
        return np.asarray(next(coded.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def _cut(picture: Picture, side: int, rng: Rng) -> Tensor:
    """The liveliest of three places, so that few squares are flat."""
    best, most = picture, -1.0
    for _ in range(3):
        top, left = (int(rng.integers(size - side + 1)) for size in picture.shape[:2])
        part = picture[top : top + side, left : left + side]
        lively = float(np.abs(np.diff(part.astype(np.int16), axis=0)).mean())
        if lively > most:
            best, most = part, lively
    return torch.from_numpy(np.ascontiguousarray(best)).permute(2, 0, 1).float() / 255
