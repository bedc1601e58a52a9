"""One time line for recordings that were put one behind the other, each with a clock of its own.

Discs have a clock for each title and chapter of theirs, and files of them are joined with `cat`. Where the
clock steps back, and the stream's own clock says so too (`program_clock`), everything behind that byte of the
file, pictures, sound and subtitles alike, is moved by one and the same time: that by which the pictures go on
evenly. It knows packets, never frames.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from av.packet import Packet

from vidsr.media.read.program_clock import PROGRAM_STREAM, TRANSPORT_STREAM, find_step_back

JOINABLE_FORMATS = frozenset({PROGRAM_STREAM, TRANSPORT_STREAM})

LOOKBACK_BYTES = 1024 * 1024
"""How far before a place its clock is looked for: it is there every 0.1 s in transport streams (0.7 s in
program streams), and this is more than the fastest of them has in that time."""

MOST_HELD = 1000
"""Packets of sound and subtitles that wait for the next picture: it may be the first behind a join."""

OnNewClock = Callable[[int, int], None]
"""Told the time stamp of a picture, and by how much later one before it is on the source's own clock."""

PacketT = TypeVar("PacketT", bound="Packet[Any]")


@dataclass(frozen=True, slots=True)
class _Run:
    """From this byte on, this is added to all time stamps."""

    begins: int
    seconds: Fraction


class Continuation:
    """Follows the packets of a file, the main video's among them, and moves them to one time line.

    Packets of other streams are held back up to the first picture behind them in the file.
    """

    def __init__(
        self, path: Path, format_name: str, video_index: int, on_new_clock: OnNewClock | None
    ) -> None:
        self._path, self._format_name, self._video = path, format_name, video_index
        self._on_new_clock = on_new_clock
        self._runs = [_Run(0, Fraction(0))]
        self._places: dict[int, int] = {}
        self._checked = 0
        self._newest_dts: int | None = None
        self._newest_pts: int | None = None
        self._step = 0
        self._guessed: Packet[Any] | None = None

    def continued(self, packets: Iterator[PacketT]) -> Iterator[PacketT]:
        """The packets in the same order, with time stamps of one clock."""
        held: deque[tuple[PacketT, int]] = deque()
        for packet in packets:
            index = packet.stream_index
            place = packet.pos if packet.pos is not None else self._places.get(index, 0)
            if index == self._video:
                self._follow(packet, place)
            self._places[index] = place
            held.append((packet, place))
            while held and (len(held) > MOST_HELD or self._is_placed(*held[0])):
                yield self._moved(*held.popleft())
        yield from (self._moved(*one) for one in held)

    def _is_placed(self, packet: Packet[Any], place: int) -> bool:
        """Whether no picture that is still to come can tell on which clock a packet is."""
        if packet.stream_index == self._video:
            return packet is not self._guessed
        return place <= self._places.get(self._video, -1)

    def _moved(self, packet: PacketT, place: int) -> PacketT:
        seconds = next(run.seconds for run in reversed(self._runs) if run.begins <= place)
        if seconds:
            by = round(seconds / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + by
            packet.dts = None if packet.dts is None else packet.dts + by
        return packet

    def _follow(self, packet: Packet[Any], place: int) -> None:
        """Take note of a picture's packet, which is not moved yet."""
        if packet.dts is None:
            return
        offset = round(self._runs[-1].seconds / packet.time_base)
        newest = self._newest_dts
        if newest is not None and packet.dts + offset <= newest:
            begins = self._where_a_clock_begins(place)
            if begins is not None:
                back = newest - offset - packet.dts
                offset = self._begin_anew(packet, newest, offset)
                self._runs.append(_Run(begins, offset * packet.time_base))
                if self._on_new_clock is not None:
                    self._on_new_clock(_shown(packet) + offset, back)
        self._remember(packet, offset)

    def _begin_anew(self, packet: Packet[Any], newest: int, offset: int) -> int:
        """What lets a picture be decoded, and shown, one step behind those of the run before.

        newest: dts, moved by `offset`, of the last one of that run.
        """
        assert packet.dts is not None
        decoded_until = shown_until = newest + self._step
        if self._newest_pts is not None:
            shown_until = max(shown_until, self._newest_pts + self._step)
        if self._guessed is not None:
            self._guessed.pts = decoded_until - offset  # shown when nothing else is left of its run
            shown_until = max(shown_until, decoded_until + self._step)
        self._guessed = self._newest_pts = None
        return max(decoded_until - packet.dts, shown_until - _shown(packet))

    def _remember(self, packet: Packet[Any], offset: int) -> None:
        assert packet.dts is not None
        dts, newest, waits = packet.dts + offset, self._newest_dts, _shown(packet) > packet.dts
        self._step = packet.duration or (dts - newest if newest is not None and dts > newest else self._step)
        self._newest_dts = dts if newest is None else max(newest, dts)
        if self._guessed is not None and (waits or packet.dts >= _shown(self._guessed)):
            self._note_shown(_shown(self._guessed) + offset)
            self._guessed = None
        # Program streams need not say when each picture is shown; FFmpeg reads on then until it can tell, and
        # reads on behind a join as well, where it learns what is not so.
        if packet.pos is None and (waits or packet.pts is None):
            self._guessed = packet
        else:
            self._note_shown(_shown(packet) + offset)

    def _note_shown(self, pts: int) -> None:
        self._newest_pts = pts if self._newest_pts is None else max(self._newest_pts, pts)

    def _where_a_clock_begins(self, place: int) -> int | None:
        """The byte where another recording begins, between the last picture and this one."""
        last = max(self._places.get(self._video, 0), self._runs[-1].begins)
        self._checked = max(self._checked, self._runs[-1].begins, last - LOOKBACK_BYTES)
        while True:
            try:
                found = find_step_back(self._path, self._format_name, self._checked, place + 1)
            except OSError:
                return None
            if found.step is None:
                self._checked = max(self._checked, found.last or 0)
                return None
            if found.step > last:
                return found.step
            self._checked = found.step  # the pictures went on all the same there


def _shown(packet: Packet[Any]) -> int:
    stamp = packet.dts if packet.pts is None else packet.pts
    assert stamp is not None
    return stamp


def is_one_run(path: Path, format_name: str, until: int) -> bool:
    """Whether the clock never steps back in the first bytes of a file. Raises OSError."""
    state = path.stat()
    identity = state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
    return _first_run(path, format_name, identity).lasts_until(until)


@lru_cache(maxsize=16)
def _first_run(path: Path, format_name: str, identity: tuple[int, ...]) -> _FirstRun:
    """identity: of the file, so that another one of this name is looked through itself."""
    return _FirstRun(path, format_name)


class _FirstRun:
    """How far a file is one recording; what was read for one place is not read again for the next."""

    def __init__(self, path: Path, format_name: str) -> None:
        self._path, self._format_name = path, format_name
        self._lock = threading.Lock()
        self._known_until = 0
        self._looked_from = 0
        self._step: int | None = None

    def lasts_until(self, until: int) -> bool:
        with self._lock:
            if self._step is None and until > self._known_until:
                found = find_step_back(self._path, self._format_name, self._looked_from, until)
                self._step, self._known_until = found.step, until
                # there may be several clocks, of programs side by side: all are met again from there on
                self._looked_from = max(self._looked_from, (found.last or 0) - LOOKBACK_BYTES)
            return self._step is None or until <= self._step
