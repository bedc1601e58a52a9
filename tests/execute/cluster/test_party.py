"""A cluster as a party, with a Ray that is played: what needs none of the real one."""

from __future__ import annotations

import time
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from vidsr.channel import StopSignal
from vidsr.errors import InterruptedByUser
from vidsr.execute.cluster.party import RayCluster


def test_a_run_that_waits_for_a_free_place_can_be_stopped() -> None:
    """All places of a cluster may be taken for days."""
    future: Future[Any] = Future()
    reference = SimpleNamespace(future=lambda: future)
    task = SimpleNamespace(remote=lambda order: reference)
    stop = StopSignal()
    cluster: Any = RayCluster(None, "auto", None, 480, lambda _: None, stop)  # type: ignore[arg-type]
    cluster.roster = SimpleNamespace(task=lambda function: task)
    cluster.on_node, cluster.order = SimpleNamespace(introduce=None), None
    stop.set(InterruptedByUser("stopped"))
    begun = time.monotonic()
    with pytest.raises(InterruptedByUser, match="stopped"):
        cluster._introduced()
    assert time.monotonic() - begun < 5
