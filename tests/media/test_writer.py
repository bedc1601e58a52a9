"""The output appears whole or not at all, and every refusal comes before the first frame."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import BT709, flat_planes, frames_of, remake
from vidsr.errors import (
    EncoderError,
    FrameError,
    FrameFormatError,
    FrameSizeError,
    NoSpaceError,
    OutputError,
    OutputExistsError,
    SourceMissingError,
    UnknownNameError,
    UsageError,
)
from vidsr.frames import Frame, PixelFormat
from vidsr.job import EncoderRequest
from vidsr.media.encode.encoders import settings_for
from vidsr.media.read.probe import probe
from vidsr.media.write.writer import Writer

YUV420 = PixelFormat.parse("yuv420p")


def writer(clips: ClipShelf, output: Path, *, source: Path | None = None, **changes: Any) -> Writer:
    info = probe(source or clips("b_frames.mp4"))
    encoder = changes.pop("encoder", "libx264")
    settings = settings_for(
        EncoderRequest(encoder), source=YUV420, container=output.suffix or "mkv", threads=1
    )
    wishes: dict[str, Any] = {"width": 96, "height": 64, "color": BT709} | changes
    return Writer(output, info, settings, **wishes)


def picture(number: int, width: int = 96, height: int = 64, layout: PixelFormat = YUV420) -> Frame:
    planes = flat_planes(layout, width, height, 100)
    return Frame(planes, layout, BT709, number * 512, Fraction(1, 12800), number, 512)


def test_output_has_its_name_only_when_it_is_whole(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    with writer(clips, output) as job:
        for number in range(3):
            job.write(picture(number))
            assert not output.exists()
        assert len(list(tmp_path.iterdir())) == 1
        job.finish()
        assert job.written is not None
        assert job.written.frames == 3
        assert (job.written.first_pts, job.written.last_pts) == (0, 1024)
        assert job.written.size_bytes == output.stat().st_size
    assert list(tmp_path.iterdir()) == [output]
    assert len(reference.decoded(output)) == 3


def test_leaving_early_leaves_nothing(clips: ClipShelf, tmp_path: Path) -> None:
    with contextlib.suppress(KeyError), writer(clips, tmp_path / "out.mp4") as job:
        job.write(picture(0))
        raise KeyError("something else went wrong")
    assert list(tmp_path.iterdir()) == []
    with writer(clips, tmp_path / "out.mp4") as job:
        job.write(picture(0))
    assert list(tmp_path.iterdir()) == []


def test_temporary_file_lies_beside_the_output(clips: ClipShelf, tmp_path: Path) -> None:
    """On the same file system, so that the rename is one step, and hidden from most listings."""
    with writer(clips, tmp_path / "out.mkv"):
        (name,) = (path.name for path in tmp_path.iterdir())
        assert name.startswith(".out.mkv.")
        assert name.endswith(".part")


def test_existing_output_is_kept_without_overwrite(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"precious")
    with pytest.raises(OutputExistsError, match="is there already") as caught:
        writer(clips, output)
    assert caught.value.hint == "pass --overwrite to replace it"
    assert output.read_bytes() == b"precious"
    remake(clips("odd_tags.mkv"), output, overwrite=True)
    assert len(reference.decoded(output)) == 10


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_a_link_that_leads_nowhere_is_refused_before_any_work(clips: ClipShelf, tmp_path: Path) -> None:
    """Nothing may take its name at the end either."""
    output = tmp_path / "out.mkv"
    output.symlink_to(tmp_path / "none.mkv")
    with pytest.raises(OutputExistsError, match="is there already"):
        writer(clips, output)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_overwriting_a_link_replaces_the_link_and_not_what_it_leads_to(
    clips: ClipShelf, tmp_path: Path
) -> None:
    output, other = tmp_path / "out.mkv", tmp_path / "other.mkv"
    other.write_bytes(b"precious")
    output.symlink_to(other)
    remake(clips("odd_tags.mkv"), output, overwrite=True)
    assert not output.is_symlink()
    assert len(reference.decoded(output)) == 10
    assert other.read_bytes() == b"precious"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002], ids=oct)
def test_an_output_has_the_permissions_of_any_new_file(clips: ClipShelf, tmp_path: Path, umask: int) -> None:
    output, before = tmp_path / "out.mkv", os.umask(umask)
    try:
        remake(clips("odd_tags.mkv"), output)
    finally:
        os.umask(before)
    assert output.stat().st_mode & 0o777 == 0o666 & ~umask


def test_existing_output_survives_a_failed_overwrite(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"precious")
    with contextlib.suppress(KeyError), writer(clips, output, overwrite=True) as job:
        job.write(picture(0))
        raise KeyError("something else went wrong")
    assert output.read_bytes() == b"precious"


def test_file_that_appeared_meanwhile_is_not_replaced(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    with writer(clips, output) as job:
        job.write(picture(0))
        output.write_bytes(b"somebody else's")
        with pytest.raises(OutputExistsError):
            job.finish()
    assert output.read_bytes() == b"somebody else's"
    assert list(tmp_path.iterdir()) == [output]


def test_input_is_never_the_output(clips: ClipShelf, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(clips("b_frames.mp4").read_bytes())
    content = source.read_bytes()
    symbolic, hard = tmp_path / "symbolic.mp4", tmp_path / "hard.mp4"
    symbolic.symlink_to(source)
    os.link(source, hard)
    for output in (source, symbolic, hard, tmp_path / ".." / tmp_path.name / "in.mp4"):
        with pytest.raises(UsageError, match="same file"):
            writer(clips, output, source=source, overwrite=True)
    assert source.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("no-such-folder/out.mkv", OutputError, "there is no folder"),
        ("folder.mkv", UsageError, "is a folder"),
        ("out.avi", UnknownNameError, "unknown container suffix '.avi'"),
        ("out", UsageError, "out' has no suffix"),
        (".mkv", UsageError, ".mkv' has no suffix"),
        (f"{'x' * 240}.mkv", OutputError, "name is too long by 4 bytes"),
        (f"{'é' * 200}.mkv", OutputError, "name is too long by 164 bytes"),
        (f"{'x' * 300}/out.mkv", OutputError, "File name too long"),
        (f"{'/'.join(['x' * 200] * 30)}/out.mkv", OutputError, "File name too long"),
        ("out.mkvv", UnknownNameError, "unknown container suffix '.mkvv'"),
    ],
)
def test_places_that_cannot_be_written(
    clips: ClipShelf, tmp_path: Path, name: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "folder.mkv").mkdir()
    info = probe(clips("b_frames.mp4"))
    settings = settings_for(EncoderRequest("libx264"), source=YUV420)
    with pytest.raises(error, match=words):
        Writer(tmp_path / name, info, settings, width=96, height=64, color=BT709)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mkv"]


def test_folder_without_permission(clips: ClipShelf, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(OutputError, match="no permission to write"):
        writer(clips, folder / "out.mkv")


def test_odd_size_is_refused_with_a_size_that_works(clips: ClipShelf, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot take 97x63 in yuv420p") as caught:
        writer(clips, tmp_path / "out.mp4", width=97, height=63)
    assert caught.value.hint == "ask for 98x64, or pass --pix-fmt yuv444p"
    assert list(tmp_path.iterdir()) == []


def test_size_beyond_the_encoder_is_refused(clips: ClipShelf, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="largest side is 16384") as caught:
        writer(clips, tmp_path / "out.mp4", width=20000, height=2000)
    assert caught.value.hint == "ask for a smaller size, or use ffv1"
    with pytest.raises(EncoderError, match="ffv1 cannot take 65536x64: its largest side is 65535") as caught:
        writer(clips, tmp_path / "out.mkv", encoder="ffv1", width=65536, height=64)
    assert caught.value.hint == "ask for a smaller size"
    with pytest.raises(EncoderError, match=r"dnxhd refuses 96x64 yuv422p: .*256x120"):
        writer(clips, tmp_path / "out.mov", encoder="dnxhd")


def test_frame_of_another_size_or_layout_is_refused(clips: ClipShelf, tmp_path: Path) -> None:
    """FFmpeg would scale it in silence."""
    with writer(clips, tmp_path / "out.mkv") as job:
        job.write(picture(0))
        with pytest.raises(FrameSizeError, match="frame 1 is 98x64, the output 96x64"):
            job.write(picture(1, width=98))
        with pytest.raises(FrameFormatError, match="frame 1 is yuv420p10le, the output yuv420p"):
            job.write(picture(1, layout=PixelFormat.parse("yuv420p10le")))
        with pytest.raises(FrameFormatError, match="frame 1 is gray, the output yuv420p"):
            job.write(picture(1, layout=PixelFormat.parse("gray")))


def test_clock_that_steps_back_is_refused(clips: ClipShelf, tmp_path: Path) -> None:
    with writer(clips, tmp_path / "out.mkv") as job:
        job.write(picture(5))
        for number in (3, 5):
            with pytest.raises(
                FrameError, match=rf"frame {number} \(0\.\d+ s\) is not behind the one at 0\.200 s"
            ):
                job.write(picture(number))
    assert list(tmp_path.iterdir()) == []


def test_source_that_vanished_is_named(clips: ClipShelf, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(clips("b_frames.mp4").read_bytes())
    info = probe(source)
    source.unlink()
    settings = settings_for(EncoderRequest("libx264"), source=YUV420)
    with pytest.raises(SourceMissingError, match="no such file"):
        Writer(tmp_path / "out.mkv", info, settings, width=96, height=64, color=BT709)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the disk that is always full is a Linux device")
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_full_disk_is_one_clear_error_and_leaves_nothing(
    clips: ClipShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda count: "0" * count)
    output = tmp_path / f"out.{suffix}"
    (tmp_path / f".out.{suffix}.0000.part").symlink_to("/dev/full")
    with pytest.raises(NoSpaceError, match="no space left") as caught:
        remake(clips("late_video.mkv"), output, encoder="libx264")
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.media.remake import remake
from vidsr.errors import VidsrError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    remake(Path(sys.argv[1]), Path(sys.argv[2]))
except VidsrError as error:
    print(type(error).__name__, error.message)
"""


