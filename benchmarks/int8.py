"""What int8 costs of the picture and what it saves: PSNR to fp32 frame by frame, and time beside bf16.

    python benchmarks/int8.py CLIP --every 16 --rounds 40

Frames go through the network alone, in fp32, bf16 and int8; what it gives is clamped to [0, 1], as before
encoding, and compared; still pictures are taken as well. Then one frame is computed in bf16 and int8 in turn,
in one process: the ratio of the shortest times is what an idle machine gives, the median of the ratios of
neighbours what this one gave.

Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from vidsr.backends.openvino import OpenVinoBackend
from vidsr.channel import StopSignal
from vidsr.execute.prepare import prepare
from vidsr.job import Job
from vidsr.media.color.convert import planes_to_rgb
from vidsr.media.read.segment_reader import SegmentReader, Stretch
from vidsr.presets import DEFAULT_MODEL, find_preset
from vidsr.weights.int8 import find_constants
from vidsr.weights.store import load_network


def main() -> int:
    asked = arguments()
    loaded = load_network(find_preset(asked.model))
    constants = find_constants(loaded.digest)
    if constants is None:
        print(f"{asked.model} has no int8 constants for {loaded.origin}", file=sys.stderr)
        return 1
    ways = {
        "bf16": OpenVinoBackend(loaded.network, "bf16", threads=asked.threads),
        "int8": OpenVinoBackend(loaded.network, "int8", threads=asked.threads, constants=constants),
    }
    print(f"`{' '.join(sys.argv)}`, load average {os.getloadavg()[0]:.1f}\n")
    reference = OpenVinoBackend(loaded.network, "fp32", threads=asked.threads)
    print("| material | pictures | bf16, mean / worst dB | int8, mean / worst dB |\n|---|--:|--:|--:|")
    for path in asked.material:
        tally = {name: list[float]() for name in ways}
        for picture in pictures(path, asked.every):
            exact = reference(picture)
            for name, way in ways.items():
                tally[name].append(psnr_db(way(picture), exact))
        cells = [f"{statistics.mean(found):.1f} / {min(found):.1f}" for found in tally.values()]
        print(f"| {path.name} | {len(tally['int8'])} | {' | '.join(cells)} |", flush=True)
    if asked.rounds:
        print_times(ways, torch.rand(1, 3, asked.height, asked.width), asked.rounds)
    return 0


def pictures(path: Path, every: int) -> Iterator[Tensor]:
    """(1, 3, H, W) of every so many frames of a video, or of a still picture, as the network gets them."""
    if path.suffix.lower() in {".png", ".jpg", ".jpeg"}:
        with av.open(path) as container:
            pixels = next(container.decode(video=0)).to_ndarray(format="rgb24")
        yield torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        return
    prepared = prepare(Job(path, Path(os.devnull).with_suffix(".mkv")), lambda _: None)
    source = prepared.source
    reader = SegmentReader(prepared.info, [Stretch(prepared.segment)], length=None, stop=StopSignal())
    for number, frame in enumerate(reader.frames()):
        if number % every == every // 2:
            planes = [torch.from_numpy(np.array(plane))[None] for plane in frame.planes]
            yield planes_to_rgb(planes, source.format, source.color)


def psnr_db(one: Tensor, other: Tensor) -> float:
    """Of R'G'B' clamped to [0, 1]."""
    error = (one.clamp(0, 1) - other.clamp(0, 1)).double().square().mean()
    return float(-10 * torch.log10(error))


def print_times(ways: dict[str, OpenVinoBackend], picture: Tensor, rounds: int) -> None:
    seconds = {name: list[float]() for name in ways}
    for number in range(rounds + 1):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            begun = time.perf_counter()
            ways[name](picture)
            if number:  # the first compiles
                seconds[name].append(time.perf_counter() - begun)
    shortest = {name: min(times) for name, times in seconds.items()}
    ratios = [slow / fast for slow, fast in zip(seconds["bf16"], seconds["int8"], strict=True)]
    size = f"{picture.shape[3]}x{picture.shape[2]}"
    print(f"\n{size}, {rounds} in turn, load average {os.getloadavg()[0]:.1f}. Shortest: "
          f"bf16 {shortest['bf16']:.3f} s, int8 {shortest['int8']:.3f} s, "
          f"{shortest['bf16'] / shortest['int8']:.2f} times as fast; "
          f"median of the ratios of neighbours {statistics.median(ratios):.2f}")  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("material", type=Path, nargs="*", help="videos, or pictures as .png or .jpg")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--every", type=int, default=16, metavar="N", help="one frame of so many")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
