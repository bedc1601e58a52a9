"""Which moments of a film are worth looking at: the most detailed frame of a few scenes.

It knows luma samples and time stamps, never networks or pages. A long file is looked into at places spread
over it, so that choosing takes seconds and not the length of the film.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from vidsr.errors import DamagedSourceError, UsageError
from vidsr.frames import Frame
from vidsr.job import ReadingRules, Segment
from vidsr.media.read.locate import ROUNDING, presentation_times
from vidsr.media.read.reader import Reader
from vidsr.media.read.scenes import NEW_SCENE, SceneMeter
from vidsr.media.read.source_info import SourceInfo

WHOLE_SECONDS = 60
"""Up to this length every frame is looked at: a few seconds' decoding."""
WINDOWS_PER_MOMENT = 2
WINDOW_SECONDS = 1
"""Of a longer film: places to look into for each moment wanted, and how long at each. Most of the time goes
into decoding from the key frame before, not into the window itself."""

SHORTEST_SCENE = 6
"""Frames; what is shorter is a flash or a stutter."""
LONGEST_SCENE_SECONDS = 10
"""A scene that goes on gives another moment after so long: cameras that never cut."""

DULL = 0.2
"""Moments with less than this part of the best one's detail are left out: fades, black, credits on black."""

LATE_SECONDS = Fraction(1, 2)
"""So long at least the last frame counts as being on show."""

OnFrame = Callable[[float], None]
"""Told after every frame how much has been looked at, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame of the source, as it was decoded.

    pts: in the video stream's time base. seconds: as players show it, from the container's start.
    detail: see `detail`; 0 where nobody looked.
    """

    pts: int
    seconds: Fraction
    detail: float = 0.0


def detail(frame: Frame) -> float:
    """How much there is to see: mean step between neighbouring luma samples, as a part of white.

    Blur, motion and fades lower it, lines and texture raise it.
    """
    luma = frame.planes[0].astype(np.int32 if frame.format.bits == 16 else np.int16)
    down = np.abs(np.diff(luma, axis=0)).mean() if luma.shape[0] > 1 else 0.0
    across = np.abs(np.diff(luma, axis=1)).mean() if luma.shape[1] > 1 else 0.0
    return float(down + across) / frame.format.peak


def choose(
    info: SourceInfo,
    segment: Segment,
    count: int,
    *,
    rules: ReadingRules | None = None,
    on_frame: OnFrame = lambda _: None,
) -> list[Moment]:
    """The most detailed frames of up to `count` scenes spread over a segment, in order.

    Raises DamagedSourceError if there is no frame, and what Reader raises.
    """
    windows = places(info, segment, count)
    rate = info.assumed_rate
    found: list[Moment] = []
    for number, window in enumerate(windows):
        expected = max(_length(info, window) or WHOLE_SECONDS, Fraction(1, 1000)) * rate
        scenes = _Scenes(ceil(LONGEST_SCENE_SECONDS * rate))
        for seen, frame in enumerate(_frames(info, window, rules)):
            scenes.look_at(frame, Moment(frame.pts, frame.time - info.start_time, detail(frame)))
            on_frame((number + min(float(seen / expected), 1.0)) / len(windows))
        found += scenes.best
    if not found:  # pictures that stay for minutes: the one on show counts
        found = at(info, [_middle(info, window) for window in windows])
    return spread(found, count)


class _Scenes:
    """The best moment of each scene of a window."""

    def __init__(self, longest: int) -> None:
        """longest: frames after which a scene counts as another one."""
        self._longest = longest
        self._meter = SceneMeter()
        self._scenes: list[tuple[Moment, int]] = []  # the best so far, and how many frames there were

    def look_at(self, frame: Frame, moment: Moment) -> None:
        """The frames in order, each with its moment."""
        cut = self._meter.change(frame) >= NEW_SCENE
        if not self._scenes or cut or self._scenes[-1][1] >= self._longest:
            self._scenes.append((moment, 1))
            return
        best, frames = self._scenes[-1]
        self._scenes[-1] = (moment if moment.detail > best.detail else best, frames + 1)

    @property
    def best(self) -> list[Moment]:
        """One for each scene; flashes only where there is nothing else."""
        lasting = [best for best, frames in self._scenes if frames >= SHORTEST_SCENE]
        return lasting or [best for best, _ in self._scenes]


