"""Computes segments of one job on one device, in whatever process or machine it is.

The network is loaded once and used for every segment after. It knows Segments and SegmentReceipts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from vidsr.channel import StopSignal
from vidsr.execute.flow import open_run, save_segment
from vidsr.execute.prepare import open_engine, prepare
from vidsr.job import Job, SegmentReceipt
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.write.segment_writer import SegmentWriter
from vidsr.pipeline import Snapshot


class SegmentWorker:
    """One job's network on one device.

    words: what computes it, for people. network: digest of its weights.
    """

    def __init__(self, job: Job, device: str, stop: StopSignal) -> None:
        """stop: ends whatever the worker is doing, for good. Raises a VidsrError if it cannot work here."""
        self._stop = stop
        self._prepared = prepare(replace(job, device=device), lambda _: None)
        self._engine = open_engine(self._prepared, self._prepared.devices[0], stop)
        self.words = self._engine.words
        self.network = self._prepared.loaded.digest

    def run(
        self,
        stretches: Iterable[Stretch],
        *,
        digest: str,
        new_file: Callable[[int | None], Path],
        on_finished: Callable[[SegmentReceipt], None],
        on_tick: Callable[[Snapshot], None] = lambda _: None,
        length: SegmentLength | None = None,
    ) -> Snapshot:
        """Compute stretch after stretch, each as one segment, through one pipeline that never runs empty.

        stretches: asked for the next one, in the decoding thread, when the last one has been read. digest:
        of the job, for the files. new_file, on_finished: see SegmentWriter. length: cut stretches further.

        Whatever ends it, the segment in which it ends is finished first where the trouble is not in writing
        it. Raises the trouble, or what on_tick raises.
        """
        source = self._prepared.open_source(stretches, length=length, stop=self._stop)
        coding = self._prepared.segment_coding(digest)
        sink = SegmentWriter(coding, source, new_file=new_file, on_finished=on_finished)
        run = open_run(self._prepared, self._engine, source, sink, self._stop)
        try:
            run.start()
            return run.join(on_tick)
        except BaseException as error:
            save_segment(sink, run, error)
            raise
