"""--colorspace bt709, next to the standards' formulas in float64.

zscale is no judge here: it takes the display's curve (BT.1886) for linear light, libavfilter the camera's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.media.clips import ClipShelf
from tests.media.reference import ffmpeg, streams
from tests.straight import run_job
from vidsr.errors import UsageError
from vidsr.job import Job
from vidsr.progress.events import Event

Array = npt.NDArray[np.float64]
BARS = "smptebars=size=96x64:rate=25:duration=0.2"


def ignore(_: Event) -> None:
    pass


def tagged(path: Path, matrix: str, primaries: str) -> Path:
    tags = f"colorspace={matrix}:color_primaries={primaries}:color_trc=smpte170m:range=tv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", BARS, "-vf", f"format=yuv420p,setparams={tags}",
        "-c:v", "libx264", "-qp", "1", path,
    )  # fmt: skip
    return path


def bar_colors(path: Path, width: int) -> Array:
    """(bar, plane): code values of Y, U and V in the middle of each of the seven large bars."""
    height = width * 2 // 3
    out, _ = ffmpeg(
        "-v", "error", "-i", path, "-frames:v", "1", "-vf", "format=yuv444p", "-f", "rawvideo", "-"
    )
    planes = np.frombuffer(out, np.uint8).reshape(3, height, width).astype(float)
    centers = [round(width * (2 * n + 1) / 14) for n in range(7)]
    reach = width // 48
    return np.array(
        [
            [plane[height // 8 : height // 3, x - reach : x + reach].mean() for plane in planes]
            for x in centers
        ]
    )


CHROMATICITIES = {
    "bt709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "smpte170m": ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    "bt470bg": ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060)),
}
"""(x, y) of red, green and blue: ITU-R BT.709-6, SMPTE ST 170, ITU-R BT.470-6; white is D65 in all."""


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> Array:
    """The matrix from linear RGB to XYZ (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def coding(red: float, blue: float) -> Array:
    """The matrix from R'G'B' to Y'PbPr for the weights of red and blue."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.array([luma, (np.eye(3)[2] - luma) / (2 * (1 - blue)), (np.eye(3)[0] - luma) / (2 * (1 - red))])


def in_bt709(codes: Array, primaries: tuple[tuple[float, float], ...]) -> Array:
    """8-bit limited code values (..., 3) of BT.601 as those of BT.709, clipped to its gamut."""
    signal = (codes - (16, 128, 128)) / (219, 224, 224)
    coded = np.clip(signal @ np.linalg.inv(coding(0.299, 0.114)).T, 0, 1)
    linear = np.where(coded < 0.081, coded / 4.5, ((coded + 0.099) / 1.099) ** (1 / 0.45))
    change = np.linalg.solve(to_xyz(CHROMATICITIES["bt709"]), to_xyz(primaries))
    moved = np.clip(linear @ change.T, 0, 1)
    shown = np.where(moved < 0.018, 4.5 * moved, 1.099 * moved**0.45 - 0.099)
    result: Array = shown @ coding(0.2126, 0.0722).T * (219, 224, 224) + (16, 128, 128)
    return result


@pytest.mark.parametrize(
    ("matrix", "primaries"), [("smpte170m", "smpte170m"), ("bt470bg", "bt470bg"), ("smpte170m", "bt709")]
)
def test_colours_become_those_of_bt709(tmp_path: Path, repeat_2x: Path, matrix: str, primaries: str) -> None:
    source, output = tagged(tmp_path / "in.mkv", matrix, primaries), tmp_path / "out.mkv"
    run_job(Job(source, output, weights=repeat_2x, precision="fp32", colorspace="bt709"), show=ignore)
    described = streams(output)[0].description
    assert "yuv420p(tv, bt709" in described
    assert "smpte170m" not in described
    assert "bt470bg" not in described
    before = bar_colors(source, 96)
    expected = in_bt709(before, CHROMATICITIES[primaries])
    assert np.abs(bar_colors(output, 192) - expected).max() <= 2
    assert np.abs(before - expected).max() > 5  # there was something to convert


def test_colours_are_kept_by_default(tmp_path: Path, repeat_2x: Path) -> None:
    source, output = tagged(tmp_path / "in.mkv", "smpte170m", "smpte170m"), tmp_path / "out.mkv"
    run_job(Job(source, output, weights=repeat_2x, precision="fp32"), show=ignore)
    assert np.abs(bar_colors(output, 192) - bar_colors(source, 96)).max() <= 2


def test_hdr_is_refused_in_one_line(clips: ClipShelf, tmp_path: Path, repeat_2x: Path) -> None:
    with pytest.raises(UsageError, match="tone mapping"):
        run_job(
            Job(clips("hdr10.mkv"), tmp_path / "out.mkv", weights=repeat_2x, colorspace="bt709"), show=ignore
        )
    assert list(tmp_path.iterdir()) == []
