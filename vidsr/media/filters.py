"""Chains of libavfilter's filters: read, refused where they cannot work, tried, and run.

A chain is written as for ffmpeg's -vf: "crop=704:480,hqdn3d=2". It has one input and one output; labels and
branches are refused. It knows pictures and their time stamps, never files or where in a job it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av.error
from av.filter import Graph
from av.filter.context import FilterContext
from av.filter.filter import filters_available
from av.video.frame import VideoFrame

from vidsr.errors import FrameError, UnknownNameError, UsageError
from vidsr.frames import Color, Matrix
from vidsr.media.color.frame_tags import UNSPECIFIED, color_of
from vidsr.media.ffmpeg_log import ERROR, INFO, listening
from vidsr.media.read.demux import reason

TRIAL_FRAMES = 64
"""How many pictures a chain may take before it gives one; the longest look-ahead in use (minterpolate,
tmedian, decimate) is below 30."""

CHOOSING_FILTERS = frozenset(
    {"decimate", "mpdecimate", "metadata", "pullup", "select", "sidedata", "thumbnail"}
)
"""Those that leave frames out for what is to be seen in them, or said of them; no trial shows which."""

TIMED_FRAMES = 24
"""How many pictures show whether a chain keeps their times."""

MAX_ASPECT_TERM = 65535
"""The largest number in a sample aspect ratio; H.264 and H.265 write 16 bits."""

_SHOWN_FRAME = re.compile(r"\bsar:(\d+)/(\d+) s:(\d+)x(\d+)")
_SHOWN_INPUT = re.compile(r"config in time_base: \S+, frame_rate: (\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class FilterStep:
    """One filter: its name, and its arguments as libavfilter reads them."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class PictureStream:
    """What goes into a chain or comes out of it.

    rate: frames a second, None where unknown. color: all specified, so that no filter has to guess.
    """

    width: int
    height: int
    pixel_format: str
    color: Color
    time_base: Fraction
    rate: Fraction | None = None
    sample_aspect_ratio: Fraction | None = None


_OWNER = "PyAV's FFmpeg"
_LISTED = 'python -c "import av.filter; print(*sorted(av.filter.filters_available))"'
"""An ffmpeg program on this machine is another build, and has others (eq, hqdn3d, ...)."""


def parse_chain(text: str, option: str = "--vf") -> tuple[FilterStep, ...]:
    """Read "name=arguments,name=arguments" with FFmpeg's quotes and backslashes; "" is no filter.

    option: the word to name in errors. Raises UsageError for labels, branches and broken quotes,
    UnknownNameError for a filter that is not there.
    """
    steps: list[FilterStep] = []
    rest = text.strip()
    while rest:
        rest = rest.lstrip()
        name, rest = _token(rest, "=,;[]", option)
        arguments = ""
        if rest.startswith("="):
            arguments, rest = _token(rest[1:], ",;[]", option)
        if rest[:1] in ("[", "]", ";"):
            raise UsageError(
                f"{option} takes one chain of filters: {rest[0]!r} in {text!r} makes labels or branches",
                "write filter=arguments,filter=arguments; put a literal sign in quotes",
            )
        if rest.startswith(",") and not rest[1:].strip():
            raise UsageError(
                f"{option} ends with a comma: {text!r}", "write filter=arguments,filter=arguments"
            )
        rest = rest.removeprefix(",")
        name = name.partition("@")[0]  # what follows only names the instance
        if name not in filters_available:
            raise UnknownNameError("filter", name, sorted(filters_available), _LISTED, owner=_OWNER)
        steps.append(FilterStep(name, arguments))
    return tuple(steps)


