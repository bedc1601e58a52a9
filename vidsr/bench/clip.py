"""A moving picture to measure with, drawn by FFmpeg's own test source: no file needs to be at hand."""

from __future__ import annotations

from pathlib import Path

import av
import av.error
import av.filter
from av.video.stream import VideoStream

from vidsr.errors import EncoderError
from vidsr.media.read.demux import reason

RATE = 24


def write_clip(path: Path, *, width: int, height: int, frames: int) -> Path:
    """Write `frames` pictures of FFmpeg's "testsrc2" as H.264, 4:2:0, tagged BT.709; returns path.

    It moves, and has flat areas, edges and fine detail: decoder and encoder have about as much to do as
    with a drawn film. Raises EncoderError where this FFmpeg lacks the source or the encoder.
    """
    graph = av.filter.Graph()
    try:
        drawn = graph.add("testsrc2", f"size={width}x{height}:rate={RATE}")
        flat = graph.add("format", "pix_fmts=yuv420p")
        out = graph.add("buffersink")
        drawn.link_to(flat)
        flat.link_to(out)
        graph.configure()
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=RATE, options={"crf": "18", "preset": "veryfast"})
            assert isinstance(stream, VideoStream)
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = width, height, "yuv420p"
            context.colorspace, context.color_range, context.color_primaries, context.color_trc = 1, 1, 1, 1
            for _ in range(frames):
                container.mux(stream.encode(graph.vpull()))
            container.mux(stream.encode(None))
    except av.error.FFmpegError as error:
        raise EncoderError(f"no clip to measure with can be made: {reason(error)}") from error
    return path
