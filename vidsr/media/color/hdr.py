"""HDR10's static metadata: mastering display and content light level, read from frames, given to encoders.

It knows the layout of FFmpeg's two side data structures and the encoders' spellings of them (SMPTE
ST 2086, CTA-861.3), nothing about pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

HDR_TRANSFERS = frozenset({16, 18})
"""PQ (SMPTE ST 2084) and HLG (ARIB STD-B67), by their numbers in H.273."""

# AVMasteringDisplayMetadata: primaries[3][2], white_point[2], min, max luminance as AVRational, two ints
_MASTERING = struct.Struct("=20i2i")
# AVContentLightMetadata: unsigned MaxCLL, MaxFALL
_LIGHT = struct.Struct("=2I")


def side_data(frame: VideoFrame) -> Iterator[tuple[Type, bytes]]:
    """What hangs on a decoded frame beside its samples, as FFmpeg's structures."""
    for data in cast("Iterable[SideData]", frame.side_data):  # the stubs call it a mapping of names
        yield data.type, bytes(data)


_EMBEDDED = {
    Type.DYNAMIC_HDR_PLUS: "HDR10+ metadata",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid metadata",
    Type.DOVI_RPU_BUFFER: "Dolby Vision metadata",
    Type.DOVI_METADATA: "Dolby Vision metadata",
    Type.A53_CC: "closed captions",
    Type.SPHERICAL: "directions of a spherical (360 degree) video",
}


def embedded_extras(frame: VideoFrame) -> tuple[str, ...]:
    """What a frame carries that PyAV gives no way to write again, in words; sorted."""
    return tuple(sorted({_EMBEDDED[kind] for kind, _ in side_data(frame) if kind in _EMBEDDED}))


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
        for kind, raw in side_data(frame):
            if kind is Type.MASTERING_DISPLAY_METADATA and len(raw) >= _MASTERING.size:
                fields |= _mastering_fields(raw)
            elif kind is Type.CONTENT_LIGHT_LEVEL and len(raw) >= _LIGHT.size:
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

    def encoder_params(self, encoder: str) -> dict[str, str]:
        """What libx264, libx265 and libsvtav1 take in their -params option; {} for other encoders.

        x264 and x265 count chromaticity in 0.00002 and luminance in 0.0001 cd/m2, as the bitstream does;
        SVT-AV1 takes decimal numbers.
        """
        display_key, light_key = _PARAMETER_NAMES.get(encoder, ("", ""))
        params: dict[str, str] = {}
        if display_key and self.has_mastering_display:
            decimal = encoder == "libsvtav1"
            params[display_key] = self._mastering_display(decimal)
        if light_key and self.max_cll is not None:
            params[light_key] = f"{self.max_cll},{self.max_fall or 0}"
        return params

    def _mastering_display(self, decimal: bool) -> str:
        def numbers(pair: tuple[Fraction | None, Fraction | None], unit: int) -> str:
            values = [value or Fraction(0) for value in pair]
            return ",".join(f"{float(v):.5f}" if decimal else str(round(v * unit)) for v in values)

        points = (("G", self.green), ("B", self.blue), ("R", self.red), ("WP", self.white))
        places = "".join(f"{name}({numbers(point, 50000)})" for name, point in points if point)
        return f"{places}L({numbers((self.max_luminance, self.min_luminance), 10000)})"


_PARAMETER_NAMES = {
    "libx264": ("mastering-display", "cll"),
    "libx265": ("master-display", "max-cll"),
    "libsvtav1": ("mastering-display", "content-light"),
}


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
