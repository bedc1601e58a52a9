"""What encoders store: layouts of samples, and the colours their files can name; the nearest to a source's.

It knows encoders by their names and what FFmpeg lists of them; it opens none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import av
from av.codec.codec import UnknownCodecError
from av.video.format import names as video_format_names  # type: ignore[attr-defined]  # missing in the stubs

from vidsr.errors import EncoderError, FrameFormatError, UnknownNameError
from vidsr.frames import Color, Matrix, PixelFormat, Range
from vidsr.media.encode.encoder_table import KNOWN, Known

_REPACKED = {
    "nv12": "yuv420p",
    "p010le": "yuv420p10le",
    "nv16": "yuv422p",
    "p210le": "yuv422p10le",
}
_REPACKED_RGB = {"rgb24": "gbrp", "bgr0": "gbrp"}
"""Layouts of encoders that take no planar one, and the planar layout that holds the same samples. RGB only
for those that also store RGB: AMD's and Intel's would convert it, with a matrix of their own choice."""

_STORES_RGB = frozenset({"libx264rgb", "ffv1"})

RAW = "rawvideo"
"""The encoder that codes nothing: samples as they are, for pipes."""


def choose_pixel_format(
    name: str, formats: Mapping[str, str], wished: str | None, source: PixelFormat
) -> str:
    """The wished one if the encoder has it; else the one nearest to the source, of 8 or 10 bit.

    More than 10 only for archives; gray only for gray.

    formats: as `planar_formats` gives them. Raises UnknownNameError, EncoderError.
    """
    if wished is not None:
        try:
            wanted = PixelFormat.parse(wished).name
        except FrameFormatError:
            wanted = wished
        if wanted not in formats:
            raise UnknownNameError("pixel format", wished, formats, "vidsr encoders", owner=name)
        return wanted
    if not formats:
        raise EncoderError(f"{name} takes no pixel format that vidsr can make")
    layouts = [PixelFormat.parse(f) for f in formats]
    if source.family != "gray":
        layouts = [layout for layout in layouts if layout.family != "gray"]
    if not layouts:
        raise EncoderError(
            f"{name} takes no pixel format with colours that vidsr can make", "--pix-fmt gray leaves them out"
        )
    most = KNOWN[name].max_bits if name in KNOWN else 10
    bits = 8 if source.bits == 8 else min(max(source.bits, 10), most)

    def distance(layout: PixelFormat) -> tuple[int, ...]:
        """Lower is better: same family, nothing lost in chroma, nothing lost in depth, then nothing added."""
        other_family = layout.family != source.family
        gray_as_yuv = other_family and not (source.family == "gray" and layout.family == "yuv")
        lost_chroma = max(layout.log2_chroma_w - source.log2_chroma_w, 0) + max(
            layout.log2_chroma_h - source.log2_chroma_h, 0
        )
        added_chroma = max(source.log2_chroma_w - layout.log2_chroma_w, 0) + max(
            source.log2_chroma_h - layout.log2_chroma_h, 0
        )
        if source.family == "gray":
            lost_chroma, added_chroma = 0, 4 - layout.log2_chroma_w - layout.log2_chroma_h
        return (
            gray_as_yuv,
            other_family,
            lost_chroma,
            max(bits - layout.bits, 0),
            layout.bits - bits,
            added_chroma,
        )

    return min(layouts, key=distance).name


def held_color(name: str, color: Color) -> tuple[Color, str | None]:
    """The colours nearest to these that an encoder's files can name, and a line for people if they differ.

    Its pictures are to be made in the colours returned.
    """
    known = KNOWN.get(name, Known(""))
    held = color
    if known.only_limited and color.matrix is not Matrix.RGB:
        held = replace(held, range=Range.LIMITED)
    if known.only_matrices and color.matrix is not Matrix.RGB and color.matrix not in known.only_matrices:
        held = replace(held, matrix=Matrix.BT709)
    changes = [
        f"{was.name.lower()} to {now.name.lower()}"
        for was, now in ((color.range, held.range), (color.matrix, held.matrix))
        if was is not now
    ]
    if not changes:
        return color, None
    return held, f"samples are converted from {' and '.join(changes)}: {name} cannot name them as they are"


def held_in(codec: str | None, color: Color) -> Color:
    """`held_color` for a coding instead of an encoder."""
    makers = (name for name in KNOWN if codec_exists(name) and av.Codec(name, "w").canonical_name == codec)
    name = next(makers, None)
    return color if name is None else held_color(name, color)[0]


def depth_note(name: str, source: PixelFormat, layout: PixelFormat) -> str | None:
    """A line for people where samples are written with fewer bits, or less colour, than the source has."""
    lost = []
    if layout.bits < source.bits:
        lost.append(f"{source.bits} bits a sample become {layout.bits}")
    coarser = (
        layout.log2_chroma_w > source.log2_chroma_w or layout.log2_chroma_h > source.log2_chroma_h
    ) and "gray" not in (source.family, layout.family)
    if coarser:
        lost.append(f"colours are halved from {source.name} to {layout.name}")
    if not lost:
        return None
    return f"{' and '.join(lost)} with {name}; --pix-fmt and --encoder choose others"


@cache
def known_planar_formats(name: str) -> Mapping[str, str]:
    """`planar_formats` of an encoder of PyAV's FFmpeg."""
    known = [video_format.name for video_format in av.Codec(name, "w").video_formats or ()]
    if name == RAW:  # takes whatever there is, and does not list it
        known = sorted(f for f in video_format_names if not f.endswith("be"))
    return planar_formats(name, known)


def planar_formats(name: str, known: Sequence[str]) -> Mapping[str, str]:
    """Planar layouts an encoder can be fed with -> the layouts it is opened with for them.

    known: the pixel formats that it takes.
    """
    formats: dict[str, str] = {}
    repacked: dict[str, str] = {}
    repackable = _REPACKED | (_REPACKED_RGB if name in _STORES_RGB else {})
    for known_name in known:
        try:
            planar = PixelFormat.parse(known_name).name
            formats.setdefault(planar, planar)
        except FrameFormatError:
            if known_name in repackable:
                repacked.setdefault(repackable[known_name], known_name)
    return {**repacked, **formats}


@cache
def codec_exists(name: str) -> bool:
    """Whether PyAV's FFmpeg has a video encoder of that name."""
    try:
        codec = av.Codec(name, "w")
    except UnknownCodecError:
        return False
    return codec.name == name and codec.type == "video"
