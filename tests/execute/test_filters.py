"""Whole jobs with filters before and behind the network, which repeats pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.media.reference import decoded, ffmpeg, packets, raw_video, sound_samples
from tests.paths import SAMPLE
from tests.straight import run_job
from vidsr.errors import InterruptedByUser, UsageError
from vidsr.execute.export import export_finished
from vidsr.execute.resumable import run_resumable
from vidsr.job import EncoderRequest, Job, RangeRequest
from vidsr.media.read.scenes import SegmentLength
from vidsr.progress.events import Event, Note, Started, Working


def ignore(_: Event) -> None:
    pass


def job(source: Path, output: Path, weights: Path, **more: object) -> Job:
    """Lossless, so that pictures can be compared sample by sample."""
    lossless = EncoderRequest(name="ffv1")
    return Job(source, output, weights=weights, precision="fp32", encoder=lossless, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 interlaced frames of 48x32 with sound."""
    path = tmp_path_factory.mktemp("interlaced") / "interlaced.mkv"
    fields = "testsrc2=size=48x32:rate=50:duration=2,tinterlace=interleave_top,setfield=tff"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", fields, "-f", "lavfi", "-i", "sine=duration=2",
        "-c:v", "ffv1", "-c:a", "flac", path,
    )  # fmt: skip
    return path


def luma(path: Path, width: int, height: int) -> npt.NDArray[np.uint8]:
    """(frames, height, width)."""
    return np.frombuffer(raw_video(path, "gray"), np.uint8).reshape(-1, height, width)


def test_the_network_sees_deinterlaced_frames(interlaced: Path, tmp_path: Path, repeat_2x: Path) -> None:
    plain, woven = tmp_path / "plain.mkv", tmp_path / "out.mkv"
    ffmpeg("-v", "error", "-i", interlaced, "-vf", "bwdif=mode=send_frame", "-c:v", "ffv1", "-an", plain)
    notes: list[Event] = []
    run_job(job(plain, tmp_path / "expected.mkv", repeat_2x), show=ignore)
    run_job(job(interlaced, woven, repeat_2x, deinterlace="auto"), show=notes.append)
    expected, found = luma(tmp_path / "expected.mkv", 96, 64), luma(woven, 96, 64)
    assert len(found) == 50
    assert np.array_equal(found[1:-1], expected[1:-1])
    assert [row.pts for row in decoded(woven)] == [Fraction(n, 25) for n in range(50)]
    assert not any(isinstance(note, Note) and "interlaced" in note.text for note in notes)


