"""PSNR and SSIM of two videos, frame by frame, by FFmpeg's own filters.

Frames are paired in order, and each pair's times are compared: a frame that is missing on one side would
else shift all that follow. It decodes and measures; what is shown of it is `report`'s and `plot`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av.error
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from vidsr.errors import DamagedSourceError, FrameError, FrameFormatError
from vidsr.media.read.demux import reason
from vidsr.media.read.reader import Reader
from vidsr.media.read.source_info import SourceInfo
from vidsr.metrics.meeting import Meeting, Side

if TYPE_CHECKING:
    from collections.abc import Mapping

PACE = Fraction(1, 25)
"""The filters see frames at a steady pace, in pairs: they match by time, we have matched already."""

LEAST_TOLERANCE_SECONDS = Fraction(2, 1000)
"""How far the times of a pair may be apart in any case: Matroska rounds to milliseconds."""

FALLBACK_INTERVAL = Fraction(1, 25)


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One pair of frames.

    index: from 0. time: of A's frame in seconds after A's first one. mse, psnr, ssim: by plane ("y", "u",
    "v", or "r", "g", "b") and over all samples ("all"); psnr in dB, infinite for identical planes. vmaf:
    None where it was not measured.
    """

    index: int
    time: Fraction
    mse: Mapping[str, float]
    psnr: Mapping[str, float]
    ssim: Mapping[str, float]
    vmaf: float | None = None

    @property
    def is_identical(self) -> bool:
        return not any(self.mse.values())


@dataclass(frozen=True, slots=True)
class Comparison:
    """a_frames, b_frames: how many each video holds; pairs were made of as many as both hold."""

    a: Path
    b: Path
    meeting: Meeting
    frames: tuple[FrameScore, ...]
    a_frames: int
    b_frames: int
    notes: tuple[str, ...] = ()
    vmaf_model: str | None = None


def compare(meeting: Meeting, *, ignore_times: bool = False, on_frame: Callable[[int], None]) -> Comparison:
    """Measure every pair of frames. on_frame: called with the number of pairs so far.

    ignore_times: pair frames in order even where they are shown at other times.

    Raises FrameError for a pair whose times differ, FrameFormatError or FrameSizeError where one video
    changes on the way, DamagedSourceError if one holds no frame.
    """
    scores: list[FrameScore] = []
    with Reader(meeting.reference.info) as ours, Reader(meeting.other.info) as theirs:
        a_pictures, b_pictures = ours.pictures(), theirs.pictures()
        measure = _Measure(meeting)
        clock = _Clock(meeting, ignore_times=ignore_times)
        while True:
            a, b = next(a_pictures, None), next(b_pictures, None)
            if a is None or b is None:
                break
            time = clock.check(len(scores), a[1], b[1])
            scores.append(measure.pair(len(scores), time, a[0], b[0]))
            on_frame(len(scores))
        more_a = (a is not None) + sum(1 for _ in a_pictures)
        more_b = (b is not None) + sum(1 for _ in b_pictures)
        damage = [("A", entry) for entry in ours.damage] + [("B", entry) for entry in theirs.damage]
    if not scores:
        empty = meeting.reference.info.path if not more_a else meeting.other.info.path
        raise DamagedSourceError(f"{empty} gave no frame that can be decoded")
    notes = [*meeting.notes, *(f"{name} is damaged: {entry}" for name, entry in damage)]
    if more_a or more_b:
        longer, count = ("A", more_a) if more_a else ("B", more_b)
        notes.append(f"the last {count} frame{'s' if count > 1 else ''} of {longer} have no counterpart")
    return Comparison(
        meeting.reference.info.path,
        meeting.other.info.path,
        meeting,
        tuple(scores),
        len(scores) + more_a,
        len(scores) + more_b,
        tuple(notes),
    )


class _Clock:
    """Whether the frames of a pair show the same moment, counted from each video's first frame."""

    def __init__(self, meeting: Meeting, *, ignore_times: bool) -> None:
        self._bases = meeting.reference.info.time_base, meeting.other.info.time_base
        self._ignore = ignore_times
        self._firsts: tuple[int, int] | None = None
        rate = meeting.reference.info.average_rate
        interval = 1 / rate if rate else FALLBACK_INTERVAL
        self._tolerance = max(interval / 2, LEAST_TOLERANCE_SECONDS)

    def check(self, number: int, a_pts: int, b_pts: int) -> Fraction:
        """A's time. Raises FrameError."""
        if self._firsts is None:
            self._firsts = a_pts, b_pts
        ours = (a_pts - self._firsts[0]) * self._bases[0]
        theirs = (b_pts - self._firsts[1]) * self._bases[1]
        if abs(ours - theirs) > self._tolerance and not self._ignore:
            raise FrameError(
                f"frame {number} is shown at {float(ours):.3f} s in A and at {float(theirs):.3f} s in B",
                "a frame is missing or added before it; --ignore-times pairs them in order all the same",
            )
        return ours


