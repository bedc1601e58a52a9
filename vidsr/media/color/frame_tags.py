"""What a decoded frame says of its colours.

It reports tags and decides nothing: what is unspecified stays so, and whether a matrix can be converted is
`color`'s to say.
"""

from __future__ import annotations

from av.video.frame import VideoFrame

from vidsr.frames import ChromaLocation, Color, Matrix, Range

UNSPECIFIED = 2
KNOWN_PRIMARIES = frozenset({1, *range(4, 13), 22})
KNOWN_TRANSFERS = frozenset({1, *range(4, 19)})
"""H.273, tables 2 and 3. FFmpeg has numbers of its own from 256 on, which no file can name."""


def color_of(frame: VideoFrame, chroma_location: ChromaLocation) -> Color:
    """The tags a decoded frame carries; codes that no standard knows become "unspecified"."""
    try:
        matrix = Matrix(frame.colorspace)
    except ValueError:
        matrix = Matrix.UNSPECIFIED
    try:
        code_range = Range(frame.color_range)
    except ValueError:
        code_range = Range.UNSPECIFIED
    if frame.format.name.startswith("yuvj"):
        code_range = Range.FULL
    if frame.format.is_rgb:
        matrix = Matrix.RGB
    primaries = frame.color_primaries if frame.color_primaries in KNOWN_PRIMARIES else UNSPECIFIED
    transfer = frame.color_trc if frame.color_trc in KNOWN_TRANSFERS else UNSPECIFIED
    return Color(matrix, code_range, primaries, transfer, chroma_location)
