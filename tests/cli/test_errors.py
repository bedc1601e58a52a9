"""Each mistake a newcomer makes: one line, a hint, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg
from vidsr.cli.main import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "notes.txt").write_text("not a video\n" * 100)
    (tmp_path / "empty.mkv").write_bytes(b"")
    (tmp_path / "half.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 500)
    (tmp_path / "there.mkv").write_bytes(b"something precious")
    (tmp_path / "folder.mkv").mkdir()
    (tmp_path / "clip.mkv").write_bytes(SAMPLE.read_bytes())
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "sine=duration=0.2", tmp_path / "tone.wav")
    return tmp_path


CASES = [
    pytest.param("missing.mkv out.mkv", 1, r"missing\.mkv.*", id="missing input"),
    pytest.param("folder.mkv out.mkv", 1, r"folder\.mkv.*(folder|directory)", id="a folder"),
    pytest.param("notes.txt out.mkv", 1, r"notes\.txt.*", id="a text file"),
    pytest.param("empty.mkv out.mkv", 1, r"empty\.mkv.*", id="an empty file"),
    pytest.param("half.mp4 out.mkv", 1, r"half\.mp4.*", id="a cut mp4"),
    pytest.param("tone.wav out.mkv", 1, r"tone\.wav.*only sound", id="audio only"),
    pytest.param("clip.mkv there.mkv", 1, r"there\.mkv.*already", id="output exists"),
    pytest.param("clip.mkv clip.mkv --overwrite", 2, r".*(same|itself|input).*", id="output is input"),
    pytest.param(
        "clip.mkv ./folder.mkv/../clip.mkv -y", 2, r".*(same|itself|input).*", id="output is input 2"
    ),
    pytest.param("clip.mkv nowhere/out.mkv", 1, r".*nowhere.*", id="no such folder"),
    pytest.param("clip.mkv out.xyz", 2, r".*\.xyz.*", id="unknown container"),
    pytest.param("clip.mkv out", 2, r".*suffix.*", id="no suffix"),
    pytest.param("clip.mkv out.mkv -m realesr-animevideo3", 2, r"unknown model .*", id="unknown model"),
    pytest.param("clip.mkv out.mkv --encoder libx246", 2, r"unknown encoder .*", id="unknown encoder"),
    pytest.param("clip.mkv out.mkv --width 1281", 1, r".*1281.*", id="an odd size in 4:2:0"),
    pytest.param("clip.mkv out.mkv --width 99998", 1, r".*99998.*", id="a size no encoder takes"),
    pytest.param("clip.mkv out.mkv -x crff=3", 2, r".*crff.*", id="unknown encoder option"),
    pytest.param("clip.mkv out.mkv --crf 99", 2, r".*99.*", id="quality out of range"),
    pytest.param("clip.mkv out.mkv --pix-fmt yuv999", 2, r".*yuv999.*", id="unknown pixel format"),
    pytest.param("clip.mkv out.mkv --device cuda:77", 1, r".*(CUDA|cuda:77).*", id="no such device"),
    pytest.param("clip.mkv out.mkv --device gpu", 2, r".*'gpu'.*", id="no device at all"),
    pytest.param("clip.mkv out.mkv --frames 5:5", 2, r".*5:5.*", id="no frame in the range"),
    pytest.param("clip.mkv out.mkv --frames 500:", 2, r".*500.*72 frames", id="behind the end"),
    pytest.param("clip.mkv out.mkv --start 1:00", 2, r".*range.*", id="time behind the end"),
    pytest.param("clip.mkv out.mkv --start 5 --end 2", 2, r".*--start 5.*", id="end before start"),
    pytest.param("clip.mkv out.mkv --scale 2 --height 500", 2, r".*--scale.*", id="two sizes"),
    pytest.param("clip.mkv out.mkv --scale two", 2, r".*'two'.*", id="no factor"),
    pytest.param("clip.mkv out.mkv --weights none.pth", 1, r".*none\.pth.*", id="missing weights"),
    pytest.param("clip.mkv out.mkv --weights notes.txt", 1, r".*notes\.txt.*", id="not weights"),
    pytest.param("clip.mkv out.mkv --fast", 2, r".*--fast.*", id="unknown option"),
    pytest.param("--ffmpeg clip.mkv out.mkv", 2, r".*clip\.mkv is no program.*", id="no program"),
    pytest.param("clip.mkv", 2, r".*OUTPUT.*", id="one argument"),
    pytest.param("modles", 2, r"unknown command 'modles'", id="mistyped command"),
    pytest.param("inf clip.mkv", 2, r"unknown command 'inf'", id="mistyped command and a file"),
    pytest.param("upscal clip.mkv out.mkv", 2, r"unknown command 'upscal'", id="mistyped command, two files"),
    pytest.param(f"clip.mkv {'x' * 240}.mkv", 1, r".*too long.*", id="a name too long to be unfinished"),
    pytest.param(f"clip.mkv {'x' * 300}.mkv", 1, r".*too long.*", id="a name too long at all"),
    pytest.param("clip.mkv out.webm", 1, r"WebM cannot hold h264.*", id="a container without the codec"),
    pytest.param("clip.mkv out.mkv --vf eq=gamma=2", 2, r"PyAV's FFmpeg has no filter 'eq'", id="no filter"),
    pytest.param("preview clip.mkv --layout side", 2, r"--layout is of the clip", id="a layout of nothing"),
    pytest.param("clip.mkv out.mkv --model=", 2, r"model is empty", id="an empty name"),
    pytest.param("info missing.mkv", 1, r"missing\.mkv.*", id="info of nothing"),
]


@pytest.mark.parametrize(("line", "code", "message"), CASES)
def test_a_mistake_gives_one_line_and_a_hint(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    exit_code = run([*line.split(), *(["--progress", "none"] if " " in line and "info" not in line else [])])
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert re.match(rf"Error: .*{message}", lines[0]), lines[0]
    assert not lines[0].endswith(".")
    assert lines[1].startswith("Hint: ")
    assert len(lines[1]) > len("Hint: ") + 5
    assert exit_code == code
    assert sorted(folder.rglob("*")) == before
    assert (folder / "there.mkv").read_bytes() == b"something precious"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a device that is always full")
@pytest.mark.parametrize("style", ["plain", "rich", "auto"])
@pytest.mark.parametrize("end", ["2>&-", "2>/dev/full"])
def test_nobody_who_can_be_told_is_no_reason_not_to_do_it(
    tmp_path: Path, repeat_2x: Path, style: str, end: str
) -> None:
    """Standard error is closed, as services have it, or the disk behind it is full."""
    clip, output = tmp_path / "clip.mkv", tmp_path / "out.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=48x32:rate=25:duration=0.4", "-c:v", "ffv1", clip
    )
    line = f'"$0" -m vidsr "$1" "$2" --weights "$3" --backend torch --progress {style} {end}'
    words: list[str | Path] = ["sh", "-c", line, sys.executable, clip, output, repeat_2x]
    assert subprocess.run(words, timeout=100, check=False).returncode == 0
    assert output.exists()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux alone tells so what is open")
def test_no_file_takes_the_place_of_a_closed_standard_error(tmp_path: Path, repeat_2x: Path) -> None:
    """Where the last words of libraries go."""
    program = """
