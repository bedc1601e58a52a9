"""An upscaling that changes nothing: the reader's frames straight into the writer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from vidsr.damage import Damage
from vidsr.frames import Color, Frame, Matrix, PixelFormat, Plane, Range
from vidsr.job import EncoderRequest, Segment
from vidsr.media.encode.encoders import settings_for
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.write.writer import Writer, Written

BT709 = Color(Matrix.BT709, Range.LIMITED, 1, 1)
BT601 = Color(Matrix.SMPTE170M, Range.LIMITED, 1, 6)
"""What small untagged pictures are taken for."""


@dataclass(frozen=True)
class Remade:
    info: SourceInfo
    written: Written
    notes: list[str]
    damage: list[Damage]


def flat_planes(layout: PixelFormat, width: int, height: int, value: int) -> tuple[Plane, ...]:
    """A picture of one code value in all planes."""
    shapes = (layout.plane_shape(i, height, width) for i in range(layout.plane_count))
    return tuple(cast("Plane", np.full(shape, value, layout.dtype)) for shape in shapes)


def frames_of(path: Path, segment: Segment | None = None) -> list[Frame]:
    with Reader(probe(path), segment, threads=2) as reader:
        return list(reader.frames())


def remake(
    source: Path,
    output: Path,
    *,
    encoder: str = "ffv1",
    segment: Segment | None = None,
    audio: str = "all",
    subtitles: str = "all",
    strict: bool = False,
    overwrite: bool = False,
    color: Color | None = None,
    options: dict[str, str] | None = None,
) -> Remade:
    """Read everything, write everything, in one thread. x264 is lossless unless options say otherwise."""
    info = probe(source)
    layout = planar_equivalent(info.pixel_format)
    lossless = {"libx264": {"qp": "0"}, "libx265": {"x265-params": "lossless=1"}}.get(encoder, {})
    fast = "ultrafast" if encoder in ("libx264", "libx265") else None
    settings = settings_for(
        EncoderRequest(
            encoder,
            preset=fast,
            pixel_format=layout.name if encoder == "ffv1" else None,
            options=tuple((lossless if options is None else options).items()),
        ),
        source=layout,
        container=output.suffix,
        threads=2,
    )
    with (
        Reader(info, segment, threads=2) as reader,
        Writer(
            output,
            info,
            settings,
            width=info.width,
            height=info.height,
            color=color or info.color,
            segment=segment,
            audio=audio,
            subtitles=subtitles,
            strict=strict,
            overwrite=overwrite,
        ) as writer,
    ):
        for frame in reader.frames():
            if settings.layout != layout:  # only the times matter then
                flat = flat_planes(settings.layout, info.width, info.height, frame.index)
                writer.write(frame.with_planes(flat, settings.layout, frame.color))
            else:
                writer.write(frame)
        writer.finish()
    assert writer.written is not None
    return Remade(info, writer.written, writer.notes, reader.damage + writer.damage)
