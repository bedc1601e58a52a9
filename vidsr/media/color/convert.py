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
from numpy.typing import NDArray
from torch import Tensor

from vidsr.errors import FrameFormatError
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range, is_hd
from vidsr.media.color.chroma import ChromaGrid, luma_span, repeat_ends, subsample, upsample
from vidsr.media.color.dither import SIDE, threshold_bands
from vidsr.media.color.strips import Scratch, in_this_thread, strip_rows

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


def assume(color: Color, height: int, format: PixelFormat, *, width: int) -> Color:
    """The colour with everything unspecified filled in as players fill it; what is said stays.

    height, width: lines of the picture the tags belong to, and samples a line.

    matrix: BT.709 from 720 lines or 1280 samples a line on, BT.601 below. RGB of a format that has no
        R'G'B' planes says nothing and counts as unspecified; R'G'B' planes are always RGB.
    range: limited, gray too (monochrome H.264 is limited unless it says full). R'G'B' planes are always
        full: mpv, swscale and zscale show them so even where the stream says limited.
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
        if is_hd(width, height):
            matrix = Matrix.BT709
        else:
            matrix = Matrix.BT470BG if height == 576 else Matrix.SMPTE170M
    _check_supported(matrix)
    range_ = Range.FULL if format.family == "rgb" else color.range
    if range_ is Range.UNSPECIFIED:
        range_ = Range.LIMITED
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
    format: PixelFormat,
    color: Color,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Decoded planes as pictures.

    planes: format.plane_count tensors (N, rows, columns) of one device, uint8, or uint16 where the
    format has more than 8 bits. color: nothing unspecified (see assume). Returns (N, 3, H, W) R'G'B' of
    the given dtype, clamped to [0, 1], contiguous.

    Raises FrameFormatError for a matrix that has no conversion here.
    """
    code = _CodeValues.of(format, color)
    n, height, width = planes[0].shape
    with in_this_thread(planes[0].device):
        rgb = planes[0].new_empty((n, 3, height, width), dtype=torch.float32)
        luma = _read(planes[0], format, code.luma_zero, code.luma_span)
        if format.family == "gray":
            rgb.copy_(luma[:, None])
        elif format.family == "rgb":
            rgb[:, 1] = luma  # planes are G, B, R
            rgb[:, 2] = _read(planes[1], format, code.luma_zero, code.luma_span)
            rgb[:, 0] = _read(planes[2], format, code.luma_zero, code.luma_span)
        else:
            grid = ChromaGrid.of(format, color.chroma_location)
            chroma = _read(torch.stack((planes[1], planes[2])), format, code.chroma_zero, code.chroma_span)
            chroma = upsample(upsample(chroma, grid.rows, height, dim=-2), grid.columns, width, dim=-1)
            for channel, weights in enumerate(_chroma_to_rgb(color.matrix)):
                torch.add(luma, chroma[0], alpha=weights[0], out=rgb[:, channel])
                rgb[:, channel].add_(chroma[1], alpha=weights[1])
        return rgb.clamp_(0, 1).to(dtype)


def rgb_to_planes(
    rgb: Tensor,
    format: PixelFormat,
    color: Color,
    *,
    dither: bool = False,
    origin: tuple[int, int] = (0, 0),
) -> tuple[Tensor, ...]:
    """Pictures as planes to encode; the inverse of planes_to_rgb.

    rgb: (N, 3, H, W) R'G'B' of any float dtype and memory format; clamped to [0, 1] here, not changed.
    color: nothing unspecified. dither: spread the rounding error of 8-bit samples over their neighbours
    by a pattern that is the same in every frame; samples of more bits are always just rounded. origin:
    (row, column) of the first pixel in the picture that the pattern is laid over, where only a part of it
    is converted; multiples of format.size_multiple. Returns format.plane_count contiguous tensors (N,
    rows, columns) on the same device, uint8, or uint16 where the format has more than 8 bits.

    Raises FrameFormatError for a matrix that has no conversion here.
    """
    n, _, height, width = rgb.shape
    dtype = torch.uint8 if format.bits == 8 else torch.uint16
    planes = tuple(
        torch.empty((n, *format.plane_shape(i, height, width)), dtype=dtype, device=rgb.device)
        for i in range(format.plane_count)
    )
    with in_this_thread(rgb.device):
        convert = _ToPlanes(
            format,
            color,
            (height, width),
            dither=dither and format.bits == 8,
            origin=origin,
            device=rgb.device,
        )
        if rgb.device.type != "cpu":
            convert(rgb, planes, 0, height)
            return planes
        # Of a power of two, so that the dither pattern begins with a strip, or a strip within it
        rows = strip_rows(format.size_multiple[0], height, width)
        for i in range(n):
            for start in range(0, height, rows):
                one = slice(i, i + 1)
                convert(rgb[one], [plane[one] for plane in planes], start, min(start + rows, height))
    return planes


