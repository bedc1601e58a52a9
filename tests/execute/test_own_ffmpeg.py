"""--ffmpeg: the encode in another process. What arrives, and what happens when it does not do its part."""

from __future__ import annotations

import os
import re
import select
import signal
import stat
import subprocess
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from tests.execute.segmented import counting, failing_at, folders_that_do_not_sync
from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import flat_planes
from tests.paths import SAMPLE
from tests.reference_ffmpeg import frame_lines, packet_lines, video_line
from vidsr.api.options import make_job
from vidsr.channel import StopSignal
from vidsr.errors import (
    EncoderError,
    InterruptedByUser,
    OutputError,
    ToolMissingError,
    UnknownNameError,
    UsageError,
    VidsrError,
)
from vidsr.execute.resumable import run_resumable
from vidsr.frames import Frame, PixelFormat
from vidsr.job import EncoderRequest, Job, RangeRequest, Receipt, Resume
from vidsr.media.encode import ffmpeg_encoder
from vidsr.media.encode.encoders import settings_for
from vidsr.media.encode.ffmpeg_encoder import FfmpegEncoder
from vidsr.media.encode.ffmpeg_program import program_settings
from vidsr.media.read.probe import probe
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.read.source_color import source_color
from vidsr.media.verify import verify
from vidsr.segments.contents import folder_of, read_contents
from vidsr.segments.workspace import Workspace

PROGRAM = imageio_ffmpeg.get_ffmpeg_exe()


def request(name: str = "libx264", **more: object) -> EncoderRequest:
    wishes: dict[str, object] = {"crf": 10.0, "preset": "ultrafast", "program": PROGRAM}
    return EncoderRequest(name, **(wishes | more))  # type: ignore[arg-type]


def run(
    source: Path, output: Path, weights: Path, *, resume: Resume = "auto", segment: int | None = None,
    **more: object,
) -> Receipt:  # fmt: skip
    job = Job(source, output, **({"weights": weights, "precision": "fp32", "encoder": request()} | more))  # type: ignore[arg-type]
    length = None if segment is None else SegmentLength(segment, segment)
    return run_resumable(job, show=lambda _: None, resume=resume, length=length)


def script(path: Path, *lines: str) -> str:
    """A program that does something and goes on as ffmpeg."""
    path.write_text("\n".join(("#!/bin/sh", *lines, f'exec "{PROGRAM}" "$@"', "")))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


posix = pytest.mark.skipif(os.name != "posix", reason="uses a shell script or a signal")


