"""vidsr batch: a folder at a time, each file with its own result."""

from __future__ import annotations

import json
import shutil
import weakref
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.media.clips import h264_b_frames, vfr
from tests.paths import SAMPLE
from tests.reference_ffmpeg import frame_lines
from vidsr.api import videos
from vidsr.cli.main import run
from vidsr.errors import DeviceFailedError, InterruptedByUser, NoSpaceError, OutputError, VidsrError
from vidsr.execute.batch import run_batch
from vidsr.execute.resumable import run_resumable
from vidsr.job import Job, RangeRequest, Receipt
from vidsr.progress.events import Event, Failed, NextInQueue


@pytest.fixture
def season(tmp_path: Path) -> Path:
    """Two films of 20 and 33 frames with a text between them that is called a film."""
    folder = tmp_path / "season"
    folder.mkdir()
    h264_b_frames(folder / "ep1.mkv")
    (folder / "ep2.mkv").write_text("not a video")
    vfr(folder / "ep10.mkv")
    return folder


def batch(place: Path, weights: Path, *more: str) -> int:
    return run(
        ["batch", str(place), "--weights", str(weights), "--precision", "fp32", "--segment", "10", *more]
    )


def test_every_file_gets_its_result_and_a_bad_one_stops_no_other(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(season, repeat_2x, "--progress", "plain") == 1
    said = capsys.readouterr().err
    for name, frames in (("ep1", 20), ("ep10", len(frame_lines(season / "ep10.mkv")))):
        assert len(frame_lines(season / f"{name}.upscaled.mkv")) == frames
    assert not (season / "ep2.upscaled.mkv").exists()
    order = [
        said.index(f"[{number}/3] {season}/{name}.mkv")
        for number, name in ((1, "ep1"), (2, "ep2"), (3, "ep10"))
    ]
    assert order == sorted(order)
    assert "[3/3] " in said
    assert "ep10.mkv, 1 failed so far" in said
    *_, summary, failure, hint = said.splitlines()
    assert summary == "3 files: 2 done, 1 failed"
    assert failure.startswith(f"Failed: {season}/ep2.mkv is a text file")
    assert "text file" in failure
    assert hint.startswith("Hint: ")


def test_the_same_command_again_does_only_what_is_left(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch(season, repeat_2x)
    before = (season / "ep1.upscaled.mkv").stat()
    shutil.copy(season / "ep1.mkv", season / "ep2.mkv")
    capsys.readouterr()
    assert batch(season, repeat_2x) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "3 files: 1 done, 2 skipped"
    assert (season / "ep1.upscaled.mkv").stat() == before
    assert len(frame_lines(season / "ep2.upscaled.mkv")) == 20


def test_a_list_a_folder_for_outputs_and_a_template(season: Path, repeat_2x: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("season/ep10.mkv\n# not this one: season/ep2.mkv\nseason/ep1.mkv\n")
    into = tmp_path / "new" / "folder"
    name = "{number:02}-{stem}.mp4"
    assert batch(tmp_path / "list.txt", repeat_2x, "--into", str(into), "--name", name) == 0
    assert sorted(path.name for path in into.iterdir()) == ["01-ep10.mp4", "02-ep1.mp4"]


def test_a_dry_run_shows_names_and_does_nothing(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (season / "ep10.upscaled.mkv").touch()
    assert batch(season, repeat_2x, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{season}/ep1.mkv -> {season}/ep1.upscaled.mkv",
        f"{season}/ep2.mkv -> {season}/ep2.upscaled.mkv",
        f"{season}/ep10.mkv -> {season}/ep10.upscaled.mkv (is there)",
    ]
    assert len(list(season.iterdir())) == 4


def test_progress_of_all_files_is_in_the_json_events(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (season / "ep2.mkv").unlink()
    assert batch(season, repeat_2x, "--progress", "json") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    queue = [event for event in events if event["event"] == "next"]
    assert [(e["number"], e["files"], e["frames_ahead"], e["failures"]) for e in queue] == [
        (1, 2, 0, 0),
        (2, 2, 20, 0),
    ]


def test_a_program_hears_of_a_failed_file_when_it_failed(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(season, repeat_2x, "--progress", "json") == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [event["event"] for event in events if event["event"] in {"next", "failed", "finished"}]
    assert kinds == ["next", "finished", "next", "failed", "next", "finished"]
    (failed,) = (event for event in events if event["event"] == "failed")
    assert failed["source"] == str(season / "ep2.mkv")
    assert "ep2.mkv" in failed["message"]
    assert set(failed) == {"event", "source", "message", "hint"}


def test_an_unknown_model_is_said_once(season: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["batch", str(season), "--model", "nope"]) == 2
    assert capsys.readouterr().err.count("unknown model") == 1


def test_options_that_contradict_each_other_are_refused_before_anything(
    season: Path, repeat_2x: Path
) -> None:
    assert batch(season, repeat_2x, "--restart", "--no-resume") == 2
    assert len(list(season.iterdir())) == 3


@pytest.mark.parametrize(
    "folder",
    ["ep1.mkv", "ep1.mkv/within", "y" * 300, "new/deep/" + "y" * 300],
    ids=["file", "in a file", "long", "long in one that can be made"],
)
def test_a_folder_that_cannot_be_made_is_one_line(
    season: Path, repeat_2x: Path, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(season, repeat_2x, "--into", str(season / folder)) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith(f"Error: the folder {season / folder} cannot be made: ")
    assert hint == "Hint: choose another --into or --name"
    assert len(list(season.iterdir())) == 3


@pytest.mark.parametrize("failure", [NoSpaceError("full"), InterruptedByUser("interrupted")], ids=repr)
def test_what_would_end_every_job_ends_the_batch(tmp_path: Path, failure: VidsrError) -> None:
    jobs = [Job(SAMPLE, tmp_path / f"{number}.mkv") for number in range(3)]
    begun: list[Job] = []

    def fail_second(job: Job) -> Receipt:
        begun.append(job)
        if len(begun) == 2:
            raise failure
        return Receipt(job.output, 72, 72, 0, 2961, 1, 1.0)

    events: list[Event] = []
    with pytest.raises(type(failure)):
        list(run_batch(jobs, fail_second, show=events.append))
    assert begun == jobs[:2]
    assert events[-2:] == [
        NextInQueue(2, 3, str(SAMPLE), 72, 216, 0),
        Failed(str(SAMPLE), failure.message, failure.hint),
    ]


def test_what_another_batch_has_made_meanwhile_is_skipped(tmp_path: Path) -> None:
    jobs = [Job(SAMPLE, tmp_path / f"{number}.mkv") for number in range(3)]

    def run_one(job: Job) -> Receipt:
        if job is jobs[0]:
            jobs[1].output.write_bytes(b"made by another process")
        return Receipt(job.output, 72, 72, 0, 2961, 1, 1.0)

    results = list(run_batch(jobs, run_one, show=lambda _: None))
    assert [result.outcome for result in results] == ["done", "skipped", "done"]


class Network:
    """What a run holds while it works."""


@pytest.mark.parametrize("failure", [OutputError("lost"), DeviceFailedError("gone")], ids=repr)
def test_a_file_that_failed_holds_nothing_while_the_next_is_made(tmp_path: Path, failure: VidsrError) -> None:
    """But for a device's memory, where giving that back would end the process."""
    jobs = [Job(SAMPLE, tmp_path / f"{number}.mkv") for number in range(2)]
    under_way: list[weakref.ref[Network]] = []

    def fail(job: Job) -> Receipt:
        network = Network()
        under_way.append(weakref.ref(network))
        raise failure from OSError("of the disk")

    results = run_batch(jobs, fail, show=lambda _: None)
    assert next(results).error is failure
    assert (under_way[0]() is None) == (not isinstance(failure, DeviceFailedError))


@pytest.mark.parametrize(
    ("part", "frames"),
    [
        (RangeRequest(first_frame=10, last_frame=20), 10),
        (RangeRequest(first_frame=70), 2),
        (RangeRequest(last_frame=500), 72),
        (RangeRequest(start=Fraction(1), end=Fraction(2)), 24),
        (RangeRequest(first_frame=500), 0),
    ],
    ids=str,
)
def test_of_a_part_only_its_frames_count(tmp_path: Path, part: RangeRequest, frames: int) -> None:
    """The sample has 72 frames, 23.976 a second."""
    jobs = [Job(SAMPLE, tmp_path / f"{number}.mkv", range=part) for number in range(2)]
    events: list[Event] = []
    done = run_batch(jobs, lambda job: Receipt(job.output, 1, 1, 0, 0, 1, 1.0), show=events.append)
    next(done)
    assert events == [NextInQueue(1, 2, str(SAMPLE), 0, 2 * frames, 0)]


def test_a_batch_that_is_ended_says_why_earlier_files_failed(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = run_resumable

    def full_at_the_third(job: Job, **options: Any) -> Receipt:
        if job.source.name == "ep10.mkv":
            raise NoSpaceError("the disk is full")
        return real(job, **options)

    monkeypatch.setattr(videos, "run_resumable", full_at_the_third)
    assert batch(season, repeat_2x, "--progress", "none") == 1
    failed, hint, ended, _ = capsys.readouterr().err.splitlines()
    assert failed.startswith(f"Failed: {season}/ep2.mkv is a text file")
    assert hint.startswith("Hint: ")
    assert ended == "Error: the disk is full"


def test_a_failure_names_its_file_once(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (season / "ep1.mkv").unlink()
    (season / "ep10.mkv").unlink()
    assert batch(season, repeat_2x, "--progress", "none") == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Failed")]
    assert line.count("ep2.mkv") == 1


def test_a_weight_file_s_name_stands_for_the_model_s(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert batch(season, repeat_2x, "--dry-run", "--name", "{stem}.{model}.mkv") == 0
    assert "ep1.repeat_2x.mkv" in capsys.readouterr().out


def test_one_file_is_one_file(tmp_path: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ep.mkv").write_text("not a video")
    assert batch(tmp_path, repeat_2x, "--progress", "none") == 1
    assert capsys.readouterr().err.splitlines()[0] == "1 file: 1 failed"


@pytest.mark.parametrize("dry_run", [("--dry-run",), ()], ids=["dry run", "run"])
def test_a_name_no_container_is_written_under_is_refused_before_anything(
    season: Path,
    repeat_2x: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    dry_run: tuple[str, ...],
) -> None:
    (season / "ep2.mkv").rename(season / "ep2.avi")
    into = tmp_path / "out"
    assert batch(season, repeat_2x, "--into", str(into), "--name", "{stem}-2x{suffix}", *dry_run) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"Error: {into}/ep2-2x.avi: unknown container suffix '.avi'"
    assert ".mkv" in hint
    assert not into.exists()


@pytest.mark.parametrize("dry_run", [("--dry-run",), ()], ids=["dry run", "run"])
def test_a_name_that_is_too_long_is_one_line_before_anything(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str], dry_run: tuple[str, ...]
) -> None:
    """255 bytes fit; while it is unfinished the name has 15 more."""
    stem = "x" * (255 - 15 - len("ep10.mkv") + 1)
    name = stem + "{stem}.mkv"
    assert batch(season, repeat_2x, "--name", name, *dry_run) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == f"Error: {season}/{stem}ep10.mkv: the output's name is too long by 1 bytes"
    assert hint == "Hint: choose a shorter --name"
    assert len(list(season.iterdir())) == 3


def test_a_dry_run_names_a_folder_that_cannot_be(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    into = season / ("y" * 300)
    assert batch(season, repeat_2x, "--into", str(into), "--dry-run") == 1
    error, _ = capsys.readouterr().err.splitlines()
    assert error.startswith(f"Error: the folder {into} cannot be made: ")


def test_a_dry_run_says_which_file_of_a_list_is_not_there(
    season: Path, repeat_2x: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (season / "list.txt").write_text("ep1.mkv\nep3.mkv\n")
    assert batch(season / "list.txt", repeat_2x, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{season}/ep1.mkv -> {season}/ep1.upscaled.mkv",
        f"{season}/ep3.mkv (no such file) -> {season}/ep3.upscaled.mkv",
    ]


def test_folders_that_nothing_came_into_do_not_stay(season: Path, repeat_2x: Path, tmp_path: Path) -> None:
    (season / "kept").mkdir()
    assert run(["batch", str(season), "--model", "nope", "--into", str(tmp_path / "out" / "4x")]) == 2
    assert not (tmp_path / "out").exists()
    assert run(["batch", str(season), "--model", "nope", "--into", str(season / "kept")]) == 2
    assert (season / "kept").is_dir()
    name = "{stem}/{stem}.mkv"
    assert batch(season, repeat_2x, "--into", str(tmp_path), "--name", name, "--frames", "0:2") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ep1", "ep10", "season"]
