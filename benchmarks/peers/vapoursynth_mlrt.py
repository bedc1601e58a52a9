"""VapourSynth with bestsource and mlrt's OpenVINO, as y4m into ffmpeg: the strongest peer on a CPU.

vapoursynth_mlrt.py NETWORK.onnx CLIP OUTPUT FRAMES. The plugin runs as it comes: OpenVINO then computes
in bf16 where the CPU has it (its output is the same to the bit as with bf16 asked for).
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import vapoursynth as vs

BT709, BT601 = 1, 6
ENCODER = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("network", "clip", "output"):
        parser.add_argument(name, type=Path)
    parser.add_argument("frames", type=int)
    asked = parser.parse_args()

    core = vs.core
    # The index is kept, as people keep it; beside the output, so that nothing is left elsewhere.
    clip = core.bs.VideoSource(str(asked.clip), cachepath=str(asked.output.with_suffix(".index")))
    clip = clip[: asked.frames]
    tagged = clip.get_frame(0).props.get("_Matrix", 2)
    matrix = tagged if tagged != 2 else (BT601 if clip.height < 720 else BT709)
    rgb = core.resize.Bicubic(clip, format=vs.RGBS, matrix_in=matrix)
    upscaled = core.ov.Model(rgb, network_path=str(asked.network), device="CPU")
    yuv = core.resize.Bicubic(upscaled, format=vs.YUV420P8, matrix=matrix, range=0)
    encoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "yuv4mpegpipe", "-i", "-", *ENCODER, asked.output],
        stdin=subprocess.PIPE,
    )
    assert encoder.stdin is not None
    yuv.output(encoder.stdin, y4m=True)
    encoder.stdin.close()
    if encoder.wait():
        raise SystemExit("ffmpeg failed")


if __name__ == "__main__":
    main()
