"""Time codes (SMPTE ST 12-1), labels such as 01:00:59;28 that count frames, and what they are in an output.

A label belongs to the first frame. That of a cut is computed: as many are counted as the source's rate has
frames in the time before. In Matroska, whose header tells of a rate and not of frames that are missing, those
before the cut are counted indeed; nothing else is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from vidsr.media.containers import OutputFormat
from vidsr.media.read.locate import frames_before
from vidsr.media.read.source_info import TIME_CODE_KEY, SourceInfo
from vidsr.media.tag_pairs import Tags, tag_value, without_tag
from vidsr.media.timeline import Timeline

_RATES = (
    *(Fraction(nominal) for nominal in (24, 25, 30, 48, 50, 60)),
    *(Fraction(nominal * 1000, 1001) for nominal in (24, 30, 48, 60)),
)
"""What ST 12-1 counts: 23.976, 24, 25, 29.97, 30, 47.95, 48, 50, 59.94 and 60 frames a second."""

_SAME_RATE = Fraction(3, 10_000)
"""How far a measured rate may be from one of these; 24 and 23.976 are 0.001 apart."""

_STAMP_SECONDS = Fraction(1, 1000)
"""How far two time stamps of Matroska, in whole milliseconds, may be from where they are meant."""

_LABEL = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.,])(\d\d)", re.ASCII)
MOST_LABELS = 100
"""A second: ST 12-1 has two digits for them. Beyond, FFmpeg reads labels of three digits out of MP4."""

_DAY_MINUTES = 24 * 60


class NoTimeCodeError(ValueError):
    """Words for people: why there is no label."""


@dataclass(frozen=True, slots=True)
class TimeCode:
    """frame: counted from 00:00:00:00, less than a day. nominal: labels a second (30 for 29.97).

    is_drop_frame: whether labels are passed over so that they keep up with the clock, though 30 of them are
    counted for 29.97 frames: each minute begins with ;02 (with ;04 at 59.94), but for every tenth.
    """

    frame: int
    nominal: int
    is_drop_frame: bool

    @classmethod
    def parse(cls, text: str, nominal: int) -> TimeCode:
        """Raises NoTimeCodeError for what is no label at that many a second."""
        if nominal > MOST_LABELS:
            raise NoTimeCodeError(
                f"its labels have two digits for the frames, and there are {nominal} a second"
            )
        found = _LABEL.fullmatch(text.strip())
        if found is None:
            raise NoTimeCodeError("it cannot be read")
        hours, minutes, seconds, frames = (int(found[n]) for n in (1, 2, 3, 5))
        drops = found[4] != ":"
        if drops and nominal % 30:
            raise NoTimeCodeError(f"no labels are passed over at {nominal} a second")
        passed_over = nominal // 15 if drops else 0
        if hours > 23 or minutes > 59 or seconds > 59 or frames >= nominal:
            raise NoTimeCodeError(f"there is no such label at {nominal} a second")
        if seconds == 0 and frames < passed_over and minutes % 10:
            raise NoTimeCodeError("it is one of the labels that are passed over")
        minute = hours * 60 + minutes
        labels = (minute * 60 + seconds) * nominal + frames
        return cls(labels - passed_over * (minute - minute // 10), nominal, drops)

    def counting(self, times: int) -> TimeCode:
        """The label of the same moment where so many times as many frames are counted."""
        return replace(self, frame=self.frame * times, nominal=self.nominal * times)

    def after(self, frames: int) -> TimeCode:
        """The label so many frames later; behind the last of a day comes the first."""
        day = _DAY_MINUTES * 60 * self.nominal - self._passed_over * (_DAY_MINUTES - _DAY_MINUTES // 10)
        return replace(self, frame=(self.frame + frames) % day)

    @property
    def _passed_over(self) -> int:
        """Labels, at the beginning of nine minutes in ten."""
        return self.nominal // 15 if self.is_drop_frame else 0

    def __str__(self) -> str:
        frame = self.frame
        if skipped := self._passed_over:
            minute = 60 * self.nominal - skipped
            tens, rest = divmod(frame, 10 * minute + skipped)
            minutes = 0 if rest < minute + skipped else (rest - skipped) // minute
            frame += skipped * (9 * tens + minutes)
        seconds, frames = divmod(frame, self.nominal)
        hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
        return f"{hours:02}:{minutes:02}:{seconds:02}{';' if self.is_drop_frame else ':'}{frames:02}"


def label_after(text: str, rate: Fraction | None, seconds: Fraction, counted: Fraction | None = None) -> str:
    """The label of the frame that is shown so much later, counting the frames at their rate.

    counted: what the given label counts in a second, where that is something else: cameras count pairs of
    frames. Raises NoTimeCodeError.
    """
    exact = _standard(rate)
    nominal, own = round(exact), round(counted or exact)
    if own < 1 or nominal % own:
        raise NoTimeCodeError(f"it counts {own} frames a second and the video has {nominal}")
    first = TimeCode.parse(text, own).counting(nominal // own)
    if first.is_drop_frame and exact.denominator == 1:
        raise NoTimeCodeError(f"no labels are passed over at exactly {exact} a second")
    frames = round(seconds * exact)
    if abs(seconds - frames / exact) > _STAMP_SECONDS:
        raise NoTimeCodeError("the cut begins between two frames that it counts")
    return str(first.after(frames))


def _standard(rate: Fraction | None) -> Fraction:
    exact = next((known for known in _RATES if rate and abs(rate / known - 1) < _SAME_RATE), None)
    if exact is None:
        raise NoTimeCodeError("the frames do not follow each other at a rate that time codes count")
    return exact


def follow_time_codes(
    source: SourceInfo, timeline: Timeline, output: OutputFormat
) -> tuple[SourceInfo, list[str]]:
    """The source with the time codes that its output has; one line about each that it cannot have.

    MP4 and QuickTime keep one, with the video: there the file's own goes.
    """
    lost: dict[str, str] = {}
    if output.muxer in ("mp4", "mov"):
        source = _with_the_video(source)

    def changed(tags: Tags) -> Iterator[tuple[str, str]]:
        for key, value in tags:
            if key.lower() != TIME_CODE_KEY:
                yield key, value
                continue
            try:
                yield key, _label(value, source, timeline, output)
            except NoTimeCodeError as error:
                lost[value] = str(error)

    streams = tuple(replace(stream, metadata=tuple(changed(stream.metadata))) for stream in source.streams)
    followed = replace(source, streams=streams, metadata=tuple(changed(source.metadata)))
    return followed, [f"time code {text!r} is left out: {why}" for text, why in lost.items()]


def _label(text: str, source: SourceInfo, timeline: Timeline, output: OutputFormat) -> str:
    rate, counted = source.average_rate, source.time_code_rate
    if counted is None and rate is not None:
        raise NoTimeCodeError("filters give other frames than those it counts")
    if timeline.start is not None:
        seconds = timeline.start - source.start_seconds
        label = label_after(text, rate, seconds, counted)
        if source.matroska is not None:
            there = frames_before(source, timeline.start)
            if there != round(seconds * _standard(rate)):
                raise NoTimeCodeError(f"{there} frames lie before the cut, which is not what it counts")
        return label
    if round(counted or 0) != round(rate or 0):
        return label_after(text, rate, Fraction(0), counted)
    if output.muxer in ("mp4", "mov"):  # they keep it as a number
        return str(TimeCode.parse(text, round(rate or 0)))
    return text


def _with_the_video(source: SourceInfo) -> SourceInfo:
    own = tag_value(source.metadata, TIME_CODE_KEY)
    if own is None:
        return source
    streams = list(source.streams)
    video = source.video
    if not video.has_time_code:
        streams[source.video_index] = replace(video, metadata=(*video.metadata, (TIME_CODE_KEY, own)))
    metadata = without_tag(source.metadata, TIME_CODE_KEY)
    return replace(source, streams=tuple(streams), metadata=metadata)
