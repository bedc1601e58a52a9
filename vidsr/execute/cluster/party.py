"""A Ray cluster as a Party: joined, asked what it has, told of the job, and cleared up at the end.

It owns the connection and the order; which nodes there are is the roster's to know, and what has become of
each stretch the work's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from vidsr import __version__
from vidsr.channel import StopSignal
from vidsr.durable import writing
from vidsr.errors import ClusterError
from vidsr.execute.cluster.board import Board
from vidsr.execute.cluster.connect import ASK_SECONDS, Node, alive_nodes, connected, pinned, quietly, survey
from vidsr.execute.cluster.files import NeededFile, remove_folders
from vidsr.execute.cluster.orders import Answer, Order
from vidsr.execute.cluster.roster import Roster
from vidsr.execute.cluster.work import Work, answer_of, carrying
from vidsr.execute.crew import SAVING_SECONDS
from vidsr.execute.filling import Filling
from vidsr.execute.prepare import Prepared
from vidsr.execute.together import divided
from vidsr.job import Segment
from vidsr.media.read.key_index import KeyIndex
from vidsr.pipeline import TICK_SECONDS
from vidsr.progress.events import Note, Show
from vidsr.segments.contents import UNFINISHED_SUFFIX
from vidsr.segments.workspace import Workspace


@dataclass
class RayCluster:
    """The workers of a job on a cluster, from `with` to its end.

    address: as `connected` takes it. index: of the source's frames. leased_frames: how many of them at
    least a stretch has.
    """

    prepared: Prepared
    address: str
    index: KeyIndex
    leased_frames: int
    show: Show
    stop: StopSignal
    engine: None = None
    _words: str = ""
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def words(self) -> list[str]:
        """What computes the network, the same on all nodes."""
        return [self._words]

    def _start(self) -> None:
        """Join the cluster, see what its nodes have, and load the network on one of them."""
        job = self.prepared.job
        source = NeededFile.of(job.source)
        weights = None if job.weights is None else NeededFile.of(job.weights)
        self.ray = self._open.enter_context(connected(self.address))
        from vidsr.execute.cluster import node  # noqa: PLC0415 (it imports Ray, which may not be there)

        self.on_node = node
        self.roster = Roster.of(self.ray, job.device, self.show)
        files = [source] if weights is None else [source, weights]
        sights = survey(self.ray, list(self.roster.nodes.values()), files)
        self.order = Order(
            token=secrets.token_hex(6),
            version=__version__,
            job=replace(job, output=job.output.absolute(), ray=None),
            kind=self.roster.demand.kind,
            source=source,
            weights=weights,
            network=self.prepared.loaded.digest,
        )
        self.show(Note(self.roster.words))
        if not all(sight.sees for sight in sights):
            hosts = sorted({sight.node.host for sight in sights if not sight.sees})
            why = f"not all files of the job are there on {', '.join(hosts)}"
            self.order = carrying(self.order, self.ray, why, self.show)
        self._open.callback(self._sweep)
        here = Node(self.ray.get_runtime_context().get_node_id(), "", {})
        board = pinned(self.ray.remote(Board), here).remote()
        self._words = self._introduced().engine
        self.order = replace(self.order, board=board, engine=self._words)

    def _introduced(self) -> Answer:
        """What the first worker says that is ready.

        Raises its error, ClusterError if there is none, and what the run was stopped for.
        """
        future = self.roster.task(self.on_node.introduce).remote(self.order).future()
        said = time.monotonic()
        while not future.done():
            wait([future], timeout=TICK_SECONDS)
            self.stop.raise_reason()
            if not future.done() and time.monotonic() - said >= ASK_SECONDS:
                said = time.monotonic()
                self.show(Note("waiting for a free place on the Ray cluster"))
        answer = answer_of(future, self.ray)
        if answer is None:
            raise ClusterError("the first worker on the Ray cluster died before it had begun")
        if answer.failure is not None:
            raise answer.failure.error(f"on node {answer.host}")
        return answer

    def _sweep(self) -> None:
        """Remove what workers have left on nodes that do not see the job's folder."""
        task = self.ray.remote(remove_folders)
        asked = [pinned(task, node).remote(self.order.token) for node in alive_nodes(self.ray)]
        quietly(self.ray, asked, SAVING_SECONDS)

    def fill(self, filling: Filling, gaps: Sequence[Segment]) -> str:
        """See Party."""
        tasks = divided(self.index, filling, gaps, self.leased_frames)
        with _beacon(filling.workspace) as beacon:
            order = replace(self.order, digest=filling.digest, beacon=beacon)
            return Work(self.ray, self.roster, self.on_node.run_segment, order, filling).complete(tasks)


@contextmanager
def _beacon(workspace: Workspace) -> Iterator[str]:
    """A file in the job's folder, by whose name a worker knows that it sees the folder."""
    path = workspace.folder / f"{secrets.token_hex(4)}{UNFINISHED_SUFFIX}"
    with writing(path, "write to the folder of the job"):
        path.touch()
    try:
        yield path.name
    finally:
        path.unlink(missing_ok=True)
