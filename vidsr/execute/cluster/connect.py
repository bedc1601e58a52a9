"""Joining a Ray cluster, or beginning one on this machine, and what its nodes are like.

It knows Ray and nodes, nothing of jobs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from vidsr import __version__
from vidsr.errors import ClusterError, ToolMissingError, UsageError
from vidsr.execute.cluster.files import NeededFile
from vidsr.execute.cluster.sizing import Resources

REACH_SECONDS = 5.0
"""How long a cluster's port may take to answer. Ray itself goes on trying for minutes."""

ASK_SECONDS = 60.0
"""How long the nodes may take to say what they have: a process is begun on each."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # else Ray prints lines into our standard output
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's coming default; silences a tip about it
}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster. name: its Ray id. host: for people."""

    name: str
    host: str
    resources: Resources


@dataclass(frozen=True, slots=True)
class Sight:
    """What a node says of itself. sees: whether all the job's files are there."""

    node: Node
    sees: bool


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected until the end of the block.

    address: HOST:PORT; "auto" = the cluster that RAY_ADDRESS or a `ray start` on this machine names, or else
    one that is begun here and ends with the block.

    Raises ToolMissingError if Ray is not installed, ClusterError if there is no cluster at the address.
    """
    _set_environment()
    try:
        import ray
    except ImportError as error:
        raise ToolMissingError.of_extra("--ray needs Ray", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    if named not in {"", "auto", "local"}:
        _check_reachable(named)
    try:
        with _signals_kept():
            ray.init(
                address=named or None,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if named else {"include_dashboard": False}),
            )
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise ClusterError(
            f"the Ray cluster at {named or 'this machine'} cannot be joined: {words[0].rstrip('.')}",
            "this machine must be a node of it, with its token: ray start --address=HOST:PORT",
        ) from error
    try:
        yield ray
    finally:
        with _signals_kept():
            ray.shutdown()


def _set_environment() -> None:
    """Ray reads these when it is imported, and hands them to what it begins."""
    os.environ.update(_ENVIRONMENT)
    # `ray start` asks for a token by default and leaves it here; given an address, `ray.init` does not look
    has_token = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if has_token or Path("~/.ray/auth_token").expanduser().is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _check_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdigit():
        raise UsageError(
            f"{address!r} is no address of a Ray cluster", "write HOST:PORT, such as 10.0.0.5:6379"
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS):
            pass
    except OSError as error:
        reason = error.strerror or "no answer"
        raise ClusterError(
            f"there is no Ray cluster at {address} ({reason})",
            f"begin one there with: ray start --head --port={port}",
        ) from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts its own handler of SIGTERM in the place of ours."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


def alive_nodes(ray: Any) -> list[Node]:
    """The nodes there are at the moment."""
    return [
        Node(
            entry["NodeID"],
            entry.get("NodeManagerHostname") or entry["NodeManagerAddress"],
            entry["Resources"],
        )
        for entry in ray.nodes()
        if entry["Alive"]
    ]


def survey(ray: Any, nodes: Sequence[Node], files: Sequence[NeededFile]) -> list[Sight]:
    """Ask every node what it has; one that does not answer is left out.

    Raises ClusterError if one has no vidsr, or another version of it or of PyAV: its frames and packets
    could not be mixed with the others'.
    """
    look = ray.remote(_look())
    wanted = [(str(file.path), file.identity) for file in files]
    asked = {pinned(look, node).remote(wanted).future(): node for node in nodes}
    answered, _ = wait(asked, timeout=ASK_SECONDS)
    sights = []
    for future in answered:
        node = asked[future]
        try:
            versions, sees = future.result()
        except ray.exceptions.RayError:
            continue  # it died just now
        _check_versions(node, versions)
        sights.append(Sight(node, sees))
    if not sights:
        raise ClusterError("no node of the Ray cluster answers", "ray status shows what is wrong with it")
    return sights


def pinned(task: Any, node: Node) -> Any:
    """A task or an actor for one node, however busy that is."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    strategy = NodeAffinitySchedulingStrategy(node.name, soft=False)
    return task.options(num_cpus=0, scheduling_strategy=strategy)


def _look() -> Any:
    """A function that travels as it is: a node with another vidsr, or none, can still run it."""

    def look(wanted: list[tuple[str, dict[str, Any]]]) -> tuple[dict[str, str | None], bool]:
        from importlib import metadata
        from importlib.util import find_spec
        from pathlib import Path

        versions: dict[str, str | None] = {"vidsr": None, "PyAV": None}
        try:
            import vidsr
            from vidsr.errors import SourceError
            from vidsr.segments.identity import source_identity

            has_nodes = find_spec("vidsr.execute.cluster") is not None
            versions["vidsr"] = vidsr.__version__ if has_nodes else f"{vidsr.__version__} without --ray"
            versions["PyAV"] = metadata.version("av")
        except ImportError:
            return versions, False

        def is_here(path: str, identity: dict[str, Any]) -> bool:
            try:
                return source_identity(Path(path)) == identity
            except SourceError:
                return False

        return versions, all(is_here(path, identity) for path, identity in wanted)

    return look


def _check_versions(node: Node, versions: dict[str, str | None]) -> None:
    for name, ours in {"vidsr": __version__, "PyAV": metadata.version("av")}.items():
        theirs = versions[name]
        if theirs is None:
            raise ClusterError(f"{name} is not installed on node {node.host}", f"install {name} {ours} there")
        if theirs != ours:
            raise ClusterError(
                f"{name} is {theirs} on node {node.host} and {ours} here", f"install {name} {ours} there"
            )


def quietly(ray: Any, references: Sequence[Any], seconds: float) -> None:
    """Wait for tasks whose results do not matter."""
    with contextlib.suppress(ray.exceptions.RayError):
        ray.wait(list(references), num_returns=len(references), timeout=seconds)
