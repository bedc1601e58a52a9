"""Image files hold what was put into them."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

from vidsr.errors import EncoderError
from vidsr.preview import images
from vidsr.preview.display import Pixels


def decoded(image: bytes, height: int, width: int) -> Pixels:
    """By an independent program."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        "-",
        "-vf",
        "format=rgb24",
        "-f",
        "rawvideo",
        "-",
    ]
    raw = subprocess.run(command, input=image, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


@pytest.fixture
def noise() -> Pixels:
    return np.random.default_rng(7).integers(0, 256, (37, 51, 3), dtype=np.uint8)


def test_png_is_lossless(noise: Pixels) -> None:
    assert np.array_equal(decoded(images.png(noise), 37, 51), noise)
    assert images.data_uri(images.png(noise)).startswith("data:image/png;base64,iVBORw0KGgo")


def test_webp_is_lossless(noise: Pixels) -> None:
    assert np.array_equal(decoded(images.webp(noise), 37, 51), noise)
    assert images.data_uri(images.webp(noise)).startswith("data:image/webp;base64,UklGR")


def test_jpeg_keeps_every_chroma_sample() -> None:
    """Columns of red and blue, one pixel each: halved chroma would make them one purple."""
    stripes = np.zeros((16, 32, 3), np.uint8)
    stripes[:, ::2, 0] = 255
    stripes[:, 1::2, 2] = 255
    back = decoded(images.jpeg(stripes), 16, 32).astype(int)
    assert np.abs(back - stripes).mean() < 4
    assert images.data_uri(images.jpeg(stripes)).startswith("data:image/jpeg;base64,/9j/")


def test_jpeg_is_near_lossless_where_pictures_are_smooth() -> None:
    ramp = np.linspace(0, 255, 64)
    smooth = np.stack(np.broadcast_arrays(ramp[None], ramp[:, None], 128), axis=-1).astype(np.uint8)
    back = decoded(images.jpeg(smooth), 64, 64).astype(int)
    assert np.abs(back - smooth).max() <= 3


def test_a_picture_no_file_can_hold_is_one_clear_error() -> None:
    with pytest.raises(EncoderError, match="libwebp cannot take a picture of 16400x1"):
        images.webp(np.zeros((1, 16400, 3), np.uint8))
