"""Which frames to look at, and how to get them from a file with as little decoding as possible.

It knows key frames and time stamps; what is in a frame is none of its business.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Self

import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vidsr.media.clock import Clock
from vidsr.media.read.demux import main_video_stream, read_packets, reason
from vidsr.media.read.seek import is_on_first_clock
from vidsr.media.verify.contents import KEY_FRAME, Contents, PacketLog

DECODED_PIXELS = 1_000_000_000
"""What may be decoded of the output by default: about a second's work of two cores (H.264)."""

LEAST_DECODED_FRAMES = 16

FRAMES_WORTH_A_SEEK = 8
"""Decoding so few frames costs less than filling a decoder's threads anew."""

SEEK_MARGINS_SECONDS = (0, 1, 10)
"""How far before a time to aim; some demuxers land behind it."""


def choose(count: int, samples: int) -> list[int]:
    """Indices of frames spread evenly over `count`, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(samples, count))}) if count else []


def within_budget(
    chosen: Sequence[int], times: Sequence[int], log: PacketLog, frame_pixels: int
) -> list[int]:
    """Frames like the chosen ones, moved towards their key frames as far as the budget demands.

    chosen: indices in times. times: pts of all frames, increasing. log: the packets of that file. To show a
    frame, everything from its key frame on has to be decoded.
    """
    budget = max(DECODED_PIXELS // frame_pixels, LEAST_DECODED_FRAMES)
    keys = key_times(log)
    runs: dict[int, list[int]] = {}  # index of the first frame of a run -> the chosen ones in it
    for index in chosen:
        key = bisect_right(keys, times[index]) - 1
        first = bisect_left(times, keys[key]) if key >= 0 else 0
        runs.setdefault(first, []).append(index)
    depth = max(budget // max(len(runs), 1), 1)
    moved: set[int] = set()
    for first, indices in runs.items():
        reach = indices[-1] - first + 1
        share = min(depth / reach, 1.0)
        moved.update(first + int((index - first) * share) for index in indices)
    return sorted(moved)


def key_times(log: PacketLog) -> list[int]:
    """pts of the key frames, increasing."""
    return sorted(pts for pts, flags in zip(log.stamps, log.flags, strict=True) if flags & KEY_FRAME)


@dataclass(frozen=True, slots=True)
class Picked:
    """A decoded frame. is_sound: nothing went wrong since the last key frame, as far as the decoder tells."""

    pts: int
    frame: VideoFrame
    is_sound: bool


class Picker:
    """Frames of one file by their time stamps, in increasing order.

    It seeks where that saves decoding; with may_seek=False it decodes everything from the start, as the
    reader does, so that nothing can depend on where decoding began.
    """

    def __init__(self, contents: Contents, *, may_seek: bool) -> None:
        """Raises SourceError if the file cannot be opened."""
        self._info = contents.info
        self._keys = key_times(contents.video) if may_seek else []
        self._times = contents.frame_times
        self.has_sought = False
        self.failures: list[str] = []
        self._container, self._stream = self._open()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        container = self._info.open()
        stream = main_video_stream(container, self._info.path)
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        stream.thread_type = "AUTO"
        return container, stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def pick(self, wanted: Sequence[int]) -> Iterator[Picked]:
        """The frames with these pts, increasing; those that never come are left out."""
        position = 0
        frames = self._frames(None)
        at: int | None = None  # pts of the frame that came last
        aimed: int | None = None  # some demuxers land far before their aim: one seek for each wanted frame
        while position < len(wanted):
            target = wanted[position]
            if target != aimed and self._is_worth_seeking(at, target):
                aimed = target
                frames = self._frames(target)
            found = next(frames, None)
            if found is None:
                return
            at = found.pts
            while position < len(wanted) and wanted[position] < found.pts:
                position += 1
            if position < len(wanted) and wanted[position] == found.pts:
                position += 1
                yield found

    def _is_worth_seeking(self, at: int | None, target: int) -> bool:
        """Whether a key frame lies well behind what was decoded last, and not behind what is wanted."""
        key = bisect_right(self._keys, target) - 1
        if key < 1:
            return False
        ahead = bisect_left(self._times, self._keys[key]) - (
            0 if at is None else bisect_left(self._times, at)
        )
        return ahead > FRAMES_WORTH_A_SEEK

    def _frames(self, target: int | None) -> Iterator[Picked]:
        """Decoded frames, from the start or from a key frame at or before a time stamp on."""
        packets = read_packets(self._container, [self._stream], self.failures.append)
        if target is not None:
            packets = self._packets_from(target)
        clock = Clock(self._info.format_name, self._info.time_base)
        is_sound = True
        for packet in chain(packets, [None]):
            try:
                frames = self._stream.decode(packet)
            except av.error.FFmpegError as error:
                self.failures.append(reason(error))
                is_sound = False
                continue
            for frame in frames:
                is_sound = not frame.is_corrupt and (is_sound or bool(frame.key_frame))
                yield Picked(clock.stamp(frame), frame, is_sound)

    def _packets_from(self, target: int) -> Iterator[Packet[VideoStream]]:
        self.has_sought = True
        for margin in SEEK_MARGINS_SECONDS:
            try:
                self._container.seek(target - int(margin / self._info.time_base), stream=self._stream)
            except av.error.FFmpegError:
                break
            packets = read_packets(self._container, [self._stream], self.failures.append)
            first = next(packets, None)
            if first is not None and first.is_keyframe and first.pts is not None and first.pts <= target:
                if not is_on_first_clock(self._container, first):
                    break
                return chain([first], packets)
        self._keys = []
        self._container.close()
        self._container, self._stream = self._open()
        return read_packets(self._container, [self._stream], self.failures.append)
