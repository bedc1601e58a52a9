"""`vidsr estimate` on real files: what it foretells and what comes of the job itself."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from datetime import datetime, time, timedelta, timezone
from pathlib import Path

import click
import pytest
import torch
from safetensors.torch import save_file

from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg, frame_lines, packet_lines
from tests.straight import run_job
from vidsr.channel import StopSignal
from vidsr.cli.main import run
from vidsr.cli.moments import LengthType, TimeOfDayType, next_time
from vidsr.errors import InterruptedByUser
from vidsr.estimate.choose import order_models, order_presets
from vidsr.estimate.counting import CountingSink
from vidsr.estimate.plan import plan_stretches
from vidsr.estimate.predict import Prediction, predict
from vidsr.estimate.sampling import take_sample, try_plan
from vidsr.estimate.scan import SourceLog, scan
from vidsr.estimate.small import encode_small
from vidsr.execute.prepare import open_engine, prepare
from vidsr.job import EncoderRequest, Job, Segment
from vidsr.media.read.probe import probe
from vidsr.models.compact import SRVGGNetCompact
from vidsr.progress.events import Event


def ignore(_: Event) -> None:
    pass


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network of 8 channels, x2."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_file(SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 frames of 96x64 in 9 scenes of several kinds, with sound."""
    path = tmp_path_factory.mktemp("scenes") / "scenes.mkv"
    kinds = (
        "testsrc2",
        "mandelbrot",
        "life=ratio=0.1",
        "testsrc",
        "cellauto",
        "smptebars",
        "gradients",
        "rgbtestsrc",
    )
    lengths = (120, 60, 90, 150, 80, 100, 140, 160)
    inputs: list[str] = []
    for kind, length in zip(kinds, lengths, strict=True):
        separator = ":" if "=" in kind else "="
        inputs += ["-f", "lavfi", "-t", f"{length / 25}", "-i", f"{kind}{separator}size=96x64:rate=25"]
    ready = "".join(f"[{i}:v]format=yuv420p,setsar=1[v{i}];" for i in range(len(kinds)))
    graph = ready + "".join(f"[v{i}]" for i in range(len(kinds))) + f"concat=n={len(kinds)}[v]"
    sound = ("-f", "lavfi", "-t", "36", "-i", "sine", "-c:a", "flac", "-map", f"{len(kinds)}:a")
    ffmpeg(
        "-v", "error", *inputs, *sound[:6], "-filter_complex", graph, "-map", "[v]", *sound[6:],
        "-c:v", "libx264", "-preset", "veryfast", path,
    )  # fmt: skip
    return path


@pytest.mark.parametrize(
    ("encoder", "preset", "crf"), [("libx264", "veryfast", 18), ("libx265", "medium", 26)]
)
def test_the_size_of_the_whole_job_lies_within_the_margin_and_frames_are_exact(
    scenes: Path, tiny: Path, tmp_path: Path, encoder: str, preset: str, crf: float
) -> None:
    """A ninth of the frames is tried, in stretches of at least 8 counted ones."""
    request = EncoderRequest(encoder, crf, preset)
    job = Job(scenes, tmp_path / "out.mkv", weights=tiny, encoder=request, verify=False)
    stop = StopSignal()
    prepared = prepare(job, ignore)
    engine = open_engine(prepared, prepared.devices[0], stop)
    log = scan(prepared.info, prepared.segment)
    plan = plan_stretches(len(log.stamps), 100, lead=1)
    assert not plan.is_whole
    small = encode_small(prepared, log.stamps, plan, seconds=0, stop=stop)
    sample = try_plan(prepared, engine, log, plan, small, opening_seconds=0, stop=stop)
    found = predict(
        sample, frames=len(log.stamps), frames_are_exact=True, bytes_beside=log.bytes_beside({1}),
        shares_cores=True, cores=2,
    )  # fmt: skip
    receipt = run_job(job, show=ignore)
    assert found.frames == receipt.frames_written == 900
    assert found.size_bytes.low <= receipt.size_bytes <= found.size_bytes.high
    assert found.size_bytes.relative_margin < 0.8
    assert all(0 <= share <= 1 for _, share in found.busy)