import os, sys
from vidsr.cli.main import main
from vidsr.pipeline import Run
snapshot = Run.snapshot
def looking(run):
    with open(sys.argv[1], "a") as found:
        print(os.readlink("/proc/self/fd/2"), file=found)
    return snapshot(run)
Run.snapshot = looking
main(sys.argv[2:])
"""
    found, output = tmp_path / "found", tmp_path / "out.mkv"
    line = '"$0" -c "$1" "$2" "$3" "$4" --weights "$5" --backend torch --frames 0:4 2>&-'
    words: list[str | Path] = ["sh", "-c", line, sys.executable, program, found, SAMPLE, output, repeat_2x]
    assert subprocess.run(words, timeout=100, check=False).returncode == 0
    assert set(found.read_text().split()) == {os.devnull}


def test_the_present_folder_has_its_name_at_the_end_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dot, which is no full stop."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", lambda _, mode: not mode & os.W_OK)
    assert run([str(SAMPLE), "out.mkv"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == "Error: no permission to write in ."


def test_the_nearest_model_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    run([str(SAMPLE), "out.mkv", "-m", "realesr-animevideo3"])
    assert "did you mean realesr-animevideov3?" in capsys.readouterr().err


def test_a_bug_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("vidsr.weights.catalog.list_presets", broken)
    assert run(["models"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Error: unexpected ZeroDivisionError: oops"
    assert "VIDSR_TRACEBACK=1" in lines[1]


def test_no_words_at_all_show_the_help_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: vidsr INPUT OUTPUT")
    assert err.endswith("unfinished jobs.\n")


def test_a_closed_standard_output_is_one_line_too() -> None:
    command = f'exec "{sys.executable}" -m vidsr "{SAMPLE}" - >&-'
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert ended.stderr.splitlines()[0] == "Error: standard output is closed"
    assert len(ended.stderr.splitlines()) == 2
    assert ended.returncode == 2


def test_so_is_a_closed_standard_input(tmp_path: Path) -> None:
    command = f'exec "{sys.executable}" -m vidsr - "{tmp_path}/out.mkv" <&-'
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert ended.stderr.splitlines()[0] == "Error: standard input is closed"
    assert len(ended.stderr.splitlines()) == 2
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize("words", ["models list --json", f"info {SAMPLE}", "encoders"])
def test_a_full_disk_behind_standard_output_is_no_bug(words: str) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "vidsr", *words.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert ended.stderr.splitlines()[0] == "Error: cannot write: No space left on device"
    assert len(ended.stderr.splitlines()) == 2
    assert ended.returncode == 1


def test_events_for_a_closed_standard_output_are_refused(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    command = f'exec "{sys.executable}" -m vidsr "{SAMPLE}" "{output}" --progress json >&-'
    ended = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert ended.stderr.splitlines()[0] == "Error: standard output is closed"
    assert ended.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_signs_that_an_encoding_lacks_do_not_end_the_command(tmp_path: Path, repeat_2x: Path) -> None:
    clip = tmp_path / "clip.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=48x32:rate=25:duration=0.4", "-c:v", "ffv1", clip
    )
    ended = subprocess.run(
        [sys.executable, "-m", "vidsr", "estimate", clip, "--seconds", "1", "--weights", repeat_2x],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "10 frames; all of them were tried" in ended.stdout


def test_a_file_whose_name_begins_with_a_dash_is_no_riddle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-clip.mkv").write_bytes(b"")
    assert run(["-clip.mkv", "out.mkv"]) == 2
    assert "write ./-clip.mkv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("out.webm", "--encoder libsvtav1"),
        ("out", "such as out.mkv"),
        ("out.mkv --crf", "vidsr --help"),
        ("out.mkv --crf 99", "vidsr encoders lists all ranges"),
        ("out.mkv --encoder ffv1 --encoder-preset 3", "leave out --encoder-preset"),
        ("out.mkv --weights mine.pth --denoise 0.5", "leave out one of the two"),
        ("out.mkv --pipe-format y4m", "a file's suffix says what it is"),
        ("out.avi", "known are mkv, mp4, m4v, mov, webm, nut"),
        ("out", "known are mkv, mp4, m4v, mov, webm, nut"),
        ("out.mkv --vf hqdn3", "filters_available"),
        ("out.mkv --height 99999999", "a smaller size"),
        ("out.mkv --start 5 --end 2", "--end is no length"),
        ("out.mkv more.mkv", "vidsr batch FOLDER"),
    ],
)
def test_the_hint_names_what_would_do(line: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([str(SAMPLE), *line.split()])
    assert hint in capsys.readouterr().err.splitlines()[1]


def test_many_files_for_a_batch_are_a_folder_or_a_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / f"{number}.mkv") for number in range(3)]
    for file in files:
        Path(file).touch()
    assert run(["batch", *files]) == 2
    assert "one folder, or a text file" in capsys.readouterr().err.splitlines()[1]


@pytest.mark.parametrize("name", ["tone.wav", "picture.png", "picture.jpg"])
def test_who_asks_vidsr_info_is_not_sent_to_vidsr_info(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    if name.startswith("picture"):
        ffmpeg("-v", "error", "-f", "lavfi", "-i", "color=s=16x16", "-frames:v", "1", folder / name)
    assert run(["info", str(folder / name)]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert name in error
    assert "vidsr info" not in hint


def test_an_option_without_its_value_points_to_the_help_of_its_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["metrics", "a.mkv", "b.mkv", "--json"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "Hint: vidsr metrics --help"


def test_a_program_that_reads_json_hears_why_a_job_came_to_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(SAMPLE), str(tmp_path / "out.mp4"), "--encoder", "ffv1", "--progress", "json"]) == 1
    said = capsys.readouterr()
    (event,) = (json.loads(line) for line in said.out.splitlines())
    assert event["event"] == "failed"
    assert event["source"] == str(SAMPLE)
    assert said.err.splitlines() == [f"Error: {event['message']}", f"Hint: {event['hint']}"]
