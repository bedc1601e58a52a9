"""What must be the same for a job to be continued, and words for what is not.

An identity is a flat mapping from a name that people understand to a JSON value. It knows files only by
size, time and content, and nothing of how a job is run.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from vidsr.errors import SourceMissingError

Identity = dict[str, Any]

SAMPLED_BYTES = 2**20
"""Read from each end of the source: headers and indices lie there. A change between them moves the time of
the last change, so that a film need not be read whole to be known again."""

_SHOWN_VALUE = 60


def source_identity(path: Path) -> Identity:
    """Size, time of the last change, and sha256 of the beginning and the end of a file.

    Raises SourceMissingError.
    """
    try:
        size, content = sample(path)
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise SourceMissingError(f"{path}: {error.strerror}") from error
    return {"source size": size, "source time": changed, "source content": content}


def sample(path: Path) -> tuple[int, str]:
    """A file's size, and the sha256 (hexadecimal) of its beginning and end. Raises OSError."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for start in (0, max(size - SAMPLED_BYTES, 0)):
            file.seek(start)
            content.update(file.read(SAMPLED_BYTES))
    return size, content.hexdigest()


def digest(identity: Identity) -> str:
    """sha256 in hexadecimal."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def changes(before: Identity, now: Identity) -> list[str]:
    """What differs, in words: "crf was 18 and is 20"."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if "source content" in names or "source size" in names:
        names = ["source", *(name for name in names if not name.startswith("source "))]
    return [_words(name, before.get(name), now.get(name)) for name in names]


def _words(name: str, before: Any, now: Any) -> str:
    if name == "source":
        return "the source is another file"
    if name == "source time":
        return f"the source was changed: its time was {_moment(before)} and is {_moment(now)}"
    if _is_digest(before) and _is_digest(now):
        return f"not the same {name} as before"
    return f"{name} was {_shown(before)} and is {_shown(now)}"


def _moment(nanoseconds: int) -> str:
    try:
        return f"{datetime.fromtimestamp(nanoseconds / 1e9).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):  # some file systems hold times beyond the year 9999
        return f"{nanoseconds / 1e9:.0f} s after 1970"


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _shown(value: Any) -> str:
    if value is None:
        return "not given"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN_VALUE else text[:_SHOWN_VALUE] + "..."
