"""A command that takes long enough to be interrupted."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.paths import SAMPLE

SEGMENT_FRAMES = 8
"""Nine segments of the sample in all."""


def command(output: Path, weights: Path, *more: str, source: Path = SAMPLE) -> list[str]:
    run = [sys.executable, "-m", "vidsr", str(source), str(output), "--weights", str(weights)]
    run += ["--backend", "torch", "--precision", "fp32", "--segment", str(SEGMENT_FRAMES)]
    return [*run, "--progress", "plain", *more]
