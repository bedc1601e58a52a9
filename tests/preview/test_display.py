"""Pictures are upright, in the right shape and colours: as ffmpeg shows them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.preview.reference import reference_picture
from tests.reference_ffmpeg import ffmpeg
from vidsr.frames import Color, Frame, PixelFormat
from vidsr.media.color.convert import assume
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.preview.display import Pixels, Turn, pixels, square_size


def shown(path: Path, factor: int = 1) -> Pixels:
    info = probe(path)
    with Reader(info) as reader:
        frame = next(reader.frames())
    color = assume(info.color, info.height, frame.format, width=info.width)
    width, height = square_size(info.width * factor, info.height * factor, info.sample_aspect_ratio)
    return pixels(frame, color, (width, height), Turn.of(info.display_matrix))


@pytest.mark.parametrize(
    "turning",
    [
        (),
        ("-display_rotation", "90"),
        ("-display_rotation", "180"),
        ("-display_rotation", "-90"),
        ("-display_hflip",),
        ("-display_vflip",),
        ("-display_rotation", "90", "-display_hflip"),
    ],
    ids=" ".join,
)
def test_a_turned_picture_is_shown_upright(turning: tuple[str, ...], tmp_path: Path) -> None:
    flat, path = tmp_path / "flat.mp4", tmp_path / "turned.mp4"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=1:duration=1",
        "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p", "-c:v", "libx264", "-qp", "0",
        "-colorspace", "bt709", flat,
    )  # fmt: skip
    ffmpeg("-v", "error", "-y", *turning, "-i", flat, "-c", "copy", path)
    expected = reference_picture(path)
    ours = shown(path)
    assert ours.shape == expected.shape
    assert np.abs(ours.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("size", "aspect", "square"),
    [
        ((720, 576), Fraction(16, 15), (768, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((640, 480), None, (640, 480)),
        ((640, 480), Fraction(1), (640, 480)),
    ],
)
def test_square_pixels_never_shorten_a_side(
    size: tuple[int, int], aspect: Fraction | None, square: tuple[int, int]
) -> None:
    assert square_size(*size, aspect) == square


def test_the_source_is_enlarged_like_a_bicubic_player_does(tmp_path: Path) -> None:
    path = tmp_path / "small.mkv"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=1:duration=1",
        "-vf", "scale=out_color_matrix=smpte170m:out_range=tv,format=yuv444p,setsar=3/2", "-c:v", "ffv1",
        "-colorspace", "smpte170m", "-color_range", "tv", path,
    )  # fmt: skip
    # param0, param1: the family that Keys' cubic with a = -1/2 belongs to
    expected = reference_picture(path, "scale=288:128:flags=bicubic+accurate_rnd:param0=0:param1=0.5")
    ours = shown(path, 2)
    assert ours.shape == (128, 288, 3)
    difference = np.abs(ours.astype(int) - expected).mean()
    assert difference < 0.8  # it clips overshoots before the matrix, we behind it
    for other in ("bilinear", "neighbor"):
        different = reference_picture(path, f"scale=288:128:flags={other}+accurate_rnd")
        assert np.abs(ours.astype(int) - different).mean() > 3 * difference


def test_samples_of_the_decoder_s_own_memory_are_only_read() -> None:
    """Rows without padding come as read-only views; torch would warn about them, and warnings are errors."""
    plane = np.full((4, 64), 235, np.uint8)
    plane.flags.writeable = False
    layout = PixelFormat.parse("gray")
    frame = Frame((plane,), layout, Color(), 0, Fraction(1, 25), 0)
    assert (pixels(frame, assume(Color(), 4, layout, width=64), (64, 4), Turn()) == 255).all()
