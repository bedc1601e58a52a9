"""What a file's samples mean: its tags, and what players take for granted where it has none.

It reads what was probed; the rule itself is `color.assume`'s.
"""

from __future__ import annotations

from vidsr.frames import Color
from vidsr.media.color.convert import assume
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.source_info import SourceInfo


def source_color(source: SourceInfo) -> Color:
    """Of the decoded planes, nothing unspecified. Raises FrameFormatError."""
    layout = planar_equivalent(source.pixel_format)
    return assume(source.color, source.height, layout, width=source.width)
