"""What callers without a type checker hand in: a wrong type is named here, by the argument's name.

It knows names and types, and nothing of what arguments mean. Numbers of numpy become Python's, which can be
written down. None, where it stands for a default, stays None.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

from vidsr.errors import UsageError


def check_texts(*, or_none: bool = False, **texts: Any) -> None:
    """Raises TypeError for what is no text, UsageError for none at all, as an unset variable gives."""
    for name, value in texts.items():
        if value is None and or_none:
            continue
        if not isinstance(value, str):
            raise _wrong(name, "a str", value)
        if not value.strip():
            raise UsageError(f"{name} is empty", "say which, or leave it out")


def check_paths(**paths: Any) -> None:
    """Raises TypeError for what is no path, UsageError for an empty one."""
    check_texts(
        or_none=True, **{name: path for name, path in paths.items() if not isinstance(path, os.PathLike)}
    )


def check_flags(**flags: Any) -> None:
    """Raises TypeError: a word such as "no" would count as true."""
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise _wrong(name, "True or False", value)


def check_options(name: str, value: Any) -> None:
    """Raises TypeError unless it is a mapping of texts to texts or numbers, or None."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise _wrong(name, "a dict", value)
    for key, entry in value.items():
        if not isinstance(key, str) or not isinstance(entry, str | Real):
            raise _wrong(name, "a dict of str to str or numbers", value)


def whole(name: str, value: Any) -> int | None:
    """Raises TypeError for what is no whole number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise _wrong(name, "an int", value)
    return int(value)


def exact(name: str, value: Any) -> Fraction | None:
    """Decimals as they are written: 0.1 is a tenth, not the nearest binary number. Raises as `real` does."""
    if isinstance(value, Fraction):
        return value
    number = real(name, value)
    return None if number is None else Fraction(str(number))


def real(name: str, value: Any) -> float | None:
    """Raises TypeError for what is no number, UsageError for one that is infinite or none (NaN)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise _wrong(name, "a number", value)
    if isinstance(value, Integral):
        return int(value)
    if not math.isfinite(value):
        raise UsageError(f"{name} is {value}", "it is a finite number")
    return float(value)


def frame_pair(name: str, value: Any) -> tuple[int | None, int | None]:
    """Raises TypeError for what is no pair of whole numbers or None."""
    if value is None:
        return None, None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise _wrong(name, "a pair (first, behind the last)", value)
    first, behind = value
    return whole(name, first), whole(name, behind)


def _wrong(name: str, wanted: str, value: object) -> TypeError:
    return TypeError(f"{name} has to be {wanted}, not {value!r}")
