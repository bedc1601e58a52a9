"""Each call of a job to the disk fails once: one clear line, and the job goes on later."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.execute.segmented import counting, run_in_segments
from tests.media.reference import decoded, ffmpeg
from vidsr.errors import OutputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")

FRAMES, SEGMENT = 9, 3
CALLS = ("fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "open")
STEPS = 43
"""At least so many calls does a job of three segments make."""


class FailingDisk:
    """A folder's file system, one call to which fails. number: the how many-th, from 0."""

    def __init__(self, folder: Path, number: int, error: int) -> None:
        self._folder, self._left, self._error = str(folder), number, error
        self.failed = ""

    @contextmanager
    def failing(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._counted(name, getattr(os, name)))
            yield

    def _counted(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(what: Any, *more: Any, **named: Any) -> Any:
            if name == "fsync" or str(what).startswith(self._folder):
                self._left -= 1
                if self._left == -1:
                    self.failed = f"{name} {what}"
                    raise OSError(self._error, os.strerror(self._error))
            return original(what, *more, **named)

        return call


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
    [range(0, 1), range(2, 200, 9), pytest.param(range(200), marks=pytest.mark.slow)],
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
        with disk.failing(), suppress(OutputError):
            run_in_segments(film, output, repeat_2x, segment=SEGMENT)
        if not disk.failed:
            break  # there were no more steps
        left = [path for path in folder.rglob("*.part") if not disk.failed.startswith("unlink")]
        assert left == [], disk.failed
        if not output.exists():
            kept = SEGMENT * len(list(folder.rglob("*.packets")))
            with counting() as computed:
                run_in_segments(film, output, repeat_2x, segment=SEGMENT)
            assert len(computed) == FRAMES - kept, disk.failed
            assert list(folder.iterdir()) == [output], disk.failed
        assert len(decoded(output)) == FRAMES, disk.failed
    assert len(steps) == 1 or number >= STEPS - 9
