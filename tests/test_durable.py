"""What is synced is synced, and a disk that fails is not passed over in silence."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from vidsr import durable
from vidsr.durable import rename_without_replacing, sync_folder, sync_name, write_whole
from vidsr.errors import OutputError
from vidsr.preview.outputs import write_page


def failing_for_folders(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """A file system that answers so when it is to sync a folder. Returns how often it has been asked."""
    original = durable.sync_descriptor
    asked: list[int] = []

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            asked.append(descriptor)
            raise OSError(number, os.strerror(number))
        original(descriptor)

    monkeypatch.setattr(durable, "sync_descriptor", sync)
    return asked


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has synced no folder so far."""
    monkeypatch.setattr(durable, "_synced_on", set())
    monkeypatch.setattr(durable, "_unsure_on", set())


posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")


@posix
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.ESTALE], ids=errno.errorcode.get)
def test_a_name_that_does_not_come_to_the_disk_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where folders were synced before; the file itself is whole."""
    assert sync_folder(tmp_path)
    failing_for_folders(monkeypatch, number)
    with pytest.raises(OutputError):
        write_whole(tmp_path / "a", b"words", "write it")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"words")]


@posix
@pytest.mark.parametrize(
    "number",
    [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM],
    ids=errno.errorcode.get,
)
def test_file_systems_that_cannot_sync_folders_are_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    failing_for_folders(monkeypatch, number)
    write_whole(tmp_path / "a", b"words", "write it")
    assert (tmp_path / "a").read_bytes() == b"words"
    assert sync_folder(tmp_path)


@posix
def test_a_file_system_that_fails_from_the_first_time_on_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samba shares answer EIO on WSL's drives."""
    asked = failing_for_folders(monkeypatch, errno.EIO)
    assert not sync_folder(tmp_path)
    assert not sync_folder(tmp_path)
    write_whole(tmp_path / "a", b"words", "write it")
    assert len(asked) == 1
    assert (tmp_path / "a").read_bytes() == b"words"


@posix
def test_a_name_that_is_not_safe_is_said_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sync_name(tmp_path / "a") is None
    failing_for_folders(monkeypatch, errno.EIO)
    words = "a is whole, but the disk does not say that its name is safe (Input/output error)"
    assert sync_name(tmp_path / "a") == words


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "none")


@pytest.mark.parametrize("number", [None, errno.EPERM, errno.ENOTSUP, errno.EMLINK], ids=repr)
def test_a_name_that_is_taken_is_kept_with_hard_links_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    """number: what a file system answers that has none (FAT, exFAT, SMB, Android's storage)."""

    def refuse(*_: object) -> None:
        assert number is not None
        raise OSError(number, os.strerror(number))

    if number is not None:
        monkeypatch.setattr(os, "link", refuse)
    new, name = tmp_path / "new", tmp_path / "name"
    new.write_bytes(b"new")
    name.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        rename_without_replacing(new, name)
    name.unlink()
    if sys.platform != "win32":
        name.symlink_to(tmp_path / "none")
        with pytest.raises(FileExistsError):
            rename_without_replacing(new, name)
        assert name.is_symlink()
        name.unlink()
    rename_without_replacing(new, name)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("name", b"new")]


def test_a_file_that_keeps_its_old_name_as_well_has_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is made, and the disk fails to remove the other name."""
    new, name = tmp_path / "new", tmp_path / "name"
    new.write_bytes(b"new")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "unlink", refuse)
    rename_without_replacing(new, name)
    assert name.read_bytes() == b"new"


@posix
def test_a_page_that_has_its_name_is_no_failure_where_only_the_name_is_not_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sync_folder(tmp_path)
    failing_for_folders(monkeypatch, errno.EIO)
    page = tmp_path / "page.html"
    words = "page.html is whole, but the disk does not say that its name is safe (Input/output error)"
    assert write_page(page, "words", overwrite=False) == (5, words)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "words")]


@pytest.mark.skipif(sys.platform != "darwin", reason="fsync means it elsewhere")
def test_the_drive_is_asked_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    asked: list[int] = []
    monkeypatch.setattr(fcntl, "fcntl", lambda _, command: asked.append(command))
    write_whole(tmp_path / "a", b"words", "write it")
    assert asked == [51, 51]  # F_FULLFSYNC in <sys/fcntl.h>: the file, its folder