def _token(text: str, ends: str, option: str) -> tuple[str, str]:
    """The text up to an unquoted sign of `ends`, one level of quoting undone; and the rest from there on."""
    token: list[str] = []
    kept = 0  # so many characters are quoted or no space; trailing spaces behind them do not count
    position = 0
    while position < len(text) and text[position] not in ends:
        sign = text[position]
        if sign == "\\" and position + 1 < len(text):
            token.append(text[position + 1])
            position += 2
            kept = len(token)
        elif sign == "'":
            close = text.find("'", position + 1)
            if close < 0:
                raise UsageError(
                    f"{option}: a quote is not closed in {text!r}", "write 'text' in pairs of quotes"
                )
            token += text[position + 1 : close]
            position = close + 1
            kept = len(token)
        else:
            token.append(sign)
            position += 1
            kept = kept if sign.isspace() else len(token)
    return "".join(token[:kept]), text[position:]


class FilterGraph:
    """A chain at work: `push` pictures, take what comes out, `flush`. One thread uses it."""

    def __init__(self, steps: Sequence[FilterStep], stream: PictureStream) -> None:
        """Raises UsageError for arguments or filters that cannot work on such pictures."""
        self._stream = stream
        self._graph = Graph()
        aspect = stream.sample_aspect_ratio or Fraction(0)
        with _complaints(steps):
            self._source = last = self._graph.add("buffer", _buffer_arguments(stream))
            # frames carry the decoder's own aspect ratio, which need not be the stream's
            for step in (FilterStep("setsar", f"{_written(aspect)}:max={MAX_ASPECT_TERM}"), *steps):
                node = self._add(step)
                last.link_to(node)
                last = node
            self._sink = self._graph.add("buffersink")
            last.link_to(self._sink)
            self._graph.configure()

    def _add(self, step: FilterStep) -> FilterContext:
        node = self._graph.add(step.name, step.arguments or None)
        pads = (node.inputs, node.outputs)  # type: ignore[attr-defined]  # missing in the stubs
        if any(len(side) != 1 for side in pads):
            raise UsageError(
                f"the filter {step.name} does not have one picture as input and one as output",
                "only such filters can stand in a chain",
            )
        return node

    def push(self, picture: VideoFrame, pts: int) -> Iterator[VideoFrame]:
        """Put a picture in at a time stamp in units of the stream's time base; give what is ready.

        The picture's own tags are overwritten with the stream's. Raises FrameError where the filters fail,
        or give a picture without a time stamp.
        """
        color = self._stream.color
        picture.pts, picture.time_base = pts, self._stream.time_base
        picture.colorspace, picture.color_range = color.matrix, color.range
        picture.color_primaries, picture.color_trc = color.primaries, color.transfer
        yield from self._through(picture)

    def flush(self) -> Iterator[VideoFrame]:
        """What the filters still hold; they take no more pictures."""
        yield from self._through(None)

    def _through(self, picture: VideoFrame | None) -> Iterator[VideoFrame]:
        try:
            self._source.push(picture)
        except av.error.EOFError:
            return  # a filter like trim has ended the stream
        except av.error.FFmpegError as error:
            raise FrameError(
                f"the filters refuse a picture: {reason(error)}", "change the filters"
            ) from error
        while True:
            try:
                result = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            except av.error.FFmpegError as error:
                raise FrameError(f"the filters fail: {reason(error)}", "change the filters") from error
            assert isinstance(result, VideoFrame)
            if result.pts is None:
                raise FrameError("the filters give a picture without a time stamp", "change the filters")
            yield result


def outcome(steps: Sequence[FilterStep], stream: PictureStream) -> PictureStream:
    """What comes out of a chain, found by running pictures of black and white through it.

    Raises UsageError if the chain cannot work on such pictures or lets none of them through.
    """
    try:
        with listening(INFO) as heard:
            first = _first_result(FilterGraph((*steps, FilterStep("showinfo", "checksum=0")), stream), stream)
    except _RefusedError as error:
        spoken = [message.text.strip() for message in heard if message.severity <= ERROR]
        raise _refusal(steps, spoken[0] if spoken else error.words) from error
    shown = [message.text for message in heard if message.source == "showinfo"]
    if first is None:
        words = ",".join(step.name for step in steps)
        raise UsageError(f"the filters {words} let no picture through", "change the filters")
    aspect = next((found for text in shown if (found := _SHOWN_FRAME.search(text))), None)
    rate = next((found for text in shown if (found := _SHOWN_INPUT.search(text))), None)
    assert first.time_base is not None
    return PictureStream(
        width=first.width,
        height=first.height,
        pixel_format=first.format.name,
        color=_color(first, stream.color),
        time_base=first.time_base,
        rate=_ratio(rate),
        sample_aspect_ratio=_ratio(aspect),
    )


