"""What one task asks of a node: which kind of device, and how many cores.

Pure arithmetic over what nodes say they have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vidsr.errors import ClusterError, UsageError

Kind = Literal["cpu", "cuda"]
Resources = Mapping[str, float]

GOOD_ENOUGH = 0.9
"""A task is as large as it can be while so much of the best possible share of all cores is used: one network
over all cores of a machine is faster and takes less memory than two over half of them each."""


@dataclass(frozen=True, slots=True)
class Demand:
    """Of one task. cpus: cores; with a GPU one is asked for, to be placed wherever there is a GPU."""

    kind: Kind
    cpus: int

    @property
    def gpus(self) -> int:
        return int(self.kind == "cuda")

    def fits(self, node: Resources) -> bool:
        """Whether a node could ever run such a task."""
        return node.get("CPU", 0) >= self.cpus and node.get("GPU", 0) >= self.gpus

    def places(self, node: Resources) -> int:
        """How many of them a node can run at once."""
        places = int(node.get("CPU", 0)) // self.cpus
        return min(places, int(node.get("GPU", 0))) if self.gpus else places


def demand(nodes: Sequence[Resources], device: str) -> Demand:
    """What tasks ask for on a cluster of such nodes. device: "auto" (GPUs if there are any), "cpu", "cuda".

    All tasks ask for the same, as GPUs and CPUs round differently. Raises UsageError for another device,
    ClusterError if no node has one.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise UsageError(f"--device {device} cannot be had from Ray", "with --ray it is auto, cpu or cuda")
    if device != "cpu" and any(Demand("cuda", 1).fits(node) for node in nodes):
        return Demand("cuda", 1)
    if device == "cuda":
        raise ClusterError("no node of the Ray cluster has a GPU", "pass --device cpu, or leave it out")
    cores = [int(node.get("CPU", 0)) for node in nodes]
    sizes = sorted({count for count in cores if count}, reverse=True)
    if not sizes:
        raise ClusterError(
            "no node of the Ray cluster has a CPU to compute on", "add one: ray start --address=HOST:PORT"
        )
    used = {size: sum(count // size * size for count in cores) for size in sizes}
    return Demand("cpu", next(s for s in sizes if used[s] >= GOOD_ENOUGH * max(used.values())))
