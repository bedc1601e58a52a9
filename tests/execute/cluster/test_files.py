"""Files that machines share or send each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidsr.errors import SourceError, SourceMissingError
from vidsr.execute.cluster import files
from vidsr.execute.cluster.files import NeededFile, own_folder, receive, remove_folders


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(bytes(range(256)) * 20)
    return path


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's own folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_only_the_very_same_file_counts_as_here(film: Path) -> None:
    needed = NeededFile.of(film)
    assert needed.is_here()
    times = film.stat()
    film.write_bytes(b"x" + film.read_bytes()[1:])  # another one of the same size and time
    os.utime(film, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not needed.is_here()
    film.unlink()
    assert not needed.is_here()


def test_a_file_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError):
        NeededFile.of(tmp_path / "none.mkv")


@pytest.mark.parametrize("part_bytes", [1000, 5120, 9999])
def test_what_is_sent_arrives_under_its_own_name(
    film: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr(files, "PART_BYTES", part_bytes)
    needed = NeededFile.of(film)
    parts = list(needed.contents())
    assert len(parts) == -(-5120 // part_bytes)
    arrived = receive(needed, own_folder("token"), parts)
    assert arrived.name == "film.mkv"
    assert arrived.read_bytes() == film.read_bytes()
    assert arrived.is_relative_to(temporary)


def test_what_changed_on_the_way_is_refused(film: Path) -> None:
    needed = NeededFile.of(film)
    with pytest.raises(SourceError, match="has changed while it was sent"):
        receive(needed, own_folder("token"), [b"something else"])


def test_folders_of_a_run_and_of_dead_processes_are_removed_and_no_others(temporary: Path) -> None:
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    dead = temporary / f"vidsr-ray-{child.stdout.strip()}-other"
    dead.mkdir()
    foreign = temporary / "vidsr-ray-notes-of-mine"
    foreign.mkdir()
    mine, other = own_folder("mine"), own_folder("other")
    assert sorted(temporary.iterdir()) == sorted([foreign, mine, other])
    remove_folders("mine")
    assert sorted(temporary.iterdir()) == sorted([foreign, other])