class _Measure:
    """The filters, and what they say of each pair."""

    def __init__(self, meeting: Meeting) -> None:
        self._sides = meeting.reference, meeting.other
        graph = self._graph = Graph()
        try:
            self._inputs = tuple(graph.add("buffer", _buffer(side)) for side in self._sides)
            a = _chain(graph, self._inputs[0], meeting.reference.filters)
            b = _chain(graph, self._inputs[1], meeting.other.filters)
            split, psnr, ssim = graph.add("split"), graph.add("psnr"), graph.add("ssim")
            self._sink = graph.add("buffersink")
            b.link_to(split)
            a.link_to(psnr, 0, 0)
            split.link_to(psnr, 0, 1)
            psnr.link_to(ssim, 0, 0)
            split.link_to(ssim, 1, 1)
            ssim.link_to(self._sink)
            graph.configure()
        except (av.error.FFmpegError, ValueError) as error:
            words = reason(error) if isinstance(error, av.error.FFmpegError) else str(error)
            raise FrameFormatError(
                f"{meeting.layout.name} cannot be compared: {words}", "convert both to 8 or 10 bits first"
            ) from error

    def pair(self, number: int, time: Fraction, a: VideoFrame, b: VideoFrame) -> FrameScore:
        for side, node, picture in zip(self._sides, self._inputs, (a, b), strict=True):
            _check(side.info, number, picture)
            picture.pts, picture.time_base = number, PACE
            color = side.color
            picture.colorspace, picture.color_range = color.matrix, color.range
            picture.color_primaries, picture.color_trc = color.primaries, color.transfer
            node.push(picture)
        try:
            result = self._sink.pull()
        except av.error.FFmpegError as error:
            raise FrameError(f"frame {number} cannot be compared: {reason(error)}") from error
        assert isinstance(result, VideoFrame)
        return _score(number, time, result.metadata)


def _check(info: SourceInfo, number: int, picture: VideoFrame) -> None:
    if picture.format.name != info.pixel_format:
        raise FrameFormatError(
            f"{info.path}: frame {number} is {picture.format.name}; the stream began as {info.pixel_format}",
            "cut the file there first",
        )


def _buffer(side: Side) -> str:
    info, color = side.info, side.color
    return (
        f"video_size={info.width}x{info.height}:pix_fmt={info.pixel_format}:pixel_aspect=1/1"
        f":time_base={PACE.numerator}/{PACE.denominator}"
        f":colorspace={int(color.matrix)}:range={int(color.range)}"
    )


def _chain(graph: Graph, last: FilterContext, filters: str) -> FilterContext:
    for step in filters.split(","):
        name, _, arguments = step.partition("=")
        node = graph.add(name, arguments or None)
        last.link_to(node)
        last = node
    return last


def _score(number: int, time: Fraction, said: Mapping[str, str]) -> FrameScore:
    planes = {key.removeprefix("lavfi.psnr.mse.") for key in said if key.startswith("lavfi.psnr.mse.")}

    def by_plane(prefix: str) -> Iterator[tuple[str, float]]:
        for plane in sorted(planes, key="yuvrgb".index):
            yield plane, float(said[f"{prefix}.{plane}"])

    ssim = {key.removeprefix("lavfi.ssim.").lower(): float(value) for key, value in _ssim(said)}
    return FrameScore(
        number,
        time,
        mse={"all": float(said["lavfi.psnr.mse_avg"]), **dict(by_plane("lavfi.psnr.mse"))},
        psnr={"all": float(said["lavfi.psnr.psnr_avg"]), **dict(by_plane("lavfi.psnr.psnr"))},
        ssim={"all": ssim["all"], **{p: ssim[p] for p in sorted(planes, key="yuvrgb".index)}},
    )


def _ssim(said: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in said.items():
        if key.startswith("lavfi.ssim.") and key != "lavfi.ssim.dB":
            yield key, value
