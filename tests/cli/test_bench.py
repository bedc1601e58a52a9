"""`vidsr bench` as it is typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import RenderableType
from rich.spinner import Spinner
from rich.status import Status
from rich.text import Text

from vidsr.backends.openvino import openvino_is_installed
from vidsr.bench import candidates, measure
from vidsr.bench.candidates import Way, ways_here
from vidsr.bench.measure import Effort
from vidsr.cli.bench import _names
from vidsr.cli.main import run
from vidsr.errors import WeightsError
from vidsr.presets import DEFAULT_MODEL


def test_its_help_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vidsr", "bench", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "av", "numpy", "rich", "openvino"}
    assert "--quick" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "realesr-animevideo3"], 2, "did you mean realesr-animevideov3?"),
        (["--device", "gpu"], 2, "'gpu' names no device"),
        (["--device", "cuda:77"], 1, "cuda"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", *arguments]) == code
    errors = capsys.readouterr().err
    assert words.lower() in errors.lower()
    assert "Traceback" not in errors


@pytest.mark.slow
def test_a_measurement_gives_a_table_and_one_json_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is real but the time spent on it: processes, network, pipeline, encoder."""
    monkeypatch.setattr(measure, "QUICK", Effort("hasty", 1, 0, 0, 0, 0, 0, 6))
    monkeypatch.setattr(candidates, "ways_here", lambda _: [Way("cpu", "torch", "fp32")])
    assert run(["bench", "--quick", "--json"]) == 0
    captured = capsys.readouterr()
    (line,) = captured.out.splitlines()
    record = json.loads(line)
    (result,) = record["results"]
    assert result["model"] == DEFAULT_MODEL
    assert result["error"] is None
    assert 0 < result["speed"]["file_fps"]["median"] < 1000
    # torch with a network loaded needs more than 100 MB, and this picture less than 2 GB
    assert 1e8 < result["speed"]["memory"]["host"] < 2e9
    assert "torch fp32" in captured.err
    assert "Ceiling of cpu in fp32" in captured.err


def test_a_machine_without_a_gpu_is_measured_on_its_cpu() -> None:
    ways = ways_here("cpu")
    assert {way.device for way in ways} == {"cpu"}
    assert Way("cpu", "torch", "fp32") in ways
    assert not any(way.precision == "fp16" for way in ways)  # slower than fp32 there


@pytest.mark.skipif(not openvino_is_installed(), reason="the extra [openvino] is not installed")
@pytest.mark.parametrize("has_vnni", [True, False])
def test_int8_is_measured_where_the_machine_has_it(has_vnni: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "cpu_multiplies_int8", lambda: has_vnni)
    assert (Way("cpu", "openvino", "int8") in ways_here("cpu")) == has_vnni


def test_nothing_is_downloaded_to_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run(["bench", "--model", "RealESRGAN_x2plus"]) == 1
    errors = capsys.readouterr().err
    assert "vidsr models pull RealESRGAN_x2plus" in errors
    assert "RealESRGAN_x2plus" not in _names((), quick=False)
    assert DEFAULT_MODEL in _names((), quick=False)


@pytest.mark.slow
def test_quick_is_quick() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "vidsr", "bench", "--quick", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=230,  # 60 s where nothing else runs
    )
    assert done.returncode == 0, done.stderr
    assert all(result["error"] is None for result in json.loads(done.stdout)["results"])


def test_square_brackets_in_what_is_measured_are_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names of devices have them."""
    shown: list[str] = []

    def update(_: Status, words: RenderableType) -> None:
        text = Spinner("dots", words).text
        assert isinstance(text, Text)
        shown.append(text.plain)

    def measure(*given: Any) -> None:
        given[-1]("torch on card [bold]")
        raise WeightsError("enough")

    monkeypatch.setattr(Status, "update", update)
    monkeypatch.setattr("vidsr.bench.measure.run_bench", measure)
    assert run(["bench", "--quick"]) == 1
    assert shown == ["torch on card [bold]"]
    assert capsys.readouterr().err.splitlines()[0] == "torch on card [bold]"
