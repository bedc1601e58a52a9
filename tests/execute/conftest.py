"""Clips for whole jobs."""

from __future__ import annotations

import pytest

from tests.media.clips import ClipShelf


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipShelf:
    return ClipShelf(tmp_path_factory.mktemp("clips"))
