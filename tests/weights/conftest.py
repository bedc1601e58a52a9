"""A home of its own for every test: no cache, configuration or environment of the person who runs them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import pytest
import torch


@dataclass(frozen=True)
class Home:
    cache: Path
    config: Path
    data: Path

    @property
    def weights(self) -> Path:
        return self.cache / "weights"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home" / "cache", tmp_path / "home" / "config", tmp_path / "home" / "data")
    for kind in ("cache", "config", "data"):
        folder = str(getattr(home, kind))
        monkeypatch.setattr(platformdirs, f"user_{kind}_dir", lambda *_, folder=folder, **__: folder)
    for name in ("VIDSR_WEIGHTS", "VIDSR_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return home


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """Small networks on small pictures: threads cost more than they bring."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
