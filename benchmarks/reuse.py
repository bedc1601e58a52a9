"""What reuse saves and what it costs: share computed, time and picture against computing everything.

    python benchmarks/reuse.py CLIP --frames 85:176 --rounds 3 --sheet worst.png

First every frame is upscaled with `off`, `exact` and `near` in turn, in one process and with one backend, and
what would go to the encoder is compared: PSNR over all samples and of luma alone, SSIM of luma. Then whole
processes make files with each, `--rounds` times in turning order. `--sheet` writes a picture of the worst
frames: off, near, and their difference times eight.

Prints Markdown. Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from timing import run_timed, spread_words, turned
from torch import Tensor

from vidsr.backends.open import open_backend
from vidsr.channel import StopSignal
from vidsr.execute.prepare import Prepared, prepare
from vidsr.frames import Frame
from vidsr.infer.upscaler import Upscaler
from vidsr.job import REUSE_TOLERANCE, Job, RangeRequest, ReuseMode
from vidsr.media.color.convert import planes_to_rgb
from vidsr.media.read.segment_reader import SegmentReader, Stretch

MODES: tuple[ReuseMode, ...] = ("off", "exact", "near")
SHOWN = 4  # frames on the contact sheet
BEST_DB = 100.0  # what equal frames count in a mean

Samples = npt.NDArray[Any]


@dataclass
class Tally:
    """Of one mode. psnr_db, luma_db, ssim: one a frame, against `off`."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    psnr_db: list[float] = field(default_factory=list)
    luma_db: list[float] = field(default_factory=list)
    ssim: list[float] = field(default_factory=list)
    largest_difference: int = 0


@dataclass(frozen=True)
class Pair:
    """A frame twice: as `off` and as `near` shows it."""

    psnr_db: float
    off: Frame
    near: Frame


def main() -> int:
    asked = arguments()
    torch.set_num_threads(asked.threads)
    first, last = (int(part) for part in asked.frames.split(":"))
    job = Job(
        asked.clip,
        Path(os.devnull).with_suffix(".mkv"),
        model=asked.model,
        range=RangeRequest(first_frame=first, last_frame=last),
        device=asked.device,
        backend=asked.backend,
        precision=asked.precision,
        reuse_tolerance=asked.reuse_tolerance,
    )
    print(f"`{' '.join(sys.argv)}`, load average {os.getloadavg()[0]:.1f}\n")
    if not asked.no_pictures:
        compare_pictures(job, asked)
    if asked.rounds:
        time_processes(asked)
    return 0


def compare_pictures(job: Job, asked: argparse.Namespace) -> None:
    prepared = prepare(job, lambda _: None)
    backend = open_backend(
        prepared.loaded.network, prepared.devices[0], name=job.backend, precision=job.precision
    )
    upscalers = {
        mode: Upscaler(
            backend,
            prepared.source,
            prepared.target,
            batch_size=asked.batch,
            reuse=mode,
            reuse_tolerance=asked.reuse_tolerance,
        )
        for mode in MODES
    }
    tallies = {mode: Tally() for mode in MODES}
    worst: list[Pair] = []
    frames_read = 0
    for number, batch in enumerate(batches(prepared, asked.batch)):
        frames_read += len(batch)
        shown = {}
        for mode in turned(MODES, number):
            wall, cpu = time.perf_counter(), time.process_time()
            shown[mode] = upscalers[mode].submit(batch).result()  # type: ignore[index]
            tallies[mode].wall_seconds += time.perf_counter() - wall  # type: ignore[index]
            tallies[mode].cpu_seconds += time.process_time() - cpu  # type: ignore[index]
        for mode in ("exact", "near"):
            for off, ours in zip(shown["off"], shown[mode], strict=True):
                note_difference(tallies[mode], off, ours)  # type: ignore[index]
                if mode == "near":
                    worst = worst_of([*worst, Pair(tallies["near"].psnr_db[-1], off, ours)])
    print_pictures(backend.words, frames_read, upscalers, tallies)
    if asked.sheet:
        write_sheet(asked.sheet, worst, prepared)
        places = ", ".join(f"{pair.off.index + asked_first(asked)} ({pair.psnr_db:.1f} dB)" for pair in worst)
        print(f"worst frames, on {asked.sheet}: {places}\n")


