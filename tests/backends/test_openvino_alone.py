"""OpenVINO, as vidsr loads it, reports to nobody, and lacks nothing for a program that uses both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("openvino")

REPORTING = "openvino_telemetry"


def run(script: str, home: Path) -> list[str]:
    """Words that a script prints in a process of its own, which believes in another home folder."""
    environment = {
        key: value for key, value in os.environ.items() if key != "CI"
    }  # reports are not sent from CI
    environment |= {"HOME": str(home), "USERPROFILE": str(home)}
    words = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return words.stdout.split()


def test_loading_it_reports_to_nobody(tmp_path: Path) -> None:
    pytest.importorskip(REPORTING)
    script = f"""
import sys
from vidsr.backends.openvino_alone import ov
ov.Core()
print({REPORTING!r} in sys.modules, any("ovc" in name for name in sys.modules))
"""
    assert run(script, tmp_path) == ["False", "False"]
    assert not (tmp_path / "intel").exists()  # where the user's number for the reports is kept


def test_the_converters_are_there_when_another_part_of_the_program_asks_for_them(tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules[{REPORTING!r}] = None
from vidsr.backends.openvino_alone import ov
import torch
model = ov.convert_model(torch.nn.Conv2d(3, 8, 3), example_input=torch.zeros(1, 3, 8, 8))
print(*ov.Core().compile_model(model, "CPU")(torch.zeros(1, 3, 8, 8))[0].shape)
"""
    assert run(script, tmp_path) == ["1", "8", "6", "6"]


def test_a_program_that_loaded_openvino_itself_keeps_it_as_it_is(tmp_path: Path) -> None:
    script = f"""
import sys
sys.modules[{REPORTING!r}] = None
import openvino
own = openvino.convert_model
from vidsr.backends.openvino_alone import ov
print(ov is openvino, openvino.convert_model is own)
"""
    assert run(script, tmp_path) == ["True", "True"]