@pytest.mark.parametrize("name", ["vfr.mp4", "b_frames.mp4", "negative.ts", "late.ts"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_every_frame_and_packet_is_there_at_its_time(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, name: str, suffix: str
) -> None:
    source, output = clips(name), tmp_path / f"out.{suffix}"
    receipt = run(source, output, repeat_2x, segment=20, encoder=request(options=(("bf", "2"),)))
    theirs, ours = reference.decoded(source), reference.decoded(output)
    first = min(Fraction(0), theirs[0].pts)
    unit = Fraction(1, 1000) if suffix == "mkv" else Fraction(0)
    assert len(ours) == len(theirs) == receipt.frames_written
    for old, new in zip(theirs, ours, strict=True):
        assert abs(new.pts - (old.pts - first)) <= unit / 2
    assert verify(source, output).ok
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_the_rest_of_the_file_is_as_without_it(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    run(clip, output, repeat_2x, range=RangeRequest(first_frame=0, last_frame=12))
    assert "256x144" in video_line(output)
    assert len(frame_lines(output)) == 12
    sound = [md5 for _, _, md5 in packet_lines(clip, "a:0")]
    kept = [md5 for _, _, md5 in packet_lines(output, "a:0")]
    assert kept == sound[: len(kept)]
    assert kept


def test_shape_and_colours_are_tagged(clips: ClipShelf, tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    run(clips("anamorphic.mkv"), output, repeat_2x, encoder=request("ffv1", crf=None, preset=None))
    line = video_line(output)
    assert "ffv1" in line
    assert re.search("SAR 93:64", line), line  # 192 x 16/11 = 279.3, as whole pixels of a height of 128
    assert "smpte170m" in line


def test_hdr10_metadata_is_kept(clips: ClipShelf, tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    run(clips("hdr10.mkv"), output, repeat_2x, encoder=request("libx265"))
    info = probe(output)
    assert info.hdr == probe(clips("hdr10.mkv")).hdr
    assert info.hdr is not None
    assert (info.color.primaries, info.color.transfer) == (9, 16)
    assert "yuv420p10le" in video_line(output)


def test_an_encoder_that_only_the_program_has_can_be_used(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"
    wish = request("libaom-av1", crf=40, preset="8", options=(("usage", "realtime"),))
    run(clip, output, repeat_2x, encoder=wish, range=RangeRequest(first_frame=0, last_frame=4))
    assert "av1" in video_line(output)
    assert len(frame_lines(output)) == 4


def test_options_reach_the_encoder(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    wish = request(crf=31, options=(("x264-params", "keyint=7:bframes=1"),), pixel_format="yuv444p")
    run(clip, output, repeat_2x, encoder=wish, range=RangeRequest(first_frame=0, last_frame=4))
    written = output.read_bytes()
    assert b"keyint=7" in written
    assert b"crf=31.0" in written
    assert "yuv444p" in video_line(output)


@pytest.mark.parametrize(
    ("wish", "kind", "words", "hint"),
    [
        (request("libx26"), UnknownNameError, "has no encoder 'libx26'", "did you mean libx26"),
        (request(options=(("tunee", "film"),)), UnknownNameError, "has no option", "did you mean tune?"),
        (request(options=(("tune", "flim"),)), EncoderError, "refuses its settings", "change -x"),
        (request(options=(("x264-params", "foo=1"),)), EncoderError, "option", "change -x"),
        (request(preset="quick"), EncoderError, "refuses its settings", "change -x"),
        (request(pixel_format="yuv411p"), UnknownNameError, "has no pixel format", ""),
        (request("prores_ks", crf=None, preset=None), EncoderError, "cannot hold prores", "name the"),
        (request(program="/no/such/ffmpeg"), ToolMissingError, "there is no program", "--ffmpeg=PATH"),
        (request(program="/bin/true"), ToolMissingError, "is not ffmpeg", "path"),
    ],
)  # fmt: skip
@posix
def test_what_cannot_be_is_refused_before_any_work(
    tmp_path: Path, repeat_2x: Path, wish: EncoderRequest, kind: type[VidsrError], words: str, hint: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        run(SAMPLE, tmp_path / "out.mp4", repeat_2x, encoder=wish)
    assert hint in (caught.value.hint or "")
    assert "\n" not in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_refused_with_the_way_to_do_it(
    clip: Path,
) -> None:
    with pytest.raises(UsageError, match="--ffmpeg makes files") as caught:
        make_job(clip, "-", ffmpeg="ffmpeg")
    assert "| ffmpeg" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "wishes"),
    [
        ("libx264", {}),
        ("libx264", {"crf": 9.5, "preset": "fast", "pixel_format": "yuv444p"}),
        ("libx264", {"options": (("preset", "fast"), ("qp", "3"))}),
        ("libx265", {"options": (("x265-params", "bframes=2"),)}),
        ("libsvtav1", {"crf": 63.0}),
        ("ffv1", {"options": (("level", "1"),)}),
        ("prores_ks", {}),
    ],
)  # fmt: skip
def test_wishes_and_defaults_are_settled_as_without_a_program(name: str, wishes: dict[str, Any]) -> None:
    layout, wish = PixelFormat.parse("yuv420p"), EncoderRequest(name, **wishes)
    container = "mov" if name == "prores_ks" else "matroska"
    theirs = program_settings(replace(wish, program=PROGRAM), source=layout, container=container)
    assert theirs == replace(settings_for(wish, source=layout, container=container), program=PROGRAM)


@pytest.mark.parametrize(
    ("name", "wishes", "words"),
    [
        ("libx264", {"crf": 52.0}, "--crf 52 is outside libx264's range 0 to 51"),
        ("ffv1", {"crf": 5.0}, "ffv1 has no quality setting for --crf"),
        ("ffv1", {"preset": "slow"}, "ffv1 has no presets"),
    ],
)
def test_knobs_that_are_not_there_are_refused_alike(name: str, wishes: dict[str, Any], words: str) -> None:
    layout, wish = PixelFormat.parse("yuv420p"), EncoderRequest(name, program=PROGRAM, **wishes)
    for settle in (program_settings, settings_for):
        with pytest.raises(UsageError) as caught:
            settle(wish, source=layout)
        assert caught.value.message == words


@posix
def test_a_talkative_program_is_no_deadlock(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    program = script(tmp_path / "ffmpeg", "head -c 1000000 /dev/zero | tr '\\0' 'x' | fold >&2")
    output = tmp_path / "out.mkv"
    run(clip, output, repeat_2x, encoder=request(program=program),
        range=RangeRequest(first_frame=0, last_frame=4))  # fmt: skip
    assert len(frame_lines(output)) == 4


@posix
def test_a_program_that_loses_frames_is_an_error(tmp_path: Path, repeat_2x: Path) -> None:
    program = tmp_path / "ffmpeg"
    script(program, f'case "$*" in *pipe:0*) head -c 1500000 | exec "{PROGRAM}" "$@"; exit $?;; esac')
    with pytest.raises(EncoderError):
        run(SAMPLE, tmp_path / "out.mkv", repeat_2x, encoder=request(program=str(program)),
            range=RangeRequest(first_frame=0, last_frame=12))  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["ffmpeg"]


@posix
def test_a_program_that_fails_at_the_end_is_an_error(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    program = tmp_path / "ffmpeg"
    marker = tmp_path / "tried"
    script(
        program,
        f'case "$*" in *pipe:0*) "{PROGRAM}" "$@"',
        f'test -e {marker} && echo "[error] no more" >&2 && exit 3',
        f"touch {marker}; exit 0;; esac",
    )
    with pytest.raises(EncoderError, match="failed: no more"):
        run(clip, tmp_path / "out.mkv", repeat_2x, encoder=request(program=str(program)),
            range=RangeRequest(first_frame=0, last_frame=4))  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg", "tried"]


def _encoder(width: int = 640, height: int = 480, program: str = PROGRAM) -> tuple[FfmpegEncoder, Frame]:
    info, layout = probe(SAMPLE), PixelFormat.parse("yuv420p")
    color = source_color(info)
    wish = EncoderRequest("libx264", preset="ultrafast", program=program)
    settings = program_settings(wish, source=layout)
    planes = flat_planes(layout, width, height, 100)
    frame = Frame(planes, layout, color, 0, info.time_base, 0, 42)
    return FfmpegEncoder(info, settings, width=width, height=height, color=color), frame


@posix
def test_a_killed_program_is_one_clear_error() -> None:
    encoder, frame = _encoder()
    encoder.encode(frame)
    encoder._process.send_signal(signal.SIGKILL)
    with pytest.raises(EncoderError, match="was ended by signal 9"):  # a pipe takes some frames before
        _ = [encoder.encode(_at(frame, number)) for number in range(1, 200)]
    assert encoder._process.poll() is not None
    assert not [t for t in threading.enumerate() if t.name == "vidsr-ffmpeg"]


@posix
def test_a_program_that_answers_no_trial_is_an_error_and_nothing_of_it_is_left(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    reading = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    program = script(
        tmp_path / "ffmpeg",
        'case "$*" in *pipe:0*)',
        f"echo '[error] thinking' >&2; exec 9>{held}; echo . >&9; sleep 300;; esac",
    )

    class Begun(subprocess.Popen[bytes]):
        """Its time runs from when it has said its words, however long the shell takes to start."""

        def communicate(self, *given: Any, **more: Any) -> tuple[bytes, bytes]:
            if "pipe:0" in self.args:  # type: ignore[operator]
                said = select.poll()
                said.register(reading, select.POLLIN)
                assert said.poll(60_000)
            return super().communicate(*given, **more)

    monkeypatch.setattr(ffmpeg_encoder, "TRIAL_SECONDS", 0.5)
    monkeypatch.setattr(subprocess, "Popen", Begun)
    with pytest.raises(EncoderError, match=r"has not encoded 2 pictures in 0\.5 s: thinking") as caught:
        run(clip, tmp_path / "out.mkv", repeat_2x, encoder=request(program=program))
    assert "--encoder-preset" in str(caught.value.hint)
    watch = select.poll()
    watch.register(reading, select.POLLHUP)
    assert os.read(reading, 9) == b".\n"
    assert [event for _, event in watch.poll(5000)] == [select.POLLHUP]  # nobody holds its other end
    os.close(reading)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ffmpeg", "held"]


@posix
def test_a_program_that_does_not_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "tried"
    program = script(
        tmp_path / "ffmpeg",
        f'case "$*" in *pipe:0*) "{PROGRAM}" "$@"',
        f"test -e {marker} && exec >&- && sleep 300",
        f"touch {marker}; exit 0;; esac",
    )
    encoder, frame = _encoder(program=program)
    encoder.encode(frame)
    monkeypatch.setattr(ffmpeg_encoder, "END_SECONDS", 0.5)
    with pytest.raises(EncoderError, match=r"does not end within 0\.5 s"):
        encoder.flush()
    assert encoder._process.poll() is not None


@posix
def test_a_closed_encoder_ends_what_a_script_has_started_too(tmp_path: Path) -> None:
    program = script(tmp_path / "ffmpeg", f'"{PROGRAM}" "$@"; exit $?')
    encoder, frame = _encoder(program=program)
    encoder.encode(frame)
    encoder.close()
    assert not [t for t in threading.enumerate() if t.name == "vidsr-ffmpeg"]


def _at(frame: Frame, number: int) -> Frame:
    return Frame(frame.planes, frame.format, frame.color, number * 42, frame.time_base, number, 42)


def test_a_closed_encoder_leaves_no_process() -> None:
    encoder, frame = _encoder()
    encoder.encode(frame)
    encoder.close()
    encoder.close()
    assert encoder._process.poll() is not None
    assert not [t for t in threading.enumerate() if t.name == "vidsr-ffmpeg"]


@posix
def test_an_interrupted_job_goes_on_where_it_was(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    """What is finished of the fourth of nine segments is kept too, as far as a busy machine encodes it."""
    output = tmp_path / "out.mkv"
    job = Job(clip, output, weights=repeat_2x, precision="fp32", encoder=request(), batch=1)
    with failing_at(25, InterruptedByUser("interrupted")), pytest.raises(InterruptedByUser):
        run_resumable(job, show=lambda _: None, length=SegmentLength(8, 8))
    assert not output.exists()
    assert not [t for t in threading.enumerate() if t.name == "vidsr-ffmpeg"]
    kept = read_contents(folder_of(output)).frames
    assert 0 < kept <= 25
    with counting() as computed:
        run_resumable(job, show=lambda _: None, length=SegmentLength(8, 8))
    assert computed == list(range(kept, 72))
    assert len(frame_lines(output)) == 72
    assert verify(clip, output).ok


def test_in_one_go_keeps_nothing_of_a_failure(clip: Path, tmp_path: Path, repeat_2x: Path) -> None:
    output = tmp_path / "out.mkv"
    stop = StopSignal()
    stop.set(InterruptedByUser("interrupted"))
    job = Job(clip, output, weights=repeat_2x, precision="fp32", encoder=request())
    with pytest.raises(InterruptedByUser):
        run_resumable(job, show=lambda _: None, stop=stop, resume="never", length=SegmentLength(8, 8))
    assert list(tmp_path.iterdir()) == []
    run(clip, output, repeat_2x, resume="never", range=RangeRequest(first_frame=0, last_frame=4))
    assert len(frame_lines(output)) == 4


def test_pieces_that_cannot_be_removed_do_not_hide_the_interrupt(
    clip: Path, tmp_path: Path, repeat_2x: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Workspace) -> None:
        raise OutputError("cannot clear the folder of the job: Read-only file system")

    monkeypatch.setattr(Workspace, "clear", refuse)
    stop = StopSignal()
    stop.set(InterruptedByUser("interrupted"))
    job = Job(clip, tmp_path / "out.mkv", weights=repeat_2x, precision="fp32", encoder=request())
    with pytest.raises(InterruptedByUser):
        run_resumable(job, show=lambda _: None, stop=stop, resume="never", length=SegmentLength(8, 8))


@posix
def test_in_one_go_keeps_no_pieces_where_a_power_cut_may_take_the_output_s_name(
    clip: Path, tmp_path: Path, repeat_2x: Path
) -> None:
    output = tmp_path / "out.mkv"

    def is_its_own(descriptor: int) -> bool:
        return output.exists() and os.path.samestat(os.fstat(descriptor), tmp_path.stat())

    with folders_that_do_not_sync(is_its_own):
        run(clip, output, repeat_2x, resume="never", range=RangeRequest(first_frame=0, last_frame=4))
    assert list(tmp_path.iterdir()) == [output]
