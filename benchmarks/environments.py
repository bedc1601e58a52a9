"""The peers' own virtual environments: made with venv and pip, or found where they are.

FOLDER/torch holds framelift-video, onnxruntime, ncnn and what exports the network; FOLDER/vapoursynth
holds VapourSynth and its plugins. A folder (or a link) that is there already is used as it is; what it
lacks is installed, unless that was forbidden.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TORCH_PACKAGES = (
    "torch", "openvino", "framelift-video", "onnxruntime", "ncnn", "onnx", "onnxscript", "numpy",
)  # fmt: skip
VAPOURSYNTH_PACKAGES = ("VapourSynth", "vapoursynth-mlrt-ov", "vapoursynth-bestsource")

_ASK_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment for peers. versions: by package name; problems: why a package is not there."""

    python: Path
    versions: dict[str, str]
    problems: dict[str, str]

    def program(self, name: str) -> Path:
        """A command that a package installed."""
        return self.python.with_name(name)

    def problem(self, packages: Sequence[str]) -> str | None:
        """Why not all of these packages are there; None if they are."""
        return next((self.problems[name] for name in packages if name in self.problems), None)


class NotInstalledError(Exception):
    """Why an environment could not be made; its words go into the report."""


@dataclass(frozen=True, slots=True)
class Installer:
    """Where environments lie and how they may be made.

    recent_python: an interpreter of 3.12 or newer; None = look on PATH.
    """

    folder: Path
    may_install: bool = True
    pip_options: Sequence[str] = ()
    recent_python: str | None = None

    def torch_environment(self) -> Environment:
        """Raises NotInstalledError."""
        return self._ensure(self.folder / "torch", sys.executable, TORCH_PACKAGES)

    def vapoursynth_environment(self) -> Environment:
        """Its plugins need Python 3.12 or newer. Raises NotInstalledError."""
        target = self.folder / "vapoursynth"
        python = self.recent_python or _recent_python()
        if python is None and not _python_of(target).exists():
            raise NotInstalledError("needs Python 3.12 or newer; name one with --recent-python")
        return self._ensure(target, python or "", VAPOURSYNTH_PACKAGES)

    def _ensure(self, folder: Path, base_python: str, packages: Sequence[str]) -> Environment:
        python = _python_of(folder)
        if not python.exists():
            if not self.may_install:
                raise NotInstalledError(f"there is no environment {folder}")
            print(f"making {folder}", file=sys.stderr)
            folder.parent.mkdir(parents=True, exist_ok=True)
            _run([base_python, "-m", "venv", folder])
        problems = {}
        for name in (name for name in packages if name not in _versions(python, packages)):
            if not self.may_install:
                problems[name] = f"{folder} lacks {name}"
                continue
            print(f"installing {name} into {folder}", file=sys.stderr)
            try:  # one by one: a peer that has no build for this machine keeps nobody else out
                _run([python, "-m", "pip", "install", "--quiet", *self.pip_options, name])
            except NotInstalledError as error:
                problems[name] = str(error)
        return Environment(python, _versions(python, packages), problems)


def _recent_python() -> str | None:
    if sys.version_info >= (3, 12):
        return sys.executable
    for name in ("python3.12", "python3.13", "python3.14", "python3"):
        found = shutil.which(name)
        if found is not None and _works(found):
            return found
    return None


def _works(python: str) -> bool:
    check = "import sys, venv; sys.exit(sys.version_info < (3, 12))"
    return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0


def _python_of(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    versions: dict[str, str] = json.loads(_run([python, "-c", _ASK_VERSIONS, *packages]))
    return versions


def _run(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")] or lines[-1:]
        raise NotInstalledError(f"{Path(command[0]).name}: {errors[0] if errors else 'failed'}"[:300])
    return done.stdout
