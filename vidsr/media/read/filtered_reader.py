"""Frames of a source as they come out of a chain of filters, marked where a segment of the output begins.

It stands in for `SegmentReader`. Filters remember earlier frames and count them, so every run filters from
the beginning of what is wanted and passes over what is not: a continued job gets the very same frames.
It knows time stamps and sample layouts, never what the filters do.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

from av.video.frame import VideoFrame

from vidsr.channel import StopSignal
from vidsr.damage import Damage
from vidsr.errors import FrameFormatError
from vidsr.frames import Frame
from vidsr.job import ReadingRules, Segment
from vidsr.media.color.frame_tags import color_of
from vidsr.media.filters import FilterGraph, FilterStep, PictureStream, keeps_times, outcome
from vidsr.media.pixels import PlaneReader
from vidsr.media.read.reader import Reader
from vidsr.media.read.scenes import Cutter, SegmentLength
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.views import behind_filters


@dataclass(frozen=True, slots=True)
class Filtering:
    """A source, the part of it that is wanted, and what its frames go through.

    source, segment: as decoded. info: the source as it looks behind the filters; its time base holds the
    segment's bounds exactly.
    """

    source: SourceInfo
    segment: Segment
    steps: tuple[FilterStep, ...]
    info: SourceInfo

    @classmethod
    def of(cls, source: SourceInfo, segment: Segment, steps: tuple[FilterStep, ...]) -> Filtering:
        """Try the filters on pictures like the source's.

        Raises UsageError if they do not work.
        """
        after = outcome(steps, _stream(source))
        time_base = after.time_base
        if segment.start_pts is not None:
            time_base = _common(time_base, source.time_base)
        count, rates = source.frame_count_estimate, (source.average_rate, after.rate)
        kept_rate = rates[0] == rates[1] or None in rates
        if count is not None and rates[0] and rates[1]:
            count = round(count * rates[1] / rates[0])
        kept_labels = kept_rate and (not source.has_time_code or keeps_times(steps, _stream(source)))
        info = replace(
            behind_filters(source, steps),
            width=after.width,
            height=after.height,
            pixel_format=after.pixel_format,
            color=after.color,
            time_base=time_base,
            average_rate=source.average_rate if kept_rate else after.rate,
            time_code_rate=source.time_code_rate if kept_labels else None,
            frame_count_estimate=count,
            frame_count_origin=None if count is None else "duration x rate",
            start_pts=None if source.start_pts is None else round(source.start_seconds / time_base),
            sample_aspect_ratio=after.sample_aspect_ratio,
        )
        return cls(source, segment, steps, info)

    @property
    def filtered_segment(self) -> Segment:
        """The wanted part in the filtered frames' time base, for whatever is cut beside the video."""
        bounds = (self.segment.start_pts, self.segment.end_pts)
        start, end = (None if b is None else round(b * self.ticks) for b in bounds)
        return Segment(start, end)

    @property
    def ticks(self) -> Fraction:
        """Units of the filtered frames' time base in one of the source's."""
        return self.source.time_base / self.info.time_base

    @property
    def given_segment(self) -> Segment:
        """What the frames that come out lie in: a filter may move the last one past the end of the source."""
        return Segment(self.filtered_segment.start_pts, None)


def _stream(source: SourceInfo) -> PictureStream:
    return PictureStream(
        width=source.width,
        height=source.height,
        pixel_format=source.pixel_format,
        color=source_color(source),
        time_base=source.time_base,
        rate=source.average_rate,
        sample_aspect_ratio=source.sample_aspect_ratio,
    )


def _common(first: Fraction, second: Fraction) -> Fraction:
    """The largest unit that both are multiples of."""
    return (
        Fraction(gcd(first.numerator, second.numerator), lcm(first.denominator, second.denominator))
        if first != second
        else first
    )


