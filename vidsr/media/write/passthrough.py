"""Everything of the source but its main video, carried into the output beside it.

It opens the source a second time with a demuxer of its own, so that neither the decoding nor the
encoding thread waits for the other and memory stays bounded. What happens to each stream is decided in
`plan`; how its packets change, in `lanes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream

from vidsr.damage import Damage, Kind
from vidsr.errors import StreamRefusedError
from vidsr.media.containers import COVER_TYPES, OutputFormat
from vidsr.media.read.demux import read_packets
from vidsr.media.read.seek import has_one_clock_until
from vidsr.media.read.source_info import SourceInfo, StreamInfo
from vidsr.media.timeline import Timeline
from vidsr.media.write.lanes import AudioLane, CopyLane, Lane, SubtitleLane
from vidsr.media.write.plan import Fate, StreamPlan, plan_streams, with_tags_of
from vidsr.media.write.tags import lost_dispositions, lost_stream_tags, lost_track_facts, stream_tags

INTERLEAVE_SECONDS = Fraction(10)
"""How far apart in the file packets of the same moment may lie; FFmpeg's muxers assume the same."""

SUBTITLE_LOOKBACK_SECONDS = Fraction(60)
"""How far before a cut subtitles are looked for that are still shown when it begins."""


class Passthrough:
    """The streams beside the video, on their way.

    notes: one line for people about each thing that is not kept as it is. damage: what could not be read
    on the way.
    """

    def __init__(
        self,
        source: SourceInfo,
        tagged: SourceInfo,
        output: OutputFormat,
        timeline: Timeline,
        *,
        audio: str = "all",
        subtitles: str = "all",
        strict: bool = False,
        is_file: bool = True,
    ) -> None:
        """Plans, and opens nothing yet. tagged: the source with the tags that belong to what is kept of it.
        is_file: whether the output is no pipe.

        Raises StreamRefusedError with `strict` where something would be converted or left out, UsageError
        for a language that no stream has.
        """
        self._source, self._output, self._timeline = source, output, timeline
        plans = plan_streams(source, output, audio=audio, subtitles=subtitles, cut=timeline.is_cut)
        self._plans = with_tags_of(tagged, plans)
        self.notes = [p.note for p in self._plans if p.note is not None]
        lost = [note for p in self._plans for note in _losses(source, p, output, is_file)]
        self.notes += lost
        changed = [p.note for p in self._plans if p.fate in (Fate.DROP, Fate.CONVERT) and p.note is not None]
        if strict and changed + lost:
            raise StreamRefusedError("; ".join(changed + lost), "name the output .mkv, or leave out --strict")
        self.damage: list[Damage] = []
        self._lanes: dict[int, Lane] = {}
        self._covers: list[Packet[Stream]] = []
        self._container: InputContainer | None = None
        self._packets: Iterator[Packet[Stream]] = iter(())
        self._held: Packet[Stream] | None = None
        self._flushed = False

    @property
    def carried(self) -> list[StreamInfo]:
        """The streams that become tracks of the output, in their order; attached files are none."""
        return [p.stream for p in self._plans if p.fate in (Fate.COPY, Fate.CONVERT)]

    @property
    def track_indices(self) -> list[int]:
        """Of the streams that `carried` became, in the output; known when all are added."""
        return [lane.target.index for lane in self._lanes.values()]

    def add_streams(self, out: OutputContainer, *, before_video: bool) -> None:
        """Add the output streams that lie before the source's video, or those behind it; then `start`."""
        if self._container is None:
            self._container = self._source.open()
        for decided in self._plans:
            if (decided.stream.index < self._source.video_index) == before_video:
                self._add(out, decided, self._container.streams[decided.stream.index])

    def _add(self, out: OutputContainer, decided: StreamPlan, stream: Stream) -> None:
        if decided.fate is Fate.DROP:
            return
        if decided.fate is Fate.COVER:
            self._add_cover(out, decided.stream)
            return
        if decided.fate is Fate.ATTACH:
            target: Stream = out.add_stream_from_template(stream)
        else:
            lane = self._lanes[stream.index] = self._lane(out, decided, stream)
            lane.on_damage = self._note_undecodable
            lane.on_step_back = self._note_step_back
            target = lane.target
        copied = decided.fate is not Fate.CONVERT
        target.metadata.update(stream_tags(decided.stream, self._output, copied=copied))
        target.disposition = stream.disposition

    def _lane(self, out: OutputContainer, decided: StreamPlan, stream: Stream) -> Lane:
        if decided.codec is not None and isinstance(stream, AudioStream):
            return AudioLane(stream, out, decided.codec, self._timeline)
        if decided.codec is not None and isinstance(stream, SubtitleStream):
            return SubtitleLane(stream, out, decided.codec, self._timeline)
        return CopyLane(stream, out, self._timeline, hides_sound=self._output.hides_sound)

    def _add_cover(self, out: OutputContainer, info: StreamInfo) -> None:
        """A picture: an attachment in Matroska, a stream of one packet elsewhere."""
        with self._source.open() as container:
            template = container.streams[info.index]
            packet = next((p for p in container.demux(template) if p.size), None)
            if packet is None:
                return
            if self._output.attachments:
                suffix, mime_type = COVER_TYPES[info.codec or ""]
                tags = dict(info.metadata)
                name = tags.get("filename", f"cover.{suffix}")
                out.add_attachment(name, tags.get("mimetype", mime_type), bytes(packet))
                return
            target = out.add_stream_from_template(template, opaque=True)
            target.disposition = Disposition.attached_pic
            packet.stream = target
            packet.pts = packet.dts = 0
            self._covers.append(packet)

    def start(self) -> list[Packet[Stream]]:
        """Go to the beginning of what is kept; gives the packets to mux at once (cover pictures)."""
        assert self._container is not None
        if self._timeline.start is not None:
            self._seek(self._container, self._timeline.start)
        for stream in self._container.streams:
            stream.discard = Discard.default if stream.index in self._lanes else Discard.all
        sources = [lane.source for lane in self._lanes.values()]
        self._packets = read_packets(self._container, sources, self._note_unreadable)
        return self._covers

    def _seek(self, container: InputContainer, start: Fraction) -> None:
        video = container.streams[self._source.video_index]
        target = start - SUBTITLE_LOOKBACK_SECONDS
        aim = int(target / self._source.time_base)
        if target <= self._source.start_time or not has_one_clock_until(self._source, video.index, aim):
            return
        with suppress(av.error.FFmpegError):  # then everything before is read and passed over
            container.seek(aim, stream=video)

    def packets_until(self, time: Fraction | None) -> Iterator[Packet[Stream]]:
        """The packets up to a moment on the source's clock (all the rest for None), for the muxer."""
        while True:
            packet = self._held or self._next()
            self._held = None
            if packet is None:
                break
            lane = self._lanes[packet.stream.index]
            moment = _moment(packet)
            if moment is None:
                self._note(packet.stream.index, None, f"{lane.source.type} without a time stamp, left out")
                continue
            if time is not None and moment > time:
                self._held = packet
                return
            yield from lane.forward(packet)
        if time is None and not self._flushed:
            self._flushed = True
            for lane in self._lanes.values():
                yield from lane.flush()

    def _next(self) -> Packet[Stream] | None:
        """The next packet that may matter; None at the end of what is kept."""
        packet = next(self._packets, None)
        if packet is None:
            return None
        end, moment = self._timeline.end, _moment(packet)
        if end is not None and moment is not None and moment > end + INTERLEAVE_SECONDS:
            self._packets = iter(())
            return None
        return packet

    def note_unmuxed(self, packet: Packet[Stream], why: str) -> None:
        """Put a packet from `packets_until` on record that the muxer could not read."""
        lane = next(lane for lane in self._lanes.values() if lane.target.index == packet.stream.index)
        stamp = None if packet.pts is None else packet.pts * packet.time_base + self._timeline.origin
        self._note(lane.source.index, stamp, why)

    def _note_undecodable(self, packet: Packet[Stream], why: str) -> None:
        stamp = None if packet.pts is None else packet.pts * packet.time_base
        self._note(packet.stream.index, stamp, why)

    def _note_step_back(self, packet: Packet[Stream], why: str) -> None:
        self._note(packet.stream.index, _moment(packet), why, "backward")

    def _note(self, index: int, time: Fraction | None, why: str, kind: Kind = "undecodable") -> None:
        """A run of the same trouble becomes one entry."""
        last = self.damage[-1] if self.damage else None
        if last is not None and (last.kind, last.stream, last.detail) == (kind, index, why):
            self.damage[-1] = replace(last, packets=last.packets + 1)
        else:
            self.damage.append(Damage(kind, index, None, time, 1, why))

    def _note_unreadable(self, why: str) -> None:
        self.damage.append(Damage("unreadable", self._source.video_index, None, None, 1, why))

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None


def _losses(source: SourceInfo, decided: StreamPlan, output: OutputFormat, is_file: bool) -> list[str]:
    """One line about each kind of thing that is said of a stream and that the container cannot hold."""
    stream = decided.stream
    if decided.fate not in (Fate.COPY, Fate.CONVERT):
        return []
    lost = {"tags": lost_stream_tags(source, stream, output), "marks": lost_dispositions(stream, output)}
    named = [
        f"{what} of {stream.type} {stream.index} left out, {output.label} cannot hold them: "
        + ", ".join(names)
        for what, names in lost.items()
        if names
    ]
    return named + lost_track_facts(stream, output, is_file=is_file)


def _moment(packet: Packet[Stream]) -> Fraction | None:
    stamp = packet.dts if packet.dts is not None else packet.pts
    return None if stamp is None else stamp * packet.time_base
