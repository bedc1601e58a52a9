"""What an untagged or half-tagged stream is taken for."""

from __future__ import annotations

import pytest

from vidsr.errors import FrameFormatError
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.media.color.convert import assume

YUV420 = PixelFormat.parse("yuv420p")
GRAY = PixelFormat.parse("gray")
GBR = PixelFormat.parse("gbrp")


@pytest.mark.parametrize(
    ("height", "matrix", "primaries"),
    [
        (180, Matrix.SMPTE170M, 1),
        (480, Matrix.SMPTE170M, 6),
        (486, Matrix.SMPTE170M, 6),
        (576, Matrix.BT470BG, 5),
        (719, Matrix.SMPTE170M, 1),
        (720, Matrix.BT709, 1),
        (2160, Matrix.BT709, 1),
    ],
)
def test_untagged_is_bt601_below_720_lines_and_bt709_from_there(
    height: int, matrix: Matrix, primaries: int
) -> None:
    color = assume(Color(), height, YUV420, width=640)
    assert (color.matrix, color.range, color.primaries) == (matrix, Range.LIMITED, primaries)
    assert color.chroma_location is ChromaLocation.LEFT
    assert color.transfer == (1 if matrix is Matrix.BT709 else 6)


def test_a_picture_720p_wide_without_its_black_bars_is_bt709() -> None:
    assert assume(Color(), 536, YUV420, width=1280).matrix is Matrix.BT709
    assert assume(Color(), 536, YUV420, width=1024).matrix is Matrix.SMPTE170M


def test_what_is_tagged_stays() -> None:
    said = Color(Matrix.BT709, Range.FULL, 5, 4, ChromaLocation.TOPLEFT)
    assert assume(said, 480, YUV420, width=640) == said


@pytest.mark.parametrize(
    ("matrix", "primaries", "transfer"),
    [
        (Matrix.BT709, 1, 1),
        (Matrix.SMPTE240M, 7, 7),
        (Matrix.FCC, 4, 4),
        (Matrix.BT2020_NCL, 9, 14),
    ],
)
def test_primaries_and_transfer_follow_a_tagged_matrix(matrix: Matrix, primaries: int, transfer: int) -> None:
    color = assume(Color(matrix), 480, YUV420, width=640)
    assert (color.matrix, color.primaries, color.transfer) == (matrix, primaries, transfer)


def test_hdr_transfer_is_kept() -> None:
    color = assume(Color(Matrix.BT2020_NCL, transfer=16), 2160, PixelFormat.parse("yuv420p10le"), width=640)
    assert (color.primaries, color.transfer, color.range) == (9, 16, Range.LIMITED)


def test_full_range_without_a_chroma_location_is_centred_as_in_jpeg() -> None:
    assert assume(Color(range=Range.FULL), 480, YUV420, width=640).chroma_location is ChromaLocation.CENTER


def test_gray_is_limited_unless_tagged() -> None:
    assert assume(Color(), 480, GRAY, width=640).range is Range.LIMITED
    assert assume(Color(range=Range.FULL), 480, GRAY, width=640).range is Range.FULL


def test_rgb_is_srgb_unless_tagged_and_full_range_as_every_player_shows_it() -> None:
    color = assume(Color(), 480, GBR, width=640)
    assert (color.matrix, color.range, color.primaries, color.transfer) == (Matrix.RGB, Range.FULL, 1, 13)
    assert assume(Color(range=Range.LIMITED), 480, GBR, width=640).range is Range.FULL


def test_a_yuv_matrix_on_rgb_planes_is_ignored_and_the_other_way_round() -> None:
    assert assume(Color(Matrix.BT709), 480, GBR, width=640).matrix is Matrix.RGB
    assert assume(Color(Matrix.RGB), 480, YUV420, width=640).matrix is Matrix.SMPTE170M


@pytest.mark.parametrize(
    "matrix",
    [Matrix.BT2020_CL, Matrix.SMPTE2085, Matrix.CHROMA_NCL, Matrix.CHROMA_CL, Matrix.ICTCP],
)
def test_a_matrix_without_a_conversion_is_refused_with_a_hint(matrix: Matrix) -> None:
    with pytest.raises(FrameFormatError, match=matrix.name) as caught:
        assume(Color(matrix), 1080, YUV420, width=640)
    assert caught.value.hint is not None
    assert "zscale" in caught.value.hint
