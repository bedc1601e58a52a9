"""Bringing a video to BT.709, for players that take every file for it.

A matrix is changed on the device with everything else. Primaries are changed in linear light, before the
network, by libavfilter's "colorspace"; at 10 bits or more, so that nothing is rounded to 8 on the way.
"""

from __future__ import annotations

from dataclasses import replace

from vidsr.errors import UsageError
from vidsr.frames import Color, Matrix, PixelFormat
from vidsr.media.color.hdr import HDR_TRANSFERS
from vidsr.media.filters import FilterStep

BT709_PRIMARIES = 1
BT709_TRANSFERS = frozenset({1, 6, 14, 15})
"""BT.709's curve, which BT.601 and both of BT.2020's share (H.273 table 3)."""

_SUBSAMPLINGS = {(1, 1): "yuv420p", (1, 0): "yuv422p", (0, 0): "yuv444p"}


def rec709_steps(color: Color, layout: PixelFormat) -> tuple[FilterStep, ...]:
    """The filters that pictures need before the network; none where only the matrix differs.

    color: all specified. Raises UsageError for HDR and for layouts that libavfilter cannot convert.
    """
    if color.transfer in HDR_TRANSFERS:
        raise UsageError(
            "--colorspace bt709 cannot show HDR: that takes tone mapping",
            "leave it out; HDR10 and HLG are kept",
        )
    if color.primaries == BT709_PRIMARIES and color.transfer in BT709_TRANSFERS:
        return ()
    sampling = _SUBSAMPLINGS.get((layout.log2_chroma_w, layout.log2_chroma_h))
    if layout.family != "yuv" or sampling is None:
        raise UsageError(
            f"--colorspace bt709 cannot convert the primaries of {layout.name}",
            "pass --vf format=yuv444p as well",
        )
    return (FilterStep("colorspace", f"all=bt709:format={sampling}{10 if layout.bits <= 10 else 12}"),)


def rec709(color: Color) -> Color:
    """The tags of pictures that went through `rec709_steps` and are coded with BT.709's matrix."""
    matrix = color.matrix if color.matrix is Matrix.RGB else Matrix.BT709
    return replace(color, matrix=matrix, primaries=BT709_PRIMARIES, transfer=1)