def asked_first(asked: argparse.Namespace) -> int:
    return int(asked.frames.split(":")[0])


def batches(prepared: Prepared, size: int) -> Iterator[list[Frame]]:
    """The job's frames, with memory of their own."""
    reader = SegmentReader(prepared.info, [Stretch(prepared.segment)], length=None, stop=StopSignal())
    frames = reader.frames()
    while batch := list(islice(frames, size)):
        yield batch


def note_difference(tally: Tally, off: Frame, ours: Frame) -> None:
    if all(ours_plane is off_plane for ours_plane, off_plane in zip(ours.planes, off.planes, strict=True)):
        return
    peak = off.format.peak
    pairs = list(zip(off.planes, ours.planes, strict=True))
    squares = [squared_error(a, b) for a, b in pairs]
    tally.psnr_db.append(decibels(sum(squares), sum(a.size for a, _ in pairs), peak))
    tally.luma_db.append(decibels(squares[0], pairs[0][0].size, peak))
    tally.ssim.append(ssim(*pairs[0], peak))
    tally.largest_difference = max(tally.largest_difference, *(largest(a, b) for a, b in pairs))


def squared_error(a: Samples, b: Samples) -> float:
    difference = a.astype(np.float32) - b
    return float(np.vdot(difference, difference))


def largest(a: Samples, b: Samples) -> int:
    return int((np.maximum(a, b) - np.minimum(a, b)).max())


def decibels(squares: float, count: int, peak: int) -> float:
    return BEST_DB if squares == 0 else min(10 * math.log10(peak**2 * count / squares), BEST_DB)


def ssim(a: Samples, b: Samples, peak: int) -> float:
    """Mean SSIM of 8x8 windows that overlap by half (Wang et al. 2004, constants 0.01 and 0.03)."""
    x, y = (torch.from_numpy(plane.astype(np.float32))[None, None] for plane in (a, b))

    def mean(samples: Tensor) -> Tensor:
        return F.avg_pool2d(samples, 8, 4)

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((numerator / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))).mean())


def worst_of(pairs: Sequence[Pair]) -> list[Pair]:
    """The worst first; neighbours look alike, so of frames that show the same picture only one."""
    kept: list[Pair] = []
    for pair in sorted(pairs, key=lambda pair: pair.psnr_db):
        if all(abs(pair.off.index - other.off.index) > 3 for other in kept):
            kept.append(pair)
    return kept[:SHOWN]


