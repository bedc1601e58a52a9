"""The folder beside an output: what is kept, what is noticed, who may use it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from av.packet import Packet

from vidsr.errors import JobChangedError, JobError, JobRunningError, LocksMissingError, OutputError
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.write.packet_file import Head, PacketFileWriter
from vidsr.segments.contents import JobRecord, folder_of, is_running, read_contents
from vidsr.segments.identity import digest
from vidsr.segments.journal import Journal
from vidsr.segments.listing import list_jobs
from vidsr.segments.lock import Lock
from vidsr.segments.workspace import Workspace

IDENTITY = {"source size": 5, "crf": "18"}
SEGMENTS = [Segment(None, 100), Segment(100, 200), Segment(200, None)]


def record(**identity: Any) -> JobRecord:
    return JobRecord("/a.mkv", "vidsr a.mkv b.mkv", "today", IDENTITY | identity, {}, Segment(), 30)


def write_segment(workspace: Workspace, segment: Segment, *, job: JobRecord | None = None) -> SegmentReceipt:
    """A segment file of three packets, as an encoder run leaves it."""
    path = workspace.new_file(segment.start_pts)
    receipt = SegmentReceipt(segment, path.name, frames=3, seconds=2.5)
    head = Head(digest((job or record()).identity), "x", Fraction(1, 25), b"")
    with PacketFileWriter(path, head) as writer:
        for pts in range(3):
            packet: Packet[Any] = Packet(bytes(50))
            packet.pts = (segment.start_pts or 0) + pts
            writer.write(packet)
        sha256, size = writer.finish(receipt.to_json())
    return SegmentReceipt(segment, path.name, frames=3, seconds=2.5, sha256=sha256, size_bytes=size)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output whose job was stopped after all of its three segments."""
    path = tmp_path / "b.mkv"
    with Workspace.open(path) as workspace:
        assert workspace.adopt(record()).receipts == ()
        for segment in SEGMENTS:
            workspace.add(write_segment(workspace, segment))
    return path


def adopted(output: Path, **identity: Any) -> list[Segment]:
    with Workspace.open(output) as workspace:
        return [receipt.segment for receipt in workspace.adopt(record(**identity)).receipts]


def files(output: Path) -> list[Path]:
    return sorted(folder_of(output).glob("*.packets"))


def test_what_was_finished_is_found_again(output: Path) -> None:
    with Workspace.open(output) as workspace:
        found = workspace.adopt(record())
    assert [r.segment for r in found.receipts] == SEGMENTS
    assert (found.frames, found.seconds, found.damaged) == (9, 7.5, 0)
    assert found.size_bytes == sum(path.stat().st_size for path in files(output))


def test_the_folder_disappears_with_the_last_finished_piece(tmp_path: Path) -> None:
    output = tmp_path / "b.mkv"
    with Workspace.open(output) as workspace:
        workspace.adopt(record())
        (workspace.folder / "00.packets.part").write_bytes(b"begun")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_job_leaves_nothing(output: Path) -> None:
    with Workspace.open(output) as workspace:
        workspace.remove()
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 150])
def test_a_cut_segment_counts_once_although_its_line_is_cut_too(output: Path, cut: int) -> None:
    damaged, *_ = files(output)
    damaged.write_bytes(damaged.read_bytes()[:-cut])
    journal = folder_of(output) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(damaged.name.encode(), b"\0" * len(damaged.name)))
    with Workspace.open(output) as workspace:
        found = workspace.adopt(record())
    assert (len(found.receipts), found.damaged) == (2, 1)


@pytest.mark.parametrize("cut", [1, 40, 150])
def test_a_cut_segment_is_missing_and_the_others_are_kept(output: Path, cut: int) -> None:
    damaged = next(path for path in files(output) if path.name.startswith("000000000100"))
    damaged.write_bytes(damaged.read_bytes()[:-cut])
    with Workspace.open(output) as workspace:
        found = workspace.adopt(record())
    assert [r.segment for r in found.receipts] == [SEGMENTS[0], SEGMENTS[2]]
    assert found.damaged == 1
    assert not damaged.exists()
    assert read_contents(folder_of(output)).damaged == 0  # said once


def test_a_segment_of_the_right_size_with_a_wrong_byte_is_missing(output: Path) -> None:
    damaged = next(path for path in files(output) if path.name.startswith("start"))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    assert adopted(output) == SEGMENTS[1:]


