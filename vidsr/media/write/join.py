"""Finished segments put together: their packets, in order and unchanged, into one stream of a Writer.

Time stamps of presentation stay as they are. Those of decoding are made anew, because each encoder counted
them for itself: packet i gets the i-th smallest pts, moved back by the deepest reordering of any segment.
It knows packets, never frames.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from av.packet import Packet

from vidsr.channel import StopSignal
from vidsr.errors import JobError
from vidsr.media.write.packet_file import PacketFileReader
from vidsr.media.write.writer import Writer


def join(
    writer: Writer,
    files: Sequence[Path],
    *,
    reorder: int,
    stop: StopSignal,
    on_file: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the packets of all files, in the order given, and leave the writer to be finished.

    reorder: the largest of all segments. stop: asked between packets. on_file: told how many files are done.

    Raises DamagedSegmentError, JobError if a file was made by another build of the encoder, NoSpaceError,
    OutputError, and what `stop` was set for.
    """
    for packet in with_dts(_packets(files, writer, on_file), reorder):
        stop.raise_reason()
        writer.write_packet(packet)


def _packets(files: Iterable[Path], writer: Writer, on_file: Callable[[int], None]) -> Iterator[Packet[Any]]:
    for done, path in enumerate(files):
        on_file(done)
        with PacketFileReader(path) as reader:
            if reader.head.extradata != writer.stream_header:
                raise JobError(
                    f"{path} was written by another build of {reader.head.encoder}: its stream header differs"
                )
            yield from reader.packets()


def with_dts(packets: Iterable[Packet[Any]], reorder: int) -> Iterator[Packet[Any]]:
    """Give packets in decoding order their dts.

    They are the sorted pts, `reorder` places late: so none is behind its packet's pts, and they increase as
    the pts do. The first `reorder` of them lie before the first pts, spaced like the first frames, as the
    encoders do it themselves.
    """
    packets = iter(packets)
    # the first reorder + 1 frames to be shown are among the first 2 * reorder + 1 packets
    waiting = deque(islice(packets, 2 * reorder + 1))
    unused = sorted(_pts(packet) for packet in waiting)  # pts not given out as dts yet: a heap
    late = min(reorder, max(len(waiting) - 1, 0))
    early = [pts - unused[late] + unused[0] for pts in unused[:late]]
    for dts in early:
        packet = waiting.popleft()
        packet.dts = dts
        yield packet
    while waiting:
        for packet in islice(packets, 1):
            waiting.append(packet)
            heapq.heappush(unused, _pts(packet))
        packet = waiting.popleft()
        packet.dts = heapq.heappop(unused)
        yield packet


def _pts(packet: Packet[Any]) -> int:
    assert packet.pts is not None
    return packet.pts
