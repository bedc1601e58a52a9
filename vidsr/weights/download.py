"""Fetch one file over HTTP: resumed, verified, and under its name only when it is whole and right.

    NAME.part   what has come so far; stays after an interruption and is continued with a range request
    NAME.lock   held while one process downloads; others wait and then find the file there
    NAME        appears by rename, after size and sha256 were checked

urllib of the standard library does it: one GET of one file at a time needs no pool and no HTTP/2, and
it takes proxies from the environment. It knows HTTP and bytes, never weights or presets.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import re
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from vidsr import __version__
from vidsr.durable import sync
from vidsr.errors import DownloadError, IntegrityError

CHUNK_BYTES = 1 << 18
LARGEST_BYTES = 1 << 30  # for files without a pinned size; the largest known weights have 67 MB
TRANSIENT_STATUS = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """state: "waiting" for another process that downloads the same file, or "downloading".

    done_bytes includes resumed_bytes, which an earlier run had fetched. total_bytes: None if unknown.
    """

    file: str
    address: str
    state: Literal["waiting", "downloading"]
    done_bytes: int = 0
    total_bytes: int | None = None
    resumed_bytes: int = 0


ProgressCallback = Callable[[DownloadProgress], None]


@dataclass(frozen=True, slots=True)
class Patience:
    """silence_seconds: how long a server may send nothing. attempts: a address, with growing pauses."""

    silence_seconds: float = 30.0
    attempts: int = 3
    pause_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """sha256 and size_bytes: what the file must have, None where nobody published it."""

    target: Path
    sha256: str | None = None
    size_bytes: int | None = None

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def lock(self) -> Path:
        return self.target.with_name(self.target.name + ".lock")


class _FailedError(Exception):
    """One attempt's failure: what to say, and whether another attempt may help, from the start or not."""

    def __init__(
        self, reason: str, *, transient: bool = False, restart: bool = False, integrity: bool = False
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.transient = transient or restart
        self.restart = restart
        self.integrity = integrity


def download(
    addresses: Sequence[str],
    wanted: Wanted,
    on_progress: ProgressCallback | None = None,
    patience: Patience | None = None,
) -> None:
    """Bring the file to wanted.target from the first address that has it; there already is fine.

    addresses: in order of preference; the last is the official one, which errors name for doing it
    by hand.

    Raises IntegrityError where the last address's file is not the pinned one, DownloadError for all
    else: no network, no such file, no space, a folder that cannot be written.
    """
    if wanted.target.is_file():
        return
    report = on_progress or (lambda _: None)
    by_hand = f"put the file from {addresses[-1]} at {wanted.target} by hand, or pass it with --weights"
    with _writing(wanted.target.parent, by_hand):
        wanted.target.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(wanted, addresses[0], report, by_hand):
        if wanted.target.is_file():  # another process brought it meanwhile
            return
        failures: list[tuple[str, _FailedError]] = []
        for address in addresses:
            try:
                _fetch(address, wanted, report, patience or Patience(), by_hand)
            except _FailedError as failure:
                failures.append((address, failure))
            else:
                return
    reasons = "; ".join(f"{address}: {failure.reason}" for address, failure in failures)
    kind = IntegrityError if failures[-1][1].integrity else DownloadError
    raise kind(f"{wanted.target.name} could not be fetched: {reasons}", by_hand)


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _only_one(wanted: Wanted, address: str, report: ProgressCallback, by_hand: str) -> Iterator[None]:
    lock = FileLock(wanted.lock)
    with _writing(wanted.target.parent, by_hand):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(DownloadProgress(wanted.target.name, address, "waiting"))
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _writing(folder: Path, by_hand: str) -> Iterator[None]:
    """Turns what goes wrong on the disk into an error of ours; never wraps network reads."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(f"no space left in {folder}", "free some, and run again to resume") from error
        raise DownloadError(f"{folder} cannot be written: {error.strerror or error}", by_hand) from error


def _fetch(address: str, wanted: Wanted, report: ProgressCallback, patience: Patience, by_hand: str) -> None:
    """All attempts at one address. Raises _FailedError with the last reason."""
    if urlsplit(address).scheme not in ("http", "https"):
        raise _FailedError("this is not an http or https address")
    for attempt in range(1, patience.attempts + 1):
        try:
            resumed = _attempt(address, wanted, report, patience, by_hand)
            _accept(wanted, resumed, by_hand)
        except _FailedError as failure:
            if failure.restart:
                with _writing(wanted.target.parent, by_hand):
                    wanted.part.unlink(missing_ok=True)
            if not failure.transient or attempt == patience.attempts:
                raise
            time.sleep(patience.pause_seconds * attempt)
        else:
            return


def _attempt(address: str, wanted: Wanted, report: ProgressCallback, patience: Patience, by_hand: str) -> int:
    """One request, appended to the part; gives how many bytes were there before."""
    folder = wanted.target.parent
    with _writing(folder, by_hand):
        there = _resumable_bytes(wanted)
    if there and there == wanted.size_bytes:
        return there
    headers = {"User-Agent": f"vidsr/{__version__}", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(address, headers=headers)
    with _reading():
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=patience.silence_seconds)
    with response:
        total = _announced_bytes(response, there)
        if response.status != http.client.PARTIAL_CONTENT:
            there = 0  # the server sends all of it
        if wanted.size_bytes is not None and total not in (None, wanted.size_bytes):
            raise _FailedError(f"the server has {total} bytes, not {wanted.size_bytes}", integrity=True)
        most = wanted.size_bytes or total or LARGEST_BYTES
        with _writing(folder, by_hand):
            if shutil.disk_usage(folder).free < (total or 0) - there:
                raise OSError(errno.ENOSPC, "not enough space")
            sink = wanted.part.open("ab" if there else "wb", buffering=0)
        done = there
        with sink:
            while True:
                with _reading():
                    chunk = response.read1(CHUNK_BYTES)
                if not chunk:
                    break
                done += len(chunk)
                if done > most:
                    raise _FailedError(f"the server sends more than {most} bytes", integrity=True)
                with _writing(folder, by_hand):
                    written = 0
                    while written < len(chunk):
                        written += sink.write(chunk[written:])
                report(DownloadProgress(wanted.target.name, address, "downloading", done, total, there))
            with _writing(folder, by_hand):
                sync(sink)
    if total is not None and done < total:
        raise _FailedError(f"the connection broke off after {done} of {total} bytes", transient=True)
    return there


def _resumable_bytes(wanted: Wanted) -> int:
    """How much of the part can be kept: nothing where no sha256 would reveal that the file has changed."""
    if not wanted.part.exists():
        return 0
    size = wanted.part.stat().st_size
    return size if wanted.sha256 is not None and size <= (wanted.size_bytes or LARGEST_BYTES) else 0


def _announced_bytes(response: http.client.HTTPResponse, there: int) -> int | None:
    """The whole file's size as the server says, None if it does not."""
    if response.status == http.client.PARTIAL_CONTENT:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if span is None or int(span[1]) != there:
            raise _FailedError("the server sends another range than was asked for", restart=True)
        return None if span[2] == "*" else int(span[2])
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _accept(wanted: Wanted, resumed: int, by_hand: str) -> None:
    """Rename the part if it is the pinned file, remove it otherwise."""
    with _writing(wanted.target.parent, by_hand):
        size, digest = wanted.part.stat().st_size, sha256_of(wanted.part)
        if wanted.size_bytes in (None, size) and wanted.sha256 in (None, digest):
            wanted.part.replace(wanted.target)
            return
        wanted.part.unlink()
    # A part from elsewhere spoils the whole; from the start it may come right.
    raise _FailedError(
        f"its sha256 is {digest} ({size} bytes), not {wanted.sha256}", transient=resumed > 0, integrity=True
    )


@contextmanager
def _reading() -> Iterator[None]:
    """Turns what goes wrong on the network into a failed attempt."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _FailedError("the server refuses to resume", restart=True) from error
        raise _FailedError(
            f"{error.code} {error.reason}", transient=error.code in TRANSIENT_STATUS
        ) from error
    except urllib.error.URLError as error:
        hopeless = isinstance(
            error.reason, (socket.gaierror, ConnectionRefusedError)
        )  # no network, no server
        raise _FailedError(f"it cannot be reached ({error.reason})", transient=not hopeless) from error
    except http.client.IncompleteRead as error:
        raise _FailedError("the connection broke off", transient=True) from error
    except http.client.HTTPException as error:
        raise _FailedError(f"the server does not speak HTTP ({type(error).__name__})") from error
    except TimeoutError as error:
        raise _FailedError("the server stopped answering", transient=True) from error
    except OSError as error:
        raise _FailedError(f"the connection broke off ({error})", transient=True) from error
