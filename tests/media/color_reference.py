"""Colour conversion a second time, in float64 and numpy, from the text of the standards.

Written from ITU-T H.273 (8.3, matrix coefficients and ranges; figure of chroma sample locations),
ITU-R BT.601, BT.709 and BT.2020: every sample is computed from its position, with no polyphase filters,
no strips and no shared tables. Beside it, ffmpeg's zscale filter as a third opinion.
"""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Plane, Range

Floats = NDArray[np.float64]

# kr and kb as the standards print them
KR_KB = {
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.FCC: (0.30, 0.11),
    Matrix.BT470BG: (0.299, 0.114),
    Matrix.SMPTE170M: (0.299, 0.114),
    Matrix.SMPTE240M: (0.212, 0.087),
    Matrix.BT2020_NCL: (0.2627, 0.0593),
}

ZSCALE_MATRIX = {
    Matrix.BT709: "709",
    Matrix.FCC: "fcc",
    Matrix.SMPTE170M: "170m",
    Matrix.SMPTE240M: "smpte240m",
    Matrix.BT2020_NCL: "2020_ncl",
    Matrix.YCGCO: "ycgco",
}


def ycc_from_rgb(rgb: Floats, matrix: Matrix) -> Floats:
    """(3, ...) R'G'B' in [0, 1] to Y' in [0, 1], Cb and Cr in [-1/2, 1/2]."""
    r, g, b = rgb
    if matrix is Matrix.YCGCO:  # H.273 equations 59 to 61: Cb is Cg, Cr is Co
        return np.stack([0.5 * g + 0.25 * (r + b), 0.5 * g - 0.25 * (r + b), 0.5 * (r - b)])
    kr, kb = KR_KB[matrix]
    y = kr * r + (1 - kr - kb) * g + kb * b
    return np.stack([y, 0.5 * (b - y) / (1 - kb), 0.5 * (r - y) / (1 - kr)])


def rgb_from_ycc(ycc: Floats, matrix: Matrix) -> Floats:
    y, cb, cr = ycc
    if matrix is Matrix.YCGCO:
        t = y - cb
        return np.stack([t + cr, y + cb, t - cr])
    kr, kb = KR_KB[matrix]
    r = y + 2 * (1 - kr) * cr
    b = y + 2 * (1 - kb) * cb
    return np.stack([r, (y - kr * r - kb * b) / (1 - kr - kb), b])


def codes(signal: Floats, bits: int, color: Color, *, chroma: bool) -> Floats:
    """H.273 equations 20 to 35, without the rounding and clipping."""
    return _span(bits, color, chroma) * signal + _zero(bits, color, chroma)


def signal(code: Floats, bits: int, color: Color, *, chroma: bool) -> Floats:
    return (code - _zero(bits, color, chroma)) / _span(bits, color, chroma)


def _span(bits: int, color: Color, chroma: bool) -> float:
    if color.range is Range.FULL:
        return float((1 << bits) - 1)
    # limited YCgCo is made of limited R, G and B, which span 219 each (equations 20 to 22, 59 to 61)
    return float((224 if chroma and color.matrix is not Matrix.YCGCO else 219) << (bits - 8))


def _zero(bits: int, color: Color, chroma: bool) -> float:
    if chroma:
        return float(1 << (bits - 1))
    return 0.0 if color.range is Range.FULL else float(16 << (bits - 8))


def chroma_position(step: int, location: ChromaLocation, *, vertical: bool) -> float:
    """Luma coordinate of the first chroma sample along an axis. H.273, table 7 and its figure."""
    name = location.name
    if vertical:
        first = name in ("TOP", "TOPLEFT")
        last = name in ("BOTTOM", "BOTTOMLEFT")
    else:
        first = name in ("LEFT", "TOPLEFT", "BOTTOMLEFT")
        last = False
    return 0 if first else step - 1 if last else (step - 1) / 2


def enlarge(plane: Floats, step: int, position: float, length: int) -> Floats:
    """Along the last axis: the cubic of Keys through the four chroma samples around each luma sample."""
    where = (np.arange(length) - position) / step
    base = np.floor(where).astype(int)
    t = where - base
    a, b, c, d = (plane[..., np.clip(base + k, 0, plane.shape[-1] - 1)] for k in (-1, 0, 1, 2))
    # Catmull and Rom's spline in its Horner form
    between: Floats = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return between


