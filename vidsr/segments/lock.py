"""A lock on a file that the system gives back when its holder dies, however it dies.

The file stays for others to find, its content says who holds it. It knows one file and nothing of what
it protects. (`filelock` does the same but hides its descriptor, without which a lock that was removed and
made again by another process cannot be told from the one that was taken.)
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

ATTEMPTS, PAUSE_SECONDS = 5, 0.02
"""Whoever only asks whether a lock is held keeps others from taking it for some microseconds: so one that is
not free is tried again before it counts as held."""

NO_LOCKS = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK})
"""What file systems answer that have none, as some of the network."""

if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 2**30  # far behind the content, so that others can read who holds it

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

    _try_to_share = _try_lock  # msvcrt has no shared locks: two that ask at once take each other for a holder

else:
    import fcntl

    def _try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _try_to_share(descriptor: int) -> bool:
        return _try_lock(descriptor, fcntl.LOCK_SH)


def _try_again_and_again(descriptor: int) -> bool:
    for _ in range(ATTEMPTS - 1):
        if _try_lock(descriptor):
            return True
        time.sleep(PAUSE_SECONDS)
    return _try_lock(descriptor)


class Lock:
    """Held from `acquire` to `release`, or to the end of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if nobody has it; never waits for its holder.

        Raises OSError where files cannot be locked; a file that was made for it is gone then.
        """
        while self._descriptor is None:
            descriptor, is_new = self._open()
            try:
                if not _try_again_and_again(descriptor):
                    return False
                # its last holder may have removed the file while it was being opened here
                if self._is_still_there(descriptor):
                    self._sign(descriptor)
                    self._descriptor = descriptor
            except OSError:
                if is_new and os.fstat(descriptor).st_size == 0:  # else somebody has locked it all the same
                    with contextlib.suppress(OSError):
                        self.path.unlink()
                raise
            finally:
                if self._descriptor is None:
                    os.close(descriptor)
        return True

    def is_held(self) -> bool:
        """Whether anybody has it; neither the file nor what others make of it changes.

        Raises OSError where the file cannot be read, or files cannot be locked.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            return not _try_to_share(descriptor)
        finally:
            os.close(descriptor)  # gives back what was taken

    def holder(self) -> str:
        """Who holds it, in words for people."""
        try:
            fields = json.loads(self.path.read_text(encoding="utf-8"))
            return f"process {fields['pid']} on {fields['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        """Give it back; harmless when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> tuple[int, bool]:
        """The file, and whether it is there only now."""
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), True
        except FileExistsError:
            return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), False

    def _is_still_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    @staticmethod
    def _sign(descriptor: int) -> None:
        fields: dict[str, Any] = {"pid": os.getpid(), "host": socket.gethostname()}
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(fields).encode())
        except OSError:
            return  # a full disk must not keep a job from being continued; the lock itself is held
