"""Of a stretch that was read nothing stays: workers read hundreds, each with a decoder of its own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator
from typing import Any

import pytest

from tests.media.clips import ClipShelf
from tests.media.reference import decoded
from vidsr.channel import Stopped, StopSignal
from vidsr.frames import Frame
from vidsr.job import Segment
from vidsr.media.filters import parse_chain
from vidsr.media.read import filtered_reader, segment_reader
from vidsr.media.read.filtered_reader import FilteredReader, Filtering
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.segment_reader import SegmentReader, Stretch
from vidsr.media.read.source_info import SourceInfo

Frames = Generator[Frame, None, None]


class Watched(Reader):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Reader]]:
    """Every Reader that is made."""
    made: list[weakref.ref[Reader]] = []

    class Listed(Watched):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            made.append(weakref.ref(self))

    monkeypatch.setattr(segment_reader, "Reader", Listed)
    monkeypatch.setattr(filtered_reader, "Reader", Listed)
    return made


def frames_of(info: SourceInfo, stop: StopSignal, stretches: list[Segment], *, filtered: bool) -> Frames:
    wanted = [Stretch(stretch) for stretch in stretches]
    if filtered:
        filtering = Filtering.of(info, Segment(), parse_chain("hflip"))
        return FilteredReader(filtering, wanted, length=None, stop=stop).frames()
    return SegmentReader(info, wanted, length=None, stop=stop).frames()


@pytest.mark.parametrize("filtered", [False, True])
def test_nothing_stays_of_a_stretch_that_was_read(
    clips: ClipShelf, opened: list[weakref.ref[Reader]], filtered: bool
) -> None:
    """Neither while later ones are read nor behind the last."""
    info, stop = probe(clips("b_frames.mp4")), StopSignal()
    stretches = [Segment(12 * 512, None), Segment(None, 12 * 512)] * 5
    given = 0
    for _ in frames_of(info, stop, stretches, filtered=filtered):
        given += 1
        assert len([reader for reader in opened if reader() is not None]) <= 2
    assert given == 5 * len(decoded(clips("b_frames.mp4")))
    assert len(opened) == (6 if filtered else 10)  # filters go on into a stretch that follows
    gc.collect()
    assert [reader for reader in opened if reader() is not None] == []


@pytest.mark.parametrize("filtered", [False, True])
def test_who_reads_no_further_closes_the_file(
    clips: ClipShelf, opened: list[weakref.ref[Reader]], filtered: bool
) -> None:
    frames = frames_of(probe(clips("b_frames.mp4")), StopSignal(), [Segment()], filtered=filtered)
    next(frames)
    reader = opened[0]()
    frames.close()
    assert isinstance(reader, Watched)
    assert reader.is_closed


@pytest.mark.parametrize("filtered", [False, True])
def test_a_stop_ends_the_stretch_that_is_read(clips: ClipShelf, filtered: bool) -> None:
    stop = StopSignal()
    stretches = [Segment(None, 12 * 512), Segment(12 * 512, None)]
    frames = frames_of(probe(clips("b_frames.mp4")), stop, stretches, filtered=filtered)
    for _ in range(13):
        next(frames)
    stop.set(KeyboardInterrupt())
    with pytest.raises(Stopped):
        list(frames)
