"""One process at a time, also after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.paths import REPOSITORY
from vidsr.segments.lock import Lock, _try_to_share

_HOLD = """
import sys
from pathlib import Path
from vidsr.segments.lock import Lock
print(Lock(Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Another process that takes the lock and keeps it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_a_second_process_does_not_get_it_and_learns_who_has(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold(path)
    try:
        lock = Lock(path)
        assert not lock.acquire()
        assert lock.holder().startswith(f"process {holder.pid} on ")
    finally:
        holder.communicate()
    assert lock.acquire()
    lock.release()


def test_it_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = hold(path)
    holder.kill()
    holder.communicate()
    assert path.exists()
    assert Lock(path).acquire()


def test_within_one_process_it_excludes_too(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()


def test_a_lock_whose_file_was_removed_protects_nothing_and_is_not_mistaken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last holder removes the file between another's opening and locking it."""
    path = tmp_path / "lock"
    opened: list[int] = []
    original = Lock._is_still_there

    def removed_meanwhile(lock: Lock, descriptor: int) -> bool:
        if not opened:
            path.unlink()
        opened.append(descriptor)
        return original(lock, descriptor)

    monkeypatch.setattr(Lock, "_is_still_there", removed_meanwhile)
    first, second = Lock(path), Lock(path)
    assert first.acquire()
    assert len(opened) == 2  # the removed file's lock was given up, the new file's taken
    assert not second.acquire()


def test_words_of_an_unreadable_lock_name_nobody(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff{")
    assert Lock(tmp_path / "lock").holder() == "another process"


def test_asking_whether_it_is_held_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not Lock(path).is_held()
    assert not path.exists()
    assert not Lock(tmp_path / "no folder" / "lock").is_held()
    holder = hold(path)
    assert Lock(path).is_held()
    holder.kill()
    holder.communicate()
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert not Lock(path).is_held()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert Lock(path).acquire()


def test_it_can_be_taken_at_the_moment_in_which_somebody_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    path.touch()
    asking = os.open(path, os.O_RDONLY)
    assert _try_to_share(asking)
    monkeypatch.setattr(time, "sleep", lambda _: os.close(asking))
    assert Lock(path).acquire()
