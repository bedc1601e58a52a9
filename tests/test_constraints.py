"""constraints.txt names every package that an installation brings along."""

from __future__ import annotations

import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import REPOSITORY

INSTALLED_AS = "vidsr-upscaler"


def needed(name: str, extras: frozenset[str], seen: dict[str, set[str]]) -> None:
    """Into `seen`: a package's requirements on this machine, and theirs, each with its extras."""
    known = seen.setdefault(name, set())
    new = ({""} | extras) - known
    known |= new
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:  # of an extra that is not installed here
        return
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in new):
            other = canonicalize_name(requirement.name)
            if not ({""} | requirement.extras) <= seen.get(other, set()):
                needed(other, frozenset(requirement.extras), seen)


def test_every_package_is_pinned_direct_or_not() -> None:
    try:
        metadata.distribution(INSTALLED_AS)
    except metadata.PackageNotFoundError:
        pytest.skip("vidsr is not installed here, only in its folder")
    seen: dict[str, set[str]] = {}
    needed(INSTALLED_AS, frozenset({"dev"}), seen)
    assert len(seen) > 40
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(found[1]) for line in lines if (found := re.match(r"([\w.-]+)==", line))}
    assert set(seen) - {INSTALLED_AS} - pinned == set()
