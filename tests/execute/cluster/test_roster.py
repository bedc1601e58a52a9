"""Who can compute, told from what Ray says of its nodes: entries as `ray.nodes()` gives them."""

from __future__ import annotations

from typing import Any

import pytest

from vidsr.errors import ClusterError
from vidsr.execute.cluster import roster
from vidsr.execute.cluster.roster import Roster
from vidsr.progress.events import Event, Note


class ScriptedRay:
    """A cluster whose nodes come and go as a test says."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.options: dict[str, Any] = {}

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "NodeID": name,
                "NodeManagerHostname": f"host-{name}",
                "Resources": {"CPU": 4.0},
                "Alive": name in self.names,
            }
            for name in ("a", "b", "c")
        ]

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda function: function


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(roster, "time", clock)
    return clock


def roster_of(ray: ScriptedRay) -> tuple[Roster, list[Event]]:
    said: list[Event] = []
    return Roster.of(ray, "cpu", said.append), said


def test_who_leaves_and_who_joins_is_named(clock: Clock) -> None:
    ray = ScriptedRay("a", "b")
    found, said = roster_of(ray)
    assert found.words == "Ray cluster of 2 nodes: up to 2 workers with 4 cores each"
    ray.names = {"a", "c"}
    clock.now += 1
    found.look()
    assert said == []  # it has looked only now
    clock.now += 2
    found.look()
    assert said == [
        Note("node host-b has left the cluster; Ray gives its work to others"),
        Note("node host-c has joined the cluster"),
    ]
    assert set(found.nodes) == {"a", "c"}


def test_a_node_that_is_given_up_gets_no_more_tasks() -> None:
    ray = ScriptedRay("a", "b")
    found, said = roster_of(ray)
    found.task(print)
    assert "label_selector" not in ray.options
    assert found.has_others_than("a")
    for _ in range(2):
        found.give_up("a", "host-a", "no disk")
    found.give_up("", "a node", "nobody knows which")
    assert said == [Note("node host-a is given up: no disk")]
    found.task(print)
    assert ray.options["label_selector"] == {"ray.io/node-id": "!in(a)"}
    assert found.has_others_than("a")
    assert not found.has_others_than("b")


def test_a_cluster_without_anybody_left_is_waited_for_and_then_named(clock: Clock) -> None:
    ray = ScriptedRay("a", "b")
    found, said = roster_of(ray)
    found.give_up("a", "host-a", "no disk")
    ray.names = {"a"}
    clock.now += 10
    found.look()
    assert said[-1] == Note("no node is left that can compute; waiting up to 120 s for one")
    clock.now += 119
    found.look()
    ray.names = {"a", "b"}
    clock.now += 10
    found.look()  # one has come back in the last moment
    ray.names = set()
    clock.now += 10
    found.look()
    clock.now += 119
    found.look()
    clock.now += 10
    with pytest.raises(ClusterError, match="no node of the Ray cluster is left"):
        found.look()
