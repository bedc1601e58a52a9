"""What working in segments costs, in time and in size, against writing the output in one go.

    python benchmarks/segmenting.py CLIP --rounds 5
    python benchmarks/segmenting.py CLIP --rounds 5 --vidsr-options "--encoder libx265 --frames 0:480"

Whole processes, "in segments" and "in one go" (--no-resume) in turning order, so that what else the machine
does falls on both. Time is compared within each round, and the median round counts; the extremes are shown.
Sizes are of the whole output and of its video packets alone. The number of segments is counted: a clip that
makes fewer than two shows no cost, and is refused. Both outputs must have as many frames.

Prints Markdown. Needs a POSIX system.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
from timing import Timed, run_timed, spread_words, turned

WAYS = {"in segments": (), "in one go": ("--no-resume",)}
TIME_LIMIT, SIZE_LIMIT = 3.0, 2.0  # percent, what the project promises at most


@dataclass
class Tally:
    """Of one way. video_bytes: of the packets. segments: 0 for a run in one go."""

    runs: list[Timed] = field(default_factory=list)
    size_bytes: int = 0
    video_bytes: int = 0
    frames: int = 0
    segments: int = 0


def main() -> None:
    options = parsed()
    tallies = {way: Tally() for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="segmenting-", dir=options.folder) as folder:
        for number in range(-options.warm_up, options.rounds):
            for way in turned(list(WAYS), number % 2):
                measure(options, way, tallies[way], Path(folder), counts=number >= 0)
                word = "warm-up" if number < 0 else f"round {number + 1} of {options.rounds}"
                print(f"{word}: {way} done", file=sys.stderr, flush=True)
    print(page(options, tallies))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=1, help="rounds that do not count")
    parser.add_argument("--vidsr-options", default="", metavar="WORDS", help="for both ways")
    parser.add_argument("--suffix", default=".mkv", help="of the output, which chooses the container")
    parser.add_argument("--folder", type=Path, help="where outputs are written; default: the temporary one")
    parser.add_argument("--timeout", type=float, default=3600.0, metavar="SECONDS", help="of one run")
    options = parser.parse_args()
    if options.rounds < 1 or not options.clip.is_file():
        parser.error("give a clip and at least one round")
    return options


def measure(options: argparse.Namespace, way: str, tally: Tally, folder: Path, *, counts: bool) -> None:
    output, log = folder / f"out{options.suffix}", folder / "log.txt"
    words = [sys.executable, "-m", "vidsr", options.clip, output, *shlex.split(options.vidsr_options)]
    run = run_timed([*words, "--progress", "plain", *WAYS[way]], log=log, timeout_seconds=options.timeout)
    if run.problem is not None:
        sys.exit(f"{way}: {run.problem}")
    tally.segments = segments_in(log)
    tally.size_bytes = output.stat().st_size
    tally.frames, tally.video_bytes = video_of(output)
    output.unlink()
    if counts:
        tally.runs.append(run)
    if way == "in segments" and tally.segments < 2:
        sys.exit(
            f"{options.clip} makes {tally.segments or 'no'} segments: take a longer clip, or add --segment N"
        )


def segments_in(log: Path) -> int:
    """How many segments were put together at the end, as the run says."""
    said = re.findall(r"putting the segments together: \d+ of (\d+)", log.read_text(errors="replace"))
    return int(said[-1]) if said else 0


def video_of(path: Path) -> tuple[int, int]:
    """(packets, their bytes) of the video."""
    with av.open(str(path)) as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    return len(sizes), sum(sizes)


def page(options: argparse.Namespace, tallies: dict[str, Tally]) -> str:
    segmented, straight = tallies["in segments"], tallies["in one go"]
    if segmented.frames != straight.frames:
        sys.exit(f"{segmented.frames} frames in segments, {straight.frames} in one go")
    times = percent_more(
        [run.wall_seconds for run in segmented.runs], [run.wall_seconds for run in straight.runs]
    )
    cpu = percent_more(
        [run.cpu_seconds for run in segmented.runs], [run.cpu_seconds for run in straight.runs]
    )
    sizes = percent_more(
        [segmented.size_bytes, segmented.video_bytes], [straight.size_bytes, straight.video_bytes]
    )
    rows = [
        f"`{options.clip.name}`, {segmented.frames} frames, {segmented.segments} segments, "
        f"{len(segmented.runs)} rounds; options: `{options.vidsr_options or 'none'}`; "
        f"load average up to {max(run.load for run in (*segmented.runs, *straight.runs)):.1f} "
        f"on {os.cpu_count()} cores",
        "",
        "| | in segments | in one go | more, percent |",
        "|---|---|---|---|",
        f"| wall time, s | {spread_words([r.wall_seconds for r in segmented.runs])} "
        f"| {spread_words([r.wall_seconds for r in straight.runs])} | {spread_words(times, '+.2f')} |",
        f"| processor time, s | {spread_words([r.cpu_seconds for r in segmented.runs])} "
        f"| {spread_words([r.cpu_seconds for r in straight.runs])} | {spread_words(cpu, '+.2f')} |",
        f"| output, bytes | {segmented.size_bytes} | {straight.size_bytes} | {sizes[0]:+.2f} |",
        f"| its video packets, bytes | {segmented.video_bytes} | {straight.video_bytes} | {sizes[1]:+.2f} |",
        "",
        verdict("time", statistics.median(times), TIME_LIMIT),
        verdict("size", sizes[0], SIZE_LIMIT),
    ]
    return "\n".join(rows)


def percent_more(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Pair by pair."""
    return [100 * (a / b - 1) for a, b in zip(ours, theirs, strict=True)]


def verdict(what: str, percent: float, limit: float) -> str:
    return f"{what}: {percent:+.2f}%, {'within' if percent <= limit else 'ABOVE'} the {limit:g}% promised"


if __name__ == "__main__":
    main()
