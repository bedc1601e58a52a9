"""What flows between the rooms: decoded pictures, how their samples are laid out, what their colours mean.

It knows sample layouts and time stamps, never codecs, containers, devices or models. Colour codes
are the numbers of ITU-T H.273 (the same as FFmpeg's AVCOL_* constants).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from vidsr.errors import FrameFormatError, FrameSizeError

Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Matrix(IntEnum):
    """Matrix coefficients (H.273 table 4) that can be met in files."""

    RGB = 0
    BT709 = 1
    UNSPECIFIED = 2
    FCC = 4
    BT470BG = 5  # BT.601 for 625 lines; the same numbers as SMPTE170M
    SMPTE170M = 6  # BT.601 for 525 lines
    SMPTE240M = 7
    YCGCO = 8
    BT2020_NCL = 9
    BT2020_CL = 10
    SMPTE2085 = 11
    CHROMA_NCL = 12
    CHROMA_CL = 13
    ICTCP = 14
    IPT_C2 = 15
    YCGCO_RE = 16
    YCGCO_RO = 17


class Range(IntEnum):
    """Which code values black and white have."""

    UNSPECIFIED = 0
    LIMITED = 1  # 16..235 of 255 for luma ("tv")
    FULL = 2  # 0..255 ("pc")


class ChromaLocation(IntEnum):
    """Where a chroma sample lies relative to its luma samples (AVCHROMA_LOC_*)."""

    UNSPECIFIED = 0
    LEFT = 1  # MPEG-2, H.264 and HEVC default for 4:2:0
    CENTER = 2  # MPEG-1, JPEG
    TOPLEFT = 3  # UHD discs, DV
    TOP = 4
    BOTTOMLEFT = 5
    BOTTOM = 6


HD_HEIGHT = 720
HD_WIDTH = 1280


def is_hd(width: int, height: int) -> bool:
    """Whether an untagged picture is BT.709; by its width where black bars were cut off, as in 1280x536."""
    return height >= HD_HEIGHT or width >= HD_WIDTH


@dataclass(frozen=True, slots=True)
class Color:
    """What the code values mean. primaries and transfer are H.273 numbers, 2 = unspecified."""

    matrix: Matrix = Matrix.UNSPECIFIED
    range: Range = Range.UNSPECIFIED
    primaries: int = 2
    transfer: int = 2
    chroma_location: ChromaLocation = ChromaLocation.UNSPECIFIED

    def to_json(self) -> dict[str, int]:
        """The numbers by their fields' names."""
        return {name: int(number) for name, number in asdict(self).items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, int]) -> Color:
        """Raises KeyError or ValueError for anything but what `to_json` gives."""
        return cls(
            matrix=Matrix(fields["matrix"]),
            range=Range(fields["range"]),
            primaries=fields["primaries"],
            transfer=fields["transfer"],
            chroma_location=ChromaLocation(fields["chroma_location"]),
        )


