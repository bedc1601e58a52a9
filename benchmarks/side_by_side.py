"""vidsr beside what people would use instead: same clip, frames, network and encoder settings.

    python benchmarks/side_by_side.py CLIP [--frames 24] [--rounds 5]

Whole processes are timed, from the start of the interpreter to the finished file, in turning order; the
median counts. Every contestant runs once before that to fill its caches, and its output is looked at:
the right number of frames, and the same picture as vidsr's. What cannot be installed, fails, or shows
another picture is in the table with the reason, and has no time.

Needs ffmpeg and ffprobe on PATH. The peers' environments are made in the user's cache folder, or taken
from --environments FOLDER (see environments.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs
from contestants import VIDSR, Contestant, peer_contestants, vidsr_contestants
from pictures import frame_count, psnr_db, size_of
from timing import Timed, run_timed, spread_words, turned

from vidsr.bench.machine import load_average, this_machine

HERE = Path(__file__).resolve().parent
SAME_PICTURE_DB = 35.0
"""Two encodings of one network's output at crf 18 are 43 to 49 dB apart; another network's are below 30."""

FLOOR = "the model alone"
FLOOR_FRAMES = 24


def main() -> int:
    asked = parse(sys.argv[1:])
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not on PATH")
    with tempfile.TemporaryDirectory(prefix="vidsr-side-by-side-") as folder:
        work = Path(folder)
        contestants = vidsr_contestants(asked) + peer_contestants(asked)
        if asked.only:
            contestants = [c for c in contestants if any(word in c.name for word in [VIDSR, *asked.only])]
        floor = Floor(asked.clip, asked.frames)
        warm_up(contestants, asked, work)
        loads = run_rounds(contestants, floor, asked, work)
    lines = list(markdown(contestants, floor, asked, loads))
    print("\n".join(lines))
    if asked.json is not None:
        asked.json.write_text(json.dumps(as_record(contestants, floor, asked, loads)) + "\n")
    return 0 if contestants[0].problem is None else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=24, help="the first N frames (24)")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each (5)")
    parser.add_argument("--environments", type=Path, help="folder with, or for, the peers' environments")
    parser.add_argument("--no-install", action="store_true", help="only use what is there")
    parser.add_argument("--pip-options", default="", help='for pip install, for example "--find-links X"')
    parser.add_argument(
        "--recent-python", metavar="PROGRAM", help="a Python of 3.12 or newer, for VapourSynth"
    )
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="peers by name; repeat")
    parser.add_argument("--vidsr-options", default="", help="more options for vidsr, in every row of it")
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="OPTIONS",
        help='one more row: vidsr with these, for example "--precision int8"; repeat',
    )
    parser.add_argument("--timeout", type=float, default=3600, help="seconds before a run is given up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    asked = parser.parse_args(arguments)
    asked.clip = asked.clip.resolve()
    if asked.environments is None:
        asked.environments = Path(platformdirs.user_cache_dir("vidsr", appauthor=False), "peers")
    return asked


class Floor:
    """The network alone, in the same rounds: what no process around it can beat."""

    def __init__(self, clip: Path, frames: int) -> None:
        self._size = size_of(clip)
        self._frames = frames
        self.seconds_a_frame: list[float] = []
        self.words = ""
        self.problem: str | None = None

    def measure(self, work: Path, timeout_seconds: float) -> None:
        width, height = self._size
        command: list[str | Path] = [sys.executable, HERE / "model_floor.py"]
        command += [str(width), str(height), str(min(self._frames, FLOOR_FRAMES))]
        log = work / "floor.log"
        timed = run_timed(command, log=log, timeout_seconds=timeout_seconds)
        if timed.problem is not None:
            self.problem = timed.problem
            return
        record = json.loads(log.read_text().splitlines()[-1])
        self.seconds_a_frame.append(record["seconds_a_frame"])
        self.words = record["words"]


def warm_up(contestants: Sequence[Contestant], asked: argparse.Namespace, work: Path) -> None:
    """Run each once and look at what it made; vidsr, the first, is what the others are compared with."""
    for number, one in enumerate(contestants):
        if not one.can_run:
            continue
        output = work / f"{number}.mp4"
        one.warm_up = run_once(one, asked, work, output)
        one.problem = one.warm_up.problem or wrong_count(output, asked.frames)
        if number and one.problem is None and contestants[0].problem is None:
            one.psnr = psnr_db(output, work / "0.mp4")
            if one.psnr is None or one.psnr < SAME_PICTURE_DB:
                told = "cannot be compared" if one.psnr is None else f"{one.psnr:.1f} dB"
                one.problem = f"not vidsr's picture: {told}"
        say(f"{one.name}: {one.problem or f'{one.warm_up.wall_seconds:.1f} s cold'}")


def run_rounds(
    contestants: Sequence[Contestant], floor: Floor, asked: argparse.Namespace, work: Path
) -> list[float]:
    """Time everything that works; returns the load average before each run."""
    loads = []
    by_name = {one.name: one for one in contestants if one.can_run}
    names = [*by_name, FLOOR]
    for number in range(asked.rounds):
        for name in turned(names, number):
            loads.append(load_average() or 0.0)
            if name == FLOOR:
                floor.measure(work, asked.timeout)
                continue
            one = by_name[name]
            if one.problem is not None:
                continue
            output = work / "timed.mp4"
            timed = run_once(one, asked, work, output)
            one.problem = timed.problem or wrong_count(output, asked.frames)
            one.runs.append(timed)
            say(f"round {number + 1}, {name}: {one.problem or f'{timed.wall_seconds:.1f} s'}")
    return loads


def run_once(one: Contestant, asked: argparse.Namespace, work: Path, output: Path) -> Timed:
    assert one.command is not None
    output.unlink(missing_ok=True)
    command = one.command(asked.clip, output, asked.frames)
    return run_timed(command, log=work / "run.log", timeout_seconds=asked.timeout)


def wrong_count(output: Path, frames: int) -> str | None:
    found = frame_count(output)
    return None if found == frames else f"its output has {found} frames, not {frames}"


def markdown(
    contestants: Sequence[Contestant], floor: Floor, asked: argparse.Namespace, loads: Sequence[float]
) -> list[str]:
    width, height = size_of(asked.clip)
    lines = [
        f"{asked.clip.name}, first {asked.frames} frames, {width}x{height} to {width * 4}x{height * 4}, x264 "
        f"veryfast crf 18, no audio; whole processes, median of {asked.rounds} (lowest to highest), in "
        "turning order after one warm-up each.",
        "",
        "| | wall s | to vidsr | s a frame | CPU s | peak memory | cold s | PSNR to vidsr | version |",
        "|---|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    reference = median_wall(contestants[0])
    for one in contestants:
        if one.problem is not None or not one.runs:
            lines.append(f"| {one.name} | - | - | - | - | - | - | - | {one.version} {one.problem} |")
            continue
        assert one.warm_up is not None
        wall = median_wall(one)
        assert wall is not None
        cells = [
            one.name,
            spread_words([timed.wall_seconds for timed in one.runs]),
            "-" if reference is None else f"{wall / reference:.2f}x",
            f"{wall / asked.frames:.3f}",
            f"{statistics.median(timed.cpu_seconds for timed in one.runs):.1f}",
            f"{max(timed.peak_bytes for timed in one.runs) / 1e9:.2f} GB",
            f"{one.warm_up.wall_seconds:.1f}",
            "-" if one.psnr is None else f"{one.psnr:.1f} dB",
            one.version,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *floor_lines(floor, reference, asked.frames)]
    lines.append(f"- {this_machine()}")
    lines.append(f"- load average before the runs: {min(loads):.1f} to {max(loads):.1f}")
    return lines


def floor_lines(floor: Floor, reference: float | None, frames: int) -> list[str]:
    if not floor.seconds_a_frame:
        return [f"- the model alone could not be measured: {floor.problem}"]
    median = statistics.median(floor.seconds_a_frame)
    words = f"- the model alone ({floor.words}): {spread_words(floor.seconds_a_frame, '.3f')} s a frame"
    if reference is not None:
        words += f"; vidsr's whole process takes {reference / frames / median:.2f}x that a frame"
    return [words]


def median_wall(one: Contestant) -> float | None:
    if one.problem is not None or not one.runs:
        return None
    return statistics.median(timed.wall_seconds for timed in one.runs)


def as_record(
    contestants: Sequence[Contestant], floor: Floor, asked: argparse.Namespace, loads: Sequence[float]
) -> dict[str, object]:
    def runs(timed: Sequence[Timed]) -> list[dict[str, object]]:
        return [{name: getattr(one, name) for name in Timed.__slots__} for one in timed]

    return {
        "clip": asked.clip.name,
        "frames": asked.frames,
        "machine": str(this_machine()),
        "loads": list(loads),
        "floor_seconds_a_frame": floor.seconds_a_frame,
        "contestants": [
            {
                "name": one.name,
                "version": one.version,
                "problem": one.problem,
                "psnr_db": one.psnr,
                "warm_up": runs([one.warm_up])[0] if one.warm_up else None,
                "runs": runs(one.runs),
            }
            for one in contestants
        ],
    }


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