def test_a_short_video_is_tried_wholly_and_its_size_is_exact_to_a_percent(
    tmp_path: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mkv"
    weights = ["--weights", str(repeat_2x)]
    assert run(["estimate", str(SAMPLE), str(output), *weights, "--json", "--seconds", "60"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["candidates"]
    assert list(tmp_path.iterdir()) == []
    assert found["frames"] == len(frame_lines(SAMPLE)) == 72
    assert found["sample"]["is_whole"] is True
    assert run([str(SAMPLE), str(output), *weights, "--progress", "none", "--no-verify"]) == 0
    size = output.stat().st_size
    assert found["size_bytes"]["low"] <= size <= found["size_bytes"]["high"]
    assert found["size_bytes"]["margin"] < 0.02 * size
    assert found["seconds"]["value"] > 0
    assert found["cpu_seconds"] > 0
    assert set(found["busy"]) == {"decode", "upscale", "encode"}


def test_the_packets_tell_frames_and_bytes_as_another_program_does() -> None:
    log = scan(probe(SAMPLE), Segment())
    assert list(log.stamps) == [pts for pts, _, _ in frame_lines(SAMPLE)]
    assert log.packets == {1: len(packet_lines(SAMPLE, "1")), 2: len(packet_lines(SAMPLE, "2"))}
    assert 0 < log.beside[1] < SAMPLE.stat().st_size


def test_attachments_count_and_ranges_leave_out_what_lies_outside(tmp_path: Path) -> None:
    font = tmp_path / "a.ttf"
    font.write_bytes(bytes(5000))
    path = tmp_path / "with.mkv"
    ffmpeg(
        "-v", "error", "-i", SAMPLE, "-map", "0:v", "-map", "0:a", "-c", "copy", "-attach", font,
        "-metadata:s:t", "mimetype=font/ttf", path,
    )  # fmt: skip
    info = probe(path)
    whole = scan(info, Segment())
    assert whole.beside[2] == 5000
    half = scan(info, Segment(whole.stamps[36], None))
    assert len(half.stamps) == 36
    assert 0.3 < half.beside[1] / whole.beside[1] < 0.7


def test_frames_behind_filters_are_counted_as_they_come_out(tmp_path: Path, repeat_2x: Path) -> None:
    """Two frames of each interlaced one."""
    path = tmp_path / "interlaced.mkv"
    fields = "testsrc2=size=48x32:rate=50:duration=16,tinterlace=interleave_top,setfield=tff"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", fields, "-c:v", "ffv1", path)
    job = Job(path, tmp_path / "out.mkv", weights=repeat_2x, filters="bwdif=mode=send_field", verify=False)
    found = _tried(job)
    assert not found.frames_are_exact
    receipt = run_job(job, show=ignore)
    assert found.frames == pytest.approx(receipt.frames_written, rel=0.01)
    # counted as they go in, they would be half as many; margins have tests of their own
    assert found.size_bytes.value == pytest.approx(receipt.size_bytes, rel=0.25)


def _tried(job: Job) -> Prediction:
    prepared = prepare(job, ignore)
    stop = StopSignal()
    engine = open_engine(prepared, prepared.devices[0], stop)
    assert prepared.filtering is not None
    log: SourceLog = scan(prepared.filtering.source, prepared.filtering.segment)
    announced: list[tuple[int, float]] = []
    sample = take_sample(
        prepared, engine, log, seconds=0, opening_seconds=0, stop=stop,
        announce=lambda frames, seconds: announced.append((frames, seconds)),
    )  # fmt: skip
    assert not sample.plan.is_whole
    assert [frames for frames, _ in announced] == [sample.plan.frames]  # more than the 0 s asked for
    return predict(
        sample, frames=prepared.frames_expected or 0, frames_are_exact=False,
        bytes_beside=log.bytes_beside(()), shares_cores=True, cores=2,
    )  # fmt: skip


def test_the_best_that_is_done_in_time_is_a_command_that_runs(
    clip: Path, tmp_path: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "it's out.mkv"
    options = [
        "--weights", str(repeat_2x), "--frames", "4:12", "--scale", "3/2", "--no-audio",
        "-x", "tune=animation", "--crf", "30", "--no-verify",
    ]  # fmt: skip
    asked = ["estimate", str(clip), str(output), *options, "--encoder-presets", "ultrafast,medium"]
    assert run([*asked, "--within", "10h"]) == 0
    shown = capsys.readouterr().out.splitlines()
    command = shlex.split(shown[-1])
    assert command[0] == "vidsr"
    assert command[command.index("--encoder-preset") + 1] == "medium"  # the slower one is the better one
    assert run([*command[1:], "--progress", "none"]) == 0
    assert len(frame_lines(output)) == 8


def test_too_little_time_is_said_with_the_quickest_way(
    clip: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["estimate", str(clip), "--weights", str(repeat_2x), "--frames", "0:6", "--within", "0.01s"]
    assert run([*asked, "--json"]) == 1
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert report["chosen"] is None
    assert report["command"] is None
    assert "nothing that was tried is sure to be done by" in captured.err


@pytest.mark.parametrize("command", ["estimate", "metrics"])
def test_help_loads_nothing_heavy(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vidsr", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"torch", "av", "numpy", "rich", "openvino", "matplotlib"}


def test_an_interrupt_during_the_small_video_is_one(
    scenes: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(scenes, tmp_path / "out.mkv", weights=tiny)
    prepared = prepare(job, ignore)
    log = scan(prepared.info, prepared.segment)

    def interrupted(*_: object) -> None:
        raise InterruptedByUser("interrupted")

    monkeypatch.setattr(CountingSink, "write", interrupted)
    plan = plan_stretches(len(log.stamps), 100, lead=1)
    with pytest.raises(InterruptedByUser):
        encode_small(prepared, log.stamps, plan, seconds=0, stop=StopSignal())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--finish-by", "07:00", "--within", "3h"], "cannot be combined"),
        (["--finish-by", "25:00"], "not a time of day"),
        (["--within", "3"], "not a length of time"),
        (["--within", "99999999h"], "longer than a year"),
        (["--within", "9" * 400 + "m"], "longer than a year"),
        (["--seconds", "nan"], "'nan' is no number"),
        (["--models", "realesr-animevideo3"], "did you mean realesr-animevideov3"),
        (["--encoder-presets", "fastest"], "has no preset"),
        (["-m", "realesr-animevideov3,realesr-animevideo3"], "unknown model 'realesr-animevideo3'"),
        (["--models", "a", "-m", "b"], "cannot be combined"),
        (["--models", "realesr-animevideov3", "--weights", "x.pth"], "cannot be combined"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["estimate", str(SAMPLE), *arguments]) == 2
    assert words in capsys.readouterr().err


def test_models_with_more_work_and_slower_presets_come_first() -> None:
    names = [
        "realesr-animevideov3",
        "RealESRGAN_x4plus",
        "realesr-general-x4v3",
        "RealESRGAN_x4plus_anime_6B",
    ]
    assert order_models(names) == [names[1], names[3], names[2], names[0]]
    assert order_presets("libx264", ["veryfast", "slow", "medium"]) == ["slow", "medium", "veryfast"]
    assert order_presets("libsvtav1", ["8", "4", "12"]) == ["4", "8", "12"]
    assert order_presets("hevc_nvenc", ["p1", "fast", "p7", "p4"]) == ["p7", "p4", "p1", "fast"]


def test_a_time_of_day_is_the_next_one() -> None:
    zone = timezone(timedelta(hours=2))
    evening = datetime(2026, 3, 1, 22, 30, tzinfo=zone)
    assert next_time(time(7), evening) == datetime(2026, 3, 2, 7, tzinfo=zone)
    assert next_time(time(23), evening) == datetime(2026, 3, 1, 23, tzinfo=zone)
    assert next_time(time(22, 30), evening) == datetime(2026, 3, 2, 22, 30, tzinfo=zone)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3h", 10800),
        ("90m", 5400),
        ("90min", 5400),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("45s", 45),
        ("1:02:03", 3723),
    ],
)
def test_lengths_of_time_as_people_write_them(text: str, seconds: int) -> None:
    assert LengthType().convert(text, None, None).total_seconds() == seconds


def test_times_of_day_as_people_write_them() -> None:
    assert TimeOfDayType().convert("7:05", None, None) == time(7, 5)
    with pytest.raises(click.BadParameter):
        TimeOfDayType().convert("7", None, None)
