"""The final resize against a float64 formulation and ffmpeg's zscale."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidsr.infer.resize import resize

Floats = NDArray[np.float64]

SIZES = [  # (height, width) from and to
    ((96, 128), (48, 64)),  # x4 network, x2 wanted
    ((96, 128), (72, 96)),  # x3 wanted
    ((96, 128), (54, 72)),  # 1080 lines of 1920
    ((95, 131), (37, 50)),  # nothing divides anything
    ((48, 64), (96, 128)),
    ((48, 64), (61, 50)),  # one axis grows, the other shrinks
]


def noise(height: int, width: int) -> Floats:
    return 0.25 + 0.5 * np.random.default_rng(height * width).random((3, height, width))


def weights(count: int, wanted: int) -> Floats:
    """(wanted, count): Keys' cubic around the place of each wanted sample, float64."""
    ratio = count / wanted
    stretch = max(ratio, 1)
    centres = (np.arange(wanted) + 0.5) * ratio - 0.5
    x = np.abs(np.arange(count)[None] - centres[:, None]) / stretch
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    kernel = np.where(x < 1, near, np.where(x < 2, far, 0))
    result: Floats = kernel / kernel.sum(1, keepdims=True)
    return result


def as_tensor(picture: Floats) -> torch.Tensor:
    return torch.from_numpy(picture).to(torch.float32)[None]


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_resize_equals_the_float64_formulation(before: tuple[int, int], after: tuple[int, int]) -> None:
    picture = noise(*before)
    expected = weights(before[0], after[0]) @ picture @ weights(before[1], after[1]).T
    ours = resize(as_tensor(picture), *after)[0].numpy()
    np.testing.assert_allclose(ours, np.clip(expected, 0, 1), atol=1e-5)


@pytest.mark.parametrize(("before", "after"), SIZES)
def test_resize_equals_zscale_away_from_the_border(before: tuple[int, int], after: tuple[int, int]) -> None:
    """zimg's cubic with b = 0, c = 1/2 is the same kernel; at the border zimg mirrors the picture."""
    picture = noise(*before)
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error",
        "-f", "rawvideo", "-pix_fmt", "gbrpf32le", "-s", f"{before[1]}x{before[0]}", "-i", "-",
        "-vf", f"zscale=w={after[1]}:h={after[0]}:f=bicubic:param_a=0:param_b=0.5",
        "-f", "rawvideo", "-pix_fmt", "gbrpf32le", "-",
    ]  # fmt: skip
    done = subprocess.run(
        command, input=picture.astype("<f4").tobytes(), capture_output=True, timeout=60, check=True
    )
    theirs = np.frombuffer(done.stdout, "<f4").reshape(3, *after)
    ours = resize(as_tensor(picture), *after)[0].numpy()
    np.testing.assert_allclose(ours[:, 8:-8, 8:-8], theirs[:, 8:-8, 8:-8], atol=1e-5)


def test_a_picture_of_the_right_size_is_returned_untouched() -> None:
    picture = torch.rand(1, 3, 8, 8, dtype=torch.float32).to(torch.bfloat16) * 3 - 1
    assert resize(picture, 8, 8) is picture


def test_a_slope_stays_where_it_is() -> None:
    """Centres aligned: a resized ramp has, at every place, the value the old one has there, to within a
    thirtieth of a sample (a stretched cubic keeps means exactly, slopes nearly)."""
    ramp = torch.linspace(0.1, 0.9, 120)[None, None, None].expand(1, 3, 40, 120)
    for width in (60, 90, 53, 240):
        places = (torch.arange(width) + 0.5) * 120 / width - 0.5
        expected = 0.1 + 0.8 * places / 119
        inner = slice(width // 8, -(width // 8))
        assert torch.allclose(resize(ramp, 20, width)[0, 0, 10, inner], expected[inner], atol=2e-4)


def test_detail_too_fine_for_the_new_size_becomes_its_mean() -> None:
    """Without a low-pass, every other column of stripes would be picked: all black or all white."""
    stripes = torch.tensor([0.0, 1.0]).repeat(64)[None, None, None].expand(1, 3, 128, 128)
    shrunk = resize(stripes, 32, 32)[..., 4:-4]
    assert (shrunk - 0.5).abs().max() < 0.01


def test_the_overshoot_at_an_edge_is_clipped() -> None:
    edge = torch.zeros(1, 3, 32, 32)
    edge[..., 16:] = 1
    enlarged = resize(edge, 80, 80)
    assert enlarged.min() == 0
    assert enlarged.max() == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coarse_pixels_are_resampled_and_returned_in_float32(dtype: torch.dtype) -> None:
    coarse = as_tensor(noise(64, 64)).to(dtype).contiguous(memory_format=torch.channels_last)
    ours = resize(coarse, 40, 40)
    assert ours.dtype == torch.float32
    assert ours.is_contiguous()
    assert torch.equal(ours, resize(coarse.float().contiguous(), 40, 40))
