"""What is in a file, by an independent program: the ffmpeg that imageio-ffmpeg carries."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import imageio_ffmpeg


def ffmpeg(*arguments: str | Path) -> str:
    """Run it; returns standard output. A failure shows what it printed."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def describe(path: Path) -> str:
    """What ffmpeg prints about an input file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def packet_lines(path: Path, stream: str) -> list[tuple[int, int, str]]:
    """(pts, duration, md5 of the payload) of every packet, in the file's order and the stream's time base."""
    text = ffmpeg(
        "-v", "error", "-copyts", "-i", path, "-map", f"0:{stream}", "-c", "copy", "-f", "framemd5", "-"
    )
    return [_packet(line) for line in text.splitlines() if not line.startswith("#")]


def frame_lines(path: Path, stream: str = "v:0") -> list[tuple[int, int, str]]:
    """(pts, duration, md5 of the samples) of every decoded frame, in the stream's time base."""
    text = ffmpeg(
        "-v", "error", "-copyts", "-i", path, "-map", f"0:{stream}", "-fps_mode", "passthrough",
        "-enc_time_base", "demux", "-f", "framemd5", "-",
    )  # fmt: skip
    return [_packet(line) for line in text.splitlines() if not line.startswith("#")]


def gray_frames(path: Path, width: int, height: int) -> list[bytes]:
    """Decoded luma of every frame, scaled to a size."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path),
        "-vf", f"scale={width}:{height}:flags=area,format=gray", "-fps_mode", "passthrough",
        "-f", "rawvideo", "-",
    ]  # fmt: skip
    data = subprocess.run(command, capture_output=True, check=True).stdout
    size = width * height
    return [data[i : i + size] for i in range(0, len(data), size)]


def video_line(path: Path) -> str:
    """The line in which ffmpeg describes the first video stream."""
    match = re.search(r"Stream #.*Video:.*", describe(path))
    assert match is not None, describe(path)
    return match[0]


def _packet(line: str) -> tuple[int, int, str]:
    _, _, pts, duration, _, md5 = (part.strip() for part in line.split(",")[:6])
    return int(pts), int(duration), md5