def print_pictures(
    words: str, count: int, upscalers: dict[ReuseMode, Upscaler], tallies: dict[ReuseMode, Tally]
) -> None:
    print(f"{count} frames, {words}; the upscaling alone\n")
    print(
        "| mode | area computed | network's work | frames shown again | wall | CPU | speed-up (wall, CPU) "
        "| PSNR mean / worst | luma | SSIM mean / worst | largest difference |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    off = tallies["off"]
    for mode, tally in tallies.items():
        counts = upscalers[mode].reuse_counts
        cells = [mode, "100%", "100%", "0"]
        if counts is not None:
            cells[1] = f"{1 - counts.share_reused:.1%}"
            cells[2] = f"{1 - counts.work_saved:.1%}"
            cells[3] = f"{counts.frames_reused}"
        cells += [f"{tally.wall_seconds / count:.3f} s", f"{tally.cpu_seconds / count:.3f} s"]
        faster = off.wall_seconds / tally.wall_seconds, off.cpu_seconds / tally.cpu_seconds
        cells.append(f"{faster[0]:.2f}, {faster[1]:.2f}")
        if tally.psnr_db:
            cells += [
                f"{statistics.mean(tally.psnr_db):.1f} / {min(tally.psnr_db):.1f} dB",
                f"{statistics.mean(tally.luma_db):.1f} / {min(tally.luma_db):.1f} dB",
                f"{statistics.mean(tally.ssim):.5f} / {min(tally.ssim):.5f}",
                f"{tally.largest_difference}",
            ]
        else:
            cells += ["-"] * 4
        print(f"| {' | '.join(cells)} |")
    pooled = [10 ** (-value / 10) for value in tallies["near"].psnr_db]
    together = -10 * math.log10(statistics.mean(pooled))
    print(f"\nnear, PSNR of all frames' squared errors together: {together:.1f} dB")
    print(f"(equal frames count {BEST_DB:g} dB in a mean)\n")


def time_processes(asked: argparse.Namespace) -> None:
    walls: dict[str, list[float]] = {mode: [] for mode in MODES}
    processors: dict[str, list[float]] = {mode: [] for mode in MODES}
    loads = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds + 1):
            for mode in turned(MODES, number):
                output = Path(folder, f"{mode}.mkv")
                options = ["--frames", asked.frames, "--reuse", mode, "--no-audio", "--overwrite"]
                options += ["--progress", "none"]
                if mode == "near":
                    options += ["--reuse-tolerance", str(asked.reuse_tolerance)]
                options += ["--model", asked.model, "--device", asked.device, "--backend", asked.backend]
                options += ["--precision", asked.precision]
                done = run_timed(
                    [sys.executable, "-m", "vidsr", asked.clip, output, *options],
                    log=Path(folder, "log"),
                    timeout_seconds=3600,
                )
                if done.problem:
                    raise SystemExit(f"{mode}: {done.problem}")
                if number:  # the first round fills caches
                    walls[mode].append(done.wall_seconds)
                    processors[mode].append(done.cpu_seconds)
                    loads.append(done.load)
    print(f"whole processes, {asked.rounds} rounds, load average {min(loads):.1f} to {max(loads):.1f}\n")
    print("| mode | wall seconds | CPU seconds | speed-up (wall, CPU), of each round |")
    print("|---|---|---|---|")
    for mode in MODES:
        ratios = [ratio_words(of[mode], of["off"]) for of in (walls, processors)]
        seconds = [spread_words(of[mode]) for of in (walls, processors)]
        print(f"| {' | '.join([mode, *seconds, ', '.join(ratios)])} |")


def ratio_words(ours: Sequence[float], off: Sequence[float]) -> str:
    return spread_words([theirs / mine for mine, theirs in zip(ours, off, strict=True)], ".2f")


def write_sheet(path: Path, pairs: Sequence[Pair], prepared: Prepared) -> None:
    """off | near | difference x8, a frame a row, around the place that differs most."""
    rows = [torch.cat(row_of(pair, prepared), 2) for pair in pairs]
    sheet = (torch.cat(rows, 1) * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = sheet.shape[1], sheet.shape[0], "rgb24"
    codec.time_base = 1  # type: ignore[assignment]
    frame = av.VideoFrame.from_ndarray(sheet.numpy(), format="rgb24")
    frame.pts = 0
    path.write_bytes(b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)]))


def row_of(pair: Pair, prepared: Prepared) -> list[Tensor]:
    target = prepared.target
    off, near = (
        planes_to_rgb(
            [torch.from_numpy(np.array(plane))[None] for plane in frame.planes], target.format, target.color
        )[0]
        for frame in (pair.off, pair.near)
    )
    difference = (near - off).abs()
    side = min(640, *off.shape[1:])
    score = F.avg_pool2d(difference.square().mean(0)[None, None], side, side // 4)[0, 0]
    row, column = divmod(int(score.argmax()), score.shape[1])
    part = np.s_[:, row * (side // 4) :, column * (side // 4) :]
    return [picture[part][:, :side, :side] for picture in (off, near, (difference * 8).clamp(0, 1))]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", default="0:72", metavar="A:B")
    parser.add_argument("--rounds", type=int, default=0, help="of whole processes; 0 leaves them out")
    parser.add_argument("--no-pictures", action="store_true", help="leave out the comparison of pictures")
    parser.add_argument("--reuse-tolerance", type=float, default=REUSE_TOLERANCE)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--model", default="realesr-animevideov3")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--sheet", type=Path, metavar="PNG")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
