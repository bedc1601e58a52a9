"""Everything of the source but its main video: copied packet by packet, cut and shifted with it.

It opens the source a second time with a demuxer of its own, so that neither the decoding nor the
encoding thread waits for the other and memory stays bounded. What the output's container cannot hold
is converted or left out, and said in `notes`, before work begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av.error
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from vidsr.errors import StreamRefusedError
from vidsr.media.containers import OutputFormat
from vidsr.media.demux import open_source, reading
from vidsr.media.probe import SourceInfo, StreamInfo
from vidsr.media.timeline import Timeline

INTERLEAVE_SECONDS = Fraction(10)
"""How far apart in the file packets of the same moment may lie; FFmpeg's muxers assume the same."""


@dataclass(slots=True)
class _Lane:
    """One stream on its way from the source to the output."""

    source: Stream
    target: Stream
    offset: int
    time_base: Fraction


class Passthrough:
    """The streams beside the video.

    audio, subtitles: "all", "none", "first", or a language ("eng").
    """

    def __init__(
        self,
        source: SourceInfo,
        output: OutputFormat,
        timeline: Timeline,
        *,
        audio: str = "all",
        subtitles: str = "all",
        strict: bool = False,
    ) -> None:
        self.notes: list[str] = []
        self._source, self._output, self._timeline = source, output, timeline
        self._strict = strict
        self._kept = _selected(source, "audio", audio) | _selected(source, "subtitle", subtitles)
        self._lanes: dict[int, _Lane] = {}
        self._container: InputContainer | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._held: Packet[Stream] | None = None

    def add_streams(self, out: OutputContainer) -> None:
        """Add a stream to the output for each one that is kept.

        Raises StreamRefusedError with `strict` if one cannot be held.
        """
        self._container = open_source(self._source.path)
        for info in self._source.streams:
            stream = self._container.streams[info.index]
            stream.discard = Discard.all
            if info.index == self._source.video_index:
                continue
            if info.index in self._kept:
                self._add(out, info, stream)
        with reading(self._source.path, "read its other streams"):
            if self._timeline.start is not None:
                self._container.seek(int(self._timeline.start * 1_000_000))
        self._packets = self._container.demux(*[lane.source for lane in self._lanes.values()])

    def _add(self, out: OutputContainer, info: StreamInfo, stream: Stream) -> None:
        holds = self._output.holds_audio if info.type == "audio" else self._output.holds_subtitle
        if info.codec is None or not holds(info.codec):
            self._refuse(info)
            return
        target = out.add_stream_from_template(stream)
        target.metadata.update(stream.metadata)
        target.disposition = stream.disposition
        stream.discard = Discard.default
        time_base = stream.time_base or Fraction(1, 1000)
        self._lanes[info.index] = _Lane(stream, target, self._timeline.pts_offset(time_base), time_base)

    def _refuse(self, info: StreamInfo) -> None:
        line = (
            f"{info.type} stream {info.index} ({info.codec}) is left out: {self._output.label} cannot hold it"
        )
        if self._strict:
            raise StreamRefusedError(line, "name the output .mkv, which holds everything")
        self.notes.append(line)

    def packets_until(self, time: Fraction | None) -> Iterator[Packet[Stream]]:
        """The packets up to a moment of the source (all the rest for None), ready for the muxer."""
        while True:
            packet = self._held or self._next()
            self._held = None
            if packet is None:
                return
            lane = self._lanes[packet.stream.index]
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is None:
                continue
            moment = stamp * lane.time_base
            if time is not None and moment > time:
                self._held = packet
                return
            if not self._timeline.begins_before(moment):
                continue
            if not self._timeline.ends_after(moment):
                continue
            yield self._forward(packet, lane)

    def _next(self) -> Packet[Stream] | None:
        with reading(self._source.path, "read its other streams"):
            for packet in self._packets:
                if packet.size:
                    return packet
        return None

    def _forward(self, packet: Packet[Stream], lane: _Lane) -> Packet[Stream]:
        if packet.pts is not None:
            packet.pts -= lane.offset
        if packet.dts is not None:
            packet.dts -= lane.offset
        packet.stream = lane.target
        return packet

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


def _selected(source: SourceInfo, kind: str, which: str) -> set[int]:
    """Indices of the streams of a kind that were asked for."""
    streams = [s for s in source.streams if s.type == kind]
    if which == "none":
        return set()
    if which == "first":
        streams = streams[:1]
    elif which != "all":
        streams = [s for s in streams if s.language == which]
    return {s.index for s in streams}


_ = av.error
