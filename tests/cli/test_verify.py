"""`vidsr verify` as people and programs meet it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import REPOSITORY, SAMPLE
from tests.reference_ffmpeg import ffmpeg
from vidsr.cli.main import run

# The sample verifies against itself: an upscaling by 1 that changes nothing.


def test_a_whole_copy_passes_with_a_line_for_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(SAMPLE), str(SAMPLE)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("✓") for line in lines[:-1])
    assert any(line.split()[1:3] == ["frames", "72"] for line in lines)
    assert lines[-1].endswith("is lost")


def test_a_loss_is_exit_code_1_and_a_crossed_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = tmp_path / "worse.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0", "-map", "-0:s", "-c", "copy", worse)
    assert run(["verify", str(SAMPLE), str(worse)]) == 1
    out = capsys.readouterr().out
    crossed = [line for line in out.splitlines() if line.startswith("✗")]
    assert len(crossed) == 1
    assert "streams" in crossed[0]
    assert re.search(r"1 of \d+ checks failed", out.splitlines()[-1])
    assert run(["verify", str(SAMPLE), str(worse), "--subs", "none"]) == 0


def test_a_part_compared_with_the_whole_is_told_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "part.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0", "-c", "copy", "-frames:v", "10", part)
    assert run(["verify", str(SAMPLE), str(part)]) == 1
    assert "give its --frames" in capsys.readouterr().err
    assert (
        run(["verify", str(SAMPLE), str(part), "--frames", "0:10", "--audio", "none", "--subs", "none"]) == 1
    )
    assert capsys.readouterr().err == ""


def test_json_names_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(SAMPLE), str(SAMPLE), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert {"frames", "time stamps", "pictures"} <= {check["name"] for check in report["checks"]}


def test_a_range_is_said_as_for_the_upscaling(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(SAMPLE), str(SAMPLE), "--frames", "0:10"]) == 1
    assert "62 too many" in capsys.readouterr().out


def test_a_source_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verify", str(tmp_path / "no.mkv"), str(SAMPLE)]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("Error: ")
    assert "no such file" in errors


def test_an_output_that_is_no_video_fails_its_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.mkv"
    empty.touch()
    assert run(["verify", str(SAMPLE), str(empty)]) == 1
    assert "is empty" in capsys.readouterr().out


def test_a_filtered_output_is_told_why_it_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turned = tmp_path / "turned.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0", "-c", "copy", "-c:v", "ffv1", "-vf", "hflip", turned)
    assert run(["verify", str(SAMPLE), str(turned)]) == 1
    assert "made with filters" in capsys.readouterr().err


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", ["✓", "✗"]), ("cp1252", ["ok", "LOST"])])
def test_what_is_lost_is_told_from_what_is_not_in_every_encoding(
    tmp_path: Path, encoding: str, marks: list[str]
) -> None:
    """Windows has its old encodings for what goes into a pipe or a file: both signs became question marks."""
    silent = tmp_path / "silent.mkv"
    ffmpeg("-i", SAMPLE, "-map", "0:v", "-c", "copy", silent)
    done = subprocess.run(
        [sys.executable, "-m", "vidsr", "verify", str(SAMPLE), str(silent)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        encoding=encoding,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    lines = [line.split() for line in done.stdout.splitlines()[:-1]]
    assert sorted({mark for mark, *_ in lines}, key=marks.index) == marks
    assert [mark for mark, name, *_ in lines if name == "streams"] == marks[1:]