def keeps_times(steps: Sequence[FilterStep], stream: PictureStream) -> bool:
    """Whether each of the first pictures comes out once, at its own time, whatever is to be seen in it.

    What filters do much later does not show.
    """
    if any(step.name in CHOOSING_FILTERS for step in steps):
        return False
    graph, step = FilterGraph(steps, stream), _step(stream)
    results = [
        result
        for number, picture in enumerate(_trial(stream, TIMED_FRAMES))
        for result in graph.push(picture, number * step)
    ]
    results += graph.flush()
    times = [(result.pts or 0) * (result.time_base or 0) for result in results]
    return times == [number * step * stream.time_base for number in range(TIMED_FRAMES)]


def _first_result(graph: FilterGraph, stream: PictureStream) -> VideoFrame | None:
    step = _step(stream)
    for number, picture in enumerate(_trial(stream, TRIAL_FRAMES)):
        for result in graph.push(picture, number * step):
            return result
    return next(graph.flush(), None)


def _step(stream: PictureStream) -> int:
    """From one picture of a trial to the next, in units of the stream's time base."""
    return 1 if stream.rate is None else max(round(1 / (stream.rate * stream.time_base)), 1)


def _trial(stream: PictureStream, count: int) -> Iterator[VideoFrame]:
    """Pictures of black and white in turn."""
    for number in range(count):
        picture = VideoFrame(stream.width, stream.height, stream.pixel_format)
        for plane in picture.planes:
            plane.update(bytes([255 * (number % 2)]) * plane.buffer_size)
        yield picture


def _ratio(found: re.Match[str] | None) -> Fraction | None:
    if found is None or 0 in (int(found[1]), int(found[2])):
        return None
    return Fraction(int(found[1]), int(found[2]))


def _color(picture: VideoFrame, before: Color) -> Color:
    """What the filters tag a picture with; some (tmix, those to gray) lose tags without changing colours."""
    color = color_of(picture, before.chroma_location)
    return Color(
        before.matrix if color.matrix is Matrix.UNSPECIFIED else color.matrix,
        color.range or before.range,
        before.primaries if color.primaries == UNSPECIFIED else color.primaries,
        before.transfer if color.transfer == UNSPECIFIED else color.transfer,
        before.chroma_location,
    )


def _buffer_arguments(stream: PictureStream) -> str:
    arguments = {
        "video_size": f"{stream.width}x{stream.height}",
        "pix_fmt": stream.pixel_format,
        "time_base": _written(stream.time_base),
        "pixel_aspect": _written(stream.sample_aspect_ratio or Fraction(0)),
        "colorspace": str(int(stream.color.matrix)),
        "range": str(int(stream.color.range)),
    }
    if stream.rate is not None:
        arguments["frame_rate"] = _written(stream.rate)
    return ":".join(f"{key}={value}" for key, value in arguments.items())


def _written(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


class _RefusedError(UsageError):
    """words: libavfilter's."""

    def __init__(self, message: str, hint: str | None, words: str) -> None:
        super().__init__(message, hint)
        self.words = words


@contextmanager
def _complaints(steps: Sequence[FilterStep]) -> Iterator[None]:
    """Name what libavfilter refuses, in its own words, as a UsageError."""
    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        raise _refusal(
            steps, reason(error) if isinstance(error, av.error.FFmpegError) else str(error)
        ) from error


def _refusal(steps: Sequence[FilterStep], words: str) -> _RefusedError:
    chain = ",".join(f"{step.name}={step.arguments}" if step.arguments else step.name for step in steps)
    return _RefusedError(
        f"the filters {chain!r} cannot be used: {words.rstrip('.')}",
        "ffmpeg -h filter=NAME lists what a filter takes",
        words,
    )