def shrink(plane: Floats, step: int, position: float) -> Floats:
    """Along the last axis: the integral over one step around each chroma sample, luma being constant
    over each sample's own width."""
    count = -(-plane.shape[-1] // step)
    result = np.empty((*plane.shape[:-1], count))
    for j in range(count):
        low, high = step * j + position - step / 2, step * j + position + step / 2
        near = np.arange(int(np.floor(low)) - 1, int(np.ceil(high)) + 2)
        overlap = np.clip(np.minimum(high, near + 0.5) - np.maximum(low, near - 0.5), 0, None)
        result[..., j] = plane[..., np.clip(near, 0, plane.shape[-1] - 1)] @ overlap / step
    return result


def rgb_from_planes(planes: tuple[Plane, ...], format: PixelFormat, color: Color) -> Floats:
    """(3, H, W), clipped to [0, 1]."""
    values = [plane.astype(np.float64) for plane in planes]
    if format.family != "yuv":
        g, b, r = (values * 3)[:3]
        rgb = signal(np.stack([r, g, b]), format.bits, color, chroma=False)
        return np.clip(rgb, 0, 1)
    height, width = planes[0].shape
    step_y, step_x = format.size_multiple
    ycc = [signal(values[0], format.bits, color, chroma=False)]
    for plane in values[1:]:
        c = signal(plane, format.bits, color, chroma=True)
        if step_x > 1:
            c = enlarge(c, step_x, chroma_position(step_x, color.chroma_location, vertical=False), width)
        if step_y > 1:
            y = chroma_position(step_y, color.chroma_location, vertical=True)
            c = enlarge(c.T, step_y, y, height).T
        ycc.append(c)
    return np.clip(rgb_from_ycc(np.stack(ycc), color.matrix), 0, 1)


def codes_from_rgb(rgb: Floats, format: PixelFormat, color: Color) -> list[Floats]:
    """The planes' code values before rounding; rgb (3, H, W)."""
    r, g, b = np.clip(rgb, 0, 1)
    if format.family == "rgb":
        return [codes(p, format.bits, color, chroma=False) for p in (g, b, r)]
    y, *chroma = ycc_from_rgb(np.stack([r, g, b]), color.matrix)
    planes = [codes(y, format.bits, color, chroma=False)]
    if format.family == "gray":
        return planes
    step_y, step_x = format.size_multiple
    for c in chroma:
        if step_x > 1:
            c = shrink(c, step_x, chroma_position(step_x, color.chroma_location, vertical=False))  # noqa: PLW2901
        if step_y > 1:
            c = shrink(c.T, step_y, chroma_position(step_y, color.chroma_location, vertical=True)).T  # noqa: PLW2901
        planes.append(codes(c, format.bits, color, chroma=True))
    return planes


def integers(values: list[Floats], format: PixelFormat) -> tuple[Plane, ...]:
    """Code values rounded and clipped as a plain encoder would."""
    whole = [np.clip(np.rint(v), 0, format.peak) for v in values]
    if format.bits == 8:
        return tuple(v.astype(np.uint8) for v in whole)
    return tuple(v.astype(np.uint16) for v in whole)


def smooth_picture(height: int, width: int, seed: int, low: float = 0.1, high: float = 0.9) -> Floats:
    """(3, H, W) R'G'B' between low and high, of waves no shorter than 48 samples.

    Over such waves the filters in use (area mean, tent, cubic) differ by less than 1/2 of 255, so that
    whatever else is wrong shows.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    picture = np.zeros((3, height, width))
    for _ in range(3):
        direction = rng.uniform(0, 2 * np.pi, 3)[:, None, None]
        phase = rng.uniform(0, 2 * np.pi, 3)[:, None, None]
        along = np.cos(direction) * x + np.sin(direction) * y
        picture += np.sin(along * 2 * np.pi / rng.uniform(48, 200) + phase)
    return low + (high - low) * (picture / 6 + 0.5)


def noise_picture(height: int, width: int, seed: int) -> Floats:
    """(3, H, W) R'G'B' in [0, 1] without any relation between neighbours."""
    return np.random.default_rng(seed).random((3, height, width))


def zscale_to_rgb(planes: tuple[Plane, ...], format: PixelFormat, color: Color) -> Floats:
    """(3, H, W) by ffmpeg's zscale with Catmull-Rom chroma; zimg mirrors at the border, we repeat."""
    height, width = planes[0].shape
    data = b"".join(plane.astype(plane.dtype.newbyteorder("<")).tobytes() for plane in planes)
    out = _zscale(data, format.name, width, height, f"{_said(color, format, 'in')}:m=gbr:r=full", "gbrpf32le")
    g, b, r = np.frombuffer(out, "<f4").reshape(3, height, width).astype(np.float64)
    return np.clip(np.stack([r, g, b]), 0, 1)


def zscale_to_planes(rgb: Floats, format: PixelFormat, color: Color) -> tuple[Plane, ...]:
    """Planes by ffmpeg's zscale from float R'G'B'; its chroma filter is a cubic two chroma steps wide."""
    _, height, width = rgb.shape
    data = rgb[[1, 2, 0]].astype("<f4").tobytes()
    out = _zscale(
        data, "gbrpf32le", width, height, f"min=gbr:rin=full:{_said(color, format, '')}", format.name
    )
    samples = np.frombuffer(out, np.dtype(format.dtype).newbyteorder("<"))
    planes, at = [], 0
    for i in range(format.plane_count):
        rows, columns = format.plane_shape(i, height, width)
        planes.append(samples[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    return tuple(planes)


def _said(color: Color, format: PixelFormat, side: str) -> str:
    matrix = "gbr" if format.family == "rgb" else ZSCALE_MATRIX[color.matrix]
    words = f"m{side}={matrix}:r{side}={color.range.name.lower()}"
    if format.family == "yuv" and format.size_multiple != (1, 1):
        words += f":c{side}={color.chroma_location.name.lower()}"
    return words


def _zscale(data: bytes, layout: str, width: int, height: int, options: str, out: str) -> bytes:
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error",
        "-f", "rawvideo", "-pix_fmt", layout, "-s", f"{width}x{height}", "-i", "-",
        "-vf", f"zscale={options}:f=bicubic:param_a=0:param_b=0.5,format={out}",
        "-f", "rawvideo", "-pix_fmt", out, "-",
    ]  # fmt: skip
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def tensors(planes: tuple[Plane, ...]) -> list[Tensor]:
    return [torch.from_numpy(plane.copy())[None] for plane in planes]


def arrays(planes: tuple[Tensor, ...]) -> list[Plane]:
    return [plane[0].numpy() for plane in planes]


def picture(rgb: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    return torch.from_numpy(rgb).to(torch.float32)[None]
