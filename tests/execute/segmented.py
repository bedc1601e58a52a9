"""Jobs in segments, jobs in one go, and crashes on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.straight import run_job
from vidsr import durable
from vidsr.execute.resumable import run_resumable
from vidsr.frames import Frame
from vidsr.infer.upscaler import PendingFrames, Upscaler
from vidsr.job import EncoderRequest, Job, Receipt, Resume, SegmentReceipt
from vidsr.media.read.scenes import SegmentLength
from vidsr.progress.events import Show
from vidsr.segments.workspace import Workspace

LOSSLESS = EncoderRequest("ffv1")


class Crash(BaseException):
    """Ends the run as a power cut would: nothing in vidsr knows it."""


def run_in_segments(
    source: Path,
    output: Path,
    weights: Path,
    *,
    segment: int = 10,
    resume: Resume = "auto",
    show: Show = lambda _: None,
    **more: Any,
) -> Receipt:
    # a frame at a time: of a batch that fails none is finished
    wishes: dict[str, Any] = {"precision": "fp32", "encoder": LOSSLESS, "batch": 1} | more
    job = Job(source, output, weights=weights, **wishes)
    return run_resumable(job, show=show, resume=resume, length=SegmentLength(segment, segment))


def in_one_go(source: Path, output: Path, weights: Path, **more: Any) -> Path:
    wishes: dict[str, Any] = {"precision": "fp32", "encoder": LOSSLESS} | more
    run_job(Job(source, output, weights=weights, **wishes), show=lambda _: None)
    return output


@contextmanager
def crash_after(segments: int) -> Iterator[None]:
    """A crash right behind the line about the n-th segment."""
    original = Workspace.add
    added: list[SegmentReceipt] = []

    def add(workspace: Workspace, receipt: SegmentReceipt) -> None:
        original(workspace, receipt)
        added.append(receipt)
        if len(added) == segments:
            raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "add", add)
        with pytest.raises(Crash):
            yield


@contextmanager
def counting() -> Iterator[list[int]]:
    """The indices of all frames that are computed."""
    original = Upscaler.submit
    computed: list[int] = []

    def submit(upscaler: Upscaler, batch: Sequence[Frame]) -> PendingFrames:
        computed.extend(frame.index for frame in batch)
        return original(upscaler, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Upscaler, "submit", submit)
        yield computed


@contextmanager
def at_frame(index: int, do: Callable[[], object]) -> Iterator[None]:
    """Something happens when the network gets that frame."""
    original = Upscaler.submit

    def submit(upscaler: Upscaler, batch: Sequence[Frame]) -> PendingFrames:
        if any(frame.index == index for frame in batch):
            do()
        return original(upscaler, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Upscaler, "submit", submit)
        yield


@contextmanager
def failing_at(index: int, failure: BaseException) -> Iterator[None]:
    """The network fails at a frame."""

    def fail() -> None:
        raise failure

    with at_frame(index, fail):
        yield


@contextmanager
def folders_that_do_not_sync(where: Callable[[int], bool]) -> Iterator[None]:
    """A disk that answers EIO when some folder is to be synced. where: is given its descriptor."""
    original = durable.sync_descriptor

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and where(descriptor):
            raise OSError(errno.EIO, "Input/output error")
        original(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "_synced_on", set())
        patch.setattr(durable, "_unsure_on", set())
        patch.setattr(durable, "sync_descriptor", sync)
        yield
