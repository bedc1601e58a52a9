"""Some stretches of a job's frames, as its network gets them. It knows readers, never what is measured."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from vidsr.channel import StopSignal
from vidsr.execute.prepare import Prepared
from vidsr.frames import Frame
from vidsr.job import Segment
from vidsr.media.read.filtered_reader import Filtering
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.read.source_info import SourceInfo
from vidsr.pipeline import FrameSource

Range = tuple[int, int]
"""Half-open, in frame numbers of the source."""


def open_stretches(
    prepared: Prepared, stamps: Sequence[int], ranges: Sequence[Range], stop: StopSignal
) -> tuple[FrameSource, SourceInfo]:
    """(the frames, what they look like). Behind filters each stretch begins anew, instead of filtering all
    that lies between. stamps: pts of all frames of the source.
    """
    segments = [
        Segment(stamps[first], stamps[last] if last < len(stamps) else None) for first, last in ranges
    ]
    filtering = prepared.filtering
    if filtering is None:
        stretches = [Stretch(segment) for segment in segments]
        return prepared.open_source(stretches, length=None, stop=stop), prepared.info
    parts = [Filtering.of(filtering.source, segment, filtering.steps) for segment in segments]
    return _FilteredStretches(prepared, parts, stop), parts[0].info


@dataclass(frozen=True)
class _FilteredStretches:
    """Each stretch with filters of its own."""

    prepared: Prepared
    parts: Sequence[Filtering]
    stop: StopSignal

    def frames(self) -> Generator[Frame, None, None]:
        for part in self.parts:
            prepared = replace(self.prepared, filtering=part, info=part.info)
            source = prepared.open_source([Stretch(part.given_segment)], length=None, stop=self.stop)
            yield from source.frames()
