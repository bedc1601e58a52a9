"""Who takes part: vidsr, and what people would use instead, each as a command that makes one file.

It knows versions, options and where things lie, never times. What cannot be installed is in the list all
the same, with the reason.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from environments import VAPOURSYNTH_PACKAGES, Environment, Installer, NotInstalledError
from timing import Timed

from vidsr import __version__
from vidsr.bench.machine import this_machine

PEERS = Path(__file__).resolve().parent / "peers"
MODEL = "realesr-animevideov3"
VIDSR = "vidsr"
EVERY_BLOCK = f"{VIDSR}, every block computed"

TORCH_PEERS = {
    "framelift-video, torch": ("framelift-video", "torch"),
    "framelift-video, OpenVINO": ("framelift-video", "openvino", "torch"),
    "per-frame loop, torch fp32": ("torch", "numpy"),
    "per-frame loop, onnxruntime": ("onnxruntime", "numpy"),
    "per-frame loop, ncnn": ("ncnn", "numpy"),
}
"""Those of the torch environment, and the packages each one needs; the first names its version."""

Command = Callable[[Path, Path, int], list[str | Path]]
"""(clip, output, frames) -> what to run."""


@dataclass
class Contestant:
    """name, version: for the table. command: None where it could not be installed, then problem says why."""

    name: str
    version: str
    command: Command | None
    problem: str | None = None
    warm_up: Timed | None = None
    psnr: float | None = None
    runs: list[Timed] = field(default_factory=list)

    @property
    def can_run(self) -> bool:
        return self.command is not None and self.problem is None


def vidsr_contestants(asked: argparse.Namespace) -> list[Contestant]:
    version = vidsr_version()

    def command(options: str) -> Command:
        def words(clip: Path, output: Path, frames: int) -> list[str | Path]:
            fixed = ["--no-audio", "--crf", "18", "--encoder-preset", "veryfast", "--overwrite"]
            part = ["--frames", f"0:{frames}", "--model", MODEL]
            more = shlex.split(asked.vidsr_options) + shlex.split(options)
            return [sys.executable, "-m", "vidsr", clip, output, *part, *fixed, *more]

        return words

    # Peers compute every block of every frame and compare nothing with the source afterwards; beside them
    # stands vidsr doing the same, and as it comes.
    rows = [
        Contestant(EVERY_BLOCK, version, command("--reuse off --no-verify")),
        Contestant(f"{VIDSR}, as it comes", version, command("")),
    ]
    return rows + [Contestant(f"{VIDSR} {options}", version, command(options)) for options in asked.variant]


def vidsr_version() -> str:
    packages = this_machine().packages
    return ", ".join([__version__, *(f"{n} {packages[n]}" for n in ("openvino", "torch") if n in packages)])


def peer_contestants(asked: argparse.Namespace) -> list[Contestant]:
    """Every peer, those that cannot be installed with the reason."""
    installer = Installer(
        asked.environments, not asked.no_install, shlex.split(asked.pip_options), asked.recent_python
    )
    weights = asked.environments / "networks" / f"{MODEL}.pth"
    weights.parent.mkdir(parents=True, exist_ok=True)
    onnx = weights.with_suffix(".onnx")
    pair = json.loads(_output([sys.executable, PEERS / "write_weights.py", weights]))
    return [*torch_contestants(installer, weights, onnx, pair), vapoursynth_contestant(installer, onnx)]


def torch_contestants(
    installer: Installer, weights: Path, onnx: Path, pair: dict[str, str]
) -> list[Contestant]:
    try:
        env = installer.torch_environment()
    except NotInstalledError as error:
        return [Contestant(name, "", None, str(error)) for name in TORCH_PEERS]
    onnx_problem = None if onnx.exists() else env.problem(("torch", "onnx", "onnxscript"))
    if not onnx.exists() and onnx_problem is None:
        try:
            _output([env.python, PEERS / "export_onnx.py", weights, onnx])
        except NotInstalledError as error:
            onnx_problem = str(error)
    commands = torch_commands(env, weights, onnx, pair)
    rows = []
    for name, packages in TORCH_PEERS.items():
        problem = env.problem(packages) or (onnx_problem if "onnxruntime" in packages else None)
        version = f"{packages[0]} {env.versions.get(packages[0], '')}"
        rows.append(Contestant(name, version, None if problem else commands[name], problem))
    return rows


def vapoursynth_contestant(installer: Installer, onnx: Path) -> Contestant:
    name = "VapourSynth, mlrt-ov, bestsource"
    try:
        env = installer.vapoursynth_environment()
    except NotInstalledError as error:
        return Contestant(name, "", None, str(error))
    version = ", ".join(f"{package} {version}" for package, version in env.versions.items())
    problem = env.problem(VAPOURSYNTH_PACKAGES)
    if problem is None and not onnx.exists():
        problem = "there is no ONNX file of the network: FOLDER/torch could not make it"
    if problem is not None:
        return Contestant(name, version, None, problem)
    script = PEERS / "vapoursynth_mlrt.py"
    return Contestant(
        name,
        version,
        lambda clip, output, frames: [env.python, script, onnx, clip, output, str(frames)],
    )


def torch_commands(env: Environment, weights: Path, onnx: Path, pair: dict[str, str]) -> dict[str, Command]:
    def framelift(backend: str) -> Command:
        # everything of the network's output, at its own size, and the encoder settings of all others
        fixed = ["--no-audio", "--model", MODEL, "--scale", "4", "--ai-strength", "1", "--crf", "18"]
        fixed += ["--x264-preset", "veryfast", "--device", "cpu", "--backend", backend]
        return lambda clip, output, frames: [
            env.program("framelift"), "-i", clip, "-o", output, "--max-frames", str(frames),
            "--weights-dir", weights.parent, *fixed,
        ]  # fmt: skip

    def loop(script: str, *network: str | Path) -> Command:
        return lambda clip, output, frames: [
            env.python, PEERS / script, *network, clip, output, str(frames),
        ]  # fmt: skip

    return {
        "framelift-video, torch": framelift("torch"),
        "framelift-video, OpenVINO": framelift("openvino"),
        "per-frame loop, torch fp32": loop("per_frame_loop.py", weights),
        "per-frame loop, onnxruntime": loop("onnxruntime_loop.py", onnx),
        "per-frame loop, ncnn": loop("ncnn_loop.py", pair["param"], pair["bin"]),
    }


def _output(command: Sequence[str | Path]) -> str:
    """Standard output. Raises NotInstalledError with the last words of a command that fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise NotInstalledError(f"{Path(command[-1]).name}: {lines[-1] if lines else 'failed'}"[:300])
    return done.stdout
