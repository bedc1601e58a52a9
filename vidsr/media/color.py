"""All colour conversion: decoded planes to R'G'B' and back, by matrix, range and chroma location.

R'G'B' is what the display is driven with: the transfer function (BT.1886, PQ, HLG) is never undone, so
that HDR passes through as it is. Arithmetic is float32 whatever the dtype of the pixels: bfloat16 has
steps of 1/256 between 1/2 and 1, so a picture handed over as bfloat16 carries at most 8 bits there
and a 10-bit source needs float16 (1/2048, enough) or float32 pixels to arrive whole.

It knows code values and coefficients, never files, codecs or models. Numbers are those of ITU-T
H.273; devices are the tensors' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vidsr.errors import FrameFormatError
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.media.chroma import ChromaGrid, subsample, upsample
from vidsr.media.dither import threshold_tile

# Weights of R' and B' in Y' (H.273 table 4); G' has the rest.
_LUMA_WEIGHTS = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.FCC: (0.30, 0.11),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
}

# H.273 primaries and transfer that belong to a matrix, for streams that name only the matrix. BT.601's
# depend on the picture's height. 6, 14 and 1 are one and the same curve.
_BELONGS = {
    Matrix.RGB: (1, 13),
    Matrix.BT709: (1, 1),
    Matrix.FCC: (4, 4),
    Matrix.SMPTE240M: (7, 7),
    Matrix.YCGCO: (1, 1),
    Matrix.BT2020_NCL: (9, 14),
}

HD_HEIGHT = 720  # lines from which an untagged picture is BT.709
HD_WIDTH = 1280  # the same for pictures with their black bars cut off, such as 1280x536


def assume(color: Color, height: int, format: PixelFormat, *, width: int = 0) -> Color:  # noqa: A002
    """The colour with everything unspecified filled in as players fill it; what is said stays.

    height: lines of the picture the tags belong to. width: samples a line, 0 where not known.

    matrix: BT.709 from 720 lines or 1280 samples a line on, BT.601 below. RGB of a format that has no
        R'G'B' planes says nothing and counts as unspecified; R'G'B' planes are always RGB.
    range: full for R'G'B', limited otherwise (gray too: monochrome H.264 is limited unless it says full).
    primaries, transfer: those of the matrix. For BT.601: 625-line ones at 576 lines, 525-line ones at
        480 and 486, BT.709 ones otherwise, since a picture of no broadcast size was hardly made for
        a broadcast display (mpv and libplacebo decide so; others ignore primaries).
    chroma location: LEFT where the range is limited, as H.264, H.265 and MPEG-2 define it for streams
        that do not say, BT.2020 included (UHD discs, which are TOPLEFT, do say so); CENTER where it is
        full, as JPEG defines it.

    Raises FrameFormatError for a matrix that has no conversion here.
    """
    matrix = Matrix.RGB if format.family == "rgb" else color.matrix
    if format.family != "rgb" and matrix in (Matrix.UNSPECIFIED, Matrix.RGB):
        if height >= HD_HEIGHT or width >= HD_WIDTH:
            matrix = Matrix.BT709
        else:
            matrix = Matrix.BT470BG if height == 576 else Matrix.SMPTE170M
    _check_supported(matrix)
    range_ = color.range
    if range_ is Range.UNSPECIFIED:
        range_ = Range.FULL if format.family == "rgb" else Range.LIMITED
    location = color.chroma_location
    if location is ChromaLocation.UNSPECIFIED:
        location = ChromaLocation.LEFT if range_ is Range.LIMITED else ChromaLocation.CENTER
    primaries, transfer = _BELONGS.get(matrix) or ({576: 5, 480: 6, 486: 6}.get(height, 1), 6)
    return Color(
        matrix=matrix,
        range=range_,
        primaries=primaries if color.primaries == 2 else color.primaries,
        transfer=transfer if color.transfer == 2 else color.transfer,
        chroma_location=location,
    )


def planes_to_rgb(
    planes: Sequence[Tensor],
    format: PixelFormat,  # noqa: A002
    color: Color,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Decoded planes as pictures.

    planes: format.plane_count tensors (N, rows, columns) of one device, uint8, or uint16 where the
    format has more than 8 bits. color: nothing unspecified (see assume). Returns (N, 3, H, W) R'G'B' of
    the given dtype, clamped to [0, 1], contiguous.

    Raises FrameFormatError for a matrix that has no conversion here.
    """
    code = _code_values(format, color)
    luma = _read(planes[0], format)
    n, height, width = luma.shape
    rgb = luma.new_empty((n, 3, height, width))
    if format.family == "rgb":
        for channel, plane in zip((1, 2, 0), planes, strict=True):  # G, B, R
            samples = luma if channel == 1 else _read(plane, format)
            torch.sub(samples, code.luma_zero, out=rgb[:, channel]).div_(code.luma_span)
    elif format.family == "gray":
        rgb.copy_(luma.sub_(code.luma_zero).div_(code.luma_span)[:, None])
    else:
        grid = ChromaGrid.of(format, color.chroma_location)
        y = luma.sub_(code.luma_zero).div_(code.luma_span)
        cb, cr = (
            upsample(_read(plane, format).sub_(code.chroma_zero).div_(code.chroma_span), grid, height, width)
            for plane in planes[1:]
        )
        for channel, weights in enumerate(_to_rgb(color.matrix)):
            torch.mul(y, weights[0], out=rgb[:, channel])
            rgb[:, channel].add_(cb, alpha=weights[1]).add_(cr, alpha=weights[2])
    return rgb.clamp_(0, 1).to(dtype)


