"""Which nodes of a Ray cluster can compute for a job: who is there, who is given up, how long nobody is left.

It knows nodes and what a task asks of them, nothing of segments or files.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Self

from vidsr.errors import ClusterError
from vidsr.execute.cluster.connect import Node, alive_nodes
from vidsr.execute.cluster.sizing import Demand, demand
from vidsr.progress.events import Note, Show

RETRIES = 3
"""How often Ray begins a task again whose process or node has died: its own default."""

LOOK_SECONDS = 2.0
"""Between two looks at which nodes there are."""

PATIENCE_SECONDS = 120.0
"""How long a cluster may be without any node that could compute: long enough for one to be started again."""


@dataclass
class Roster:
    """ray: the module, connected. demand: of one task. nodes: those that could run one, by their Ray ids."""

    ray: Any
    demand: Demand
    nodes: dict[str, Node]
    show: Show
    _given_up: set[str] = field(default_factory=set)
    _last_look: float = field(init=False)
    _alone_since: float | None = None

    def __post_init__(self) -> None:
        self._last_look = time.monotonic()

    @classmethod
    def of(cls, ray: Any, device: str, show: Show) -> Self:
        """Those there are now. device: see `demand`, which raises UsageError and ClusterError."""
        nodes = alive_nodes(ray)
        wanted = demand([node.resources for node in nodes], device)
        return cls(ray, wanted, {node.name: node for node in nodes if wanted.fits(node.resources)}, show)

    @property
    def words(self) -> str:
        places = sum(self.demand.places(node.resources) for node in self.nodes.values())
        cores = "1 core" if self.demand.cpus == 1 else f"{self.demand.cpus} cores"
        count = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        workers = "1 worker" if places == 1 else f"up to {places} workers"
        return f"Ray cluster of {count}: {workers} with {'a GPU' if self.demand.gpus else cores} each"

    def task(self, function: Any) -> Any:
        """A function as a task for nodes not given up. It keeps its process, and the network in it."""
        options: dict[str, Any] = {
            "num_cpus": self.demand.cpus,
            "num_gpus": self.demand.gpus,
            "max_retries": RETRIES,
            "max_calls": 0,
        }
        if self._given_up:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(self._given_up))})"}
        return self.ray.remote(**options)(function)

    def has_others_than(self, name: str) -> bool:
        """Whether a task that failed on a node can be tried on another."""
        return bool(self.nodes.keys() - self._given_up - {name})

    def give_up(self, name: str, host: str, why: str) -> None:
        """Hand a node no more tasks. name: "" if nobody knows it: then nothing is done."""
        if name and name not in self._given_up:
            self.show(Note(f"node {host} is given up: {why}"))
            self._given_up.add(name)

    def look(self) -> None:
        """See now and then which nodes there are. Raises ClusterError when there has been none for long."""
        if time.monotonic() - self._last_look < LOOK_SECONDS:
            return
        self._last_look = time.monotonic()
        fitting = [node for node in alive_nodes(self.ray) if self.demand.fits(node.resources)]
        now, before = {node.name: node for node in fitting}, self.nodes
        for name in before.keys() - now.keys():
            self.show(Note(f"node {before[name].host} has left the cluster; Ray gives its work to others"))
        for name in now.keys() - before.keys():
            self.show(Note(f"node {now[name].host} has joined the cluster"))
        self.nodes = now
        if now.keys() - self._given_up:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
            self.show(
                Note(f"no node is left that can compute; waiting up to {PATIENCE_SECONDS:.0f} s for one")
            )
        elif time.monotonic() - self._alone_since > PATIENCE_SECONDS:
            raise ClusterError("no node of the Ray cluster is left that can compute", "add one: ray start")
