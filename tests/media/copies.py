"""Outputs as a job makes them, by the real reader and writer but no network: samples are kept or doubled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidsr.damage import Damage
from vidsr.frames import ChromaLocation, Color, Frame
from vidsr.job import EncoderRequest, Segment
from vidsr.media.color.convert import assume
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import settings_for
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.write.writer import Writer

Change = Callable[[Iterator[Frame]], Iterable[Frame]]


def copy(
    source: Path,
    output: Path,
    *,
    encoder: str = "libx264",
    pixel_format: str | None = None,
    factor: int = 1,
    segment: Segment | None = None,
    audio: str = "all",
    subtitles: str = "all",
    change: Change = lambda frames: frames,
    options: dict[str, str] | None = None,
    color: Color | None = None,
) -> list[Damage]:
    """Write `source` again, every sample `factor` times in both directions. change: what befalls the frames.

    Returns what the reader could not decode.
    """
    info = probe(source)
    layout = planar_equivalent(info.pixel_format)
    settings = settings_for(
        EncoderRequest(
            encoder,
            crf=10.0 if encoder == "libx264" else None,
            preset="ultrafast" if encoder == "libx264" else None,
            pixel_format=pixel_format or layout.name,
            options=tuple((options or {}).items()),
        ),
        source=layout,
        container=OutputFormat.of_path(output).muxer,
    )
    assumed = color or assume(info.color, info.height, layout, width=info.width)
    if layout.log2_chroma_w == 0:
        assumed = replace(assumed, chroma_location=ChromaLocation.UNSPECIFIED)
    with (
        Reader(info, segment) as reader,
        Writer(
            output,
            info,
            settings,
            width=info.width * factor,
            height=info.height * factor,
            color=assumed,
            segment=segment,
            audio=audio,
            subtitles=subtitles,
        ) as writer,
    ):
        for frame in change(reader.frames()):
            enlarged = tuple(np.kron(p, np.ones((factor, factor), p.dtype)) for p in frame.planes)
            writer.write(frame.with_planes(enlarged, layout, assumed))
        writer.finish()
    return reader.damage
