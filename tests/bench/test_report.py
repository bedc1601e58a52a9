"""The shown figures, against arithmetic done by hand."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from vidsr.bench.candidates import Way
from vidsr.bench.machine import Machine
from vidsr.bench.measure import CeilingResult, Report, Result, Speed, Spread
from vidsr.bench.report import closing_lines, json_line, markdown, rate_words, tables
from vidsr.bench.work import Work
from vidsr.bench.workload import Memory

WORK = Work(1_238_400, 2227, 51)
SPEED = Speed(
    width=320,
    height=240,
    batch=1,
    rounds=3,
    model_fps=Spread(8.0, 7.0, 9.0),
    pipeline_fps=Spread(6.0, 6.0, 6.0),
    file_fps=Spread(4.0, 3.0, 5.0),
    bottleneck="upscale",
    memory=Memory(1_234_567_890, None),
)
REPORT = Report(
    version="0",
    effort="quick",
    machine=Machine("A CPU", 2, 2**34, "Linux", "3.11", {"torch": "2.13"}),
    load_before=0.1,
    load_after=1.9,
    ceilings=(CeilingResult("cpu", "bf16", Spread(835e9, 800e9, 850e9), Spread(20e9, 19e9, 21e9)),),
    results=(
        Result("realesr-animevideov3", Way("cpu", "openvino", "bf16"), WORK, SPEED, 0.9),
        Result("realesr-animevideov3", Way("cpu", "torch", "bf16"), WORK, None, None, "out of luck"),
    ),
)


def shown(report: Report) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=80)
    for table in tables(report):
        console.print(table)
    return stream.getvalue()


def test_speeds_are_told_for_640x480_whatever_was_measured() -> None:
    """320x240 has a quarter of the pixels: 8 frames of it a second are 2 of 640x480."""
    row = next(line for line in shown(REPORT).splitlines() if "openvino bf16" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "openvino bf16", "2", "90%", "1.5", "1", "upscale", "1.23 GB",
    ]  # fmt: skip
    assert "3 rounds of 320x240" in shown(REPORT)


def test_the_table_fits_into_80_columns_without_losing_a_letter() -> None:
    text = shown(REPORT)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text


def test_what_could_not_be_run_is_named() -> None:
    assert "realesr-animevideov3, torch bf16 on cpu: out of luck" in list(closing_lines(REPORT))


@pytest.mark.parametrize(("load", "is_busy"), [(0.9, False), (1.1, True)])
def test_a_busy_machine_is_said_to_be_one(load: float, is_busy: bool) -> None:
    """More than half of two cores taken before the measurement began."""
    lines = list(closing_lines(replace(REPORT, load_before=load)))
    assert any("busy" in line for line in lines) == is_busy


def test_markdown_rows_have_as_many_cells_as_their_heading() -> None:
    rows = [line for line in markdown(REPORT) if line.startswith("|")]
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    assert "2 (1.75 to 2.25)" in rows[2]


def test_json_is_one_line_with_measured_and_scaled_speeds() -> None:
    line = json_line(REPORT)
    assert "\n" not in line
    record = json.loads(line)
    assert record["results"][0]["speed"]["model_fps"] == {"median": 8.0, "low": 7.0, "high": 9.0}
    assert record["results"][0]["model_fps_of_640x480"] == 2.0
    assert record["results"][0]["way"] == {"device": "cpu", "backend": "openvino", "precision": "bf16"}
    assert record["results"][1]["error"] == "out of luck"
    assert record["ceilings"][0]["flops_rate"]["median"] == 835e9


@pytest.mark.parametrize(("rate", "words"), [(835e9, "835 G"), (1.2349e12, "1.23 T"), (5e6, "5 M")])
def test_rates_have_three_digits_and_a_prefix(rate: float, words: str) -> None:
    assert rate_words(rate) == words
