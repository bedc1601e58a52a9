"""Text subtitles as viewers see them: which words are on the screen when, whatever they are coded in.

It decodes subtitle packets and throws all styling away. Two tracks are the same if at each moment the
same lines are shown; how they are cut into events does not matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import cast

import av.error
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from vidsr.media.read.demux import read_packets
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.timeline import Timeline
from vidsr.media.write.ass import is_drawing

SHORTEST_SECONDS = Fraction(5, 1000)
"""Moments shorter than this are not compared: clocks of a millisecond, added up, differ by that much."""

_OVERRIDES = re.compile(r"\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Caption:
    """Lines shown in [start, end), in seconds."""

    start: Fraction
    end: Fraction
    lines: tuple[str, ...]


def read_captions(source: SourceInfo, index: int, timeline: Timeline | None) -> list[Caption]:
    """All captions of a text subtitle stream, in order of time.

    timeline: cut to it and put on the output's clock; None = as they are. A caption without an end
    lasts until the next one.

    Raises SourceError if the file cannot be opened.
    """
    captions: list[Caption] = []
    with source.open() as container:
        stream = cast("SubtitleStream", container.streams[index])
        unit = stream.time_base or Fraction(1, 1000)
        stream.codec_context.open(strict=False)
        for packet in read_packets(container, [stream], on_error=lambda _: None):
            if packet.pts is None:
                continue
            try:
                decoded = stream.codec_context.decode2(packet)
            except av.error.FFmpegError:
                continue
            texts = [rect.dialogue.decode() for rect in decoded or () if isinstance(rect, AssSubtitle)]
            lines = tuple(line for text in texts for line in plain_lines(text))
            start = packet.pts * unit
            if captions and captions[-1].end == captions[-1].start:
                captions[-1] = Caption(captions[-1].start, start, captions[-1].lines)
            captions.append(Caption(start, start + (packet.duration or 0) * unit, lines))
    return [caption for caption in _cut(captions, timeline) if caption.lines]


def _cut(captions: list[Caption], timeline: Timeline | None) -> Iterator[Caption]:
    if timeline is None:
        yield from captions
        return
    for caption in captions:
        stretch = timeline.clip(caption.start, caption.end)
        if stretch is not None:
            yield Caption(stretch[0] - timeline.origin, stretch[1] - timeline.origin, caption.lines)


def plain_lines(dialogue: str) -> list[str]:
    """The words of an ASS dialogue, line by line, without overrides, drawings and double spaces."""
    if is_drawing(dialogue):
        return []
    text = _OVERRIDES.sub("", dialogue).replace("\\h", " ")
    lines = (" ".join(line.split()) for line in re.split(r"\\N|\\n|\n", text))
    return [line for line in lines if line]


def first_difference(expected: list[Caption], found: list[Caption]) -> str | None:
    """In words, the first moment at which other lines are shown; None if there is none.

    A line that is shown twice at a time, as the layers of styled text are, is the same as one.
    """
    changes: dict[Fraction, list[tuple[Counter[str], int, tuple[str, ...]]]] = {}
    wanted: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for side, captions in ((wanted, expected), (there, found)):
        for caption in captions:
            changes.setdefault(caption.start, []).append((side, 1, caption.lines))
            changes.setdefault(caption.end, []).append((side, -1, caption.lines))
    for moment, following in pairwise(sorted(changes)):
        for side, step, lines in changes[moment]:
            for line in lines:
                side[line] += step
        if following - moment < SHORTEST_SECONDS:
            continue
        for line in sorted((+wanted).keys() ^ (+there).keys()):
            fault = "is not shown" if wanted[line] > 0 else "should not be shown"
            return f"{line!r} {fault} at {float(moment):.3f} s"
    return None
