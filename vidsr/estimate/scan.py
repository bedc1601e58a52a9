"""What the packets of a source tell: exactly how many frames it has, and the bytes of everything beside them.

It reads every packet once and decodes nothing, unless time stamps are missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from av.stream import AttachmentStream

from vidsr.job import Segment
from vidsr.media.clock import WITHOUT_PRESENTATION_TIMES
from vidsr.media.read.demux import main_video_stream, read_packets, reading
from vidsr.media.read.locate import presentation_times
from vidsr.media.read.source_info import SourceInfo

PACKET_OVERHEAD_BYTES = 8
"""Headers and index for each packet: Matroska writes 7 to 10 bytes, MP4 8 to 20."""


@dataclass(frozen=True, slots=True)
class SourceLog:
    """stamps: pts of the wanted frames, increasing. beside: bytes in the wanted time of every other stream,
    by its index. packets: how many those are.
    """

    stamps: Sequence[int]
    beside: Mapping[int, int]
    packets: Mapping[int, int]

    def bytes_beside(self, kept: Collection[int]) -> int:
        """What some of the other streams take in a file, with its headers."""
        content = sum(size for index, size in self.beside.items() if index in kept)
        count = sum(number for index, number in self.packets.items() if index in kept)
        return content + PACKET_OVERHEAD_BYTES * (count + len(self.stamps))


def scan(info: SourceInfo, segment: Segment) -> SourceLog:
    """Read all packets of a source; segment: the part that is wanted.

    Raises SourceError if the file cannot be read.
    """
    timeline = info.timeline(segment)
    stamps: list[int] = []
    beside: dict[int, int] = {}
    packets: dict[int, int] = {}
    with reading(info.path, "read its packets"), info.open() as container:
        stream = main_video_stream(container, info.path)
        is_clear = container.format.name not in WITHOUT_PRESENTATION_TIMES
        for other in container.streams:
            if isinstance(other, AttachmentStream):
                beside[other.index] = len(other.data or b"")
        read = [s for s in container.streams if not isinstance(s, AttachmentStream)]
        for packet in read_packets(container, read, lambda _: None):
            if packet.stream_index == stream.index:
                if packet.pts is None:
                    is_clear = False
                elif not packet.is_discard and packet.pts in segment:
                    stamps.append(packet.pts)
                continue
            base = packet.stream.time_base
            if packet.pts is None or base is None or timeline.contains(packet.pts * base):
                beside[packet.stream_index] = beside.get(packet.stream_index, 0) + packet.size
                packets[packet.stream_index] = packets.get(packet.stream_index, 0) + 1
    if not is_clear:
        stamps = [pts for pts in presentation_times(info) if pts in segment]
    return SourceLog(sorted(stamps), beside, packets)
