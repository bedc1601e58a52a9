"""The pictures of the pages are of the sample clip, and small enough for a page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from tests.paths import REPOSITORY, SAMPLE

IMAGES = REPOSITORY / "docs" / "images"
SIDE = 320
LARGEST_BYTES = 150_000


def pixels(path: Path, filters: str) -> npt.NDArray[np.float64]:
    """The first frame behind the filters, SIDE x SIDE."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), "-vf"]
    raw = [f"{filters},format=rgb24", "-frames:v", "1", "-f", "rawvideo", "-"]
    data = subprocess.run([*command, *raw], capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE, 3).astype(np.float64)


def psnr_db(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one - other) ** 2)))


@pytest.mark.parametrize(
    ("name", "frame", "left", "top"), [("models-day", 12, 172, 48), ("models-night", 44, 80, 88)]
)
def test_models_are_compared_with_the_sample_as_a_player_enlarges_it(
    name: str, frame: int, left: int, top: int
) -> None:
    """Four pictures in a row: the first is the clip's own, the others are others of the same place."""
    place = f"crop={SIDE}:{SIDE}:{4 * left}:{4 * top}"
    expected = pixels(SAMPLE, f"select=eq(n\\,{frame}),scale=1280:720:flags=bicubic,{place}")
    shown = [pixels(IMAGES / f"{name}.jpg", f"crop={SIDE}:{SIDE}:{n * (SIDE + 6)}:0") for n in range(4)]
    nearness = [psnr_db(picture, expected) for picture in shown]
    assert nearness[0] > 33
    assert all(18 < value < 33 for value in nearness[1:])


def test_pictures_are_small_files() -> None:
    pictures = list(IMAGES.glob("*.jpg"))
    assert len(pictures) >= 3
    assert max(path.stat().st_size for path in pictures) < LARGEST_BYTES