def test_an_interlaced_video_is_named_with_the_option_to_pass(
    interlaced: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    events: list[Event] = []
    run_job(job(interlaced, tmp_path / "out.mkv", repeat_2x), show=events.append)
    assert any(isinstance(event, Note) and "--deinterlace auto" in event.text for event in events)


def test_cropping_before_and_behind_the_network_gives_the_same_part(
    interlaced: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    whole, before, behind = (tmp_path / f"{name}.mkv" for name in ("whole", "before", "behind"))
    run_job(job(interlaced, whole, repeat_2x), show=ignore)
    run_job(job(interlaced, before, repeat_2x, filters="crop=16:24:8:4"), show=ignore)
    run_job(job(interlaced, behind, repeat_2x, post_filters="crop=32:48:16:8"), show=ignore)
    expected = luma(whole, 96, 64)[:, 8:56, 16:48]
    assert np.array_equal(luma(behind, 32, 48), expected)
    # cropped before, other pixels are dithered up and down, and chroma at the edges has other neighbours
    assert np.abs(luma(before, 32, 48).astype(int) - expected).mean() < 1


def test_sample_aspect_ratio_survives_a_crop_behind_the_network(tmp_path: Path, repeat_2x: Path) -> None:
    source, output = tmp_path / "wide.mkv", tmp_path / "out.mkv"
    ffmpeg(
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=48x32:duration=0.2",
        "-vf",
        "setsar=4/3",
        "-c:v",
        "ffv1",
        source,
    )
    run_job(Job(source, output, weights=repeat_2x, post_filters="crop=96:40"), show=ignore)
    text = ffmpeg("-i", output, expect_success=False)[1]
    assert "96x40" in text, text
    assert "SAR 4:3 DAR 16:5" in text, text


def test_filters_behind_the_network_that_hold_frames_back_lose_none(
    interlaced: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    plain, output, expected = (tmp_path / f"{name}.mkv" for name in ("plain", "out", "expected"))
    run_job(job(interlaced, plain, repeat_2x), show=ignore)
    ffmpeg("-v", "error", "-i", plain, "-vf", "atadenoise=s=9", "-c:v", "ffv1", "-an", expected)
    run_job(job(interlaced, output, repeat_2x, post_filters="atadenoise=s=9"), show=ignore)
    assert len(decoded(output)) == 50
    assert decoded(output) == decoded(expected)


@pytest.mark.parametrize(
    "chain", ["fps=10", "select='mod(n,2)'", "setpts=PTS+1", "bwdif", "tmedian=radius=2"]
)
def test_filters_behind_the_network_must_not_change_time(
    interlaced: Path, tmp_path: Path, repeat_2x: Path, chain: str
) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(UsageError, match="leaves out, adds or moves frames") as caught:
        run_job(job(interlaced, output, repeat_2x, post_filters=chain), show=ignore)
    assert "--vf" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_range_with_another_frame_rate_stays_with_its_sound(
    interlaced: Path, tmp_path: Path, repeat_2x: Path, suffix: str
) -> None:
    output = tmp_path / f"out.{suffix}"
    wish = RangeRequest(start=Fraction(1, 2), end=Fraction(3, 2))
    h264 = EncoderRequest(name="libx264")
    receipt = run_job(
        Job(interlaced, output, weights=repeat_2x, encoder=h264, range=wish, filters="fps=24"), show=ignore
    )
    assert receipt.frames_written == 24
    times = [row.pts for row in decoded(output)]
    assert all(abs(time - Fraction(n, 24)) < Fraction(1, 1000) for n, time in enumerate(times))
    sound = sound_samples(output, 0)
    assert abs(len(sound) - 44100) < 4800


def test_a_job_with_filters_continues_where_it_was_stopped(
    interlaced: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    chain = {"filters": "bwdif,tmix", "post_filters": "unsharp"}  # 100 frames, each made of three
    whole, resumed = tmp_path / "whole.mkv", tmp_path / "resumed.mkv"
    length = SegmentLength(16, 16)
    run_resumable(job(interlaced, whole, repeat_2x, **chain), show=ignore, length=length)

    def interrupt(event: Event) -> None:
        if isinstance(event, Working) and event.frames_done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedByUser):
        run_resumable(job(interlaced, resumed, repeat_2x, **chain), show=interrupt, length=length)
    part = tmp_path / "part.mkv"
    export_finished(resumed, part, show=print)
    events: list[Event] = []
    run_resumable(job(interlaced, resumed, repeat_2x, **chain), show=events.append, length=length)
    started = next(event for event in events if isinstance(event, Started))
    assert started.frames_before >= 16
    assert decoded(resumed) == decoded(whole)
    assert len(decoded(whole)) == 100
    exported = decoded(part)
    assert exported == decoded(whole)[: len(exported)]
    assert packets(resumed)[1] == packets(whole)[1]


def test_film_is_restored_from_the_sample(tmp_path: Path, repeat_2x: Path) -> None:
    """The sample has 24000/1001 frames a second; telecined and restored it has them again."""
    telecined, output = tmp_path / "telecined.mkv", tmp_path / "out.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-t", "2", "-vf", "telecine", "-c:v", "ffv1", "-an", telecined)
    run_job(job(telecined, output, repeat_2x, deinterlace="ivtc"), show=ignore)
    times = [row.pts for row in decoded(output)]
    assert len(times) == 48
    assert all(abs(time - Fraction(1001 * n, 24000)) <= Fraction(1, 2000) for n, time in enumerate(times))
