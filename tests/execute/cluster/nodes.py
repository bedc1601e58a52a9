"""Real Ray nodes on this machine, begun and killed as programs of their own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.paths import REPOSITORY

STORE_BYTES = 80 * 2**20
PATIENCE_SECONDS = 90


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that computes. raylet: the process that is its node. is_head: whether that is the head."""

    process: int
    raylet: int
    is_head: bool


@dataclass
class RayNodes:
    """A cluster. address: of its head."""

    address: str
    folder: Path
    processes: list[subprocess.Popen[bytes]]

    def add(self, *, cpus: int = 1, hidden: Path | None = None) -> None:
        """Another node. hidden: a folder that it does not share: empty for it."""
        self._begin(["--address", self.address], cpus, hidden)
        self._wait_for_nodes(len(self.processes))

    def _begin(self, words: list[str], cpus: int, hidden: Path | None) -> None:
        ray = Path(sysconfig.get_path("scripts")) / "ray"
        start = [str(ray), "start", *words, f"--num-cpus={cpus}", f"--object-store-memory={STORE_BYTES}"]
        command = [*start, "--block", "--disable-usage-stats"] if "--head" in words else [*start, "--block"]
        if hidden is not None:
            script = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", script, str(hidden), *command]
        log = (self.folder / f"node{len(self.processes)}.log").open("wb")
        with log:
            self.processes.append(
                subprocess.Popen(
                    command, stdout=log, stderr=log, start_new_session=True, env=environment(), cwd=REPOSITORY
                )
            )

    def _wait_for_nodes(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        ask = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR');"
        ask += "print(sum(node['Alive'] for node in ray.nodes()))"
        while True:
            said = subprocess.run(
                [sys.executable, "-c", ask, self.address],
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            if said.stdout.strip() == str(count):
                return
            logs = "".join(path.read_text() for path in self.folder.glob("node*.log"))
            assert time.monotonic() < deadline, f"{said.stdout}{said.stderr}{logs}"

    def at_work(self) -> set[Worker]:
        """Processes that compute a segment at this moment."""
        found = set()
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if not (entry / "cmdline").read_bytes().startswith(b"ray::run_segment"):
                    continue
                raylet = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                words = Path(f"/proc/{raylet}/cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if str(self.folder).encode() in words:
                found.add(Worker(int(entry.name), raylet, b"--head" in words))
        return found


def environment() -> dict[str, str]:
    """No telemetry, no token in the user's home, nothing of another cluster."""
    ray = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": ""}
    return os.environ | ray | {"PYTHONPATH": str(REPOSITORY)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ray_head(*, cpus: int, gpus: int = 0) -> Iterator[RayNodes]:
    """A cluster of one node. gpus: so many it claims to have."""
    folder = Path(tempfile.mkdtemp(prefix="vr", dir="/tmp"))  # Ray's sockets lie in it: a short name
    nodes = RayNodes("", folder, [])
    try:
        words = ["--head", f"--port={free_port()}", f"--temp-dir={folder}", "--include-dashboard=false"]
        words += [f"--num-gpus={gpus}"]
        nodes._begin(words, cpus, None)
        nodes.address = _announced_address(folder / "node0.log", nodes.processes[0])
        nodes._wait_for_nodes(1)
        yield nodes
    finally:
        for process in reversed(nodes.processes):
            _end(process)
        shutil.rmtree(folder, ignore_errors=True)


def _announced_address(log: Path, head: subprocess.Popen[bytes]) -> str:
    """What the head says that others are to join it by."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and head.poll() is None:
        if (said := re.search(r"--address='(\S+:\d+)'", log.read_text())) is not None:
            return said[1]
        time.sleep(0.1)
    raise TimeoutError(f"the head of the cluster does not begin: {log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a node, and what is left of it."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
