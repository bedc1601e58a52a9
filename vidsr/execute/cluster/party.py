"""A job's stretches as tasks on a Ray cluster: handed over all at once, received as they are finished.

Where a task runs, and that it runs again when its node or process dies, is Ray's business. This process
alone keeps the journal. The main thread never waits inside Ray, so that signals are heard at once.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self

from vidsr import __version__
from vidsr.durable import write_whole, writing
from vidsr.errors import ClusterError, DamagedSegmentError, VidsrError
from vidsr.execute.cluster.board import Board
from vidsr.execute.cluster.connect import ASK_SECONDS, Node, alive_nodes, connected, pinned, quietly, survey
from vidsr.execute.cluster.files import NeededFile, remove_folders
from vidsr.execute.cluster.orders import Answer, Order, Piece
from vidsr.execute.cluster.sizing import Demand, demand
from vidsr.execute.crew import SAVING_SECONDS
from vidsr.execute.filling import Filling, is_interrupt
from vidsr.execute.leases import MAX_DEATHS, Task
from vidsr.execute.messages import Failed, Progress
from vidsr.execute.prepare import Prepared, Show
from vidsr.execute.together import divided, working_together
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.key_index import KeyIndex
from vidsr.media.packet_file import checked_digest
from vidsr.pipeline import TICK_SECONDS
from vidsr.progress.events import Note, Stopping, Working
from vidsr.segments.workspace import UNFINISHED_SUFFIX, Workspace

RETRIES = 3
"""How often Ray begins a task again whose process or node has died: its own default."""

LOOK_SECONDS = 2.0
"""Between two looks at which nodes there are."""

PATIENCE_SECONDS = 120.0
"""How long a cluster may be without any node that could compute: long enough for one to be started again."""


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
        nodes = alive_nodes(self.ray)
        self.demand = demand([node.resources for node in nodes], job.device)
        self.nodes = {node.name: node for node in nodes if self.demand.fits(node.resources)}
        files = [source] if weights is None else [source, weights]
        sights = survey(self.ray, list(self.nodes.values()), files)
        self.order = Order(
            token=secrets.token_hex(6),
            version=__version__,
            job=replace(job, output=job.output.absolute(), ray=None),
            kind=self.demand.kind,
            source=source,
            weights=weights,
            network=self.prepared.loaded.digest,
        )
        self.given_up: set[str] = set()
        self.show(Note(_cluster_words(self.demand, list(self.nodes.values()))))
        if not all(sight.sees for sight in sights):
            hosts = sorted({sight.node.host for sight in sights if not sight.sees})
            self.send_files(f"not all files of the job are there on {', '.join(hosts)}")
        self._open.callback(self._sweep)
        board = self.ray.remote(Board)
        here = self.ray.get_runtime_context().get_node_id()
        self.board = pinned(board, Node(here, "", {})).remote()
        self._words = self._introduced().engine
        self.order = replace(self.order, board=self.board, engine=self._words)

    def send_files(self, why: str) -> None:
        """Put the job's files into the object store, for nodes that do not see them."""
        order = self.order
        if order.source.parts is not None:
            return
        self.show(Note(f"{why}: they are sent through Ray"))

        def sent(file: NeededFile) -> NeededFile:
            return replace(file, parts=tuple(self.ray.put(part) for part in file.contents()))

        self.order = replace(
            order,
            source=sent(order.source),
            weights=None if order.weights is None else sent(order.weights),
        )

    def _introduced(self) -> Answer:
        """What the first worker says that is ready. Raises its error, ClusterError if there is none."""
        future = self.task(self.on_node.introduce).remote(self.order).future()
        while not future.done():
            wait([future], timeout=ASK_SECONDS)
            if not future.done():
                self.show(Note("waiting for a free place on the Ray cluster"))
        answer = self.answer_of(future)
        if answer is None:
            raise ClusterError("the first worker on the Ray cluster died before it had begun")
        if answer.failure is not None:
            raise answer.failure.error(f"on node {answer.host}")
        return answer

    def task(self, function: Any) -> Any:
        """A function as a task with all it asks for. It keeps its process, and the network in it."""
        options: dict[str, Any] = {
            "num_cpus": self.demand.cpus,
            "num_gpus": self.demand.gpus,
            "max_retries": RETRIES,
            "max_calls": 0,
        }
        if self.given_up:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(self.given_up))})"}
        return self.ray.remote(**options)(function)

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
            work = _Work(self, order, filling)
            try:
                for task in tasks:
                    work.submit(task)
                while work.under_way:
                    work.receive()
                    filling.stop.raise_reason()
                    work.look_around()
                    filling.show(work.state())
            except BaseException as error:
                work.save(error)
                raise
            return work.state().bottleneck

    def answer_of(self, future: Future[Any]) -> Answer | None:
        """None if Ray gave up: too many processes or nodes have died of it.

        An error nobody foresaw counts as one of the machine's.
        """
        try:
            answer: Answer = future.result()
        except self.ray.exceptions.RayTaskError as error:
            cause = error.cause
            name = type(cause).__name__
            return Answer("a node", "", failure=Failed(name, f"{name}: {cause}", None, is_local=True))
        except self.ray.exceptions.RayError:
            return None
        return answer


