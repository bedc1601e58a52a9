"""Stereoscopic pictures: how two views lie in one picture, and in what size a player shows each.

The names are those of FFmpeg's tag for Matroska's StereoMode. MP4 says it in a box of its own and H.264 in
messages to the decoder; FFmpeg hangs both on the frames.
"""

from __future__ import annotations

import struct
from fractions import Fraction

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from vidsr.media.color.hdr import side_data

STEREO_KEY = "stereo_mode"

_VIEWS = {
    **dict.fromkeys(("left_right", "right_left", "col_interleaved_lr", "col_interleaved_rl"), (2, 1)),
    **dict.fromkeys(("top_bottom", "bottom_top", "row_interleaved_lr", "row_interleaved_rl"), (1, 2)),
}
"""Views beside and above each other."""

_NAMES = {
    1: ("left_right", "right_left"),
    2: ("top_bottom", "bottom_top"),
    3: ("block_lr", "block_rl"),
    4: ("checkerboard_lr", "checkerboard_rl"),
    6: ("row_interleaved_lr", "row_interleaved_rl"),
    7: ("col_interleaved_lr", "col_interleaved_rl"),
}
"""FFmpeg's types (AVStereo3DType): the left view first, and the right one."""

_STEREO = struct.Struct("=2i")  # AVStereo3D begins with type and flags
_PLAIN, _RIGHT_FIRST = 0, 1


def stereo_mode(frame: VideoFrame) -> str | None:
    """The name for how a frame's views lie; None for a plain picture, and where there is no name."""
    kind, flags = _type_and_flags(frame)
    return _NAMES[kind][flags & _RIGHT_FIRST] if kind in _NAMES else None


def has_unnamed_views(frame: VideoFrame) -> bool:
    """Whether it is stereoscopic in a way that Matroska has no name for."""
    kind, _ = _type_and_flags(frame)
    return kind != _PLAIN and kind not in _NAMES


def _type_and_flags(frame: VideoFrame) -> tuple[int, int]:
    raw = next((raw for kind, raw in side_data(frame) if kind is Type.STEREO3D), b"")
    kind, flags = _STEREO.unpack_from(raw) if len(raw) >= _STEREO.size else (_PLAIN, 0)
    return kind, flags


def display_size(width: int, height: int, aspect: Fraction, mode: str | None) -> tuple[int, int]:
    """In what size a player shows pictures, in square pixels; of stereoscopic ones, each view.

    width, height, aspect: of the picture as coded, with all its views. mode: None = a plain picture.
    """
    beside, above = _VIEWS.get(mode or "", (1, 1))
    return max(round(width * aspect / beside), 1), max(round(Fraction(height, above)), 1)
