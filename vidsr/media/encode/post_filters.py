"""Filters between the network and the encoder: one picture in, one picture out, at the same moment.

They may change size, shape and samples, never time: each segment of a long job runs them anew, so what comes
out must not depend on where a segment began. What changes time belongs before the network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from av.video.frame import VideoFrame

from vidsr.errors import FrameError, UsageError
from vidsr.frames import Color
from vidsr.media.encode.encoders import EncoderSettings
from vidsr.media.filters import FilterGraph, FilterStep, PictureStream, outcome, parse_chain
from vidsr.media.geometry import output_aspect
from vidsr.media.read.source_info import SourceInfo

OPTION = "--post-vf"

TRIED_FRAMES = 12
"""With which it is tried whether a chain keeps every frame; filters that thin out do so within ten."""


class PostFilters:
    """The filters of an encoder's settings, at work on one run of frames. One thread uses it.

    result: what comes out, in the layout the settings name.
    """

    def __init__(
        self, settings: EncoderSettings, source: SourceInfo, width: int, height: int, color: Color
    ) -> None:
        """width, height, color: of the frames to come.

        Raises UsageError if the filters do not work on such frames or change time.
        """
        steps = (*parse_chain(settings.post_filters, OPTION), FilterStep("format", settings.pixel_format))
        stream = PictureStream(
            width=width,
            height=height,
            pixel_format=settings.pixel_format,
            color=color,
            time_base=source.time_base,
            rate=source.average_rate,
            sample_aspect_ratio=output_aspect(source, width, height),
        )
        self.result = outcome(steps, stream)
        if (self.result.time_base, self.result.rate) != (stream.time_base, stream.rate):
            raise _changes_time(settings.post_filters)
        self._chain = settings.post_filters
        self._size, self._layout = (width, height), settings.pixel_format
        self._step = max(round(1 / ((stream.rate or 25) * stream.time_base)), 1)
        self._graph = FilterGraph(steps, stream)
        self._expected: deque[tuple[int, int]] = deque()

    def try_out(self) -> None:
        """Run empty pictures through, after which no frame can be pushed any more. Raises as `push` does."""
        picture = VideoFrame(self._size[0], self._size[1], self._layout)
        for plane in picture.planes:
            plane.update(bytes(plane.buffer_size))
        for pts in range(0, TRIED_FRAMES * self._step, self._step):
            for _ in self.push(picture, pts, self._step):
                pass
        for _ in self.flush():
            pass

    def push(self, picture: VideoFrame, pts: int, duration: int) -> Iterator[VideoFrame]:
        """Put a frame in; gives what is ready, with time stamp and duration.

        Raises FrameError where the filters fail, UsageError where they change time.
        """
        self._expected.append((pts, duration))
        yield from self._in_time(self._graph.push(picture, pts))

    def flush(self) -> Iterator[VideoFrame]:
        """What the filters still hold. Raises as `push` does."""
        yield from self._in_time(self._graph.flush())
        if self._expected:
            raise _changes_time(self._chain)

    def _in_time(self, pictures: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
        for picture in pictures:
            if (picture.width, picture.height) != (self.result.width, self.result.height):
                raise FrameError(f"the filters of {OPTION} change the size on the way", f"change {OPTION}")
            if not self._expected or picture.pts != self._expected[0][0]:
                raise _changes_time(self._chain)
            _, picture.duration = self._expected.popleft()
            yield picture


def _changes_time(chain: str) -> UsageError:
    return UsageError(
        f"{OPTION} {chain} leaves out, adds or moves frames", "use --vf for filters that change time"
    )