@dataclass
class _Work:
    """One filling under way."""

    party: RayCluster
    order: Order
    filling: Filling
    under_way: dict[Future[Any], Task] = field(default_factory=dict)
    _failures: dict[Segment, int] = field(default_factory=dict)
    _reports: dict[int, Progress] = field(default_factory=dict)
    _asked: Future[Any] | None = None
    _begun: float = field(default_factory=time.perf_counter)
    _last_look: float = field(default_factory=time.monotonic)
    _alone_since: float | None = None

    def submit(self, task: Task) -> None:
        reference = self.party.task(self.party.on_node.run_segment).remote(self.order, task.stretch)
        self.under_way[reference.future()] = task

    def receive(self) -> None:
        """Wait a moment for whatever is finished next, and put it on record."""
        done, _ = wait(self.under_way, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            task = self.under_way.pop(future)
            self.party.board.leave.remote(task.stretch.first_index)
            answer = self.party.answer_of(future)
            if answer is None:
                raise ClusterError(
                    f"the segment at frame {task.stretch.first_index} was the end of {RETRIES + 1} workers",
                    "run it on this machine to see why: leave --ray out",
                )
            self._handle(task, answer)

    def _handle(self, task: Task, answer: Answer) -> None:
        if answer.lacks_files:
            self.party.send_files(f"the job's files are not there on {answer.host}")
            sent = self.party.order
            self.order = replace(self.order, source=sent.source, weights=sent.weights)
            self.submit(task)
        elif answer.failure is not None:
            self._failed(task, answer, answer.failure)
        else:
            for piece in answer.pieces:
                self.filling.keep(self._stored(piece))

    def _failed(self, task: Task, answer: Answer, failure: Failed) -> None:
        """Try elsewhere what only this machine may have failed in."""
        segment = task.stretch.segment
        self._failures[segment] = self._failures.get(segment, 0) + 1
        given_up = {*self.party.given_up, answer.node} - {""}
        others = [name for name in self.party.nodes if name not in given_up]
        if not failure.is_local or not others or self._failures[segment] >= MAX_DEATHS:
            for piece in answer.pieces:
                self.filling.keep_if_new(self._stored(piece))
            raise failure.error(f"on node {answer.host}")
        if given_up != self.party.given_up:
            self.filling.show(Note(f"node {answer.host} is given up: {failure.message}"))
            self.party.given_up = given_up
        for piece in answer.pieces:
            if piece.content is None:
                self.filling.discard(piece.receipt)
        self.submit(task)

    def _stored(self, piece: Piece) -> SegmentReceipt:
        """Put a segment's file where it belongs, if it is not there. Raises DamagedSegmentError."""
        receipt = piece.receipt
        if receipt.file:
            path = self.filling.workspace.path(receipt)
            if piece.content is not None:
                write_whole(path, piece.content, "write a segment")
            if checked_digest(path) != receipt.sha256:
                raise DamagedSegmentError(f"segment {path} arrived damaged")
        return receipt

    def look_around(self) -> None:
        """Ask the board how far everybody is, and now and then which nodes there are."""
        if self._asked is None:
            self._asked = self.party.board.under_way.remote().future()
        elif self._asked.done():
            with contextlib.suppress(self.party.ray.exceptions.RayError):
                reports = self._asked.result().items()
                self._reports = {stretch: Progress(*told) for stretch, told in reports if told is not None}
            self._asked = None
        if time.monotonic() - self._last_look >= LOOK_SECONDS:
            self._last_look = time.monotonic()
            self._notice_nodes()

    def _notice_nodes(self) -> None:
        fitting = [n for n in alive_nodes(self.party.ray) if self.party.demand.fits(n.resources)]
        now, before = {node.name: node for node in fitting}, self.party.nodes
        for name in before.keys() - now.keys():
            self.filling.show(
                Note(f"node {before[name].host} has left the cluster; Ray gives its work to others")
            )
        for name in now.keys() - before.keys():
            self.filling.show(Note(f"node {now[name].host} has joined the cluster"))
        self.party.nodes = now
        if now.keys() - self.party.given_up:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
            self.filling.show(
                Note(f"no node is left that can compute; waiting up to {PATIENCE_SECONDS:.0f} s for one")
            )
        elif time.monotonic() - self._alone_since > PATIENCE_SECONDS:
            raise ClusterError("no node of the Ray cluster is left that can compute", "add one: ray start")

    def save(self, error: BaseException) -> None:
        """Let every worker finish the segment it is in where it stands, and keep what comes."""
        if is_interrupt(error):
            self.filling.show(Stopping("saving what is finished; Ctrl+C once more stops at once"))
        deadline = time.monotonic() + SAVING_SECONDS
        try:
            busy = set(self.party.board.stop.remote().future().result(timeout=SAVING_SECONDS))
        except (self.party.ray.exceptions.RayError, TimeoutError):
            return  # the cluster is gone
        waited = {f: t for f, t in self.under_way.items() if f.done() or t.stretch.first_index in busy}
        while waited and time.monotonic() < deadline:
            done, _ = wait(waited, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                del waited[future]
                answer = self.party.answer_of(future)
                for piece in () if answer is None else answer.pieces:
                    with contextlib.suppress(VidsrError):  # the first error counts
                        self.filling.keep_if_new(self._stored(piece))

    def state(self) -> Working:
        open_stretches = {task.stretch.first_index for task in self.under_way.values()}
        reports = [report for stretch, report in self._reports.items() if stretch in open_stretches]
        frames = self.filling.frames + sum(report.frames_written for report in reports)
        return working_together(reports, frames, time.perf_counter() - self._begun)


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


def _cluster_words(wanted: Demand, nodes: Sequence[Node]) -> str:
    places = sum(wanted.places(node.resources) for node in nodes)
    what = "a GPU" if wanted.gpus else "1 core" if wanted.cpus == 1 else f"{wanted.cpus} cores"
    count = "1 node" if len(nodes) == 1 else f"{len(nodes)} nodes"
    workers = "1 worker" if places == 1 else f"up to {places} workers"
    return f"Ray cluster of {count}: {workers} with {what} each"
