"""Small films and one finished page that several tests look at."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import pixel_repeating_weights
from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg
from vidsr.cli.main import run


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def vidsr(*arguments: str | Path) -> Done:
    """The whole command line within this process, where torch is loaded already."""
    with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
        code = run([str(argument) for argument in arguments])
    return Done(code, stdout.getvalue(), stderr.getvalue())


def page_data(page: Path) -> dict[str, Any]:
    """What a page shows, as its script reads it."""
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture(scope="session")
def repeat_4x(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a 4x network that repeats pixels."""
    return pixel_repeating_weights(tmp_path_factory.mktemp("weights") / "repeat_4x.safetensors", 4)


@pytest.fixture(scope="session")
def two_models(repeat_2x: Path, repeat_4x: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two moments of the sample by two networks, with PNG files beside it."""
    page = tmp_path_factory.mktemp("preview") / "cel.html"
    done = vidsr(
        "preview", SAMPLE, page, "--weights", repeat_2x, "--weights", repeat_4x,
        "--at", "1.01,2.51", "--backend", "torch", "--png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return page


@pytest.fixture(scope="session")
def three_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames at 24 a second: three scenes of 16, each blurred but for its frame 5; the last one black.

    The scenes are gray levels with a grid that is drawn sharp in frames 5 and 21 only.
    """
    path = tmp_path_factory.mktemp("scenes") / "scenes.mkv"
    level = "if(lt(N\\,16)\\,60\\,if(lt(N\\,32)\\,170\\,16))"
    contrast = "if(gte(N\\,32)\\,0\\,if(eq(mod(N\\,16)\\,5)\\,40\\,4))"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "color=gray:size=96x64:rate=24:duration=2",
        "-vf", f"format=gray,geq=lum='{level}+{contrast}*mod(floor(X/4)+floor(Y/4)\\,2)',format=yuv420p",
        "-c:v", "ffv1", "-g", "12", path,
    )  # fmt: skip
    return path