def spread(found: Sequence[Moment], count: int) -> list[Moment]:
    """The best of `count` equal parts of the time that moments cover, in order.

    found: in order. Dull ones are left out; parts without any are made up for by the best of the others.
    """
    best = max(moment.detail for moment in found)
    vivid = [moment for moment in found if moment.detail >= DULL * best]
    if len(vivid) <= count:
        return list(vivid)
    begin, end = vivid[0].seconds, vivid[-1].seconds
    part = (end - begin) / count
    chosen: dict[int, Moment] = {}
    for moment in vivid:
        place = min(floor((moment.seconds - begin) / part), count - 1) if part else 0
        rival = chosen.get(place)
        if rival is None or moment.detail > rival.detail:
            chosen[place] = moment
    taken = set(chosen.values())
    others = sorted((m for m in vivid if m not in taken), key=lambda moment: -moment.detail)
    return sorted((*taken, *others[: count - len(taken)]), key=lambda moment: moment.pts)


def places(info: SourceInfo, segment: Segment, count: int) -> list[Segment]:
    """The parts of a segment to look at: all of a short one, windows spread over a long one."""
    length = _length(info, segment)
    if length is None or length <= WHOLE_SECONDS:
        return [segment]
    begin = info.start_seconds if segment.start_pts is None else segment.start_pts * info.time_base
    number = WINDOWS_PER_MOMENT * count
    windows = []
    for place in range(number):
        middle = begin + length * Fraction(2 * place + 1, 2 * number)
        ends = (middle - Fraction(WINDOW_SECONDS, 2), middle + Fraction(WINDOW_SECONDS, 2))
        first, last = (floor(end / info.time_base) for end in ends)
        windows.append(Segment(first, last))
    return windows


def at(info: SourceInfo, times: Iterable[Fraction]) -> list[Moment]:
    """The frames that are on show at these times, in seconds from the container's start, in order.

    Raises UsageError for a time behind the last frame.
    """
    moments = {_shown_at(info, time) for time in times}
    return sorted(moments, key=lambda moment: moment.pts)


def _shown_at(info: SourceInfo, time: Fraction) -> Moment:
    target = (time + ROUNDING + info.start_time) / info.time_base

    def enough(stamps: list[int], decoding_time: int) -> bool:
        return decoding_time >= target and any(pts > target for pts in stamps)

    stamps = presentation_times(info, enough, from_pts=floor(target))
    if not stamps:
        raise DamagedSourceError(f"{info.path.name}: its time stamps cannot be read")
    if stamps[-1] <= target:
        frame = 1 / info.assumed_rate
        last = stamps[-1] * info.time_base - info.start_time
        end = Fraction(0) if info.duration is None else info.start_seconds + info.duration - info.start_time
        if time > max(last + frame, last + LATE_SECONDS, end):
            raise UsageError(
                f"--at {float(time):g}: {info.path.name} ends before",
                f"its last frame is at {float(last):.3f} s",
            )
    pts = stamps[max(bisect_right(stamps, target) - 1, 0)]
    return Moment(pts, pts * info.time_base - info.start_time)


def _frames(info: SourceInfo, window: Segment, rules: ReadingRules | None) -> Iterator[Frame]:
    with Reader(info, window, rules=rules) as reader:
        yield from reader.frames()


def _middle(info: SourceInfo, window: Segment) -> Fraction:
    """In seconds from the container's start."""
    begin = info.start_seconds if window.start_pts is None else window.start_pts * info.time_base
    return begin + (_length(info, window) or Fraction(0)) / 2 - info.start_time


def _length(info: SourceInfo, segment: Segment) -> Fraction | None:
    """Seconds; None if nobody knows."""
    if segment.end_pts is None and info.duration is None:
        return None
    begin = info.start_seconds if segment.start_pts is None else segment.start_pts * info.time_base
    if segment.end_pts is not None:
        return segment.end_pts * info.time_base - begin
    assert info.duration is not None
    return info.start_seconds + info.duration - begin
