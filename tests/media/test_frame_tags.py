"""Colour tags that vidsr cannot follow: the same error wherever they come from."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from av.video.frame import VideoFrame

from tests.media.reference import ffmpeg
from vidsr.errors import FrameFormatError
from vidsr.frames import ChromaLocation, Color, Matrix, Range
from vidsr.job import Segment
from vidsr.media.color.frame_tags import color_of
from vidsr.media.filters import PictureStream, outcome, parse_chain
from vidsr.media.read.filtered_reader import Filtering
from vidsr.media.read.probe import probe
from vidsr.media.read.source_color import source_color

BT709 = Color(Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT)


def behind(chain: str) -> Color:
    stream = PictureStream(64, 64, "yuv420p", BT709, Fraction(1, 25), Fraction(25))
    return outcome(parse_chain(chain), stream).color


@pytest.mark.parametrize(
    ("word", "number", "matrix"),
    [("ipt-c2", 15, Matrix.IPT_C2), ("ycgco-re", 16, Matrix.YCGCO_RE), ("ycgco-ro", 17, Matrix.YCGCO_RO)],
)
def test_a_matrix_without_a_conversion_is_refused_by_name(
    tmp_path: Path, word: str, number: int, matrix: Matrix
) -> None:
    """In a file, and as what filters say."""
    path = tmp_path / "a.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", "-c:v", "libx264",
        "-bsf:v", f"h264_metadata=matrix_coefficients={number}", path,
    )  # fmt: skip
    assert probe(path).color.matrix is matrix
    with pytest.raises(FrameFormatError, match=f"matrix {matrix.name} cannot be converted") as refusal:
        source_color(probe(path))
    assert refusal.value.hint
    assert behind(f"setparams=colorspace={word}").matrix is matrix
    plain = tmp_path / "b.mkv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.2", "-c:v", "ffv1", plain)
    filtering = Filtering.of(probe(plain), Segment(), parse_chain(f"setparams=colorspace={word}"))
    with pytest.raises(FrameFormatError, match=f"matrix {matrix.name} cannot be converted"):
        source_color(filtering.info)


@pytest.mark.parametrize("code", [0, 3, 200, 256, 257])
def test_numbers_that_no_standard_knows_count_as_not_said(code: int) -> None:
    frame = VideoFrame(16, 16, "yuv420p")
    frame.color_primaries = frame.color_trc = code
    assert color_of(frame, ChromaLocation.LEFT) == Color(chroma_location=ChromaLocation.LEFT)


def test_what_filters_leave_unsaid_is_what_was_said_before() -> None:
    tags = "range=unspecified:colorspace=unknown:color_primaries=vgamut:color_trc=vlog"
    assert behind(f"setparams={tags}") == BT709
    assert behind("setparams=colorspace=bt470bg:color_primaries=film").primaries == 8
