"""What a task asks for on clusters of every make."""

from __future__ import annotations

import pytest

from vidsr.errors import ClusterError, UsageError
from vidsr.execute.cluster.sizing import Demand, demand


def nodes(*cores: int, gpus: int = 0) -> list[dict[str, float]]:
    return [{"CPU": float(count), "GPU": float(gpus)} for count in cores]


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        ((2, 2), 2),  # one task for each machine
        ((8, 16), 8),  # the larger one runs two
        ((1, 64, 64), 64),  # a small head costs little when it does nothing
        ((12, 16), 12),  # four idle cores of 28 rather than twelve
        ((0, 4), 4),  # a head that only directs
    ],
)
def test_a_task_is_as_large_as_most_machines_allow(cores: tuple[int, ...], expected: int) -> None:
    assert demand(nodes(*cores), "auto") == Demand("cpu", expected)


def test_gpus_are_used_where_there_are_some_and_only_those() -> None:
    mixed = [*nodes(16), *nodes(8, gpus=2)]
    wanted = demand(mixed, "auto")
    assert (wanted.kind, wanted.gpus) == ("cuda", 1)
    assert [wanted.fits(node) for node in mixed] == [False, True]
    assert [wanted.places(node) for node in mixed] == [0, 2]
    assert demand(mixed, "cpu").kind == "cpu"


def test_what_no_node_has_is_refused() -> None:
    with pytest.raises(ClusterError, match="no node of the Ray cluster has a GPU"):
        demand(nodes(4), "cuda")
    with pytest.raises(ClusterError, match="no node of the Ray cluster has a CPU"):
        demand(nodes(0), "auto")


@pytest.mark.parametrize("device", ["cuda:1", "cpu,cuda", "mps"])
def test_a_device_of_one_machine_is_refused(device: str) -> None:
    with pytest.raises(UsageError, match=f"--device {device} cannot be had from Ray"):
        demand(nodes(4, gpus=4), device)
