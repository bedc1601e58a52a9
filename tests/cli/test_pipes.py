"""Videos through standard input and standard output, in real processes; files beside them in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.media.reference import decoded, ffmpeg, packets, raw_video, streams
from tests.paths import REPOSITORY, SAMPLE
from vidsr.cli.main import run

FRAMES = ("--frames", "5:17", "--precision", "fp32", "--encoder", "ffv1")


def vidsr(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "vidsr", *map(str, arguments)],
        input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True, cwd=REPOSITORY, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variable frame rate with sound: pts 0, 1, 3, 6, 10, ... in 1/30 s."""
    path = tmp_path_factory.mktemp("uneven") / "uneven.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=48x32:rate=30:duration=0.5",
        "-f", "lavfi", "-i", "sine=duration=3", "-vf", "setpts=N*(N+1)/2/30/TB",
        "-fps_mode", "passthrough", "-enc_time_base", "1/30", "-c:v", "ffv1", "-c:a", "flac", path,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def as_file(uneven: Path, repeat_2x: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "out.mkv"
    words = ("--weights", str(repeat_2x), "--encoder", "ffv1", "--precision", "fp32")
    assert run([str(uneven), str(path), *words]) == 0
    return path


def test_standard_output_carries_every_frame_with_its_time_and_the_sound(
    uneven: Path, as_file: Path, repeat_2x: Path, tmp_path: Path
) -> None:
    done = vidsr(uneven, "-", "--weights", repeat_2x, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    stream = tmp_path / "stream.nut"
    stream.write_bytes(done.stdout)
    assert done.stdout.startswith(b"nut/multimedia container\0")
    found, expected = decoded(stream), decoded(as_file)
    assert len(found) == 15
    assert [(row.pts, row.md5) for row in found] == [(row.pts, row.md5) for row in expected]
    assert [row.md5 for row in packets(stream)[1]] == [row.md5 for row in packets(uneven)[1]]


def test_another_program_reads_the_stream_while_it_is_written(uneven: Path, repeat_2x: Path) -> None:
    command = [sys.executable, "-m", "vidsr", str(uneven), "-", "--weights", str(repeat_2x)]
    reader = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        "-",
        "-map",
        "0:v",
        "-fps_mode",
        "passthrough",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=REPOSITORY
    ) as writer:
        done = subprocess.run(
            [*reader, "-f", "framemd5", "-"],
            stdin=writer.stdout,
            capture_output=True,
            timeout=120,
            check=True,
        )
        assert writer.stdout is not None
        writer.stdout.close()
        assert writer.wait(60) == 0
    assert len([line for line in done.stdout.splitlines() if not line.startswith(b"#")]) == 15
    assert done.stderr == b""


def test_y4m_carries_the_pictures_and_what_it_cannot_carry_is_named(
    as_file: Path, uneven: Path, repeat_2x: Path, tmp_path: Path
) -> None:
    done = vidsr(uneven, "-", "--pipe-format", "y4m", "--weights", repeat_2x, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    stream = tmp_path / "stream.y4m"
    stream.write_bytes(done.stdout)
    assert done.stdout.startswith(b"YUV4MPEG2 W96 H64 ")
    assert raw_video(stream, "yuv420p") == raw_video(as_file, "yuv420p")
    assert b"Y4M has no time stamps" in done.stderr
    assert b"audio 1 (flac) is left out" in done.stderr


@pytest.fixture(scope="module")
def coded(uneven: Path, repeat_2x: Path) -> subprocess.CompletedProcess[bytes]:
    """H.264 on standard output, progress as JSON."""
    return vidsr(uneven, "-", "--weights", repeat_2x, "--encoder", "libx264", "--progress", "json")


def test_a_coded_stream_can_be_asked_for(coded: subprocess.CompletedProcess[bytes], tmp_path: Path) -> None:
    stream = tmp_path / "stream.nut"
    stream.write_bytes(coded.stdout)
    assert "h264" in streams(stream)[0].description
    assert len(decoded(stream)) == 15


def test_progress_as_json_does_not_get_into_the_video(coded: subprocess.CompletedProcess[bytes]) -> None:
    done = coded
    assert done.stdout.startswith(b"nut/multimedia container\0")
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
    assert len(events) >= 2


def test_a_reader_that_goes_away_is_one_line(repeat_2x: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "vidsr",
        str(SAMPLE),
        "-",
        "--weights",
        str(repeat_2x),
        "--progress",
        "none",
    ]
    read_end, write_end = os.pipe()
    with subprocess.Popen(command, stdout=write_end, stderr=subprocess.PIPE, cwd=REPOSITORY) as process:
        os.close(write_end)
        os.read(read_end, 1000)
        os.close(read_end)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.decode().splitlines()[0] == "Error: the program that read the output has ended"


@pytest.mark.parametrize("source", ["sample", pytest.param("index at the end", marks=pytest.mark.slow)])
def test_standard_input_gives_the_same_as_the_file(repeat_2x: Path, tmp_path: Path, source: str) -> None:
    video = SAMPLE
    if source == "index at the end":
        video = tmp_path / "end.mp4"
        ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0:v", "-map", "0:a", "-c", "copy", video)
    by_name, piped = tmp_path / "by_name.mkv", tmp_path / "piped.mkv"
    assert run([str(video), str(by_name), *FRAMES, "--weights", str(repeat_2x)]) == 0
    done = vidsr("-", piped, *FRAMES, "--weights", repeat_2x, stdin=video.read_bytes())
    assert done.returncode == 0, done.stderr
    assert packets(piped) == packets(by_name)
    assert len(decoded(piped)) == 12
    assert b"\nstandard input (" in done.stderr  # and no temporary file's name


def test_what_is_wrong_with_standard_input_is_said_of_standard_input(repeat_2x: Path, tmp_path: Path) -> None:
    done = vidsr("-", tmp_path / "out.mkv", "--progress", "json", "--weights", repeat_2x, stdin=b"no video\n")
    assert done.returncode == 1
    said = b"standard input is a text file, not a video"
    assert done.stderr.splitlines()[0] == b"Error: " + said
    event = json.loads(done.stdout.splitlines()[-1])
    assert (event["event"], event["source"], event["message"]) == ("failed", "standard input", said.decode())
    assert list(tmp_path.iterdir()) == []


def test_nothing_from_standard_input_is_one_line_and_leaves_nothing(repeat_2x: Path, tmp_path: Path) -> None:
    done = vidsr(
        "-",
        tmp_path / "out.mkv",
        "--weights",
        repeat_2x,
        stdin=b"",
    )
    assert done.returncode == 1
    assert b"Error: nothing came from standard input" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_from_pipe_to_pipe(uneven: Path, as_file: Path, repeat_2x: Path, tmp_path: Path) -> None:
    done = vidsr("-", "-", "--weights", repeat_2x, "--precision", "fp32", stdin=uneven.read_bytes())
    stream = tmp_path / "stream.nut"
    stream.write_bytes(done.stdout)
    assert [(r.pts, r.md5) for r in decoded(stream)] == [(r.pts, r.md5) for r in decoded(as_file)]