def test_a_removed_segment_is_missing(output: Path) -> None:
    files(output)[-1].unlink()
    assert len(adopted(output)) == 2


@pytest.mark.parametrize("line", [0, 1, 2, 3], ids=["job", "first", "second", "third"])
def test_a_spoiled_line_of_the_journal_loses_nothing(output: Path, line: int) -> None:
    journal = folder_of(output) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[line] = b"\xff" + lines[line][1:]
    journal.write_bytes(b"".join(lines))
    with Workspace.open(output) as workspace:
        found = workspace.adopt(record())
    assert ([receipt.segment for receipt in found.receipts], found.damaged) == (SEGMENTS, 0)
    assert Journal(journal).read()[1] == 0
    assert adopted(output) == SEGMENTS


@pytest.mark.parametrize("spoiled", [None, b"", b"\0" * 500, b"not a journal\n"], ids=repr)
def test_a_journal_that_is_gone_loses_nothing(output: Path, spoiled: bytes | None) -> None:
    journal = folder_of(output) / "journal.jsonl"
    journal.unlink()
    if spoiled is not None:
        journal.write_bytes(spoiled)
    assert adopted(output) == SEGMENTS
    contents = read_contents(folder_of(output))
    assert contents.record == record()
    assert [r.segment for r in contents.receipts] == SEGMENTS


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.EMFILE, errno.ESTALE, errno.EIO], ids=errno.errorcode.get
)
@pytest.mark.parametrize("call", ["open", "stat"])
def test_a_segment_that_cannot_be_read_at_this_moment_is_not_thrown_away(
    output: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    """A server that is away (EIO of a soft NFS mount that timed out), too many open files, another's
    permissions: none says that it is damaged."""
    original = getattr(Path, call)

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name.startswith("000000000100"):
            raise OSError(number, os.strerror(number))
        return original(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, refuse)
        with pytest.raises(JobError, match=os.strerror(number)) as caught:
            adopted(output)
    assert not isinstance(caught.value, JobChangedError)
    hint = caught.value.hint or ""
    assert "nothing that is finished was removed" in hint
    assert "remove that file: only it is computed again" in hint
    assert len(files(output)) == 3
    assert adopted(output) == SEGMENTS


def test_a_file_that_no_line_speaks_of_is_not_thrown_away_where_it_cannot_be_read(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder_of(output) / "journal.jsonl").unlink()
    original = Path.open

    def fail(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name.startswith("000000000100"):
            raise OSError(errno.EIO, "Input/output error")
        return original(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", fail)
        with pytest.raises(JobError, match="cannot be read: Input/output error"):
            adopted(output)
    assert len(files(output)) == 3
    assert adopted(output) == SEGMENTS


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO], ids=errno.errorcode.get)
def test_a_folder_that_cannot_be_looked_into_is_not_taken_for_empty(
    output: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Its journal would be removed with it."""
    before = sorted(path.name for path in folder_of(output).iterdir())
    workspace = Workspace.open(output)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(JobError, match=f"{folder_of(output)} cannot be read: {os.strerror(number)}"):
            workspace.adopt(record())
        workspace.close()
    assert sorted(path.name for path in folder_of(output).iterdir()) == before
    assert adopted(output) == SEGMENTS


@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_a_job_that_cannot_be_looked_into_is_listed_with_the_reason(output: Path, name: str) -> None:
    """Tried with a link to itself: permissions do not hold for everybody."""
    path = folder_of(output) / name
    path.unlink()
    path.symlink_to(path)
    (job,) = list_jobs(output.parent)
    assert job.problem == f"{path} cannot be read: Too many levels of symbolic links"
    assert not job.running


def test_what_cannot_be_removed_from_the_folder_is_named(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder_of(output) / "00.packets.part").touch()

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OutputError, match="cannot clear the folder of the job: Read-only file system"):
        adopted(output)


def test_a_folder_in_the_place_of_a_segment_is_named_and_left_alone(output: Path) -> None:
    (folder_of(output) / "00.packets").mkdir()
    with pytest.raises(JobError, match=r"segment .*00\.packets cannot be read: "):
        adopted(output)
    assert len(files(output)) == 4


def test_segments_of_another_job_are_not_taken_for_this_one_when_the_journal_is_gone(output: Path) -> None:
    (folder_of(output) / "journal.jsonl").unlink()
    with pytest.raises(JobChangedError, match="its journal is lost"):
        adopted(output, crf="20")
    assert len(files(output)) == 3
    assert adopted(output) == SEGMENTS


def test_a_file_finished_just_before_the_crash_is_kept_although_no_line_speaks_of_it(output: Path) -> None:
    journal = folder_of(output) / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    assert adopted(output) == SEGMENTS


def test_a_second_file_of_the_same_stretch_is_removed(output: Path) -> None:
    with Workspace.open(output) as workspace:
        write_segment(workspace, SEGMENTS[1])
        assert len(files(output)) == 4
        assert len(workspace.adopt(record()).receipts) == 3
    assert len(files(output)) == 3


def test_another_job_is_refused_and_what_is_finished_stays(output: Path) -> None:
    with pytest.raises(JobChangedError) as caught:
        adopted(output, crf="20")
    assert "crf was 18 and is 20" in caught.value.message
    assert "9 frames are finished" in caught.value.message
    assert "--restart" in (caught.value.hint or "")
    assert adopted(output) == SEGMENTS


def test_the_last_run_says_where_the_source_is_and_what_continues_the_job(output: Path) -> None:
    """Not what decides the pictures: that must be the same, and the job was begun when it was begun."""
    before = read_contents(folder_of(output)).record
    moved = JobRecord("/moved.mkv", "vidsr moved.mkv b.mkv", "later", IDENTITY, {"x": ("y",)}, Segment(), 30)
    journal = folder_of(output) / "journal.jsonl"
    for _ in range(2):
        with Workspace.open(output) as workspace:
            workspace.adopt(moved)
        assert len(journal.read_bytes().splitlines()) == 5  # one is new, and that once
    contents = read_contents(folder_of(output))
    assert before is not None
    assert contents.record == JobRecord(
        "/moved.mkv", "vidsr moved.mkv b.mkv", before.begun, IDENTITY, {"x": ["y"]}, Segment(), 30
    )
    assert [r.segment for r in contents.receipts] == SEGMENTS


def test_a_folder_that_somebody_has_removed_is_cleared_away(output: Path) -> None:
    with Workspace.open(output) as workspace:
        shutil.rmtree(workspace.folder)
        workspace.remove()
    assert list(output.parent.iterdir()) == []


def test_after_clearing_another_job_may_begin(output: Path) -> None:
    with Workspace.open(output) as workspace:
        workspace.clear()
        assert workspace.adopt(record(crf="20")).receipts == ()


def test_a_folder_in_another_form_is_left_alone(output: Path) -> None:
    journal = folder_of(output) / "journal.jsonl"
    (first, *rest), _ = Journal(journal).read()
    Journal(journal).rewrite([first | {"format": 2}, *rest])
    with pytest.raises(JobError, match="another version"):
        adopted(output)
    assert len(files(output)) == 3


def test_two_at_once_are_refused(output: Path) -> None:
    with Workspace.open(output):
        assert is_running(folder_of(output))
        with pytest.raises(JobRunningError, match=r"process \d+ on .* is working on"):
            Workspace.open(output)
    assert not is_running(folder_of(output))
    assert adopted(output) == SEGMENTS


def test_asking_whether_a_job_runs_leaves_its_lock_as_it_is(output: Path) -> None:
    lock = folder_of(output) / "lock"
    lock.write_text("of whoever was here last")
    assert not is_running(folder_of(output))
    assert lock.read_text() == "of whoever was here last"


def test_a_folder_that_vanishes_while_it_is_opened_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its last holder finishes at this very moment."""
    output = tmp_path / "b.mkv"
    original = Lock.acquire
    calls: list[Lock] = []

    def late(lock: Lock) -> bool:
        if not calls:
            shutil.rmtree(lock.path.parent)
        calls.append(lock)
        return original(lock)

    monkeypatch.setattr(Lock, "acquire", late)
    with Workspace.open(output):
        assert folder_of(output).is_dir()
    assert len(calls) == 2


def test_what_cannot_be_removed_does_not_hide_why_a_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a failing disk was made read-only by the system."""
    output = tmp_path / "b.mkv"

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    workspace = Workspace.open(output)
    (workspace.folder / "00.packets.part").write_bytes(b"begun")
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(ZeroDivisionError), workspace:
        raise ZeroDivisionError
    assert not is_running(folder_of(output))
    words = "cannot clear the folder of the job: Read-only file system"
    with Workspace.open(output) as workspace, pytest.raises(OutputError, match=words):
        workspace.remove()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not sync folders")
@pytest.mark.parametrize("before", [True, False], ids=["a new failure", "from the first time on"])
def test_a_folder_whose_name_does_not_come_to_the_disk_is_an_error_where_others_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    monkeypatch.setattr("vidsr.durable._synced_on", {tmp_path.stat().st_dev} if before else set())
    monkeypatch.setattr("vidsr.durable._unsure_on", set())

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("vidsr.durable.sync_descriptor", fail)
    if before:
        with pytest.raises(OutputError, match="Input/output error"):
            Workspace.open(tmp_path / "b.mkv")
    else:
        with Workspace.open(tmp_path / "b.mkv") as workspace:
            assert not workspace.names_are_safe
    assert list(tmp_path.iterdir()) == []


def test_who_has_removed_the_folder_leaves_alone_what_another_process_makes_there(output: Path) -> None:
    """As when a job is cleaned away and begun anew at once."""
    with Workspace.open(output) as first:
        first.remove()
        second = Workspace.open(output)
        second.adopt(record())
        second.add(write_segment(second, SEGMENTS[0]))
        (second.folder / "00.packets.part").write_bytes(b"begun")
    assert (second.folder / "00.packets.part").exists()
    assert is_running(second.folder)
    second.close()
    assert adopted(output) == SEGMENTS[:1]


@pytest.mark.parametrize("taken", [False, True], ids=["", "taken by another process at once"])
def test_the_lock_is_given_back_where_open_files_cannot_be_removed(
    output: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """As on Windows, which is played here."""
    original, release = Path.unlink, Lock.release
    workspace, other = Workspace.open(output), Lock(folder_of(output) / "lock")

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "lock" and any(lock._descriptor is not None for lock in (workspace._lock, other)):
            raise PermissionError(errno.EACCES, "used by another process")
        original(path, missing_ok=missing_ok)

    def released(lock: Lock) -> None:
        release(lock)
        if taken and lock is workspace._lock:
            assert other.acquire()

    monkeypatch.setattr(Path, "unlink", unlink)
    monkeypatch.setattr(Lock, "release", released)
    workspace.remove()
    workspace.close()
    assert folder_of(output).exists() == taken
    assert is_running(folder_of(output)) == taken
    other.release()


def test_a_folder_that_vanishes_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mkdir finds it there, and a look at it finds it gone."""
    output = tmp_path / "b.mkv"
    original, calls = os.mkdir, []

    def late(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) == 1:
            raise FileExistsError(errno.EEXIST, "File exists")
        original(*arguments)

    monkeypatch.setattr(os, "mkdir", late)
    with Workspace.open(output):
        assert folder_of(output).is_dir()
    assert len(calls) == 2


def test_a_file_in_the_place_of_the_folder_is_an_error_of_one_line(tmp_path: Path) -> None:
    folder_of(tmp_path / "b.mkv").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot make the folder of the job: File exists"):
        Workspace.open(tmp_path / "b.mkv")


@pytest.fixture(params=[errno.ENOTSUP, errno.ENOLCK], ids=errno.errorcode.get)
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system without locks, as some of the network are on macOS; what it answers."""
    fcntl = pytest.importorskip("fcntl")
    words = os.strerror(request.param)

    def refuse(*_: object) -> None:
        raise OSError(request.param, words)

    monkeypatch.setattr(fcntl, "flock", refuse)
    return words


def test_a_folder_that_cannot_be_locked_is_not_left_behind(tmp_path: Path, no_locks: str) -> None:
    with pytest.raises(LocksMissingError, match=f"cannot lock the folder of the job: {no_locks}") as caught:
        Workspace.open(tmp_path / "b.mkv")
    assert "this file system has no locks" in (caught.value.hint or "")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_there_stays_where_it_cannot_be_taken(output: Path, no_locks: str) -> None:
    with pytest.raises(LocksMissingError, match=no_locks):
        Workspace.open(output)
    assert (folder_of(output) / "lock").exists()
    assert len(files(output)) == 3


def test_a_missing_parent_folder_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        Workspace.open(tmp_path / "none" / "b.mkv")


def test_unfinished_outputs_of_processes_that_were_killed_are_removed(output: Path) -> None:
    left = output.with_name(".b.mkv.0123abcd.part")
    others = [output.with_name(name) for name in ("b.mkv.part", ".c.mkv.0123abcd.part", ".b.mkv.notes.part")]
    for path in (left, *others):
        path.touch()
    with Workspace.open(output):
        assert not left.exists()
    assert all(path.exists() for path in others)
