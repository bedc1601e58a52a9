"""What the process that began a job and the workers of a cluster send each other. Plain records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vidsr.execute.cluster.files import NeededFile
from vidsr.execute.cluster.sizing import Kind
from vidsr.execute.messages import Failed
from vidsr.job import Job, SegmentReceipt


@dataclass(frozen=True, slots=True)
class Order:
    """All that a worker needs to know of a job.

    token: of this run. version: of vidsr. job: with absolute paths, as one of the worker's own machine.
    network: digest of the weights. engine: words for what is to compute it, "" = whatever is best. digest:
    of the job, for its segments. beacon: a file in the job's folder by which workers know that they see it.
    board: the Board.
    """

    token: str
    version: str
    job: Job
    kind: Kind
    source: NeededFile
    weights: NeededFile | None
    network: str
    engine: str = ""
    digest: str = ""
    beacon: str = ""
    board: Any = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A finished segment. content: of its file; None if it lies in the job's folder already."""

    receipt: SegmentReceipt
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an order. host, node: the machine, by its name and Ray's.

    engine: words for what computes the network there. pieces: finished segments; after a stop the last one
    ends early. failure: why it could not be done. lacks_files: the job's files must be carried there first.
    """

    host: str
    node: str
    engine: str = ""
    pieces: tuple[Piece, ...] = ()
    failure: Failed | None = None
    lacks_files: bool = False
