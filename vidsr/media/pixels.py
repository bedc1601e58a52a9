"""Decoded pictures as planes: views where the layout is planar already, one lossless repacking where not.

It knows sample layouts only. Colour is neither read nor changed here; alpha is dropped.
"""

from __future__ import annotations

import re
from typing import cast

import av.error
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vidsr.errors import FrameFormatError
from vidsr.frames import PixelFormat, Plane

_SUBSAMPLING = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
_STORED_BITS = (8, 9, 10, 12, 14, 16)


def planar_equivalent(name: str) -> PixelFormat:
    """The planar, little-endian, alpha-free layout that holds every colour sample of `name`.

    Planar formats are their own equivalent. Palettes become gbrp, 1-bit pictures gray.

    Raises FrameFormatError for what has no such layout (Bayer patterns, floating point, XYZ, GPU surfaces).
    """
    try:
        return PixelFormat.parse(name)
    except FrameFormatError:
        pass
    refused = FrameFormatError(f"pixel format {name!r} has no lossless planar form here")
    try:
        layout = VideoFormat(name, 64, 64)
    except ValueError as error:
        raise refused from error
    if layout.is_bayer or re.search(r"f(16|32)|xyz", name) or not layout.components:
        raise refused
    if layout.has_palette:
        return PixelFormat.parse("gbrp")
    depth = max(component.bits for component in layout.components if not component.is_alpha)
    bits = next((stored for stored in _STORED_BITS if stored >= depth), None)
    if bits is None:
        raise refused
    suffix = "" if bits == 8 else f"{bits}le"
    if layout.is_rgb:
        return PixelFormat.parse(f"gbrp{suffix}")
    samples = [component for component in layout.components if not component.is_alpha]
    if len(samples) < 3:
        return PixelFormat.parse(f"gray{suffix}")
    chroma = samples[1]
    log2 = ((64 // chroma.width).bit_length() - 1, (64 // chroma.height).bit_length() - 1)
    if log2 not in _SUBSAMPLING:
        raise refused
    return PixelFormat.parse(f"yuv{_SUBSAMPLING[log2]}p{suffix}")


def has_alpha(name: str) -> bool:
    """Whether a layout carries transparency (which is not kept)."""
    layout = VideoFormat(name, 64, 64)
    return layout.has_palette or any(component.is_alpha for component in layout.components)


class PlaneReader:
    """Gives the planes of decoded frames; keeps one converter for layouts that need repacking."""

    def __init__(self) -> None:
        self._repacker = VideoReformatter()

    def planes(self, frame: VideoFrame) -> tuple[tuple[Plane, ...], PixelFormat]:
        """Views of the decoder's own memory, or of a repacked copy; the views keep it alive.

        Raises FrameFormatError.
        """
        layout = planar_equivalent(frame.format.name)
        native = frame.format.name.replace("yuvj", "yuv")
        if native != layout.name:
            # the same matrix and range on both sides: samples are moved, not converted
            try:
                frame = self._repacker.reformat(
                    frame,
                    format=layout.name,
                    src_color_range=frame.color_range,
                    dst_color_range=frame.color_range,
                )
            except av.error.FFmpegError as error:
                raise FrameFormatError(
                    f"pixel format {native!r} cannot be repacked to {layout.name}"
                ) from error
        views = (cast("Plane", np.from_dlpack(plane)) for plane in frame.planes[: layout.plane_count])
        return tuple(views), layout


def fill(target: VideoFrame, planes: tuple[Plane, ...]) -> None:
    """Copy planes into a frame of the same size and layout, row by row where it is padded."""
    for plane, samples in zip(target.planes, planes, strict=True):
        rows, columns = samples.shape
        storage = np.frombuffer(memoryview(plane), samples.dtype).reshape(
            rows, plane.line_size // samples.itemsize
        )
        storage[:, :columns] = samples