_YUV_NAME = re.compile(r"yuv(?P<jpeg>j?)(?P<sub>4(?:10|11|20|22|40|44))p(?P<bits>9|10|12|14|16)?(?:le)?")
_RGB_NAME = re.compile(r"gbrp(?P<bits>9|10|12|14|16)?(?:le)?")
_GRAY_NAME = re.compile(r"gray(?P<bits>9|10|12|14|16)?(?:le)?")
_LOG2_CHROMA = {"410": (2, 2), "411": (2, 0), "420": (1, 1), "422": (1, 0), "440": (0, 1), "444": (0, 0)}


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A planar sample layout: FFmpeg's name for it and what that name means.

    family: "yuv" (planes Y, U, V), "rgb" (planes G, B, R, FFmpeg's order) or "gray" (one plane).
    bits: significant bits of a sample; more than 8 are stored in uint16, low-aligned.
    log2_chroma_w, log2_chroma_h: chroma planes are ceil(size / 2**log2).
    """

    name: str
    family: Literal["yuv", "rgb", "gray"]
    bits: int
    log2_chroma_w: int = 0
    log2_chroma_h: int = 0

    @classmethod
    def parse(cls, name: str) -> PixelFormat:
        """Read FFmpeg's name; the old full-range names (yuvj420p) become their plain twins.

        Raises FrameFormatError for a layout that is not planar, little-endian and alpha-free.
        """
        if m := _YUV_NAME.fullmatch(name):
            log2_w, log2_h = _LOG2_CHROMA[m["sub"]]
            return cls(name.replace("yuvj", "yuv"), "yuv", int(m["bits"] or 8), log2_w, log2_h)
        if m := _RGB_NAME.fullmatch(name):
            return cls(name, "rgb", int(m["bits"] or 8))
        if m := _GRAY_NAME.fullmatch(name):
            return cls(name, "gray", int(m["bits"] or 8))
        raise FrameFormatError(f"pixel format {name!r} is not a planar layout without alpha")

    @property
    def plane_count(self) -> int:
        return 1 if self.family == "gray" else 3

    @property
    def peak(self) -> int:
        """The largest code value."""
        return (1 << self.bits) - 1

    @property
    def dtype(self) -> type[np.uint8] | type[np.uint16]:
        return np.uint8 if self.bits == 8 else np.uint16

    @property
    def size_multiple(self) -> tuple[int, int]:
        """(height, width) multiples that keep every chroma sample whole."""
        return 1 << self.log2_chroma_h, 1 << self.log2_chroma_w

    def plane_shape(self, plane: int, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of a plane of a picture of this size."""
        if plane == 0 or self.family != "yuv":
            return height, width
        return -(-height >> self.log2_chroma_h), -(-width >> self.log2_chroma_w)

    def planes_bytes(self, height: int, width: int) -> int:
        """Of all planes of a picture of this size."""
        shapes = (self.plane_shape(i, height, width) for i in range(self.plane_count))
        return sum(rows * columns for rows, columns in shapes) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture as it was decoded, or as it will be encoded.

    planes: (rows, columns) arrays of format.dtype; views of the decoder's memory where possible, so
        never written to.
    pts: presentation time in units of time_base. duration: in the same units, 0 = unknown.
    index: running number since the start of the job, for messages.
    starts_segment: a new segment of the output begins with this frame: nothing that was computed or coded
        before it may be used for it, so that a run continued here gives the same result.
    """

    planes: tuple[Plane, ...]
    format: PixelFormat
    color: Color
    pts: int
    time_base: Fraction
    index: int
    duration: int = 0
    starts_segment: bool = False

    def __post_init__(self) -> None:
        if len(self.planes) != self.format.plane_count:
            raise FrameFormatError(
                f"frame {self.index} has {len(self.planes)} planes; "
                f"{self.format.name} has {self.format.plane_count}"
            )
        for i, plane in enumerate(self.planes):
            expected = self.format.plane_shape(i, self.height, self.width)
            if plane.shape != expected:
                raise FrameSizeError(f"frame {self.index}: plane {i} is {plane.shape}, not {expected}")
            if plane.dtype != self.format.dtype:
                raise FrameFormatError(
                    f"frame {self.index}: plane {i} is {plane.dtype}, not {np.dtype(self.format.dtype)}"
                )

    @property
    def height(self) -> int:
        return int(self.planes[0].shape[0])

    @property
    def width(self) -> int:
        return int(self.planes[0].shape[1])

    @property
    def time(self) -> Fraction:
        """Presentation time in seconds, exact."""
        return self.pts * self.time_base

    def with_planes(self, planes: tuple[Plane, ...], format: PixelFormat, color: Color) -> Frame:
        """The same moment shown by other samples."""
        return replace(self, planes=planes, format=format, color=color)

    def __repr__(self) -> str:
        return (
            f"Frame({self.index}, {self.width}x{self.height} {self.format.name}, "
            f"pts={self.pts} ({float(self.time):.3f} s))"
        )
