"""VMAF, which PyAV's FFmpeg does not have, by an ffmpeg program that does.

It runs the program on both files and reads the numbers back; frames are paired in order there too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from vidsr.errors import ToolMissingError, VidsrError
from vidsr.frames import PixelFormat
from vidsr.metrics.meeting import Meeting, Side

MODEL = "vmaf_v0.6.1"
"""The default of libvmaf: HD on a television at three times its height."""

LOG_NAME = "vmaf.json"
ASKING_SECONDS = 20
NAME_ONE = "name one with libvmaf by --ffmpeg PATH"


def find_ffmpeg(named: Path | None) -> Path:
    """An ffmpeg with libvmaf: the one that is named, else the one on PATH.

    Raises ToolMissingError.
    """
    found = shutil.which(named or "ffmpeg")
    if found is None:
        if named is None:
            raise ToolMissingError("there is no ffmpeg on PATH", NAME_ONE)
        raise ToolMissingError(f"--ffmpeg {named}: no such program", "name an ffmpeg that can be run")
    try:
        asked = subprocess.run(
            [found, "-hide_banner", "-h", "filter=libvmaf"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=ASKING_SECONDS,
        )
        knows = "Filter libvmaf" in asked.stdout
    except (OSError, subprocess.TimeoutExpired):
        knows = False
    if not knows:
        if named is None:
            raise ToolMissingError(f"{found} has no libvmaf", NAME_ONE)
        raise ToolMissingError(
            f"--ffmpeg {named} has no libvmaf", "the builds of ffmpeg.org's download page have it"
        )
    return Path(found)


def measure_vmaf(ffmpeg: Path, meeting: Meeting) -> list[float]:
    """VMAF of every pair of frames, 0 to 100. If one video is longer, the other's last frame is repeated for
    its remaining frames. Raises VidsrError where ffmpeg fails.
    """
    layout = _layout(meeting.layout)
    graph = (
        f"[0:{meeting.other.info.video_index}]{_steps(meeting.other, layout)}[other];"
        f"[1:{meeting.reference.info.video_index}]{_steps(meeting.reference, layout)}[reference];"
        f"[other][reference]libvmaf=log_fmt=json:log_path={LOG_NAME}:n_threads={os.cpu_count() or 1}"
        f":model=version={MODEL}"
    )
    command = [str(ffmpeg), "-hide_banner", "-nostdin", "-v", "error"]
    for side in (meeting.other, meeting.reference):
        path = f"file:{side.info.path.absolute()}"
        command += ["-noautorotate", "-protocol_whitelist", "file", "-i", path]
    command += ["-filter_complex", graph, "-fps_mode", "passthrough", "-f", "null", "-"]
    with tempfile.TemporaryDirectory(prefix="vidsr-vmaf-") as folder:  # so that no path is in the graph
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", check=False
        )
        log = Path(folder) / LOG_NAME
        if done.returncode or not log.is_file():
            said = done.stderr.strip().splitlines()
            raise VidsrError(f"{ffmpeg} could not measure VMAF: {said[-1] if said else done.returncode}")
        report = json.loads(log.read_text(encoding="utf-8"))
    return [float(frame["metrics"]["vmaf"]) for frame in report["frames"]]


def _steps(side: Side, layout: PixelFormat) -> str:
    tags = f"setparams=colorspace={int(side.color.matrix)}:range={int(side.color.range)}"
    return f"settb=1/25,setpts=N,{tags},{side.filters},format={layout.name}"


def _layout(compared: PixelFormat) -> PixelFormat:
    """The nearest of those libvmaf takes; it looks at luma only."""
    if compared.family != "yuv":
        bits = "" if compared.bits == 8 else "10le"
        return PixelFormat.parse(f"yuv444p{bits}")
    bits_there = next((b for b in (8, 10, 12, 16) if b >= compared.bits), 16)
    base = compared.name.removesuffix("le")
    base = base.rstrip("0123456789") if compared.bits > 8 else base
    return PixelFormat.parse(base if bits_there == 8 else f"{base}{bits_there}le")
