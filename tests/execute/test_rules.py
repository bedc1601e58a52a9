"""Whole jobs on sources that are not as they should be, by each rule."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media.clips import ClipShelf
from tests.media.reference import decoded, ffmpeg
from vidsr.cli.main import run
from vidsr.cli.upscale import EXIT_DAMAGED_SOURCE


@pytest.fixture(scope="module")
def holed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames, of which number 7 cannot be decoded."""
    path = tmp_path_factory.mktemp("holed") / "holed.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25:duration=0.8",
        "-c:v", "ffv1", "-level", "3", "-slicecrc", "1", "-g", "1", path,
    )  # fmt: skip
    with av.open(str(path)) as container:
        bad = bytes([packet for packet in container.demux(video=0) if packet.size][7])
    data = bytearray(path.read_bytes())
    position = data.find(bad)
    data[position : position + len(bad)] = b"\xff" * len(bad)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("rule", "kept"),
    [("keep", set(range(20)) - {7}), ("repeat", set(range(20))), ("skip", set(range(20)) - {7})],
)
def test_a_bad_frame_ends_in_exit_code_3_and_is_named(
    holed: Path,
    tmp_path: Path,
    repeat_2x: Path,
    capfd: pytest.CaptureFixture[str],
    rule: str,
    kept: set[int],
) -> None:
    output = tmp_path / "out.mkv"
    code = run(
        [str(holed), str(output), "--weights", str(repeat_2x), "--on-bad-frame", rule, "--progress", "plain"]
    )
    assert code == EXIT_DAMAGED_SOURCE
    assert "0.280 s" in capfd.readouterr().err
    times = {row.pts for row in decoded(output)}
    assert times == {Fraction(n, 25) for n in kept}


def test_a_bad_frame_can_end_the_job(
    holed: Path, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run(
        [str(holed), str(tmp_path / "out.mkv"), "--weights", str(repeat_2x), "--on-bad-frame", "error"]
    )
    assert code == 1
    assert "0.280 s" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rule", "code"), [("error", 1), ("rescale", 0)])
def test_a_change_of_size_ends_the_job_or_is_fitted(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, rule: str, code: int
) -> None:
    source, output = tmp_path / "in.ts", tmp_path / "out.mkv"
    shutil.copy(clips("size_change.ts"), source)
    words = ["--weights", str(repeat_2x), "--on-size-change", rule, "--progress", "none"]
    assert run([str(source), str(output), *words]) == code
    assert output.exists() == (code == 0)
    if code == 0:
        assert len(decoded(output)) == 20
