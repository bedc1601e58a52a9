"""The frames of a few moments through a job's own network, picture by picture.

What comes out is what the job would encode: the same filters, colour conversion, network and rounding. It
knows jobs and frames, never how a picture is shown or stored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction

from vidsr.channel import StopSignal
from vidsr.errors import DamagedSourceError
from vidsr.execute.flow import open_run
from vidsr.execute.prepare import Engine, Prepared
from vidsr.frames import Frame
from vidsr.job import Segment
from vidsr.media.read.filtered_reader import Filtering
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.read.source_info import SourceInfo
from vidsr.preview.moments import Moment

FILTER_LEAD_SECONDS = 2
"""Filters begin so long before a moment: a deinterlacer knows its neighbours by then, and a detector of
telecine its rhythm."""

OnPicture = Callable[[int, Frame], None]
"""Takes a finished frame and its number; called in another thread than the caller's."""


def restricted(prepared: Prepared, segment: Segment) -> Prepared:
    """The same job over another part of its source (in the source's own time base)."""
    if prepared.filtering is None:
        return replace(prepared, segment=segment)
    filtering = Filtering.of(prepared.filtering.source, segment, prepared.filtering.steps)
    return replace(prepared, filtering=filtering, info=filtering.info, segment=filtering.filtered_segment)


def undecorated(prepared: Prepared) -> tuple[SourceInfo, Segment]:
    """The source before any filter, and the wanted part of it."""
    filtering = prepared.filtering
    return (prepared.info, prepared.segment) if filtering is None else (filtering.source, filtering.segment)


def frames_at(
    prepared: Prepared, moments: Sequence[Moment], stop: StopSignal, on_frame: Callable[[int], None]
) -> list[Frame]:
    """The frames as the network gets them, in the moments' order; on_frame: told how many there are.

    Raises DamagedSourceError where a moment cannot be decoded, and what the readers raise.
    """
    frames: list[Frame] = []
    for moment in moments:
        frame = _frame_at(prepared, moment, stop)
        if frame is None:
            raise DamagedSourceError(
                f"{prepared.job.source.name}: the frame at {float(moment.seconds):.3f} s cannot be decoded",
                "choose other moments with --at",
            )
        frames.append(replace(frame, index=len(frames), starts_segment=True))
        on_frame(len(frames))
    return frames


def _frame_at(prepared: Prepared, moment: Moment, stop: StopSignal) -> Frame | None:
    if prepared.filtering is None:
        with closing(_read(prepared, Segment(moment.pts, moment.pts + 1), stop)) as frames:
            return next(frames, None)
    source, _ = undecorated(prepared)
    lead = moment.pts - int(FILTER_LEAD_SECONDS / source.time_base)
    prepared = restricted(prepared, Segment(lead if lead > (source.start_pts or 0) else None, None))
    shown: Frame | None = None
    time = moment.pts * source.time_base
    with closing(_read(prepared, prepared.frames_segment, stop)) as frames:
        for frame in frames:
            if shown is not None and frame.time > time + _half_frame(source):
                break
            shown = frame
    return shown


def _half_frame(source: SourceInfo) -> Fraction:
    """Filters may move a frame a little; beyond half a frame it is the next one."""
    return Fraction(0) if source.average_rate is None else 1 / (2 * source.average_rate)


def _read(prepared: Prepared, segment: Segment, stop: StopSignal) -> Generator[Frame, None, None]:
    return prepared.open_source([Stretch(segment)], length=None, stop=stop).frames()


def upscale(
    prepared: Prepared,
    engine: Engine,
    frames: Sequence[Frame],
    *,
    stop: StopSignal,
    on_picture: OnPicture,
    on_tick: Callable[[int], None],
) -> None:
    """Run frames through the job's pipeline.

    on_tick: called in this thread now and then with how many are finished. Raises what a job raises.
    """
    run = open_run(prepared, engine, _Given(frames), _Showing(on_picture), stop)
    run.start()
    run.join(lambda snapshot: on_tick(snapshot.frames_written))


@dataclass
class _Given:
    """A source of frames that are decoded already."""

    given: Sequence[Frame]

    def frames(self) -> Generator[Frame, None, None]:
        yield from self.given


@dataclass
class _Showing:
    """A sink that hands every frame on with its number."""

    on_picture: OnPicture
    count: int = 0
    frames_held: int = 0

    def write(self, frame: Frame) -> None:
        self.on_picture(self.count, frame)
        self.count += 1

    def finish(self) -> None:
        pass
