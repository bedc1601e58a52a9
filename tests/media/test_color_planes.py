"""One-way conversions against values from the standards, a float64 formulation and ffmpeg's zscale."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from tests.media.color_reference import (
    arrays,
    codes_from_rgb,
    integers,
    noise_picture,
    picture,
    rgb_from_planes,
    smooth_picture,
    tensors,
    zscale_to_planes,
    zscale_to_rgb,
)
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.media.color.convert import planes_to_rgb, rgb_to_planes

LEFT, CENTER, TOPLEFT = ChromaLocation.LEFT, ChromaLocation.CENTER, ChromaLocation.TOPLEFT

# Every matrix and range with the layouts people have, then every location, layout and depth once.
CASES = [
    *product(
        ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"],
        [Matrix.SMPTE170M, Matrix.BT709],
        [Range.LIMITED, Range.FULL],
        [LEFT],
    ),
    *product(["yuv420p", "yuv420p10le"], [Matrix.BT709], [Range.LIMITED], [CENTER, TOPLEFT]),
    ("yuv420p", Matrix.SMPTE170M, Range.FULL, CENTER),
    ("yuv420p", Matrix.BT709, Range.LIMITED, ChromaLocation.TOP),
    ("yuv420p", Matrix.BT709, Range.LIMITED, ChromaLocation.BOTTOM),
    ("yuv420p", Matrix.BT709, Range.LIMITED, ChromaLocation.BOTTOMLEFT),
    ("yuv422p", Matrix.BT709, Range.LIMITED, CENTER),
    ("yuv440p", Matrix.BT709, Range.LIMITED, LEFT),
    ("yuv440p", Matrix.BT709, Range.LIMITED, TOPLEFT),
    ("yuv411p", Matrix.SMPTE170M, Range.LIMITED, TOPLEFT),
    ("yuv410p", Matrix.SMPTE170M, Range.LIMITED, CENTER),
    ("yuv420p10le", Matrix.BT2020_NCL, Range.LIMITED, TOPLEFT),
    ("yuv420p12le", Matrix.BT2020_NCL, Range.LIMITED, LEFT),
    ("yuv444p16le", Matrix.BT2020_NCL, Range.FULL, LEFT),
    ("yuv444p", Matrix.FCC, Range.LIMITED, LEFT),
    ("yuv444p", Matrix.SMPTE240M, Range.LIMITED, LEFT),
    ("yuv444p", Matrix.YCGCO, Range.LIMITED, LEFT),
    ("yuv444p10le", Matrix.YCGCO, Range.FULL, LEFT),
    ("gbrp", Matrix.RGB, Range.FULL, LEFT),
    ("gbrp10le", Matrix.RGB, Range.LIMITED, LEFT),
    ("gray", Matrix.BT709, Range.LIMITED, LEFT),
    ("gray12le", Matrix.SMPTE170M, Range.FULL, LEFT),
]
# zscale takes R'G'B' for full range whatever it is told, and has no float gray to ask for
WITH_ZSCALE = [case for case in CASES if case[0] not in ("gray", "gray12le", "gbrp10le")]


RED, GREEN, BLUE, WHITE, BLACK = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0)


@pytest.mark.parametrize(
    ("name", "matrix", "range_", "rgb", "code"),
    [
        # EBU Tech 3325 and SMPTE RP 219: 100% colours in BT.709
        ("yuv420p", Matrix.BT709, Range.LIMITED, RED, (63, 102, 240)),
        ("yuv420p", Matrix.BT709, Range.LIMITED, GREEN, (173, 42, 26)),
        ("yuv420p", Matrix.BT709, Range.LIMITED, BLUE, (32, 240, 118)),
        ("yuv420p", Matrix.BT709, Range.LIMITED, WHITE, (235, 128, 128)),
        ("yuv420p", Matrix.BT709, Range.LIMITED, BLACK, (16, 128, 128)),
        ("yuv420p10le", Matrix.BT709, Range.LIMITED, WHITE, (940, 512, 512)),
        ("yuv420p10le", Matrix.BT709, Range.LIMITED, RED, (250, 409, 960)),
        # BT.601's colour bars
        ("yuv420p", Matrix.SMPTE170M, Range.LIMITED, RED, (81, 90, 240)),
        ("yuv420p", Matrix.SMPTE170M, Range.LIMITED, GREEN, (145, 54, 34)),
        ("yuv420p", Matrix.BT470BG, Range.LIMITED, BLUE, (41, 240, 110)),
        # JFIF: 255.5 is clipped to 255
        ("yuv420p", Matrix.SMPTE170M, Range.FULL, RED, (76, 85, 255)),
        ("yuv420p", Matrix.SMPTE170M, Range.FULL, BLUE, (29, 255, 107)),
        # BT.2020, by hand: 64 + 876 * 0.2627, 512 - 896 * 0.2627 / 1.8814, 512 + 448
        ("yuv420p10le", Matrix.BT2020_NCL, Range.LIMITED, RED, (294, 387, 960)),
        ("gbrp", Matrix.RGB, Range.FULL, RED, (0, 0, 255)),
        ("gbrp", Matrix.RGB, Range.LIMITED, GREEN, (235, 16, 16)),
        ("gray", Matrix.BT709, Range.LIMITED, GREEN, (173,)),
        ("gray16le", Matrix.BT709, Range.FULL, WHITE, (65535,)),
    ],
)
def test_pure_colours_have_the_code_values_of_the_standards(
    name: str, matrix: Matrix, range_: Range, rgb: tuple[int, int, int], code: tuple[int, ...]
) -> None:
    layout, color = PixelFormat.parse(name), Color(matrix, range_, chroma_location=LEFT)
    flat = torch.tensor(rgb, dtype=torch.float32)[None, :, None, None].expand(1, 3, 6, 8)
    planes = rgb_to_planes(flat, layout, color)
    assert [set(plane.flatten().tolist()) for plane in planes] == [{value} for value in code]
    if layout.family != "gray":  # and back, within the rounding of the codes
        assert (planes_to_rgb(planes, layout, color) - flat).abs().max() < 2.5 / layout.peak


@pytest.mark.parametrize(("name", "matrix", "range_", "location"), CASES)
def test_planes_to_rgb_equals_the_float64_formulation(
    name: str, matrix: Matrix, range_: Range, location: ChromaLocation
) -> None:
    """On noise: both are written for the same filter, so nothing needs to be smooth."""
    layout, color = PixelFormat.parse(name), Color(matrix, range_, chroma_location=location)
    planes = integers(codes_from_rgb(noise_picture(33, 47, 1), layout, color), layout)
    ours = planes_to_rgb(tensors(planes), layout, color)[0].numpy()
    np.testing.assert_allclose(ours, rgb_from_planes(planes, layout, color), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("name", "matrix", "range_", "location"), WITH_ZSCALE)
def test_planes_to_rgb_equals_zscale(
    name: str, matrix: Matrix, range_: Range, location: ChromaLocation
) -> None:
    """On noise, zscale being told to use the same cubic; 8 samples from the border, where zimg mirrors
    the picture and players, like us, repeat its edge."""
    layout, color = PixelFormat.parse(name), Color(matrix, range_, chroma_location=location)
    planes = integers(codes_from_rgb(noise_picture(48, 64, 2), layout, color), layout)
    ours = planes_to_rgb(tensors(planes), layout, color)[0].numpy()
    inner = np.s_[:, 8:-8, 8:-8] if layout.size_multiple != (1, 1) else np.s_[:]
    np.testing.assert_allclose(
        ours[inner], zscale_to_rgb(planes, layout, color)[inner], atol=0.01 / 255, rtol=0
    )


@pytest.mark.parametrize(("name", "matrix", "range_", "location"), CASES)
def test_rgb_to_planes_rounds_the_float64_formulation(
    name: str, matrix: Matrix, range_: Range, location: ChromaLocation
) -> None:
    """On noise, odd sizes, values beyond [0, 1]: never further from the exact code than rounding takes
    it, which is 1/2 and the float32 error of a code up to 65535."""
    layout, color = PixelFormat.parse(name), Color(matrix, range_, chroma_location=location)
    rgb = noise_picture(71, 45, 3) * 1.2 - 0.1
    planes = arrays(rgb_to_planes(picture(rgb), layout, color))
    for plane, exact in zip(planes, codes_from_rgb(rgb, layout, color), strict=True):
        clipped = np.clip(exact, 0, layout.peak)
        np.testing.assert_allclose(plane, clipped, atol=0.5 + layout.peak * 4e-7, rtol=0)


@pytest.mark.parametrize(("name", "matrix", "range_", "location"), WITH_ZSCALE)
def test_rgb_to_planes_is_within_one_of_zscale(
    name: str, matrix: Matrix, range_: Range, location: ChromaLocation
) -> None:
    """On a smooth picture, for zscale's low-pass is wider than ours and on noise both would be right;
    within 1 of 255, and within 1 code of 8 to 10 bits. Where nothing is subsampled noise will do."""
    layout, color = PixelFormat.parse(name), Color(matrix, range_, chroma_location=location)
    subsampled = layout.size_multiple != (1, 1)
    rgb = smooth_picture(96, 128, 4) if subsampled else noise_picture(96, 128, 4)
    planes = arrays(rgb_to_planes(picture(rgb), layout, color))
    theirs = zscale_to_planes(rgb, layout, color)
    tolerance = 1 if layout.bits <= 10 else layout.peak // 255
    for i, (plane, other) in enumerate(zip(planes, theirs, strict=True)):
        inner = np.s_[4:-4, 4:-4] if subsampled and i else np.s_[:]
        difference = np.abs(plane[inner].astype(int) - other[inner].astype(int))
        assert difference.max() <= tolerance


@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv411p", "yuv410p", "yuv440p10le", "gbrp"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (5, 3), (65, 33)])
@pytest.mark.parametrize("location", [LEFT, TOPLEFT, ChromaLocation.BOTTOM])
def test_odd_and_tiny_sizes_equal_the_float64_formulation(
    name: str, size: tuple[int, int], location: ChromaLocation
) -> None:
    layout = PixelFormat.parse(name)
    matrix = Matrix.RGB if layout.family == "rgb" else Matrix.BT709
    color = Color(matrix, Range.LIMITED, chroma_location=location)
    rgb = noise_picture(*size, seed=5)
    exact = codes_from_rgb(rgb, layout, color)
    planes = rgb_to_planes(picture(rgb), layout, color)
    for i, (plane, code) in enumerate(zip(arrays(planes), exact, strict=True)):
        assert plane.shape == layout.plane_shape(i, *size)
        np.testing.assert_allclose(plane, code, atol=0.501, rtol=0)
    back = planes_to_rgb(planes, layout, color)[0].numpy()
    np.testing.assert_allclose(back, rgb_from_planes(integers(exact, layout), layout, color), atol=0.02)


def test_chroma_at_another_location_is_not_the_same_picture() -> None:
    """The tests above would not notice a location that is ignored on both ways."""
    layout = PixelFormat.parse("yuv420p")
    rgb = picture(smooth_picture(64, 64, 6))
    planes = [
        rgb_to_planes(rgb, layout, Color(Matrix.BT709, Range.LIMITED, chroma_location=location))
        for location in (LEFT, CENTER, TOPLEFT)
    ]
    assert all(torch.equal(planes[0][0], other[0]) for other in planes[1:])
    assert not any(torch.equal(a[1], b[1]) for a, b in [(planes[0], planes[1]), (planes[0], planes[2])])
