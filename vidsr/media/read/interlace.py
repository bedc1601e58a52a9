"""Whether a video is interlaced or telecined film, and the filters that undo it.

Flags and pictures are both asked: files are marked as interlaced that are not, and telecined film is
marked like video. It decodes the beginning of a file; it changes nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

from vidsr.errors import UsageError
from vidsr.job import Deinterlace
from vidsr.media.filters import FilterStep
from vidsr.media.read.demux import main_video_stream, read_packets
from vidsr.media.read.source_info import SourceInfo

Scan = Literal["progressive", "interlaced", "telecined"]

EXAMINED_FRAMES = 60
"""Two seconds of broadcast video: a dozen turns of 3:2 pulldown, and 0.1 s of decoding at DVD size."""

REPEATED_SHARE = 0.25
"""3:2 pulldown repeats a field in 2 of 5 frames (0.4); still pictures on interlaced video stay near 0."""

BROADCAST_RATES = (Fraction(23), Fraction(31))
"""Frames a second that interlaced video has."""

MAX_INTERLACED_LINES = 1088

NTSC_RATE = Fraction(30000, 1001)
TELECINED_RATES = (NTSC_RATE, Fraction(30))

DEINTERLACERS = frozenset(
    {"bwdif", "yadif", "w3fdif", "estdif", "kerndeint", "nnedi", "fieldmatch", "pullup", "detelecine"}
    | {"separatefields", "dejudder", "il", "field"}
)
"""Filters with which a user has taken the matter into their own hands."""


def scan_of(source: SourceInfo) -> Scan:
    """How the frames of a file were made, from its flags and its first frames.

    Raises SourceError if the file cannot be opened any more.
    """
    marked = source.interlaced_frames or source.field_order not in ("unknown", "progressive")
    rate = source.average_rate
    low, high = BROADCAST_RATES
    if not marked and (source.height > MAX_INTERLACED_LINES or rate is None or not low < rate < high):
        return "progressive"
    frames = _first_frames(source)
    if not marked and not any(frame.interlaced_frame for frame in frames):
        return "progressive"
    if rate is not None and _film_rate(rate) is not None and _repeated_share(frames) >= REPEATED_SHARE:
        return "telecined"
    return "interlaced"


def deinterlacing_steps(mode: Deinterlace, source: SourceInfo) -> tuple[FilterStep, ...]:
    """The filters for a mode.

    "auto" treats frames marked as interlaced, "bwdif" all of them, both one by one at their own time; "ivtc"
    brings telecined film back to its own frames.

    Raises UsageError for "ivtc" where the frame rate is none that film is telecined to.
    """
    if mode == "off":
        return ()
    if mode in ("auto", "bwdif"):
        which = "interlaced" if mode == "auto" else "all"
        base = source.time_base
        return (
            FilterStep("bwdif", f"mode=send_frame:deint={which}"),
            FilterStep("settb", f"{base.numerator}/{base.denominator}"),  # bwdif halves it, for fields
        )
    rate = None if source.average_rate is None else _film_rate(source.average_rate)
    if rate is None:
        fps = "unknown" if source.average_rate is None else f"{float(source.average_rate):.3f}"
        raise UsageError(
            f"--deinterlace ivtc is for film at 29.97 frames a second; this video's rate is {fps}",
            "pass --deinterlace auto",
        )
    return (
        # decimate counts frames instead of reading time stamps: gaps must be filled, or sound would drift
        FilterStep("fps", f"{rate.numerator}/{rate.denominator}"),
        FilterStep("fieldmatch", ""),
        FilterStep("bwdif", "mode=send_frame:deint=interlaced"),  # what has no partner for its field
        FilterStep("decimate", ""),
    )


def interlace_note(mode: Deinterlace, scan: Scan, source: SourceInfo) -> str | None:
    """A line for people where a mode does not fit how the frames were made."""
    if scan == "telecined" and mode != "ivtc":
        return "telecined film (3:2 pulldown): pass --deinterlace ivtc to get its own frames back"
    if scan == "interlaced" and mode == "off":
        return f"the video is interlaced{_order(source)}: pass --deinterlace auto, or combs are upscaled too"
    if scan == "interlaced" and mode == "ivtc":
        return "this video looks interlaced, not telecined: --deinterlace auto may fit better"
    if scan == "progressive" and mode == "auto":
        return "no frame at the beginning is marked as interlaced; --deinterlace bwdif treats all of them"
    return None


def _order(source: SourceInfo) -> str:
    words = {"tt": "top", "tb": "top", "bb": "bottom", "bt": "bottom"}.get(source.field_order)
    return f" ({words} field first)" if words else ""


def _film_rate(rate: Fraction) -> Fraction | None:
    """The rate film is telecined to that is meant by an average, which time stamps in milliseconds blur."""
    nearest = min(TELECINED_RATES, key=lambda known: abs(known - rate))
    return nearest if abs(nearest - rate) < Fraction(1, 2) else None


def _first_frames(source: SourceInfo) -> list[VideoFrame]:
    frames: list[VideoFrame] = []
    with source.open() as container:
        stream = main_video_stream(container, source.path)
        stream.thread_type = "AUTO"
        for packet in read_packets(container, [stream], lambda _: None):
            try:
                frames += stream.decode(packet)
            except av.error.FFmpegError:
                continue
            if len(frames) >= EXAMINED_FRAMES:
                break
    same = (source.width, source.height, source.pixel_format)
    return [f for f in frames[:EXAMINED_FRAMES] if (f.width, f.height, f.format.name) == same]


def _repeated_share(frames: list[VideoFrame]) -> float:
    """How many of the frames show a field of the frame before again, 0 to 1, as FFmpeg's idet finds."""
    if not frames:
        return 0.0
    graph = Graph()
    source = graph.add_buffer(
        width=frames[0].width, height=frames[0].height, format=frames[0].format, time_base=Fraction(1, 25)
    )
    detector, sink = graph.add("idet"), graph.add("buffersink")
    graph.link_nodes(source, detector, sink).configure()
    repeated = 0
    for number, frame in enumerate([*frames, None]):
        if frame is not None:
            frame.pts = number
        source.push(frame)
        while True:
            try:
                seen = sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            assert isinstance(seen, VideoFrame)
            repeated += seen.metadata.get("lavfi.idet.repeated.current_frame") in ("top", "bottom")
    return repeated / len(frames)
