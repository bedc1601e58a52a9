"""Outputs looked at with ffmpeg: how many frames, and how near one video is to another."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def frame_count(path: Path) -> int | None:
    """Frames that can be decoded; None where the file cannot be read."""
    fields = ["-select_streams", "v:0", "-count_frames", "-show_entries", "stream=nb_read_frames"]
    command = ["ffprobe", "-v", "error", *fields, "-of", "csv=p=0", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    digits = found.stdout.strip().rstrip(",")
    return int(digits) if digits.isdigit() else None


def psnr_db(one: Path, other: Path) -> float | None:
    """Over all planes and frames, frame by frame in order whatever their time stamps; inf if equal.

    None where they cannot be compared (another size, unreadable).
    """
    in_step = "settb=1/1000,setpts=N*40"
    graph = f"[0:v]{in_step}[a];[1:v]{in_step}[b];[a][b]psnr"
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-i", str(one), "-i", str(other)]
    done = subprocess.run(
        [*command, "-lavfi", graph, "-f", "null", "-"], capture_output=True, text=True, check=False
    )
    found = re.search(r"PSNR .*average:(\S+)", done.stderr)
    return float(found[1]) if done.returncode == 0 and found else None


def size_of(path: Path) -> tuple[int, int]:
    """(width, height). Raises ValueError for what is no video."""
    fields = ["-select_streams", "v:0", "-show_entries", "stream=width,height"]
    command = ["ffprobe", "-v", "error", *fields, "-of", "csv=p=0", str(path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    numbers = found.stdout.strip().split(",")
    if len(numbers) < 2:
        raise ValueError(f"{path} holds no video")
    return int(numbers[0]), int(numbers[1])
