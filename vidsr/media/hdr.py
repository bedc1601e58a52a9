"""HDR10's static metadata: mastering display and content light level, read from frames, given to encoders.

It knows the layout of FFmpeg's two side data structures and the encoders' spellings of them (SMPTE
ST 2086, CTA-861.3), nothing about pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

# AVMasteringDisplayMetadata: primaries[3][2], white_point[2], min, max luminance as AVRational, two ints
_MASTERING = struct.Struct("=20i2i")
# AVContentLightMetadata: unsigned MaxCLL, MaxFALL
_LIGHT = struct.Struct("=2I")


@dataclass(frozen=True, slots=True)
class HdrMetadata:
    """What the mastering display could show and how bright the content gets.

    red, green, blue, white: CIE 1931 (x, y). min_luminance, max_luminance, max_cll, max_fall: cd/m2.
    Any of the two halves may be missing.
    """

    red: tuple[Fraction, Fraction] | None = None
    green: tuple[Fraction, Fraction] | None = None
    blue: tuple[Fraction, Fraction] | None = None
    white: tuple[Fraction, Fraction] | None = None
    min_luminance: Fraction | None = None
    max_luminance: Fraction | None = None
    max_cll: int | None = None
    max_fall: int | None = None

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> HdrMetadata | None:
        """Read from a decoded frame's side data; None where there is none."""
        fields: dict[str, object] = {}
        side_data = cast("Iterable[SideData]", frame.side_data)  # the stubs call it a mapping of names
        for data in side_data:
            raw = bytes(data)
            if data.type == Type.MASTERING_DISPLAY_METADATA and len(raw) >= _MASTERING.size:
                fields |= _mastering_fields(raw)
            elif data.type == Type.CONTENT_LIGHT_LEVEL and len(raw) >= _LIGHT.size:
                fields["max_cll"], fields["max_fall"] = _LIGHT.unpack_from(raw)
        return cls(**fields) if fields else None  # type: ignore[arg-type]

    @property
    def has_mastering_display(self) -> bool:
        return None not in (
            self.red,
            self.green,
            self.blue,
            self.white,
            self.min_luminance,
            self.max_luminance,
        )

    def x26x_mastering_display(self) -> str:
        """G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min) in 0.00002 and 0.0001 cd/m2, as x264 and x265 take it."""
        points = (("G", self.green), ("B", self.blue), ("R", self.red), ("WP", self.white))
        text = "".join(f"{name}({round(p[0] * 50000)},{round(p[1] * 50000)})" for name, p in points if p)
        return f"{text}L({_units(self.max_luminance)},{_units(self.min_luminance)})"

    def svt_mastering_display(self) -> str:
        """The same as decimal numbers, as SVT-AV1 takes it."""
        points = (("G", self.green), ("B", self.blue), ("R", self.red), ("WP", self.white))
        text = "".join(f"{name}({float(p[0]):.5f},{float(p[1]):.5f})" for name, p in points if p)
        return f"{text}L({float(self.max_luminance or 0):.4f},{float(self.min_luminance or 0):.4f})"

    def content_light(self) -> str | None:
        """MaxCLL,MaxFALL."""
        return None if self.max_cll is None else f"{self.max_cll},{self.max_fall or 0}"


def _units(luminance: Fraction | None) -> int:
    return round((luminance or 0) * 10000)


def _mastering_fields(data: bytes) -> dict[str, object]:
    values = _MASTERING.unpack_from(data)
    rationals = [
        Fraction(values[i], values[i + 1]) if values[i + 1] else Fraction(0) for i in range(0, 20, 2)
    ]
    has_primaries, has_luminance = values[20:22]
    fields: dict[str, object] = {}
    if has_primaries:
        names = ("red", "green", "blue", "white")
        fields |= {name: (rationals[2 * i], rationals[2 * i + 1]) for i, name in enumerate(names)}
    if has_luminance:
        fields |= {"min_luminance": rationals[8], "max_luminance": rationals[9]}
    return fields
