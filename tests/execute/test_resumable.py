"""Jobs in segments: the same result as in one go, and nothing finished is ever lost or done twice."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests.conftest import pixel_repeating_weights
from tests.execute.segmented import (
    LOSSLESS,
    Crash,
    at_frame,
    counting,
    crash_after,
    failing_at,
    folders_that_do_not_sync,
    in_one_go,
    run_in_segments,
)
from tests.media.clips import ClipShelf
from tests.media.reference import decoded, packets
from tests.reference_ffmpeg import describe, ffmpeg, frame_lines, packet_lines, video_line
from vidsr.errors import (
    DamagedSourceError,
    DeviceError,
    InterruptedByUser,
    JobChangedError,
    JobRunningError,
    LocksMissingError,
    NoSpaceError,
    OutputExistsError,
)
from vidsr.execute.batch import run_batch
from vidsr.execute.resumable import run_resumable
from vidsr.frames import Frame
from vidsr.job import EncoderRequest, Job, RangeRequest, Receipt, Resume, SizeRequest
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.write.writer import Writer
from vidsr.progress.events import Event, Finished, Joining, Note, Started, Stopping
from vidsr.segments.contents import folder_of, read_contents
from vidsr.segments.workspace import Workspace

posix = pytest.mark.skipif(os.name != "posix", reason="Windows does not sync folders")


def segment_files(output: Path) -> list[Path]:
    return sorted(folder_of(output).glob("*.packets"))


CLIPS = ["vfr.mp4", "negative.ts", "edit_list.mp4", "everything.mkv", "long_h264.avi", "open_gop.ts"]
MORE_CLIPS = [
    "b_frames.mp4", "late.ts", "wmv.wmv", "one_gop.ts", "yuv422p10le.mkv",
    "vfr.mkv", "late_video.mkv", "extras.mp4", "mpeg4.avi", "raw.h264", "interlaced.mpg", "gray.mkv",
    "bgra.mkv", "ntsc.mp4", "hdr10.mkv", "rotated.mp4", "anamorphic.mkv", "sound_gap.mkv", "two_videos.mkv",
]  # fmt: skip


@pytest.mark.parametrize("name", CLIPS + [pytest.param(name, marks=pytest.mark.slow) for name in MORE_CLIPS])
def test_a_crashed_and_continued_job_gives_what_one_in_one_go_gives(
    clips: ClipShelf, name: str, tmp_path: Path, repeat_2x: Path
) -> None:
    """Decoded frames with their times, and the packets of all other streams."""
    source = clips(name)
    expected = in_one_go(source, tmp_path / "expected.mkv", repeat_2x)
    output = tmp_path / "out.mkv"
    with crash_after(1):
        run_in_segments(source, output, repeat_2x, segment=7)
    with counting() as computed:
        receipt = run_in_segments(source, output, repeat_2x, segment=7)
    wanted = decoded(expected)
    assert decoded(output) == wanted
    assert receipt.frames_written == len(wanted)
    assert computed == list(range(7, len(wanted)))
    ours, theirs = packets(output), packets(expected)
    assert ours.keys() == theirs.keys()
    for index, rows in theirs.items():
        assert [row.pts for row in ours[index]] == [row.pts for row in rows]
        if index != 0:
            assert ours[index] == rows
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("segments", [1, 4], ids=["before the splice", "behind it"])
@pytest.mark.parametrize(
    ("name", "frames"), [("spliced.ts", 40), ("joined.vob", 60)], ids=["by 10 s", "by 0.8 s"]
)
def test_a_clock_that_steps_back_is_followed_from_the_beginning(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, segments: int, name: str, frames: int
) -> None:
    """Two recordings in one file, the first of 20 frames; the second one's times are lower than those."""
    source = clips(name)
    expected = in_one_go(source, tmp_path / "expected.mkv", repeat_2x)
    output = tmp_path / "out.mkv"
    with crash_after(segments):
        run_in_segments(source, output, repeat_2x, segment=7)
    receipt = run_in_segments(source, output, repeat_2x, segment=7)
    assert len(decoded(expected)) == frames
    assert decoded(output) == decoded(expected)
    ours, theirs = packets(output), packets(expected)
    assert [rows for index, rows in ours.items() if index] == [
        rows for index, rows in theirs.items() if index
    ]
    assert sum("backward" in line for line in receipt.damage) == 1


