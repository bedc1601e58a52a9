"""Downloads over a real local server: whole or not at all, resumed, verified, one at a time."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.weights.server import Behaviour, serving
from vidsr.errors import DownloadError, IntegrityError
from vidsr.weights.download import DownloadProgress, Patience, Wanted, download

CONTENT = random.Random(5).randbytes(700_001)  # several chunks, and no round number
SHA256 = hashlib.sha256(CONTENT).hexdigest()
IMPATIENT = Patience(silence_seconds=2.0, attempts=3, pause_seconds=0.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour(CONTENT)


@pytest.fixture
def address(behaviour: Behaviour) -> Iterator[str]:
    with serving(behaviour) as base:
        yield f"{base}/model.pth"


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    return Wanted(tmp_path / "cache" / "model.pth", SHA256, len(CONTENT))


def names(wanted: Wanted) -> set[str]:
    return {path.name for path in wanted.target.parent.iterdir()} - {wanted.lock.name}


def test_a_good_download_appears_whole_and_reports_its_progress(address: str, wanted: Wanted) -> None:
    seen: list[DownloadProgress] = []
    download([address], wanted, seen.append)
    assert wanted.target.read_bytes() == CONTENT
    assert names(wanted) == {"model.pth"}
    assert seen[-1] == DownloadProgress("model.pth", address, "downloading", len(CONTENT), len(CONTENT), 0)
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(done)
    assert len(done) >= 3


def test_what_is_there_is_not_fetched_again(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    download([address], wanted)
    download([address], wanted)
    assert len(behaviour.requests) == 1


def test_a_broken_connection_is_resumed_where_it_broke(
    address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    behaviour.cut_after = [300_000, 200_000]
    seen: list[DownloadProgress] = []
    download([address], wanted, seen.append, IMPATIENT)
    assert wanted.target.read_bytes() == CONTENT
    assert [asked for _, asked in behaviour.requests] == [None, "bytes=300000-", "bytes=500000-"]
    assert seen[-1].resumed_bytes == 500_000


def test_an_interrupted_run_leaves_a_part_that_the_next_run_continues(
    address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    def interrupt(progress: DownloadProgress) -> None:
        if progress.done_bytes > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download([address], wanted, interrupt)
    kept = wanted.part.stat().st_size
    assert kept > 100_000
    assert names(wanted) == {"model.pth.part"}
    download([address], wanted)
    assert behaviour.requests[-1][1] == f"bytes={kept}-"
    assert wanted.target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(
    address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    behaviour.cut_after = [300_000]
    behaviour.takes_ranges = False
    download([address], wanted, patience=IMPATIENT)
    assert wanted.target.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["refuses_ranges", "wrong_range"])
def test_a_server_that_cannot_resume_is_asked_from_the_start(
    fault: str, address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    behaviour.cut_after = [300_000]
    setattr(behaviour, fault, True)
    download([address], wanted, patience=IMPATIENT)
    assert wanted.target.read_bytes() == CONTENT
    assert [asked for _, asked in behaviour.requests] == [None, "bytes=300000-", None]


def test_a_truncated_file_never_gets_the_name(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.cut_after = [100, 50, 25]
    with pytest.raises(DownloadError, match="broke off after 175 of 700001 bytes") as failure:
        download([address], wanted, patience=IMPATIENT)
    assert names(wanted) == {"model.pth.part"}
    assert not isinstance(failure.value, IntegrityError)
    assert f"put the file from {address} at {wanted.target} by hand" in str(failure.value.hint)


def test_a_complete_part_needs_no_request(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    wanted.target.parent.mkdir()
    wanted.part.write_bytes(CONTENT)
    download([address], wanted)
    assert wanted.target.read_bytes() == CONTENT
    assert behaviour.requests == []


def test_wrong_content_is_refused_and_removed(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.content = CONTENT[:-1] + b"\0"
    with pytest.raises(IntegrityError, match=f"sha256 is [0-9a-f]{{64}} .*not {SHA256}"):
        download([address], wanted, patience=IMPATIENT)
    assert names(wanted) == set()
    assert len(behaviour.requests) == 1  # the same file again would be as wrong


def test_a_spoilt_part_is_fetched_from_the_start(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    wanted.target.parent.mkdir()
    wanted.part.write_bytes(b"\0" * 1000)
    download([address], wanted, patience=IMPATIENT)
    assert wanted.target.read_bytes() == CONTENT
    assert [asked for _, asked in behaviour.requests] == ["bytes=1000-", None]


def test_another_size_than_pinned_is_refused_before_it_is_fetched(
    address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    behaviour.content = b"<html>Please log in to this network</html>"
    with pytest.raises(IntegrityError, match="the server has 42 bytes, not 700001"):
        download([address], wanted, patience=IMPATIENT)
    assert names(wanted) == set()


def test_a_server_that_does_not_stop_is_stopped(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.content = CONTENT + CONTENT
    behaviour.announces = None
    with pytest.raises(IntegrityError, match="sends more than 700001 bytes"):
        download([address], wanted, patience=IMPATIENT)
    assert not wanted.target.exists()


@pytest.mark.parametrize(("status", "reason", "requests"), [(404, "Not Found", 1), (503, "Unavailable", 3)])
def test_an_http_error_is_named_and_only_passing_ones_are_tried_again(
    status: int, reason: str, requests: int, address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    behaviour.status = status
    with pytest.raises(DownloadError, match=f"{address}: {status} .*{reason}"):
        download([address], wanted, patience=IMPATIENT)
    assert len(behaviour.requests) == requests


def test_a_passing_error_is_overcome(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.fail_first = [503, 429]
    download([address], wanted, patience=IMPATIENT)
    assert wanted.target.read_bytes() == CONTENT


def test_redirects_are_followed_with_the_range(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.redirect = "/elsewhere"
    wanted.target.parent.mkdir()
    wanted.part.write_bytes(CONTENT[:1234])
    download([address], wanted)
    assert wanted.target.read_bytes() == CONTENT
    assert behaviour.requests == [("/model.pth", "bytes=1234-"), ("/elsewhere", "bytes=1234-")]


def test_a_silent_server_is_given_up(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.gate = threading.Event()
    patience = Patience(silence_seconds=0.2, attempts=1)
    try:
        with pytest.raises(DownloadError, match="stopped answering"):
            download([address], wanted, patience=patience)
    finally:
        behaviour.gate.set()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_without_network_the_error_names_the_address_and_the_place(wanted: Wanted) -> None:
    address = f"http://127.0.0.1:{closed_port()}/model.pth"
    with pytest.raises(DownloadError, match="cannot be reached") as failure:
        download([address], wanted, patience=IMPATIENT)
    assert address in failure.value.message
    assert (
        failure.value.hint
        == f"put the file from {address} at {wanted.target} by hand, or pass it with --weights"
    )


def test_the_next_address_is_tried_when_a_mirror_fails(
    address: str, behaviour: Behaviour, wanted: Wanted
) -> None:
    with serving(Behaviour(CONTENT[::-1])) as wrong:
        gone = f"http://127.0.0.1:{closed_port()}/model.pth"
        download([gone, f"{wrong}/model.pth", address], wanted, patience=IMPATIENT)
    assert wanted.target.read_bytes() == CONTENT
    assert len(behaviour.requests) == 1


def test_only_http_addresses_are_opened(wanted: Wanted, tmp_path: Path) -> None:
    (tmp_path / "local").write_bytes(CONTENT)
    with pytest.raises(DownloadError, match="not an http or https address"):
        download([(tmp_path / "local").as_uri()], wanted, patience=IMPATIENT)


def test_an_unpinned_part_is_not_continued(address: str, behaviour: Behaviour, tmp_path: Path) -> None:
    """Nothing would show that the file on the server has changed meanwhile."""
    wanted = Wanted(tmp_path / "model.pth")
    wanted.part.write_bytes(b"old")
    download([address], wanted)
    assert wanted.target.read_bytes() == CONTENT
    assert behaviour.requests == [("/model.pth", None)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_named(address: str, wanted: Wanted) -> None:
    wanted.target.parent.mkdir()
    wanted.part.symlink_to("/dev/full")
    with pytest.raises(DownloadError, match=f"no space left in {wanted.target.parent}") as failure:
        download([address], wanted, patience=IMPATIENT)
    assert failure.value.hint == "free some, and run again to resume"
    assert not wanted.target.exists()


def test_a_file_larger_than_the_free_space_is_not_begun(
    address: str, behaviour: Behaviour, tmp_path: Path
) -> None:
    behaviour.announces = 1 << 60
    with pytest.raises(DownloadError, match="no space left"):
        download([address], Wanted(tmp_path / "model.pth"), patience=IMPATIENT)
    assert not (tmp_path / "model.pth.part").exists()


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that this process may read but not write, also where tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cache"
        folder.mkdir()
        (folder / "there.pth").write_bytes(CONTENT)
        Path(name).chmod(0o755)
        folder.chmod(0o555)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="folder permissions are POSIX")
def test_a_read_only_cache_is_named(address: str, behaviour: Behaviour, read_only_folder: Path) -> None:
    wanted = Wanted(read_only_folder / "model.pth", SHA256, len(CONTENT))
    with pytest.raises(
        DownloadError, match=f"{read_only_folder} cannot be written: Permission denied"
    ) as failure:
        download([address], wanted)
    assert "--weights" in str(failure.value.hint)
    assert behaviour.requests == []


@pytest.mark.skipif(os.name == "nt", reason="folder permissions are POSIX")
def test_a_read_only_cache_that_has_the_file_is_enough(address: str, read_only_folder: Path) -> None:
    download([address], Wanted(read_only_folder / "there.pth", SHA256, len(CONTENT)))


def test_a_file_in_place_of_the_cache_folder_is_named(address: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    with pytest.raises(DownloadError, match="cannot be written"):
        download([address], Wanted(tmp_path / "cache" / "model.pth", SHA256, len(CONTENT)))


SECOND_PROCESS = """
import sys
from pathlib import Path
from vidsr.weights.download import Wanted, download
address, target, sha256, size = sys.argv[1:]
download([address], Wanted(Path(target), sha256, int(size)), lambda p: print(p.state, flush=True))
"""


def test_two_processes_at_once_fetch_it_once(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.gate = threading.Event()
    first = threading.Thread(target=download, args=([address], wanted))
    first.start()
    assert behaviour.begun.wait(10)  # the first holds the lock and half of the file
    command = [sys.executable, "-c", SECOND_PROCESS, address, str(wanted.target), SHA256, str(len(CONTENT))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
        assert not wanted.target.exists()
        behaviour.gate.set()
        first.join(10)
        assert second.wait(10) == 0
        assert second.stdout.read() == ""
    assert wanted.target.read_bytes() == CONTENT
    assert len(behaviour.requests) == 1


def test_a_killed_process_leaves_no_lock_behind(address: str, behaviour: Behaviour, wanted: Wanted) -> None:
    behaviour.gate = threading.Event()
    command = [sys.executable, "-c", SECOND_PROCESS, address, str(wanted.target), SHA256, str(len(CONTENT))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "downloading\n"
        killed.kill()
    behaviour.gate.set()
    behaviour.gate = None
    download([address], wanted)  # would wait for ever
    assert wanted.target.read_bytes() == CONTENT
