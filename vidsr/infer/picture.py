"""What a stream's frames are: size, sample layout and the meaning of their samples."""

from __future__ import annotations

from dataclasses import dataclass

from vidsr.frames import Color, PixelFormat


@dataclass(frozen=True, slots=True)
class Picture:
    """Size, sample layout and meaning of a stream's frames. color has nothing unspecified."""

    width: int
    height: int
    format: PixelFormat
    color: Color

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.format.name}"
