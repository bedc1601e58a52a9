"""Tags as containers keep them: pairs of a name and a value, the name in any case ("TITLE" is "title").

It knows no name's meaning.
"""

from __future__ import annotations

from collections.abc import Iterable

Tags = tuple[tuple[str, str], ...]


def tag_value(tags: Iterable[tuple[str, str]], name: str) -> str | None:
    """The first value under a name, which is given in small letters; None where there is none."""
    return next((value for key, value in tags if key.lower() == name), None)


def without_tag(tags: Iterable[tuple[str, str]], name: str) -> Tags:
    """All others."""
    return tuple((key, value) for key, value in tags if key.lower() != name)