def rgb_to_planes(
    rgb: Tensor,
    format: PixelFormat,  # noqa: A002
    color: Color,
    *,
    dither: bool = False,
) -> tuple[Tensor, ...]:
    """Pictures as planes to encode; the inverse of planes_to_rgb.

    rgb: (N, 3, H, W) R'G'B' of any float dtype and memory format; clamped to [0, 1] here, not changed.
    color: nothing unspecified. dither: spread the rounding error over neighbours by a fixed pattern, the
    same in every frame. Returns format.plane_count contiguous tensors (N, rows, columns) on the same
    device, uint8, or uint16 where the format has more than 8 bits.

    Raises FrameFormatError for a matrix that has no conversion here.
    """
    code = _code_values(format, color)
    rgb = rgb.to(torch.float32).clamp(0, 1)
    r, g, b = rgb.unbind(1)
    if format.family == "rgb":
        return tuple(_write(p * code.luma_span + code.luma_zero, format, dither) for p in (g, b, r))
    weights = _from_rgb(color.matrix)
    y, cb, cr = (r * w[0] + g * w[1] + b * w[2] for w in weights)
    planes = [_write(y * code.luma_span + code.luma_zero, format, dither)]
    if format.family == "yuv":
        grid = ChromaGrid.of(format, color.chroma_location)
        for chroma in (cb, cr):
            samples = subsample(chroma, grid) * code.chroma_span + code.chroma_zero
            planes.append(_write(samples, format, dither))
    return tuple(planes)


@dataclass(frozen=True, slots=True)
class _CodeValues:
    """Sample = luma_zero + luma_span * Y', and chroma_zero + chroma_span * C with C in [-1/2, 1/2]."""

    luma_zero: float
    luma_span: float
    chroma_zero: float
    chroma_span: float


def _code_values(format: PixelFormat, color: Color) -> _CodeValues:  # noqa: A002
    """H.273, 8.3: equations for video_full_range_flag 0 and 1."""
    unit = 1 << (format.bits - 8)
    if color.range is Range.FULL:
        return _CodeValues(0.0, float(format.peak), 128.0 * unit, float(format.peak))
    return _CodeValues(16.0 * unit, 219.0 * unit, 128.0 * unit, 224.0 * unit)


def _check_supported(matrix: Matrix) -> None:
    if matrix not in _LUMA_WEIGHTS and matrix not in (Matrix.RGB, Matrix.YCGCO):
        raise FrameFormatError(
            f"the colour matrix {matrix.name} cannot be converted",
            "convert the file to bt709 or bt2020nc first, for example with ffmpeg's zscale filter",
        )


@lru_cache
def _from_rgb(matrix: Matrix) -> tuple[tuple[float, float, float], ...]:
    """Rows that give Y' in [0, 1] and the two chroma signals in [-1/2, 1/2]. H.273, 8.3."""
    _check_supported(matrix)
    if matrix is Matrix.YCGCO:
        return (0.25, 0.5, 0.25), (-0.25, 0.5, -0.25), (0.5, 0.0, -0.5)
    # R'G'B' planes as gray: any sensible weights do, these are the display's own
    red, blue = _LUMA_WEIGHTS[Matrix.BT709 if matrix is Matrix.RGB else matrix]
    green = 1 - red - blue
    cb, cr = 0.5 / (1 - blue), 0.5 / (1 - red)
    return (red, green, blue), (-red * cb, -green * cb, 0.5), (0.5, -green * cr, -blue * cr)


@lru_cache
def _to_rgb(matrix: Matrix) -> tuple[tuple[float, float, float], ...]:
    inverse = np.linalg.inv(np.array(_from_rgb(matrix)))
    r, g, b = ((float(row[0]), float(row[1]), float(row[2])) for row in inverse)
    return r, g, b


def _read(plane: Tensor, format: PixelFormat) -> Tensor:  # noqa: A002
    """Samples as float32, always a fresh tensor."""
    if format.bits == 8:
        return plane.to(torch.float32)
    # torch does little with uint16, CUDA less; up to 15 bits int16 has the same numbers
    samples = plane.view(torch.int16)
    if format.bits < 16:
        return samples.to(torch.float32)
    return samples.to(torch.int32).bitwise_and_(0xFFFF).to(torch.float32)


def _write(samples: Tensor, format: PixelFormat, dither: bool) -> Tensor:  # noqa: A002
    """float (N, rows, columns) code values, rounded and clipped. Works in place."""
    if dither:
        tile = threshold_tile(samples.device)
        rows, columns = samples.shape[-2:]
        down, across = -(-rows // tile.shape[0]), -(-columns // tile.shape[1])
        samples.add_(tile.repeat(down, across)[:rows, :columns])
    samples.add_(0.5).clamp_(0, format.peak + 0.5)  # truncation, which follows, then rounds
    if format.bits == 8:
        return samples.to(torch.uint8)
    if format.bits < 16:
        return samples.to(torch.int16).view(torch.uint16)
    return samples.to(torch.int32).to(torch.int16).view(torch.uint16)
