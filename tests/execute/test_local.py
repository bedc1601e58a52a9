"""Whole jobs in this process, with a network that repeats pixels: what arrives, and what an end leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from tests.paths import REPOSITORY, SAMPLE
from tests.reference_ffmpeg import ffmpeg, frame_lines, packet_lines, video_line
from tests.straight import run_job
from vidsr.channel import StopSignal
from vidsr.errors import EncoderError, InterruptedByUser, NoSpaceError
from vidsr.frames import Frame
from vidsr.job import EncoderRequest, Job, RangeRequest, SizeRequest
from vidsr.media.write.writer import Writer
from vidsr.progress.events import Event, Finished, Note, Started


def ignore(_: Event) -> None:
    pass


def job(source: Path, output: Path, weights: Path, **more: object) -> Job:
    return Job(source, output, weights=weights, precision="fp32", **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variable frame rate with B-frames and a late start: pts 3, 4, 6, 9, 13, ... in 1/30 s."""
    path = tmp_path_factory.mktemp("uneven") / "uneven.mp4"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30:duration=1",
        "-vf", "setpts=round((3+N*(N+1)/2)/30/TB)", "-fps_mode", "passthrough", "-enc_time_base", "1/30",
        "-c:v", "libx264", "-bf", "3", "-video_track_timescale", "30000", path,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_uneven_time_stamps_arrive_as_they_were(
    uneven: Path, tmp_path: Path, repeat_2x: Path, suffix: str
) -> None:
    output = tmp_path / f"out{suffix}"
    receipt = run_job(job(uneven, output, repeat_2x), show=ignore)
    assert receipt.frames_read == receipt.frames_written == 30
    ticks_a_second = 1000 if suffix == ".mkv" else 30000
    stamps = [pts for pts, _, _ in frame_lines(output)]
    expected = [round(Fraction(3 + n * (n + 1) // 2, 30) * ticks_a_second) for n in range(30)]
    assert stamps == expected


def test_the_progress_of_a_variable_rate_knows_its_frames(
    uneven: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    """Ever slower pictures; 30 a second, as they begin, for as long as they last would be hundreds."""
    source = tmp_path / "in.mkv"
    ffmpeg("-v", "error", "-i", uneven, "-c", "copy", source)
    events: list[Event] = []
    run_job(job(source, tmp_path / "out.mkv", repeat_2x), show=events.append)
    assert isinstance(events[0], Started)
    assert (events[0].frames_total, events[0].frames_total_is_exact) == (30, True)


def test_events_tell_the_story_in_order(tmp_path: Path, repeat_2x: Path) -> None:
    events: list[Event] = []
    output = tmp_path / "out.mp4"
    wish = RangeRequest(first_frame=10, last_frame=16)
    receipt = run_job(job(SAMPLE, output, repeat_2x, range=wish, strict=False), show=events.append)
    assert isinstance(events[0], Started)
    assert (events[0].frames_total, events[0].frames_total_is_exact) == (6, True)
    assert events[0].output_picture == "640x360 yuv420p"
    assert isinstance(events[-1], Finished)
    assert events[-1].frames == receipt.frames_written == 6
    assert events[-1].size_bytes == output.stat().st_size
    assert any(isinstance(event, Note) and "ass" in event.text.lower() for event in events)
    assert len(frame_lines(output)) == 6


def test_what_comes_behind_the_network_is_said_beside_its_size(tmp_path: Path, repeat_2x: Path) -> None:
    """The output is not of the size that the network gives."""
    events: list[Event] = []
    wish = RangeRequest(first_frame=10, last_frame=11)
    options = {"range": wish, "strict": False, "post_filters": "scale=320:180"}
    run_job(job(SAMPLE, tmp_path / "out.mkv", repeat_2x, **options), show=events.append)
    assert isinstance(events[0], Started)
    assert events[0].output_picture == "640x360 yuv420p, then scale=320:180"
    assert "320x180" in video_line(tmp_path / "out.mkv")


@pytest.mark.parametrize(
    ("option", "control", "words"),
    [
        (("qp", "0"), "rc=cqp", "libx264 veryfast"),
        (("b", "200k"), "rc=abr", "libx264 veryfast"),
        (("crf", "30"), "crf=30.0", "libx264 veryfast"),
        (("maxrate", "1M"), "crf=18.0", "libx264 crf 18 veryfast"),
        (("preset", "slow"), "subme=8", "libx264 crf 18 slow"),
    ],
)
def test_own_rate_control_takes_the_place_of_the_default_quality(
    tmp_path: Path, repeat_2x: Path, option: tuple[str, str], control: str, words: str
) -> None:
    """x264 writes into each file what it was opened with; a crf beside them would win over qp and b."""
    events: list[Event] = []
    output = tmp_path / "out.mkv"
    more = (("bufsize", "1M"),) if option[0] == "maxrate" else ()
    options = {"range": RangeRequest(first_frame=10, last_frame=11), "strict": False}
    request = EncoderRequest(options=(option, *more))
    run_job(job(SAMPLE, output, repeat_2x, encoder=request, **options), show=events.append)
    assert isinstance(events[0], Started)
    assert events[0].encoder == words
    assert control.encode() in output.read_bytes()


def test_a_height_is_reached_by_a_final_resize(tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    wish = RangeRequest(first_frame=0, last_frame=2)
    run_job(job(SAMPLE, output, repeat_2x, range=wish, size=SizeRequest(height=270)), show=ignore)
    assert "480x270" in video_line(output)


def test_a_range_keeps_sound_and_picture_together(tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    wish = RangeRequest(start=Fraction(1), end=Fraction(2))
    run_job(job(SAMPLE, output, repeat_2x, range=wish), show=ignore)
    source_frames = [pts for pts, _, _ in frame_lines(SAMPLE)]
    inside = [n for n, pts in enumerate(source_frames) if Fraction(1) <= Fraction(n * 1001, 24000) < 2]
    assert len(frame_lines(output)) == len(inside) == 24
    first = Fraction(inside[0] * 1001, 24000)
    source_packets = packet_lines(SAMPLE, "a:0")
    packets = packet_lines(output, "a:0")
    hashes = [md5 for _, _, md5 in source_packets]
    begin = hashes.index(packets[0][2])
    assert [md5 for _, _, md5 in packets] == hashes[begin : begin + len(packets)]
    # the first packet kept begins at or after the first frame, and less than one packet (20 ms) after it;
    # both files count milliseconds
    after_first_frame = source_packets[begin][0] - float(first * 1000)
    assert 0 <= after_first_frame < 21
    assert abs(packets[0][0] - after_first_frame) <= 1.5


class Broken(Writer):
    """Fails at its fifth frame, as an encoder or a disk can."""

    failure: Exception

    def write(self, frame: Frame) -> None:
        if frame.index == 4:
            raise self.failure
        super().write(frame)


@pytest.mark.parametrize(
    "failure",
    [EncoderError("libx264 refused frame 4"), NoSpaceError("full"), ZeroDivisionError("bug")],
    ids=repr,
)
def test_a_failure_while_writing_leaves_nothing(
    tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(Broken, "failure", failure, raising=False)
    monkeypatch.setattr("vidsr.execute.prepare.Writer", Broken)
    with pytest.raises(type(failure)) as caught:
        run_job(job(SAMPLE, tmp_path / "out.mkv", repeat_2x), show=ignore)
    assert caught.value is failure
    assert any("encode stage" in note for note in failure.__notes__)
    assert list(tmp_path.iterdir()) == []
    assert not [t for t in threading.enumerate() if t.name.startswith("vidsr-")]


def test_a_stop_from_outside_leaves_nothing(tmp_path: Path, repeat_2x: Path) -> None:
    stop = StopSignal()
    timer = threading.Timer(0.3, stop.set, [InterruptedByUser("enough")])
    timer.start()
    with pytest.raises(InterruptedByUser, match="enough"):
        run_job(
            job(SAMPLE, tmp_path / "out.mkv", repeat_2x, size=SizeRequest(width=3840, height=2160)),
            show=ignore,
            stop=stop,
        )
    timer.join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to make a small disk")
def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path: Path, repeat_2x: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no file systems")
    try:
        with pytest.raises(NoSpaceError) as caught:
            run_job(job(SAMPLE, disk / "out.mkv", repeat_2x), show=ignore)
        assert caught.value.hint
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


_MEASURE = """
import resource, sys
from pathlib import Path
from tests.straight import run_job
from vidsr.job import EncoderRequest, Job
folder, weights = Path(sys.argv[1]), Path(sys.argv[2])
quick = {"precision": "fp32", "backend": "torch", "encoder": EncoderRequest(preset="ultrafast")}
for count in (60, 60, 60, 600):
    (folder / f"{count}.mkv").unlink(missing_ok=True)
    job = Job(folder / f"{count}.mp4", folder / f"{count}.mkv", weights=weights, **quick)
    run_job(job, show=lambda _: None)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="reads the peak memory as Unix gives it")
def test_memory_is_flat_however_long_the_video(tmp_path: Path, repeat_2x: Path) -> None:
    for count in (60, 600):
        ffmpeg(
            "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=192x108:rate=25:duration={count / 25}",
            "-f", "lavfi", "-i", f"sine=duration={count / 25}",
            "-c:v", "libx264", "-preset", "ultrafast", tmp_path / f"{count}.mp4",
        )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, tmp_path, repeat_2x],
        capture_output=True, text=True, check=True, cwd=REPOSITORY,
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # threads that wait for each other cost minutes
    )  # fmt: skip
    *_, short, long = map(int, done.stdout.split())  # the first runs find their memory, 310 MB
    # ten times the frames: 540 decoded frames more would be 17 MB, upscaled ones 67 MB
    assert long < short * 1.05, (short, long)
