"""Pictures as ffmpeg shows them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np

from vidsr.preview.display import Pixels


def reference_picture(path: Path, *filters: str) -> Pixels:
    """The first frame as ffmpeg shows it, turned upright by itself."""
    chain = ",".join((*filters, "format=rgb24"))
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), "-vf", chain,
        "-frames:v", "1", "-c:v", "ppm", "-f", "image2pipe", "-",
    ]  # fmt: skip
    data = subprocess.run(command, capture_output=True, check=True).stdout
    kind, size, _, samples = data.split(b"\n", 3)
    assert kind == b"P6"
    width, height = map(int, size.split())
    return np.frombuffer(samples, np.uint8).reshape(height, width, 3)
