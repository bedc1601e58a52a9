"""Frames of one or several stretches of a source, marked where a segment of the output begins.

A source for the pipeline: one thread reads frames, the thread that writes them asks about stretches and
damage meanwhile. It knows time stamps, never what is done to a frame.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

from vidsr.channel import StopSignal
from vidsr.damage import Damage
from vidsr.frames import Frame
from vidsr.job import ReadingRules, Segment
from vidsr.media.read.reader import Reader
from vidsr.media.read.scenes import Cutter, SegmentLength
from vidsr.media.read.source_info import SourceInfo


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the source to be read. first_index: the number of its first frame, for messages."""

    segment: Segment
    first_index: int = 0


@dataclass
class _Visit:
    """A stretch that was begun, and what came of it."""

    segment: Segment
    damage: list[Damage]
    frames: int = 0
    is_over: bool = False


class SegmentReader:
    """Reads stretch after stretch."""

    def __init__(
        self,
        info: SourceInfo,
        stretches: Iterable[Stretch],
        *,
        length: SegmentLength | None,
        stop: StopSignal,
        from_beginning: bool = False,
        rules: ReadingRules | None = None,
        hwaccel: str | None = None,
    ) -> None:
        """stretches: asked for the next one when the last one has been read. length: of the segments a
        stretch is cut into; None = each is one segment. from_beginning, rules, hwaccel: see Reader.
        """
        self._info, self._stretches, self._length = info, stretches, length
        self._stop, self._from_beginning, self._rules = stop, from_beginning, rules
        self._hwaccel = hwaccel
        self._visits: list[_Visit] = []

    def frames(self) -> Generator[Frame, None, None]:
        for stretch in self._stretches:
            reader = Reader(
                self._info,
                stretch.segment,
                first_index=stretch.first_index,
                from_beginning=self._from_beginning,
                rules=self._rules,
                hwaccel=self._hwaccel,
            )
            with reader, self._stop.waking(reader.stop):
                visit = _Visit(stretch.segment, reader.damage)
                self._visits.append(visit)
                yield from self._marked(reader, visit)
            self._stop.check()  # a reader that was stopped ends as if the file did
            visit.is_over = True

    def _marked(self, reader: Reader, visit: _Visit) -> Generator[Frame, None, None]:
        cutter = None if self._length is None else Cutter(self._length)
        for frame in reader.frames():
            begins = visit.frames == 0 if cutter is None else cutter.begins_with(frame)
            visit.frames += 1
            yield replace(frame, starts_segment=True) if begins else frame

    @property
    def frames_read(self) -> int:
        """How many frames were given out so far."""
        return sum(visit.frames for visit in self._visits)

    def stretch_of(self, pts: int) -> Segment:
        """The stretch that a frame was read for."""
        return next(visit.segment for visit in reversed(self._visits) if pts in visit.segment)

    def damage_in(self, segment: Segment) -> tuple[Damage, ...]:
        """What of a segment could not be decoded, as far as is known.

        Trouble that cannot be told to lie elsewhere belongs to every segment, lest it get lost.
        """
        found: dict[Damage, None] = {}
        for visit in self._visits:
            entries = tuple(visit.damage)
            stepped = any(damage.kind == "backward" for damage in entries)
            for damage in entries:
                if stepped or damage.pts is None or damage.pts in segment:
                    found.setdefault(damage)
        return tuple(found)

    def empty_stretches(self) -> tuple[Segment, ...]:
        """Those that have been read and held no frame."""
        return tuple(visit.segment for visit in self._visits if visit.is_over and not visit.frames)