class FilteredReader:
    """Reads stretch after stretch of the filtered frames; see `SegmentReader`."""

    def __init__(
        self,
        filtering: Filtering,
        stretches: Iterable[Stretch],
        *,
        length: SegmentLength | None,
        stop: StopSignal,
        from_beginning: bool = False,
        rules: ReadingRules | None = None,
        hwaccel: str | None = None,
    ) -> None:
        """stretches: in the filtered frames' time base, asked for the next one when the last one has been
        read. length, from_beginning, rules, hwaccel: as for SegmentReader.
        """
        self._filtering, self._stretches, self._length = filtering, stretches, length
        self._stop, self._from_beginning, self._rules = stop, from_beginning, rules
        self._hwaccel = hwaccel
        self._damage: list[list[Damage]] = []  # of each flow
        self._visited: list[tuple[Segment, int]] = []
        self._finished = 0
        self.frames_read = 0

    def frames(self) -> Generator[Frame, None, None]:
        """Raises FrameError where the filters fail, besides what Reader raises."""
        flow: _Flow | None = None
        with ExitStack() as present:
            for stretch in self._stretches:
                segment = stretch.segment
                if flow is None or not flow.is_before(segment):
                    present.close()
                    flow = self._flow(present)
                self._visited.append((segment, 0))
                yield from self._marked(flow, segment)
                self._stop.check()  # a reader that was stopped ends as if the file did
                self._finished += 1

    def _flow(self, present: ExitStack) -> _Flow:
        """present: closes its file."""
        reader = Reader(
            self._filtering.source,
            self._filtering.segment,
            from_beginning=self._from_beginning,
            rules=self._rules,
            hwaccel=self._hwaccel,
        )
        present.enter_context(reader)
        present.enter_context(self._stop.waking(reader.stop))
        self._damage.append(reader.damage)
        return _Flow(self._filtering, reader)

    def _marked(self, flow: _Flow, segment: Segment) -> Iterator[Frame]:
        cutter = None if self._length is None else Cutter(self._length)
        for count, frame in enumerate(flow.frames_in(segment)):
            begins = count == 0 if cutter is None else cutter.begins_with(frame)
            self._visited[-1] = (segment, count + 1)
            self.frames_read += 1
            yield replace(frame, starts_segment=True) if begins else frame

    def stretch_of(self, pts: int) -> Segment:
        """The stretch that a frame was read for."""
        return next(segment for segment, _ in reversed(self._visited) if pts in segment)

    def damage_in(self, segment: Segment) -> tuple[Damage, ...]:
        """What of the source could not be decoded in the time of a segment, as far as is known.

        Trouble that cannot be told to lie elsewhere belongs to every segment, lest it get lost.
        """
        found: dict[Damage, None] = {}
        base = self._filtering.info.time_base
        for damage_of_flow in self._damage:
            entries = tuple(damage_of_flow)
            stepped = any(damage.kind == "backward" for damage in entries)
            for damage in entries:
                if stepped or damage.time is None or damage.time // base in segment:
                    found.setdefault(damage)
        return tuple(found)

    def empty_stretches(self) -> tuple[Segment, ...]:
        """Those that have been read and held no frame."""
        return tuple(segment for segment, count in self._visited[: self._finished] if not count)


class _Flow:
    """One pass over the filtered frames, from the beginning of what is wanted."""

    def __init__(self, filtering: Filtering, reader: Reader) -> None:
        self._filtering, self._reader = filtering, reader
        self._planes = PlaneReader()
        self._frames = self._all_frames()
        self._next: Frame | None = None
        self._last_pts: int | None = None

    def is_before(self, segment: Segment) -> bool:
        """Whether no frame of a segment has been passed yet."""
        start = segment.start_pts
        return self._last_pts is None or (start is not None and self._last_pts < start)

    def frames_in(self, segment: Segment) -> Iterator[Frame]:
        """Its frames; those before it are passed over."""
        start, end = segment.start_pts, segment.end_pts
        while True:
            frame = self._next or next(self._frames, None)
            self._next = frame
            if frame is None or (end is not None and frame.pts >= end):
                return
            self._next, self._last_pts = None, frame.pts
            if start is None or frame.pts >= start:
                yield frame

    def _all_frames(self) -> Iterator[Frame]:
        for index, picture in enumerate(self._pictures()):
            yield self._frame(picture, index)

    def _pictures(self) -> Iterator[VideoFrame]:
        """In a range, filters see time stamps that begin at 0, so that theirs begin with the range."""
        source = self._filtering.source
        start = self._filtering.segment.start_pts or 0
        graph = FilterGraph(self._filtering.steps, _stream(source))
        for decoded, pts in self._reader.pictures():
            if decoded.format.name != source.pixel_format:
                raise FrameFormatError(
                    f"the picture at {float(pts * source.time_base):.3f} s is {decoded.format.name}; "
                    f"the stream began as {source.pixel_format}",
                    "cut the file there, or convert it to one pixel format first",
                )
            yield from graph.push(decoded, pts - start)
        yield from graph.flush()

    def _frame(self, picture: VideoFrame, index: int) -> Frame:
        filtering, info = self._filtering, self._filtering.info
        assert picture.pts is not None
        assert picture.time_base is not None
        planes, layout = self._planes.planes(picture)
        ticks = picture.time_base / info.time_base
        begin = filtering.filtered_segment.start_pts or 0
        duration = picture.duration * ticks
        if not duration and info.average_rate:
            duration = 1 / (info.average_rate * info.time_base)
        return Frame(
            planes=planes,
            format=layout,
            color=color_of(picture, info.color.chroma_location),
            pts=round(picture.pts * ticks) + begin,
            time_base=info.time_base,
            index=index,
            duration=round(duration),
        )
