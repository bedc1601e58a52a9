"""Does memory stay flat, and time a frame too, as the clip grows?

    python benchmarks/growth.py [--frames 100 1000 5000] [--size 160x90]

One process for each length on drawn clips; exit code 1 if the longest clip's peak memory is more than 5%
above the shortest one's.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from timing import Timed, run_timed

from vidsr.bench.clip import write_clip
from vidsr.bench.machine import this_machine

ALLOWED_GROWTH = 1.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--size", default="160x90", metavar="WxH")
    parser.add_argument("--vidsr-options", default="", help="more options for vidsr")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds before a run is given up")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    runs: list[tuple[int, Timed]] = []
    with tempfile.TemporaryDirectory(prefix="vidsr-growth-") as folder:
        for frames in sorted(asked.frames):
            clip = write_clip(Path(folder) / f"{frames}.mkv", width=width, height=height, frames=frames)
            output = clip.with_name("out.mkv")
            command: list[str | Path] = [sys.executable, "-m", "vidsr", clip, output]
            command += ["--overwrite", "--progress", "none"]
            command += shlex.split(asked.vidsr_options)
            timed = run_timed(command, log=Path(folder) / "log", timeout_seconds=asked.timeout)
            if timed.problem is not None:
                sys.exit(f"{frames} frames: {timed.problem}")
            print(f"{frames} frames: {timed.wall_seconds:.1f} s", file=sys.stderr, flush=True)
            runs.append((frames, timed))
    growth = runs[-1][1].peak_bytes / runs[0][1].peak_bytes
    print("\n".join(markdown(runs, asked.size)))
    print(f"\n- peak memory of {runs[-1][0]} frames is {growth:.3f} of that of {runs[0][0]}")
    print(f"- {this_machine()}")
    loads = [timed.load for _, timed in runs]
    print(f"- load average before the runs: {min(loads):.1f} to {max(loads):.1f}")
    return 0 if growth <= ALLOWED_GROWTH else 1


def markdown(runs: Sequence[tuple[int, Timed]], size: str) -> list[str]:
    lines = [
        f"| frames of {size} | wall s | ms a frame | CPU s | peak memory |",
        "|--:|--:|--:|--:|--:|",
    ]
    for frames, timed in runs:
        lines.append(
            f"| {frames} | {timed.wall_seconds:.1f} | {1000 * timed.wall_seconds / frames:.1f} | "
            f"{timed.cpu_seconds:.1f} | {timed.peak_bytes / 1e6:.0f} MB |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
