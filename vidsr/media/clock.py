"""When each decoded frame is shown: its time stamp as FFmpeg gives it, made strictly increasing.

It knows the containers that store no presentation times, and clocks that step back; for the packets beside
the frames, only clocks that begin anew.
"""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import VideoFrame

DISCONTINUITY_SECONDS = 1
"""A step back by more than this is a new beginning of the clock (a spliced recording), not a stray frame."""

WITHOUT_PRESENTATION_TIMES = frozenset({"avi"})
"""Containers with one time stamp a packet, in decoding order. FFmpeg makes up presentation times for them
that are wrong with B-frames; the decoding time of the packet that made a frame come out is right."""


class Clock:
    """Gives each frame of one stream its time stamp, in order.

    offset: what has been added so far because the source's clock began anew. stepped_back: by how many
    units the last frame's own time stamp was not behind the one before; 0 if all was well. step: between
    the last two frames; 0 before the second.
    """

    def __init__(self, format_name: str, time_base: Fraction) -> None:
        self._use_decoding_times = format_name in WITHOUT_PRESENTATION_TIMES
        self._unit = time_base
        self.last: int | None = None
        self.offset = 0
        self.stepped_back = 0
        self.step = 0

    def stamp(self, frame: VideoFrame) -> int:
        """The frame's pts, always behind the last one. Without any time stamp: one duration later."""
        first, second = (frame.dts, frame.pts) if self._use_decoding_times else (frame.pts, frame.dts)
        own, last = first if first is not None else second, self.last
        step = max(frame.duration, 1)
        self.stepped_back = 0
        if last is None:
            self.last = own or 0
            return self.last
        if own is None:
            self.last = last + step
        elif own + self.offset > last:
            self.last = own + self.offset
        elif self._use_decoding_times:
            self.last = last + max(self.step, step)  # the flushed frames repeat the last packet's time
        else:
            self.stepped_back = max(last - own - self.offset, 1)
            if self.stepped_back * self._unit > DISCONTINUITY_SECONDS:
                self.offset += self.stepped_back + step
                self.last = last + step
            else:
                self.last = last + 1
        self.step = self.last - last
        return self.last


class PacketClock:
    """Follows the time stamps of a stream's packets; where they begin anew, it goes on behind the latest.

    offset: what to add to the time stamps, that of the last packet included. length: the shortest time that a
    packet lasted so far, from the time stamps where packets do not say; 0 = unknown.
    """

    def __init__(self, time_base: Fraction) -> None:
        self._unit = time_base
        self.offset = self.length = 0
        self._latest: int | None = None
        self._step = 1

    def follow(self, own: int, duration: int) -> int:
        """By how many units a packet, as the source stamps it, is before the latest one; 0 = it is not.

        duration: 0 = unknown.
        """
        stamp, latest = own + self.offset, self._latest
        back = 0 if latest is None else max(latest - stamp, 0)
        if back * self._unit > DISCONTINUITY_SECONDS:
            self.offset += back + self._step
            stamp += back + self._step
        elif not duration and latest is not None and stamp > latest:
            self.length = min(self.length or stamp - latest, stamp - latest)
        if duration:
            self.length = min(self.length or duration, duration)
        self._latest = stamp if latest is None else max(latest, stamp)
        self._step = max(duration or self.length, 1)
        return back