class _ToPlanes:
    """rgb_to_planes for some rows of pictures of one size."""

    def __init__(
        self,
        format: PixelFormat,
        color: Color,
        size: tuple[int, int],
        *,
        dither: bool,
        origin: tuple[int, int],
        device: torch.device,
    ) -> None:
        code = _CodeValues.of(format, color)
        self._family = format.family
        self._height, self._width = size
        self._luma, self._chroma = _from_rgb(color.matrix)
        self._grid = ChromaGrid.of(format, color.chroma_location)
        self._luma_span = code.luma_span
        # of a sum of luma samples, which `subsample` gives
        self._chroma_span = code.chroma_span * self._grid.rows.gain * self._grid.columns.gain
        self._bits = format.bits
        # Full-range chroma has 2**bits + 1 values. Elsewhere R'G'B' in [0, 1] stays inside
        self._clip = format.family == "yuv" and color.range is Range.FULL
        self._bands = []  # (SIDE, columns) a plane: what is added to rows k, k + SIDE, ...
        for plane in range(format.plane_count):
            is_chroma = plane > 0 and format.family == "yuv"
            pattern = plane if is_chroma else 0  # one pattern for R'G'B': gray stays gray
            columns = format.plane_shape(plane, *size)[1]
            row, column = (at % SIDE for at in format.plane_shape(plane, *origin))
            bands = threshold_bands(device, pattern, column + columns, dither=dither)[:, column:]
            # Half a step, since the conversion to integers cuts off what is behind the point
            zero = (code.chroma_zero if is_chroma else code.luma_zero) + 0.5
            self._bands.append(bands.roll(-row, 0) + zero)
        self._scratch = Scratch(device)

    def __call__(self, rgb: Tensor, planes: Sequence[Tensor], start: int, stop: int) -> None:
        """Fill in what luma rows [start, stop) of the pictures give.

        rgb, planes: of whole pictures. start: a multiple of stop - start, which is a power of two unless
        stop is the last row.
        """
        if self._family == "rgb":
            strip = self._clamped(rgb[:, :, start:stop])
            for plane, channel in enumerate((1, 2, 0)):
                self._round(strip[:, channel], plane, self._luma_span, planes[plane], start)
            return
        rows = self._grid.rows
        chroma_rows = slice(start // rows.step, rows.length(stop))
        above, below, *beyond = luma_span(rows, chroma_rows.start, chroma_rows.stop, self._height)
        first = min(start, above)
        strip = self._clamped(rgb[:, :, first : max(stop, below)])
        luma = strip[:, 1]  # Y' takes the place of G'
        luma.mul_(self._luma[1]).add_(strip[:, 0], alpha=self._luma[0]).add_(strip[:, 2], alpha=self._luma[2])
        if self._family == "yuv":  # first, since rounding overwrites Y'
            n, _, _, width = strip.shape
            low = self._scratch("low", (n, 3, chroma_rows.stop - chroma_rows.start, width))
            full = repeat_ends(strip[:, :, above - first : below - first], -2, *beyond)
            low = subsample(full, rows, -2, out=low)
            for plane, weights in enumerate(self._chroma, start=1):
                self._write_chroma(low, weights, plane, planes[plane], chroma_rows.start)
        self._round(luma[:, start - first : stop - first], 0, self._luma_span, planes[0], start)

    def _clamped(self, rgb: Tensor) -> Tensor:
        """float32, contiguous, in [0, 1]; in memory of ours."""
        out = self._scratch("rgb", rgb.shape)
        if rgb.dtype == torch.float32 and rgb.stride(-1) == 1:
            return torch.clamp(rgb, 0, 1, out=out)  # one pass instead of two
        return out.copy_(rgb).clamp_(0, 1)

    def _write_chroma(self, low: Tensor, weights: list[float], plane: int, out: Tensor, row: int) -> None:
        """low: (N, 3, chroma rows, W), R', Y' and B', of which weights make the chroma signal."""
        columns = self._grid.columns
        _, _, left, right = luma_span(columns, 0, columns.length(self._width), self._width)
        n, _, rows, width = low.shape
        mixed = self._scratch("mixed", (n, rows, left + width + right))
        inner = mixed[..., left : left + width]
        # One of R' and B' alone, but for YCgCo; the weight of the first is left to the rounding
        (channel, unit), *others = [(c, weights[c]) for c in (0, 2) if weights[c]]
        torch.add(low[:, channel], low[:, 1], alpha=weights[1] / unit, out=inner)
        for other, weight in others:
            inner.add_(low[:, other], alpha=weight / unit)
        mixed[..., :left] = inner[..., :1]
        mixed[..., left + width :] = inner[..., -1:]
        samples = subsample(mixed, columns, -1, out=self._scratch("chroma", (n, rows, out.shape[-1])))
        self._round(samples, plane, unit * self._chroma_span, out, row)

    def _round(self, samples: Tensor, plane: int, scale: float, out: Tensor, row: int) -> None:
        """Scale, offset, dither, round, clip and store from a row on.

        samples: float32 (N, rows, columns), overwritten. out: the whole planes that the integers go to.
        """
        n, rows, columns = samples.shape
        out = out[:, row : row + rows]
        bands = self._bands[plane][row % SIDE :]
        whole = rows - rows % SIDE
        if whole:
            parts = samples[:, :whole].view(n, whole // SIDE, SIDE, columns)
            torch.add(bands, parts, alpha=scale, out=parts)
        if whole < rows:
            rest = samples[:, whole:]
            torch.add(bands[: rows - whole], rest, alpha=scale, out=rest)
        if self._clip and plane:
            samples.clamp_(0, (1 << self._bits) - 0.5)
        if self._bits == 8:
            # torch's float to uint8 on a CPU is not vectorised: by way of int16 it takes a third
            on_cpu = samples.device.type == "cpu"
            out.copy_(self._scratch("int", out.shape, torch.int16).copy_(samples) if on_cpu else samples)
        elif self._bits < 16:
            out.view(torch.int16).copy_(samples)
        else:
            out.view(torch.int16).copy_(self._scratch("int", out.shape, torch.int32).copy_(samples))


@dataclass(frozen=True, slots=True)
class _CodeValues:
    """Sample = luma_zero + luma_span * Y', or chroma_zero + chroma_span * C with C in [-1/2, 1/2]."""

    luma_zero: float
    luma_span: float
    chroma_zero: float
    chroma_span: float

    @classmethod
    def of(cls, format: PixelFormat, color: Color) -> _CodeValues:
        """H.273, 8.3: the equations for video_full_range_flag 0 and 1.

        YCgCo is defined on R'G'B' samples, so that its chroma has their span.
        """
        unit = 1 << (format.bits - 8)
        if color.range is Range.FULL:
            return cls(0.0, float(format.peak), 128.0 * unit, float(format.peak))
        chroma_span = 219.0 if color.matrix is Matrix.YCGCO else 224.0
        return cls(16.0 * unit, 219.0 * unit, 128.0 * unit, chroma_span * unit)


def _check_supported(matrix: Matrix) -> None:
    if matrix not in _LUMA_WEIGHTS and matrix not in (Matrix.RGB, Matrix.YCGCO):
        raise FrameFormatError(
            f"the colour matrix {matrix.name} cannot be converted",
            "convert the file to bt709 or bt2020nc first, for example with ffmpeg's zscale filter",
        )


def _matrix(matrix: Matrix) -> NDArray[np.float64]:
    """(3, 3): R'G'B' to Y' in [0, 1] and two chroma signals in [-1/2, 1/2]. H.273, 8.3."""
    _check_supported(matrix)
    if matrix is Matrix.YCGCO:
        return np.array([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0, -0.5]])
    # The matrix RGB is met where R'G'B' becomes gray, for which BT.709's weights are as good as any
    red, blue = _LUMA_WEIGHTS[Matrix.BT709 if matrix is Matrix.RGB else matrix]
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack([luma, ([0, 0, 1] - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])


@lru_cache
def _from_rgb(matrix: Matrix) -> tuple[list[float], list[list[float]]]:
    """Y' as weights of R', G', B', and both chroma signals as weights of R', Y', B'."""
    red, green, blue = _matrix(matrix)[0].tolist()
    # G' = (Y' - red R' - blue B') / green
    g = np.array([-red, 1, -blue]) / green
    chroma = [np.array([row[0], 0, row[2]]) + row[1] * g for row in _matrix(matrix)[1:]]
    return [red, green, blue], [np.where(abs(row) < 1e-12, 0, row).tolist() for row in chroma]


@lru_cache
def _chroma_to_rgb(matrix: Matrix) -> list[list[float]]:
    """R', G' and B' less Y' as weights of the two chroma signals."""
    weights: list[list[float]] = np.linalg.inv(_matrix(matrix))[:, 1:].tolist()
    return weights


def _read(plane: Tensor, format: PixelFormat, zero: float, span: float) -> Tensor:
    """(sample - zero) / span as float32; always a fresh tensor."""
    if format.bits > 8:
        # torch does little with uint16, on CUDA less; up to 15 bits int16 has the same numbers
        plane = plane.view(torch.int16)
        if format.bits == 16:
            plane = plane.to(torch.int32).bitwise_and_(0xFFFF)
    return plane.to(torch.float32).sub_(zero).mul_(1 / span)