LOSSY = EncoderRequest("libx264", crf=23)


@pytest.fixture(scope="module")
def straight(clip: Path, tmp_path_factory: pytest.TempPathFactory, repeat_2x: Path) -> Path:
    """The clip without segments."""
    return in_one_go(clip, tmp_path_factory.mktemp("straight") / "straight.mkv", repeat_2x)


@pytest.fixture(scope="module")
def uninterrupted(clip: Path, tmp_path_factory: pytest.TempPathFactory, repeat_2x: Path) -> Path:
    """The clip in segments of 10 frames through a lossy encoder, in one run."""
    output = tmp_path_factory.mktemp("uninterrupted") / "whole.mp4"
    run_in_segments(clip, output, repeat_2x, encoder=LOSSY)
    return output


@pytest.mark.parametrize("segments", [pytest.param(1, marks=pytest.mark.slow), 3, 8])
def test_a_lossy_job_gives_the_same_bits_whether_it_was_stopped_or_not(
    clip: Path, tmp_path: Path, repeat_2x: Path, uninterrupted: Path, segments: int
) -> None:
    output, whole = tmp_path / "out.mp4", uninterrupted
    with crash_after(segments):
        run_in_segments(clip, output, repeat_2x, encoder=LOSSY)
    with counting() as computed:
        run_in_segments(clip, output, repeat_2x, encoder=LOSSY)
    assert computed == list(range(min(10 * segments, 72), 72))
    assert packet_lines(output, "v:0") == packet_lines(whole, "v:0")
    assert output.read_bytes() == whole.read_bytes()