def test_file_too_large_for_the_disk(clips: ClipShelf, tmp_path: Path) -> None:
    """In a process that may write 100 kB: what FAT32 does at 4 GiB."""
    output = tmp_path / "out.mkv"
    command = [sys.executable, "-c", LIMITED, str(clips("b_frames.mp4")), str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "OutputError out.mkv: the disk cannot hold a file of this size"
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_errno_of_a_full_disk_is_what_the_test_device_gives() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), Path("/dev/full").open("wb", 0) as file:
        file.write(b"x")


def test_memory_stays_flat(clips: ClipShelf, tmp_path: Path) -> None:
    """500 frames of 640x480 are 230 MB of samples; the process may grow by a tenth of that."""
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from tests.media.remake import remake\n"
        "source = Path(sys.argv[1])\n"
        "remake(Path(sys.argv[2]), Path(sys.argv[3]) / 'warm.mkv', encoder='libx264')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "remake(source, Path(sys.argv[3]) / 'out.mkv', encoder='libx264')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    short, long = clips("vga_short.mkv"), clips("vga_long.mkv")
    command = [sys.executable, "-c", script, str(long), str(short), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 20_000


def test_frames_are_not_changed_by_writing(clips: ClipShelf, tmp_path: Path) -> None:
    frames = frames_of(clips("odd_tags.mkv"))
    before = [[plane.copy() for plane in frame.planes] for frame in frames]
    with writer(clips, tmp_path / "out.mkv", source=clips("odd_tags.mkv")) as job:
        for frame in frames:
            job.write(frame)
        job.finish()
    for frame, planes in zip(frames, before, strict=True):
        for plane, copy in zip(frame.planes, planes, strict=True):
            assert np.array_equal(plane, copy)


@pytest.mark.parametrize("name", ["100%d.mkv", "a:b.mp4", "-o.mp4", "pipe:1.mkv", "ü ñ.mkv", "x'y\"z.mov"])
def test_names_that_look_like_something_else(
    clips: ClipShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    remake(clips("odd_tags.mkv"), Path(name), encoder="libx264")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(frames_of(tmp_path / name)) == 10
