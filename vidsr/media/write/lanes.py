"""How packets of one stream get from the source's clock and coding to the output's.

A lane takes a source's packets in order and gives packets for the muxer: copied, or decoded and encoded
again where the container cannot hold the coding. It knows one stream, never files or other streams.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import cast

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.format import Flags
from av.packet import Packet
from av.rational import AVRational
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from vidsr.media.clock import PacketClock
from vidsr.media.read.demux import reason
from vidsr.media.timeline import HIDDEN_LEAD_SECONDS, Timeline
from vidsr.media.write.ass import Line, Succession, is_drawing, joined

MILLISECOND = Fraction(1, 1000)

BITS_PER_CHANNEL = 96_000
"""FFmpeg's AAC encoder is transparent for most listeners from about 160 kbit/s in stereo on."""

MAX_AUDIO_DRIFT_SECONDS = Fraction(20, 1000)
"""A time stamp this far from the count of samples is a gap, not rounding (Matroska rounds to 1 ms). It is
less than one AAC frame of 1024 samples at 48 kHz."""


RESAMPLED_SAMPLES = 1024
"""In a frame between decoder and encoder; any number will do."""


class Lane(ABC):
    """source: where its packets come from. target: the output's stream they go to.

    on_damage: called with a packet that could not be decoded, and why. on_step_back: called with a packet of
    sound, not yet changed, that the source's clock sets before the one before it by more than it lasts, and
    with what becomes of it.
    """

    source: Stream
    target: Stream
    on_damage: Callable[[Packet[Stream], str], None] = staticmethod(lambda packet, why: None)
    on_step_back: Callable[[Packet[Stream], str], None] = staticmethod(lambda packet, why: None)

    @abstractmethod
    def forward(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        """The packets for the muxer that this one leads to."""

    def flush(self) -> Iterator[Packet[Stream]]:
        """What is still held back when no more packets come."""
        return iter(())


class CopyLane(Lane):
    """Payloads untouched, time stamps shifted. Subtitles are shortened where the cut goes through them.

    Sound that the source's edit list hides before the first that is heard (files cut without encoding have up
    to a second of it) would be heard where the output has no edit list; there it is left out.
    """

    def __init__(
        self, source: Stream, out: OutputContainer, timeline: Timeline, *, hides_sound: bool
    ) -> None:
        """hides_sound: see OutputFormat. Raises ValueError if the container does not take the coding."""
        self.source, self._timeline = source, timeline
        self._hides_sound = hides_sound or source.type != "audio" or source.start_time is None
        self.target = out.add_stream_from_template(source, opaque=True)
        self._unit = source.time_base or MILLISECOND
        self._origin = timeline.offset_in(self._unit)
        self._clock = PacketClock(self._unit)
        self._clips = source.type == "subtitle"
        self._strict = not Flags.ts_nonstrict & Flags(out.format.flags)
        self._muxed: int | None = None

    def forward(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        start, end = stamp * self._unit, (stamp + (packet.duration or 0)) * self._unit
        stretch = self._timeline.clip(start, end) if self._clips and packet.duration else None
        if stretch is not None:
            packet.pts = packet.dts = round(stretch[0] / self._unit)
            packet.duration = max(round((stretch[1] - stretch[0]) / self._unit), 1)
        elif not self._timeline.contains(start) or self._is_hidden(packet, start):
            return
        own = self._order_stamp(packet)
        if own is not None and not self._clips:
            back = self._clock.follow(own, packet.duration or 0)
            if self.source.type == "audio" and back > self._clock.length:
                self.on_step_back(packet, "its clock steps back; it is moved behind the sound before it")
        self._shift(packet, self._clock.offset - self._origin)
        if not self._clips:
            self._put_in_order(packet)
        packet.stream = self.target
        yield packet

    def _is_hidden(self, packet: Packet[Stream], start: Fraction) -> bool:
        if self._hides_sound or not packet.is_discard:
            return False
        return start < (self.source.start_time or 0) * self._unit - HIDDEN_LEAD_SECONDS

    def _put_in_order(self, packet: Packet[Stream]) -> None:
        """Move a packet that the muxer would refuse behind the one before it, and no further than need be.

        What comes later keeps its own time. Strict muxers want dts to grow, and count in the output's clock;
        others take two packets at one time, as torn sound in AVI gives them.
        """
        if self._strict and not packet.duration and self.source.type == "audio":
            packet.duration = self._clock.length  # what lasts no time at the end of an MP4 file is not played
        if self._strict and (unit := self.target.time_base) is not None:
            packet.rescale_ts(AVRational(unit.numerator, unit.denominator))
        stamp = self._order_stamp(packet)
        if stamp is None:
            return
        if self._muxed is not None and stamp < (earliest := self._muxed + self._strict):
            stamp = earliest
            packet.dts = stamp
            packet.pts = stamp if packet.pts is None else max(packet.pts, stamp)
        self._muxed = stamp

    def _order_stamp(self, packet: Packet[Stream]) -> int | None:
        if packet.dts is None and self.source.type == "audio":  # pts of pictures may step back without harm
            return packet.pts
        return packet.dts

    @staticmethod
    def _shift(packet: Packet[Stream], by: int) -> None:
        if packet.pts is not None:
            packet.pts += by
        if packet.dts is not None:
            packet.dts += by


class AudioLane(Lane):
    """Sound decoded and encoded anew, because the container cannot hold its coding.

    Samples are counted from the first time stamp on. Gaps and overlaps of the source are filled with
    silence or cut first, else sound would run ahead of the picture after each gap.
    """

    def __init__(self, source: AudioStream, out: OutputContainer, codec: str, timeline: Timeline) -> None:
        """codec: the encoder's name. Raises ValueError if the container does not take that either."""
        self.source, self._timeline = source, timeline
        context = source.codec_context
        rates = av.Codec(codec, "w").audio_rates
        rate = context.sample_rate
        if rates and rate not in rates:
            rate = 48000
        self.target = self._encoder = cast("AudioStream", out.add_stream(codec, rate=rate))
        encoder = self._encoder.codec_context
        context.layout = encoder.layout = _known_layout(context.layout)
        encoder.bit_rate = BITS_PER_CHANNEL * encoder.channels
        self._unit = Fraction(1, rate)
        encoder.time_base = self._unit
        self._clock = PacketClock(source.time_base or MILLISECOND)
        self._resampler = self._new_resampler()
        self._heard: tuple[str, str, int] | None = None
        self._next_pts: int | None = None

    def _new_resampler(self, **options: str) -> AudioResampler:
        encoder = self._encoder.codec_context
        options |= {"async": "1", "min_hard_comp": str(float(MAX_AUDIO_DRIFT_SECONDS))}
        # with a frame size frames go through it even if nothing else is to change; else gaps stay as they are
        return AudioResampler(
            encoder.format, encoder.layout, encoder.rate, frame_size=RESAMPLED_SAMPLES, options=options
        )

    def forward(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or not self._timeline.contains(stamp * packet.time_base):
            return
        if self._clock.follow(stamp, packet.duration or 0) > self._clock.length:
            self.on_step_back(packet, "its clock steps back; what overlaps the sound before it is cut")
        packet.pts = stamp + self._clock.offset
        packet.dts = None if packet.dts is None else packet.dts + self._clock.offset
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            self.on_damage(packet, reason(error))  # the resampler fills the hole with silence
            return
        for frame in frames:
            if isinstance(frame, AudioFrame):
                yield from self._adapt(frame)
                yield from self._encode(frame)

    def flush(self) -> Iterator[Packet[Stream]]:
        yield from self._encode(None)
        yield from self._encoder.encode(None)

    def _adapt(self, frame: AudioFrame) -> Iterator[Packet[Stream]]:
        """Begin with another resampler where rate or channels change on the way: it takes one kind only."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if self._heard not in (None, kind):
            yield from self._encode(None)
            begun = round(self._timeline.origin / self._unit)
            first = {} if self._next_pts is None else {"first_pts": str(self._next_pts + begun)}
            self._resampler = self._new_resampler(**first)
        self._heard = kind

    def _encode(self, frame: AudioFrame | None) -> Iterator[Packet[Stream]]:
        for resampled in self._resampler.resample(frame):
            if self._next_pts is None:
                start = (resampled.pts or 0) * (resampled.time_base or self._unit)
                self._next_pts = round((start - self._timeline.origin) / self._unit)
            resampled.pts, resampled.time_base = self._next_pts, self._unit
            self._next_pts += resampled.samples
            yield from self._encoder.encode(resampled)


def _known_layout(layout: AudioLayout) -> AudioLayout:
    """The usual layout for a number of channels, where the source only gives the number."""
    if "channels" not in layout.name:
        return layout
    usual = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return AudioLayout(usual.get(layout.nb_channels, "stereo"))


class SubtitleLane(Lane):
    """Text subtitles rewritten in another text coding; words, italics and bold survive, positions may not.

    Drawings (vector graphics of ASS) are left out: as text they would be rows of numbers.
    """

    def __init__(self, source: SubtitleStream, out: OutputContainer, codec: str, timeline: Timeline) -> None:
        """codec: the encoder's name ("mov_text", "subrip")."""
        self.source, self._timeline = source, timeline
        self._unit = source.time_base or MILLISECOND
        self.target = self._encoder = cast("SubtitleStream", out.add_stream(codec))
        self._encoder.time_base = MILLISECOND
        self._succession = Succession() if codec == "mov_text" else None
        decoder = self._decoder = source.codec_context
        decoder.open(strict=False)
        encoder = self._encoder.codec_context
        encoder.time_base = MILLISECOND
        if decoder.subtitle_header is not None:
            encoder.subtitle_header = decoder.subtitle_header

    def forward(self, packet: Packet[Stream]) -> Iterator[Packet[Stream]]:
        if packet.pts is None or not packet.duration:
            return
        start = packet.pts * self._unit
        stretch = self._timeline.clip(start, start + packet.duration * self._unit)
        if stretch is None:
            return
        try:
            decoded = self._decoder.decode2(packet)
        except av.error.FFmpegError as error:
            self.on_damage(packet, reason(error))
            return
        begin, end = (round((moment - self._timeline.origin) / MILLISECOND) for moment in stretch)
        rects = [rect for rect in decoded or () if isinstance(rect, AssSubtitle)]
        events = [
            rect.ass.decode(errors="replace") for rect in rects if not is_drawing(rect.dialogue.decode())
        ]
        if not events:
            return
        if self._succession is None:
            yield from self._encode(Line(begin, max(end, begin + 1), joined(events)))
            return
        for event in events:
            for line in self._succession.add(Line(begin, max(end, begin + 1), event)):
                yield from self._encode(line)

    def flush(self) -> Iterator[Packet[Stream]]:
        for line in () if self._succession is None else self._succession.flush():
            yield from self._encode(line)

    def _encode(self, line: Line) -> Iterator[Packet[Stream]]:
        shown = SubtitleSet.create(line.event.encode(), 0, line.end - line.start)
        encoded = self._encoder.codec_context.encode_subtitle(shown)
        if encoded.size:
            encoded.time_base = MILLISECOND
            encoded.pts = encoded.dts = line.start
            encoded.duration = line.end - line.start
            encoded.stream = self.target
            yield encoded