ENCODERS = [("libx264", ".mp4"), ("libx265", ".mp4"), ("libsvtav1", ".webm")]
MORE_ENCODERS = [
    ("libvpx-vp9", ".webm"), ("prores_ks", ".mov"), ("dnxhd", ".mov"), ("utvideo", ".nut"),
    ("libx264rgb", ".mkv"), ("libx264", ".mov"), ("libx265", ".mkv"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("encoder", "suffix"), ENCODERS + [pytest.param(*e, marks=pytest.mark.slow) for e in MORE_ENCODERS]
)
def test_every_encoder_s_segments_make_one_stream(
    clip: Path, tmp_path: Path, repeat_2x: Path, encoder: str, suffix: str
) -> None:
    """Described by ffmpeg like the stream of a run in one go, as many frames, at the same times."""
    source, wish = clip, RangeRequest(first_frame=10, last_frame=32)
    request = EncoderRequest(encoder, preset={"libvpx-vp9": "8", "libsvtav1": "12"}.get(encoder))
    more: dict[str, Any] = {"encoder": request, "range": wish, "subtitles": "none"}
    expected = in_one_go(source, tmp_path / f"expected{suffix}", repeat_2x, **more)
    output = tmp_path / f"out{suffix}"
    run_in_segments(source, output, repeat_2x, segment=8, **more)
    stamps = [pts for pts, _, _ in frame_lines(expected)]
    assert len(stamps) == 22
    assert [pts for pts, _, _ in frame_lines(output)] == stamps
    assert without_rates(video_line(output)) == without_rates(video_line(expected))
    # each segment begins with a picture that needs no other: a decoder that starts there gets the rest
    for first in (8, 16):
        late = ffmpeg(
            "-v", "error", "-ss", f"{(first - 0.25) * 1001 / 24000:.6f}", "-i", output,
            "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-",
        )  # fmt: skip
        ours = [line.split(",")[-1].strip() for line in late.splitlines() if not line.startswith("#")]
        assert ours == [md5 for _, _, md5 in frame_lines(output)][first:]


def without_rates(line: str) -> str:
    """ffmpeg's line about a stream, without bit rates, which depend on the size."""
    return re.sub(r"\d+ kb/s,? ?", "", line)


def test_a_continued_run_says_what_it_saves_and_counts_on(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"
    with crash_after(3):
        run_in_segments(clip, output, repeat_2x)
    events: list[Event] = []
    receipt = run_in_segments(clip, output, repeat_2x, show=events.append)
    started, finished = events[0], events[-1]
    assert isinstance(started, Started)
    assert started.frames_before == 30
    notes = [event.text for event in events if isinstance(event, Note)]
    assert any(re.search(r"continuing: 30 of about 72 frames .* saves \d+\.\d s of work", n) for n in notes)
    assert isinstance(finished, Finished)
    assert (finished.frames, finished.frames_before) == (72, 30) == (receipt.frames_written, 30)
    assert [e for e in events if isinstance(e, Joining)][-1] == Joining(7, 8)


def test_a_job_shorter_than_a_segment_is_written_directly(
    clip: Path, tmp_path: Path, repeat_2x: Path, straight: Path
) -> None:
    events: list[Event] = []
    output = tmp_path / "out.mkv"
    run_in_segments(clip, output, repeat_2x, segment=72, show=events.append)
    assert not any(isinstance(event, Joining) for event in events)
    assert packet_lines(output, "v:0") == packet_lines(straight, "v:0")


def test_of_a_single_segment_nothing_is_put_together(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    """30 frames without a cut, where segments have at least 20."""
    events: list[Event] = []
    output = tmp_path / "out.mkv"
    wish = RangeRequest(first_frame=0, last_frame=30)
    job = Job(clip, output, weights=repeat_2x, precision="fp32", encoder=LOSSLESS, range=wish)
    with crash_after(1):
        run_resumable(job, show=lambda _: None, length=SegmentLength(20, 1000))
    run_resumable(job, show=events.append, length=SegmentLength(20, 1000))
    assert any(isinstance(event, Note) and event.text.startswith("continuing: 30") for event in events)
    assert not any(isinstance(event, Joining) for event in events)
    assert len(frame_lines(output)) == 30


def test_scenes_decide_where_segments_end(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    """The sample's only cut is at frame 36; segments of at least 20 frames end there."""
    output = tmp_path / "out.mkv"
    job = Job(clip, output, weights=repeat_2x, precision="fp32", encoder=LOSSLESS)
    with crash_after(2):
        run_resumable(job, show=lambda _: None, length=SegmentLength(20, 1000))
    receipts = read_contents(folder_of(output)).receipts
    assert [receipt.frames for receipt in receipts] == [36, 36]


# What is kept when a run ends early


@pytest.mark.parametrize(
    "failure",
    [InterruptedByUser("interrupted"), DeviceError("the driver went away"), ZeroDivisionError("bug")],
)
@pytest.mark.parametrize("index", [25, pytest.param(30, marks=pytest.mark.slow)])
def test_frames_computed_before_the_end_of_a_run_are_kept(
    clip: Path, tmp_path: Path, repeat_2x: Path, failure: Exception, index: int, straight: Path
) -> None:
    """Also those of the segment in which it ends, up to the very last one."""
    output = tmp_path / "out.mkv"
    with failing_at(index, failure), pytest.raises(type(failure)) as caught:
        run_in_segments(clip, output, repeat_2x)
    assert read_contents(folder_of(output)).frames == index
    if isinstance(caught.value, InterruptedByUser):
        assert caught.value.message == f"interrupted; {index} of about 72 frames are finished and kept"
        assert caught.value.hint == "run the same command again to continue"
    with counting() as computed:
        run_in_segments(clip, output, repeat_2x)
    assert computed == list(range(index, 72))
    assert decoded(output) == decoded(straight)


def test_an_error_says_what_is_kept(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    events: list[Event] = []
    with failing_at(25, DeviceError("gone")), pytest.raises(DeviceError, match="gone"):
        run_in_segments(clip, tmp_path / "out.mkv", repeat_2x, show=events.append)
    assert events[-1] == Note("25 frames are finished and kept; the same command continues there")
    assert not any(isinstance(event, Stopping) for event in events)


def test_an_end_before_the_first_frame_leaves_nothing(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    with (
        failing_at(0, InterruptedByUser("interrupted")),
        pytest.raises(InterruptedByUser) as caught,
    ):
        run_in_segments(clip, tmp_path / "out.mkv", repeat_2x)
    assert caught.value.message == "interrupted"
    assert list(tmp_path.iterdir()) == []


def test_many_interruptions_add_up_to_the_whole(
    clip: Path, tmp_path: Path, repeat_2x: Path, straight: Path
) -> None:
    output = tmp_path / "out.mkv"
    for index in (3, 4, 17, 18, 19, 40, 71):
        with failing_at(index, InterruptedByUser("interrupted")), pytest.raises(InterruptedByUser):
            run_in_segments(clip, output, repeat_2x)
    receipt = run_in_segments(clip, output, repeat_2x)
    assert (receipt.frames_read, receipt.frames_written) == (72, 72)
    assert decoded(output) == decoded(straight)


def test_a_failure_in_a_later_segment_does_not_touch_the_earlier_ones(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"
    with crash_after(3):
        run_in_segments(clip, output, repeat_2x)
    before = {path: path.read_bytes() for path in segment_files(output)}
    with failing_at(55, ZeroDivisionError("bug")), pytest.raises(ZeroDivisionError):
        run_in_segments(clip, output, repeat_2x)
    assert {path: path.read_bytes() for path in before} == before


def test_a_failing_join_keeps_everything(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mkv"

    def full(*_: object, **__: object) -> None:
        raise NoSpaceError("full")

    monkeypatch.setattr("vidsr.execute.resumable.join", full)
    with pytest.raises(NoSpaceError):
        run_in_segments(clip, output, repeat_2x)
    assert [path.name for path in tmp_path.iterdir()] == [folder_of(output).name]
    monkeypatch.undo()
    with counting() as computed:
        run_in_segments(clip, output, repeat_2x)
    assert computed == []
    assert len(decoded(output)) == 72


# An output that is there already


@contextmanager
def killed_behind(name: str) -> Iterator[None]:
    """A crash right behind a step at the end of a run."""
    owner = Workspace if hasattr(Workspace, name) else Writer
    original = getattr(owner, name)

    def step(*arguments: Any) -> None:
        original(*arguments)
        raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, step)
        with pytest.raises(Crash):
            yield


def test_a_job_killed_before_it_cleared_up_is_named_anew_and_cleared_up(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"
    for step in ("publish", "announce_output", "publish"):
        with killed_behind(step):
            run_in_segments(clip, output, repeat_2x)
        assert len(decoded(output)) == 72
    with counting() as computed:
        run_in_segments(clip, output, repeat_2x)
    assert computed == []
    assert list(tmp_path.iterdir()) == [output]


def test_pieces_that_cannot_be_removed_do_not_spoil_a_whole_output(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mkv"
    original = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".packets":
            raise OSError(errno.EIO, "Input/output error")
        original(path, missing_ok=missing_ok)

    events: list[Event] = []
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert run_in_segments(clip, output, repeat_2x, show=events.append).frames_written == 72
    assert isinstance(events[-1], Finished)
    assert isinstance(events[-2], Note)
    assert "cannot clear the folder of the job: Input/output error; vidsr jobs clean" in events[-2].text
    assert len(decoded(output)) == 72


@posix
@pytest.mark.parametrize("resume", ["auto", "never"])
def test_an_output_that_has_its_name_is_no_failure_where_only_the_name_is_not_safe(
    clip: Path, tmp_path: Path, repeat_2x: Path, resume: Resume
) -> None:
    """Its pieces stay: they are what there is where a power cut takes the name."""
    output = tmp_path / "out.mkv"
    events: list[Event] = []
    with folders_that_do_not_sync(lambda _: output.exists()):
        receipt = run_in_segments(clip, output, repeat_2x, resume=resume, show=events.append)
    assert receipt.frames_written == len(decoded(output)) == 72
    said = [event.text for event in events if isinstance(event, Note)]
    assert "out.mkv is whole, but the disk does not say that its name is safe (Input/output error)" in said
    assert isinstance(events[-1], Finished)
    if resume == "auto":
        assert f"the pieces of {output} stay; vidsr jobs clean removes them" in said
        assert len(segment_files(output)) == 8
        with counting() as computed:
            run_in_segments(clip, output, repeat_2x)
        assert computed == []
    assert list(tmp_path.iterdir()) == [output]


@posix
def test_a_disk_that_never_syncs_folders_is_used_and_that_is_said(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"
    events: list[Event] = []
    with folders_that_do_not_sync(lambda _: True):
        run_in_segments(clip, output, repeat_2x, show=events.append)
    assert len(decoded(output)) == 72
    said = [event.text for event in events if isinstance(event, Note)]
    assert "this disk does not say when names are safe; a power cut may cost the job" in said
    assert list(tmp_path.iterdir()) == [output]


def test_a_job_killed_while_it_cleared_up_is_not_computed_again(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    """The output is whole: the rest of the pieces goes."""
    output = tmp_path / "out.mkv"
    with killed_behind("publish"):
        run_in_segments(clip, output, repeat_2x)
    before = output.read_bytes()
    segment_files(output)[3].unlink()
    with counting() as computed, pytest.raises(OutputExistsError):
        run_in_segments(clip, output, repeat_2x)
    assert computed == []
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_bytes() == before


@pytest.mark.parametrize("resume", ["restart", "never"])
def test_a_whole_output_is_not_made_anew_without_being_asked_for(
    clip: Path, tmp_path: Path, repeat_2x: Path, resume: Resume
) -> None:
    output = tmp_path / "out.mkv"
    with killed_behind("publish"):
        run_in_segments(clip, output, repeat_2x)
    before = output.read_bytes()
    with counting() as computed, pytest.raises(OutputExistsError):
        run_in_segments(clip, output, repeat_2x, resume=resume, encoder=EncoderRequest("libx264"))
    assert computed == []
    assert output.read_bytes() == before


def test_a_batch_clears_up_behind_an_output_that_is_there(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it cannot, the queue goes on all the same."""
    output = tmp_path / "out.mkv"
    with killed_behind("publish"):
        run_in_segments(clip, output, repeat_2x)
    before = output.read_bytes()

    def run(_: Job) -> Receipt:
        raise AssertionError

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        (result,) = run_batch([Job(clip, output)], run, show=lambda _: None)
    assert result.outcome == "skipped"
    assert folder_of(output).exists()
    (result,) = run_batch([Job(clip, output)], run, show=lambda _: None)
    assert result.outcome == "skipped"
    assert list(tmp_path.iterdir()) == [output]
    assert output.read_bytes() == before


@pytest.mark.parametrize("moment", ["before it is named", "after a crash"])
def test_a_file_that_somebody_else_made_meanwhile_is_never_replaced(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Neither by the run that finds it at its end nor by the next one."""
    output = tmp_path / "out.mkv"
    if moment == "after a crash":
        with killed_behind("announce_output"):
            run_in_segments(clip, output, repeat_2x)
        output.write_bytes(b"mine")
    else:
        original = Writer.publish

        def publish(writer: Writer) -> None:
            output.write_bytes(b"mine")
            original(writer)

        monkeypatch.setattr(Writer, "publish", publish)
        with pytest.raises(OutputExistsError):
            run_in_segments(clip, output, repeat_2x)
        monkeypatch.undo()
    with pytest.raises(OutputExistsError):
        run_in_segments(clip, output, repeat_2x)
    assert output.read_bytes() == b"mine"
    output.unlink()
    with counting() as computed:
        run_in_segments(clip, output, repeat_2x)
    assert computed == []
    assert len(decoded(output)) == 72


@pytest.mark.parametrize("had_its_name", [True, False])
def test_an_output_that_another_process_finishes_meanwhile_is_not_made_again(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch, had_its_name: bool
) -> None:
    """It gives the lock back between this one's look at the output and its try to take the lock."""
    output = tmp_path / "out.mkv"
    with killed_behind("publish" if had_its_name else "announce_output"):
        run_in_segments(clip, output, repeat_2x)
    original = Workspace.open

    def late(path: Path) -> Workspace:
        if not had_its_name:
            output.write_bytes(b"whole")
        with original(path) as other:
            other.remove()
        return original(path)

    monkeypatch.setattr(Workspace, "open", late)
    with counting() as computed, pytest.raises(OutputExistsError):
        run_in_segments(clip, output, repeat_2x)
    assert computed == []
    assert list(tmp_path.iterdir()) == [output]


# What must not be mixed


@pytest.fixture
def unfinished(clip: Path, tmp_path: Path, repeat_2x: Path) -> Path:
    """An output of the sample of which two of eight segments are finished."""
    output = tmp_path / "out.mkv"
    with crash_after(2):
        run_in_segments(clip, output, repeat_2x)
    return output


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"encoder": EncoderRequest("libx264")}, "encoder was ffv1 and is libx264"),
    ({"encoder": EncoderRequest("ffv1", options=(("level", "1"),))}, "encoder option level was 3 and is 1"),
    ({"size": SizeRequest(height=270)}, "output was 256x144 yuv420p and is 480x270 yuv420p"),
    ({"range": RangeRequest(last_frame=60)}, "end was not given and is 2.503000 s"),
    ({"precision": "bf16"}, r"computed by was .* fp32 on (.*) and is .* bf16 on \1"),
    ({"tile": 64}, "tile was not given and is 64"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES, ids=[words for _, words in CHANGES])
def test_another_setting_is_refused_by_name(
    clip: Path, unfinished: Path, repeat_2x: Path, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(JobChangedError, match=words) as caught:
        run_in_segments(clip, unfinished, repeat_2x, **change)
    assert "20 frames are finished" in caught.value.message
    assert "--restart" in (caught.value.hint or "")
    assert len(segment_files(unfinished)) == 2


def test_other_weights_are_refused(clip: Path, unfinished: Path, tmp_path: Path) -> None:
    other = pixel_repeating_weights(tmp_path / "other.safetensors", 4)
    with pytest.raises(JobChangedError, match="not the same weights as before"):
        run_in_segments(clip, unfinished, other)


def test_another_version_is_refused(
    clip: Path, unfinished: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.execute.identity.__version__", "999")
    with pytest.raises(JobChangedError, match=r"vidsr was .* and is 999"):
        run_in_segments(clip, unfinished, repeat_2x)


def test_a_changed_source_is_refused(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    source, output = tmp_path / "source.mkv", tmp_path / "out.mkv"
    shutil.copy(clip, source)
    with crash_after(2):
        run_in_segments(source, output, repeat_2x)
    with source.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(JobChangedError, match="the source is another file"):
        run_in_segments(source, output, repeat_2x)
    run_in_segments(source, output, repeat_2x, resume="restart")
    assert len(decoded(output)) == 72


def test_a_source_that_is_replaced_while_it_is_read_is_refused(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    """By one with the same picture and other sound, which no comparison with itself would show."""
    source, output, other = tmp_path / "source.mkv", tmp_path / "out.mkv", tmp_path / "other.mkv"
    shutil.copy(clip, source)
    ffmpeg(
        "-v",
        "error",
        "-i",
        clip,
        "-map",
        "0",
        "-c",
        "copy",
        "-c:a",
        "pcm_s16le",
        "-af",
        "volume=0.5",
        other,
    )
    events: list[Event] = []
    with at_frame(25, lambda: other.replace(source)), pytest.raises(JobChangedError) as caught:
        run_in_segments(source, output, repeat_2x, show=events.append)
    assert caught.value.message == f"{source} was changed while it was read"
    assert not any(isinstance(event, Note) and "same command" in event.text for event in events)
    assert not output.exists()
    with pytest.raises(JobChangedError, match="the source is another file"):
        run_in_segments(source, output, repeat_2x)
    run_in_segments(source, output, repeat_2x, resume="restart")
    assert len(decoded(output)) == 72


def test_a_source_that_is_only_touched_while_it_is_read_is_no_other(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    source, output = tmp_path / "source.mkv", tmp_path / "out.mkv"
    shutil.copy(clip, source)
    with at_frame(25, lambda: os.utime(source, (1, 1))):
        run_in_segments(source, output, repeat_2x)
    assert len(decoded(output)) == 72


def test_a_moved_source_and_other_streams_are_no_change(
    clip: Path, unfinished: Path, repeat_2x: Path
) -> None:
    """Neither has to do with what is finished; sound is added at the end."""
    moved = unfinished.with_name("moved.mkv")
    shutil.copy2(clip, moved)
    with counting() as computed:
        run_in_segments(moved, unfinished, repeat_2x, audio="none")
    assert len(computed) == 52
    assert "Audio" not in describe(unfinished)


def test_restart_begins_anew_with_other_settings(clip: Path, unfinished: Path, repeat_2x: Path) -> None:
    with counting() as computed:
        run_in_segments(clip, unfinished, repeat_2x, resume="restart", encoder=EncoderRequest("libx264"))
    assert len(computed) == 72
    assert "h264" in video_line(unfinished)


def test_in_one_go_leaves_an_unfinished_job_alone_and_says_so(
    clip: Path, unfinished: Path, repeat_2x: Path
) -> None:
    events: list[Event] = []
    run_in_segments(clip, unfinished, repeat_2x, resume="never", show=events.append)
    assert len(decoded(unfinished)) == 72
    assert len(segment_files(unfinished)) == 2
    assert any(isinstance(e, Note) and "vidsr jobs clean" in e.text for e in events)


def test_two_runs_of_one_output_exclude_each_other(clip: Path, unfinished: Path, repeat_2x: Path) -> None:
    for resume in ("auto", "restart", "never"):
        with Workspace.open(unfinished), pytest.raises(JobRunningError, match="is working on"):
            run_in_segments(clip, unfinished, repeat_2x, resume=resume)
    assert len(segment_files(unfinished)) == 2


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that has none."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_job_is_made_in_one_go_where_that_is_asked_for(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"
    with pytest.raises(LocksMissingError) as caught:
        run_in_segments(clip, output, repeat_2x)
    assert "--no-resume" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []
    events: list[Event] = []
    run_in_segments(clip, output, repeat_2x, resume="never", show=events.append)
    assert len(decoded(output)) == 72
    assert any(isinstance(e, Note) and "this file system has no locks" in e.text for e in events)
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_an_encoder_that_needs_pieces_is_refused_with_what_helps(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    wish = EncoderRequest("ffv1", program=imageio_ffmpeg.get_ffmpeg_exe())
    with pytest.raises(LocksMissingError) as caught:
        run_in_segments(clip, tmp_path / "out.mkv", repeat_2x, resume="never", encoder=wish)
    assert "leave --ffmpeg out" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


# Damage to what was finished


@pytest.mark.parametrize(
    "keep",
    [
        pytest.param(0, id="empty", marks=pytest.mark.slow),
        pytest.param(100, id="its head", marks=pytest.mark.slow),
        pytest.param(-1, id="all but a byte"),
    ],
)
def test_a_truncated_segment_is_computed_again_and_only_that(
    clip: Path, unfinished: Path, repeat_2x: Path, tmp_path: Path, keep: int, straight: Path
) -> None:
    (damaged,) = [path for path in segment_files(unfinished) if path.name.startswith("start")]
    damaged.write_bytes(damaged.read_bytes()[:keep])
    events: list[Event] = []
    with counting() as computed:
        run_in_segments(clip, unfinished, repeat_2x, show=events.append)
    assert computed == [*range(10), *range(20, 72)]
    assert decoded(unfinished) == decoded(straight)
    assert Note("1 finished piece could not be read back and will be computed again") in events


@pytest.mark.parametrize("kind", ["gone", "torn", "noise"])
def test_a_corrupt_journal_costs_nothing(clip: Path, unfinished: Path, repeat_2x: Path, kind: str) -> None:
    journal = folder_of(unfinished) / "journal.jsonl"
    data = journal.read_bytes()
    if kind == "gone":
        journal.unlink()
    else:
        journal.write_bytes(data[: len(data) // 2] if kind == "torn" else bytes(reversed(data)))
    events: list[Event] = []
    with counting() as computed:
        run_in_segments(clip, unfinished, repeat_2x, show=events.append)
    assert computed == list(range(20, 72))
    assert not any(isinstance(event, Note) and "computed again" in event.text for event in events)
    assert len(decoded(unfinished)) == 72


def test_a_source_without_frames_is_refused_and_leaves_nothing(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: object) -> Iterator[Frame]:
        return iter(())

    monkeypatch.setattr("vidsr.media.read.reader.Reader.frames", none)
    for resume in ("auto", "never"):
        with pytest.raises(DamagedSourceError, match="gave no frame"):
            run_in_segments(clip, tmp_path / "out.mkv", repeat_2x, resume=resume)
        assert list(tmp_path.iterdir()) == []


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, where the machine lets us have one."""
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False
    ).returncode:
        pytest.skip("this machine mounts no file systems")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root to make a small disk")
def test_a_full_disk_keeps_what_is_finished_and_space_lets_it_go_on(
    clip: Path, tmp_path: Path, repeat_2x: Path, straight: Path
) -> None:
    needed = straight.stat().st_size
    with small_disk(tmp_path / "disk", f"{needed // 2}") as disk:
        output = disk / "out.mkv"
        kept = []
        for share in (1, 2, 3):
            subprocess.run(["mount", "-o", f"remount,size={needed * share // 2}", disk], check=True)
            with pytest.raises(NoSpaceError) as caught:
                run_in_segments(clip, output, repeat_2x)
            assert "no space left" in caught.value.message
            assert "free some space" in (caught.value.hint or "")
            kept.append(read_contents(folder_of(output)).frames)
            assert not output.exists()
        assert 0 < kept[0] < kept[1] <= kept[2] == 72
        subprocess.run(["mount", "-o", f"remount,size={needed * 3}", disk], check=True)
        with counting() as computed:
            run_in_segments(clip, output, repeat_2x)
        assert computed == []
        assert decoded(output) == decoded(straight)
        assert list(disk.iterdir()) == [output]
