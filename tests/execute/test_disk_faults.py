"""Each call of a job to the disk fails once: one clear line, and the job goes on later.

Calls of Python are meant, whether through `os` or `Path`: files that are opened, named, removed and synced,
folders made, listed and removed. What FFmpeg does with the output by itself is not met.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.execute.segmented import counting, run_in_segments
from tests.media.reference import decoded, ffmpeg
from vidsr import durable
from vidsr.errors import OutputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")

FRAMES, SEGMENT = 9, 3
CALLS = ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "open", "listdir")
STEPS = 61
"""So many calls at least does a job of three segments make."""


class FailingDisk:
    """A folder's file system, one call to which fails. number: the how many-th, from 0.

    failed: which call that was. may_be_passed_over: whether nobody need hear of it.
    """

    def __init__(self, folder: Path, number: int, error: int) -> None:
        self._folder, self._output = str(folder), folder / "out.mkv"
        self._left, self._error = number, error
        self._has_synced_folders = False
        self.failed = ""
        self.may_be_passed_over = False

    @contextmanager
    def failing(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(durable, "_synced_on", set())
            patch.setattr(durable, "_unsure_on", set())
            patch.setattr(durable, "sync_descriptor", self._counted("sync", durable.sync_descriptor))
            patch.setattr(io, "open", self._counted("open", io.open))  # Path's way
            for name in CALLS:
                patch.setattr(os, name, self._counted(name, getattr(os, name)))
            yield

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(what: Any, *more: Any, **named: Any) -> Any:
            if name == "sync" or str(what).startswith(self._folder):
                self._left -= 1
                if self._left == -1:
                    self.failed = f"{name} {what}"
                    self.may_be_passed_over = self._is_harmless(name, what, *more[:1])
                    raise OSError(self._error, os.strerror(self._error))
            result = original(what, *more, **named)
            self._has_synced_folders |= name == "sync" and _is_folder(what)
            return result

        return call

    def _is_harmless(self, name: str, what: Any, mode: Any = None) -> bool:
        if self._output.exists():  # what is left to do is to clear up
            return True
        if name == "sync" and _is_folder(what):
            # file systems that do not sync folders are used all the same
            return self._error == errno.EACCES or (self._error == errno.EIO and not self._has_synced_folders)
        if name == "open" and Path(what).is_dir():
            return self._error == errno.EACCES  # as Windows answers
        if str(what).endswith(".part") and (name == "unlink" or mode == "rb"):
            return True  # cleared up, or looked through once more: what is not found there counts as lost
        # without hard links the file is renamed; whether the output is the job's own, where there is none
        return name == "link" or str(what).endswith("appearing")


def _is_folder(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=32x32:rate=25:duration={FRAMES / 25}",
        "-c:v", "ffv1", path,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "steps",
    [range(0, 1), range(2, 200, 6), pytest.param(range(200), marks=pytest.mark.slow)],
    ids=["the first", "some", "all"],
)
def test_any_step_may_fail_once(
    tmp_path: Path, film: Path, repeat_2x: Path, steps: range, error: int
) -> None:
    number = 0
    for number in steps:
        folder = tmp_path / f"{number}"
        folder.mkdir()
        output, disk = folder / "out.mkv", FailingDisk(folder, number, error)
        said: OutputError | None = None
        with disk.failing():
            try:
                run_in_segments(film, output, repeat_2x, segment=SEGMENT)
            except OutputError as failure:
                said = failure
        if not disk.failed:
            break  # there were no more steps
        assert said is not None or disk.may_be_passed_over, disk.failed
        left = [path for path in folder.rglob("*.part") if not disk.failed.startswith("unlink")]
        assert left == [], disk.failed
        if not output.exists():
            kept = SEGMENT * len(list(folder.rglob("*.packets")))
            with counting() as computed:
                run_in_segments(film, output, repeat_2x, segment=SEGMENT)
            assert len(computed) == FRAMES - kept, disk.failed
            assert list(folder.iterdir()) == [output], disk.failed
        assert len(decoded(output)) == FRAMES, disk.failed
    assert len(steps) == 1 or number >= STEPS
