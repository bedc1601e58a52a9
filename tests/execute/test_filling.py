"""What is on record of a job's segments, whoever brings them and however often."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vidsr.channel import StopSignal
from vidsr.execute.filling import Filling
from vidsr.job import Segment, SegmentReceipt


@pytest.fixture
def filling(tmp_path: Path) -> Filling:
    workspace: Any = SimpleNamespace(path=lambda receipt: tmp_path / receipt.file, add=lambda receipt: None)
    prepared: Any = None
    return Filling(prepared, workspace, "", (), lambda event: None, StopSignal())


def test_a_segment_that_is_brought_twice_keeps_its_file(filling: Filling, tmp_path: Path) -> None:
    receipt = SegmentReceipt(Segment(0, 100), "one", 4)
    (tmp_path / "one").touch()
    filling.keep_if_new(receipt)
    filling.keep_if_new(receipt)
    assert filling.frames == 4
    assert (tmp_path / "one").exists()


def test_a_segment_that_somebody_else_has_finished_goes(filling: Filling, tmp_path: Path) -> None:
    filling.keep(SegmentReceipt(Segment(0, 100), "one", 4))
    (tmp_path / "other").touch()
    filling.keep_if_new(SegmentReceipt(Segment(50, 150), "other", 4))
    assert filling.frames == 4
    assert not (tmp_path / "other").exists()
