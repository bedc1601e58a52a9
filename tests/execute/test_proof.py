"""A job compares its output with its source before it says that it is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg, frame_lines
from vidsr.cli.main import run
from vidsr.media.verify import Report, verify
from vidsr.media.write.writer import Writer

# three frames of a small picture: a second of work
SMALL = ["--frames", "0:3", "--scale", "1", "--backend", "torch", "--precision", "fp32"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample at 80x44, with sound, subtitles and chapters."""
    path = tmp_path_factory.mktemp("proof") / "small.mkv"
    ffmpeg(
        "-v", "error", "-i", SAMPLE, "-map", "0", "-vf", "scale=80:44", "-c:a", "copy", "-c:s", "copy", path
    )
    return path


def last_event(text: str) -> dict[str, object]:
    event: dict[str, object] = json.loads(text.splitlines()[-1])
    return event


def test_a_finished_job_says_that_it_is_verified(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mkv"
    assert run([str(small), str(output), *SMALL, "--progress", "json"]) == 0
    assert last_event(capfd.readouterr().out)["verified"] is True
    assert run([str(small), str(output), *SMALL, "-y", "--progress", "plain"]) == 0
    assert ", verified, in " in capfd.readouterr().err


def test_verification_can_be_left_out(small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([str(small), str(tmp_path / "out.mkv"), *SMALL, "--no-verify", "--progress", "json"]) == 0
    assert last_event(capfd.readouterr().out)["verified"] is None


def test_an_output_with_losses_never_keeps_the_name_of_a_good_one(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that loses the sound: the job fails in one line, and the file is kept under another name."""
    output = tmp_path / "out.mkv"
    output.write_bytes(b"an older output")

    def complete_without_sound(writer: Writer) -> None:
        whole(writer)
        silent = tmp_path / "silent.mkv"
        made = writer.temporary
        ffmpeg("-v", "error", "-i", made, "-map", "0", "-map", "-0:a", "-c", "copy", "-copyts", silent)
        silent.replace(made)

    whole = Writer.complete
    monkeypatch.setattr(Writer, "complete", complete_without_sound)
    assert run([str(small), str(output), *SMALL, "-y", "--progress", "none"]) == 1
    errors = capfd.readouterr().err
    assert "Error: out.mkv is not whole: streams: audio" in errors
    assert "kept as out.unverified.mkv" in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mkv", "out.unverified.mkv"]
    assert output.read_bytes() == b"an older output"
    assert len(frame_lines(tmp_path / "out.unverified.mkv")) == 3


@pytest.mark.parametrize("in_segments", [False, True], ids=["in one go", "in segments"])
def test_the_output_has_its_name_only_after_it_was_compared(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_segments: bool
) -> None:
    """Whoever waits for the file never sees one that may yet turn out not to be whole."""
    output = tmp_path / "out.mkv"
    was_there = []

    def looking(*args: Any, **more: Any) -> Report:
        was_there.append(output.exists())
        return verify(*args, **more)

    monkeypatch.setattr("vidsr.execute.proof.verify", looking)
    segments = ["--segment", "2"] if in_segments else ["--no-resume"]
    assert run([str(small), str(output), *SMALL, *segments, "--progress", "none"]) == 0
    assert was_there == [False]
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.parametrize(
    "pattern",
    ["testsrc=s=64x48:r=10:d=0.5,format=yuv420p", "testsrc2=s=33x17:r=10:d=0.5,format=yuv444p"],
)
def test_a_tiny_test_pattern_is_no_mistake_of_colours(pattern: str, tmp_path: Path) -> None:
    """What the default network does to so few blocks resembled BT.2020, or full range, by chance."""
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", pattern, "-c:v", "ffv1", source)
    assert run([str(source), str(output), "--backend", "torch", "--precision", "fp32", "--crf", "10"]) == 0


def test_colours_beyond_black_and_white_count_as_they_can_be_shown(tmp_path: Path, repeat_2x: Path) -> None:
    """Dark luma with strong chroma is no colour: R'G'B' cannot hold it, so no network can give it back."""
    planes = [np.full((48, 64), 40, np.uint8), *(np.zeros((24, 32), np.uint8) for _ in range(2))]
    columns, rows = np.arange(32) // 2 % 2, np.arange(24) // 2 % 2
    planes[1][:] = np.where(columns, 16, 240)  # its mean is gray
    planes[2][:] = np.where(rows, 16, 240)[:, None]
    raw, source, output = tmp_path / "in.yuv", tmp_path / "in.mkv", tmp_path / "out.mkv"
    raw.write_bytes(b"".join(plane.tobytes() for plane in planes) * 3)
    layout = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", "64x48"]
    ffmpeg("-v", "error", *layout, "-i", raw, "-c:v", "ffv1", source)
    assert run([str(source), str(output), "--weights", str(repeat_2x), "--progress", "none"]) == 0
    other = tmp_path / "other.mkv"  # a little darker throughout: found all the same
    ffmpeg("-v", "error", "-i", output, "-vf", "lutyuv=y=val-30", "-c:v", "libx264", "-qp", "0", other)
    assert [check.name for check in verify(source, other).failures] == ["pictures"]
