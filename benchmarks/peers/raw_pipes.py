"""Raw RGB through pipes from and to ffmpeg programs, as the official video script does it.

Runs in the peers' environments: standard library and numpy only.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]

SCALE = 4
ENCODER = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"]


def arguments(*networks: str) -> argparse.Namespace:
    """The command line every loop takes: its network's files, then clip, output, number of frames."""
    parser = argparse.ArgumentParser()
    for name in networks:
        parser.add_argument(name, type=Path)
    parser.add_argument("clip", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("frames", type=int)
    return parser.parse_args()


def size_and_rate(clip: Path) -> tuple[int, int, str]:
    """(width, height, average frame rate as a fraction)."""
    fields = "stream=width,height,avg_frame_rate"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", fields]
    found = subprocess.run([*command, "-of", "csv=p=0", clip], capture_output=True, text=True, check=True)
    width, height, rate = found.stdout.strip().split(",")[:3]
    return int(width), int(height), rate


def upscale(clip: Path, output: Path, frames: int, network: Callable[[Picture], Picture]) -> None:
    """Every frame through `network`: uint8 (H, W, 3) R'G'B' to uint8 (4H, 4W, 3), one after another."""
    width, height, rate = size_and_rate(clip)
    quiet = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    decoder = subprocess.Popen(
        [*quiet, "-i", clip, "-frames:v", str(frames), *raw, "-"], stdout=subprocess.PIPE
    )
    size = f"{width * SCALE}x{height * SCALE}"
    encoder = subprocess.Popen(
        [*quiet, *raw, "-s", size, "-framerate", rate, "-i", "-", *ENCODER, output], stdin=subprocess.PIPE
    )
    assert decoder.stdout is not None
    assert encoder.stdin is not None
    for picture in _pictures(decoder, width, height):
        encoder.stdin.write(network(picture).tobytes())
    encoder.stdin.close()
    if decoder.wait() or encoder.wait():
        raise SystemExit("ffmpeg failed")


def _pictures(decoder: subprocess.Popen[bytes], width: int, height: int) -> Iterator[Picture]:
    assert decoder.stdout is not None
    size = width * height * 3
    while data := decoder.stdout.read(size):
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
