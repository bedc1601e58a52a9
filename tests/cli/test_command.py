"""The command as people run it: a real process, the sample clip, the real weights."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.paths import REPOSITORY, SAMPLE
from tests.reference_ffmpeg import describe, ffmpeg, frame_lines, gray_frames, packet_lines, video_line
from vidsr.cli.info import describe as described
from vidsr.cli.main import run
from vidsr.frames import PixelFormat
from vidsr.job import EncoderRequest
from vidsr.media.encode.encoders import settings_for
from vidsr.media.read.probe import probe

VIDSR = [sys.executable, "-m", "vidsr"]


def vidsr(
    *arguments: str | Path, timeout: float = 200, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*VIDSR, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env=os.environ | (environment or {}),
    )


@pytest.fixture(scope="module")
def upscaled(
    tmp_path_factory: pytest.TempPathFactory, clip: Path
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """All frames of the sample with fewer pixels through the default model, once for this module.

    In what the machine chooses for it, which may be slower, `test_a_range_of_frames` has a part of it.
    """
    output = tmp_path_factory.mktemp("cli") / "out.mkv"
    done = vidsr(clip, output, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    return output, done


def test_every_frame_and_time_stamp_of_the_sample_is_in_the_output(
    clip: Path, upscaled: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    output, _ = upscaled
    source_stamps = [pts for pts, _, _ in frame_lines(clip)]
    assert len(source_stamps) == 72
    assert [pts for pts, _, _ in frame_lines(output)] == source_stamps


def test_audio_and_subtitle_packets_are_the_source_s_own(
    clip: Path, upscaled: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    output, _ = upscaled
    for stream in ("a:0", "s:0"):
        expected = packet_lines(clip, stream)
        assert expected
        assert packet_lines(output, stream) == expected


def test_chapters_titles_and_languages_are_kept(
    clip: Path, upscaled: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    def facts(path: Path) -> list[str]:
        text = describe(path)
        kept = r"Chapter #\S+ start [\d.]+, end [\d.]+|^\s+title\s+: .*|Stream #\d:\d\(\w+\)(?=: [AS])"
        return re.findall(kept, text, re.MULTILINE)

    expected = facts(clip)
    assert sum(line.startswith("Chapter") for line in expected) == 2
    assert facts(upscaled[0]) == expected


def test_the_picture_is_four_times_the_size_with_the_same_tags(
    clip: Path, upscaled: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    line = video_line(upscaled[0])
    assert "512x288" in line
    assert "yuv420p(tv, bt709" in line
    assert "23.98 fps" in line


def test_the_picture_is_the_source_s_picture_sharper(
    clip: Path, upscaled: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    """Shrunk back, every frame looks like its source: right frame, right place, right brightness.

    The network itself lifts bright flat colours a little (0.9 becomes 0.92), 2.8 of 255 in the daylight
    shot; frames of one drawing earlier differ by 15 and more.
    """
    small = gray_frames(upscaled[0], 64, 36)
    source = gray_frames(clip, 64, 36)
    assert len(small) == len(source)
    for ours, theirs in zip(small, source, strict=True):
        difference = np.frombuffer(ours, np.uint8).astype(float) - np.frombuffer(theirs, np.uint8)
        assert abs(difference.mean()) < 3.5
        assert np.sqrt((difference**2).mean()) < 6.0


def test_a_pipe_gets_plain_lines_and_a_summary(
    clip: Path, upscaled: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    output, done = upscaled
    assert done.stdout == ""
    assert "\x1b" not in done.stderr
    assert f"{clip} (128x72 yuv420p) -> {output} (512x288 yuv420p)" in done.stderr
    assert re.search(
        rf"{re.escape(str(output))}: 72 frames, .* fps, .*x real time\).* limited by", done.stderr
    )


@pytest.mark.slow
def test_the_sample_comes_out_as_the_readme_says(tmp_path: Path) -> None:
    """All of it at its own size, by what the machine chooses."""
    output = tmp_path / "out.mkv"
    done = vidsr(SAMPLE, output)
    assert re.search(r"out\.mkv: 72 frames, \d+\.\d kB, verified, in ", done.stderr), done.stderr
    assert "1280x720" in video_line(output)
    assert [pts for pts, _, _ in frame_lines(output)] == [pts for pts, _, _ in frame_lines(SAMPLE)]
    small, source = gray_frames(output, 160, 90), gray_frames(SAMPLE, 160, 90)
    for ours, theirs in zip(small, source, strict=True):
        difference = np.frombuffer(ours, np.uint8).astype(float) - np.frombuffer(theirs, np.uint8)
        assert np.sqrt((difference**2).mean()) < 6.0


def test_a_range_of_frames_with_json_progress(tmp_path: Path) -> None:
    output = tmp_path / "part.mp4"
    done = vidsr(SAMPLE, output, "--frames", "10:15", "--scale", "2", "--progress", "json", "--subs", "none")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0]["event"] == "started"
    assert events[0]["frames_total"] == 5
    assert events[-1]["event"] == "finished"
    assert events[-1]["frames"] == 5
    assert len(frame_lines(output)) == 5
    assert "640x360" in video_line(output)
    # frame 10 of the source is frame 0 of the part
    ours = np.frombuffer(gray_frames(output, 160, 90)[0], np.uint8).astype(float)
    theirs = np.frombuffer(gray_frames(SAMPLE, 160, 90)[10], np.uint8)
    assert np.sqrt(((ours - theirs) ** 2).mean()) < 6.0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
def test_an_interrupt_ends_cleanly_long_before_the_work_would(tmp_path: Path, sent: signal.Signals) -> None:
    """Without segments nothing is left; what is kept with them is told in test_resume.

    The network takes seconds for a frame, so that no machine can be done before it is interrupted, and
    minutes for them all, so that none can be done before the wait for the interrupted run is over.
    """
    output = tmp_path / "out.mkv"
    slow = ["-m", "RealESRGAN_x4plus_anime_6B", "--backend", "torch", "--precision", "fp32"]
    process = subprocess.Popen(
        [*VIDSR, SAMPLE, output, *slow, "--no-resume"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()):  # the temporary file: the run has begun
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] in {"Interrupted", "Terminated"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("click", "--help"),
        ("torch", "in.mkv out.mkv"),
        ("torch", "batch . --progress json"),
        ("torch", "preview in.mkv"),
        ("torch", "estimate in.mkv"),
        ("torch", "verify in.mkv in.mkv"),
        ("torch", "metrics in.mkv in.mkv"),
        ("torch", "jobs export in.mkv part.mkv"),
        ("torch", "models show realesr-animevideov3"),
        ("torch", "models import in.pth"),
        ("torch", "bench --quick"),
    ],
)
def test_an_interrupt_while_modules_are_loaded_ends_the_process_in_one_line(
    tmp_path: Path, module: str, words: str
) -> None:
    """torch, for one, swallows what is raised while it looks for numpy; nothing may be left to do so."""
    (tmp_path / "in.mkv").write_bytes(SAMPLE.read_bytes())
    place = tmp_path / "modules"
    place.mkdir()
    (place / f"{module}.py").write_text(
        "import os, signal, time\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(5)\n"
        "except BaseException:\n"
        "    pass\n"
    )
    ways = os.pathsep.join([str(place), str(REPOSITORY)])
    done = subprocess.run(
        [*VIDSR, *words.split()],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ways, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "Interrupted\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "modules"]


def test_help_loads_nothing_that_takes_long() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vidsr", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "av", "numpy", "rich", "openvino"}
    assert "--model" in done.stdout
    assert "Commands:" in done.stdout


def test_a_lost_terminal_width_does_not_matter(tmp_path: Path) -> None:
    done = vidsr("models", environment={"COLUMNS": "20"})
    assert done.returncode == 0
    assert "realesr-animevideov3" in done.stdout


def test_the_end_comes_at_once_and_loses_nothing_said_or_registered(tmp_path: Path) -> None:
    """Long output into a pipe arrives whole, exit functions run, the exit code is kept."""
    program = (
        "import atexit, pathlib, sys\n"
        "from vidsr.cli.main import leave\n"
        f"atexit.register(lambda: pathlib.Path({str(tmp_path / 'ran')!r}).touch())\n"
        "sys.stdout.write('x' * 200_000)\n"
        "sys.stderr.write('last words')\n"
        "leave(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stdout), done.stderr) == (3, 200_000, "last words")
    assert (tmp_path / "ran").exists()


def test_the_listed_defaults_are_those_of_a_job(
    upscaled: tuple[Path, subprocess.CompletedProcess[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    said = re.search(r"libx264 crf (\d+) (\w+)", upscaled[1].stderr)
    assert said is not None
    assert run(["encoders"]) == 0
    listed = capsys.readouterr().out.split("libx264rgb")[0]
    assert f"default {said[1]}\n" in listed
    assert f"{said[2]} (default)" in listed


def test_every_listed_quality_is_what_an_encoder_gets_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["encoders", "--json"]) == 0
    source = PixelFormat.parse("yuv420p")
    listed = {entry["name"]: entry["quality"] for entry in json.loads(capsys.readouterr().out)}
    for name in ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "prores_ks"):
        container = "mov" if name == "prores_ks" else "matroska"
        settings = settings_for(EncoderRequest(name), source=source, container=container)
        assert settings.crf == listed[name]["default"], name


@pytest.mark.parametrize(
    ("source", "line"),
    [
        (["-s", "1280x544"], "untagged, taken as BT.709"),
        (["-s", "720x480"], "untagged, taken as BT.601"),
        (
            ["-vf", "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084"],
            "bt2020_ncl, primaries bt2020, transfer smpte2084 (PQ, HDR)",
        ),
    ],
)
def test_info_says_what_the_colours_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: list[str], line: str
) -> None:
    clip = tmp_path / "clip.mkv"
    picture = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=0.2"]
    ffmpeg(*picture, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", *source, clip)
    assert run(["info", str(clip)]) == 0
    assert line in capsys.readouterr().out


def test_info_names_attached_files_and_covers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cover, clip = tmp_path / "cover.png", tmp_path / "clip.mkv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "color=red:s=16x16", "-frames:v", "1", cover)
    (tmp_path / "a.ttf").write_bytes(b"\0\1\0\0" + bytes(60))
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=0.2", "-c:v", "libx264",
        "-attach", tmp_path / "a.ttf", "-metadata:s:t:0", "mimetype=application/x-truetype-font",
        "-metadata:s:t:0", "filename=a.ttf",
        "-attach", cover, "-metadata:s:t:1", "mimetype=image/png", "-metadata:s:t:1", "filename=cover.png",
        clip,
    )  # fmt: skip
    assert run(["info", str(clip)]) == 0
    out = capsys.readouterr().out
    assert "  Attachment  a.ttf, application/x-truetype-font\n" in out
    assert "  Cover       png\n" in out


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (Fraction(599996, 10_000), "1:00.000"),
        (Fraction(599994, 10_000), "0:59.999"),
        (Fraction(0), "0:00.000"),
    ],
)
def test_info_shows_no_minute_of_sixty_seconds(seconds: Fraction, shown: str) -> None:
    lines = described(replace(probe(SAMPLE), duration=seconds))
    assert next(lines).endswith(f", 0:0{shown})")
