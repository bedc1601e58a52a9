"""There and back, dithering, and that how the work is cut up does not show in the result."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cuda import require_cuda
from tests.media.color_reference import (
    arrays,
    codes_from_rgb,
    integers,
    noise_picture,
    picture,
    smooth_picture,
    tensors,
)
from vidsr.frames import ChromaLocation, Color, Matrix, PixelFormat, Range
from vidsr.media.color import strips
from vidsr.media.color.convert import planes_to_rgb, rgb_to_planes
from vidsr.media.color.dither import SIDE, threshold_bands

YUV420 = PixelFormat.parse("yuv420p")
BT709 = Color(Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT)

YUV_MATRICES = [
    Matrix.BT709, Matrix.SMPTE170M, Matrix.BT2020_NCL, Matrix.FCC, Matrix.SMPTE240M, Matrix.YCGCO
]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(
        ["yuv420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p", "yuv420p10le", "yuv422p12le"]
    ),
    matrix=st.sampled_from(YUV_MATRICES),
    range_=st.sampled_from([Range.LIMITED, Range.FULL]),
    location=st.sampled_from(list(ChromaLocation)[1:]),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    seed=st.integers(0, 2**32 - 1),
)
def test_smooth_planes_return_within_one_code(
    name: str, matrix: Matrix, range_: Range, location: ChromaLocation, height: int, width: int, seed: int
) -> None:
    """Reading and making chroma are no inverses of each other: together they blur by a fraction of a
    chroma sample. So the picture is smooth for the step, and one code means one of 255: at more bits the
    same blur is more codes. At the border, beyond which samples are repeated, a slope is blurred more:
    there it is two."""
    layout = PixelFormat.parse(name)
    color = Color(matrix, range_, chroma_location=location)
    stretch = max(layout.size_multiple)  # waves of 48 chroma samples and more
    rgb = (
        smooth_picture(height, width, seed) if stretch < 4 else _stretched(height, width, seed, stretch // 2)
    )
    planes = integers(codes_from_rgb(rgb, layout, color), layout)
    back = arrays(rgb_to_planes(planes_to_rgb(tensors(planes), layout, color), layout, color))
    unit = 1 << (layout.bits - 8)
    for i, (before, after) in enumerate(zip(planes, back, strict=True)):
        difference = np.abs(before.astype(int) - after.astype(int))
        assert difference.max(initial=0) <= (2 * unit if i else 1)
        assert difference[2:-2, 2:-2].max(initial=0) <= (unit if i else 1)


def _stretched(
    height: int, width: int, seed: int, factor: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    coarse = smooth_picture(-(-height // factor), -(-width // factor), seed)
    return np.repeat(np.repeat(coarse, factor, 1), factor, 2)[:, :height, :width]


@settings(deadline=None, max_examples=60)
@given(
    bits=st.sampled_from([8, 9, 10, 12, 14, 16]),
    family=st.sampled_from(["yuv444p", "gbrp", "gray"]),
    matrix=st.sampled_from(YUV_MATRICES),
    range_=st.sampled_from([Range.LIMITED, Range.FULL]),
    seed=st.integers(0, 2**32 - 1),
)
def test_planes_that_are_not_subsampled_return_bit_exact(
    bits: int, family: str, matrix: Matrix, range_: Range, seed: int
) -> None:
    """Codes of colours inside R'G'B', from noise; what lies outside is clamped and cannot return."""
    layout = PixelFormat.parse(family + (f"{bits}le" if bits > 8 else ""))
    color = Color(Matrix.RGB if family == "gbrp" else matrix, range_, chroma_location=ChromaLocation.LEFT)
    inside = 0.02 + 0.96 * noise_picture(13, 17, seed)
    planes = integers(codes_from_rgb(inside, layout, color) if family != "gray" else
                      codes_from_rgb(inside[:1].repeat(3, 0), layout, color), layout)  # fmt: skip
    back = arrays(rgb_to_planes(planes_to_rgb(tensors(planes), layout, color), layout, color))
    for before, after in zip(planes, back, strict=True):
        np.testing.assert_array_equal(after, before)


def test_ten_bits_survive_float16_and_not_bfloat16() -> None:
    """float16 has steps of 1/2048 below 1, bfloat16 of 1/256: what a model's dtype leaves of a source."""
    layout = PixelFormat.parse("gray10le")
    ramp = np.arange(64, 941, dtype=np.uint16)[None]
    kept = {
        dtype: rgb_to_planes(planes_to_rgb(tensors((ramp,)), layout, BT709, dtype), layout, BT709)[0]
        for dtype in (torch.float16, torch.bfloat16)
    }
    np.testing.assert_array_equal(kept[torch.float16][0].numpy(), ramp)
    lost = np.abs(kept[torch.bfloat16][0].numpy().astype(int) - ramp.astype(int)).max()
    assert lost == 2  # 876 / 512 codes


def test_pixels_of_a_coarse_dtype_are_converted_in_float32() -> None:
    """The result is that of the same numbers in float32, not of a matrix multiplied in bfloat16."""
    rgb = picture(noise_picture(40, 40, 7)).to(torch.bfloat16)
    for ours, exact in zip(
        rgb_to_planes(rgb, YUV420, BT709), rgb_to_planes(rgb.float(), YUV420, BT709), strict=True
    ):
        assert torch.equal(ours, exact)


@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "yuv444p", "gbrp", "gray"])
@pytest.mark.parametrize("dither", [False, True])
def test_the_mean_colour_is_kept(name: str, dither: bool) -> None:
    layout = PixelFormat.parse(name)
    color = Color(Matrix.RGB if name == "gbrp" else Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT)
    rgb = smooth_picture(128, 192, 8)
    planes = arrays(rgb_to_planes(picture(rgb), layout, color, dither=dither))
    for plane, exact in zip(planes, codes_from_rgb(rgb, layout, color), strict=True):
        assert plane.mean() == pytest.approx(exact.mean(), abs=0.02)


def test_dither_keeps_the_mean_of_flat_areas_that_rounding_shifts() -> None:
    """Gray at 126.3: rounded everywhere it is 126, 0.3 too dark."""
    value = (126.3 - 16) / 219
    flat = torch.full((1, 3, 64, 96), value)
    (plain,) = rgb_to_planes(flat, PixelFormat.parse("gray"), BT709)
    (dithered,) = rgb_to_planes(flat, PixelFormat.parse("gray"), BT709, dither=True)
    assert set(plain.flatten().tolist()) == {126}
    assert set(dithered.flatten().tolist()) == {126, 127}
    assert dithered.float().mean().item() == pytest.approx(126.3, abs=0.001)
    # every 8x8 block is close too: the noise is fine, not blotchy
    blocks = torch.nn.functional.avg_pool2d(dithered[None].float(), 8)
    assert (blocks - 126.3).abs().max() < 0.1


@pytest.mark.parametrize("range_", [Range.LIMITED, Range.FULL])
def test_dither_leaves_flats_that_a_code_represents(range_: Range) -> None:
    """Every gray code and 500 colours by way of R'G'B' float32, as a model would repeat them."""
    layout = PixelFormat.parse("yuv444p")
    color = Color(Matrix.SMPTE170M, range_, chroma_location=ChromaLocation.LEFT)
    low, high = (0, 255) if range_ is Range.FULL else (16, 235)
    grays = np.arange(low, high + 1).repeat(64).reshape(1, -1, 64).astype(np.uint8)
    colours = integers(codes_from_rgb(0.02 + 0.96 * noise_picture(1, 500, 9), layout, color), layout)
    y = np.concatenate([grays[0], colours[0].repeat(64, 1).reshape(-1, 64)])
    cb, cr = (
        np.concatenate([np.full_like(grays[0], 128), c.repeat(64, 1).reshape(-1, 64)]) for c in colours[1:]
    )
    planes = [torch.from_numpy(p.astype(np.uint8))[None] for p in (y, cb, cr)]
    back = rgb_to_planes(planes_to_rgb(planes, layout, color), layout, color, dither=True)
    for before, after in zip(planes, back, strict=True):
        assert torch.equal(before, after)


def test_dither_is_the_same_in_every_frame() -> None:
    still = picture(smooth_picture(70, 90, 10)).expand(3, -1, -1, -1)
    for plane in rgb_to_planes(still, YUV420, BT709, dither=True):
        assert torch.equal(plane[0], plane[1])
        assert torch.equal(plane[0], plane[2])


def test_only_eight_bit_samples_are_dithered() -> None:
    rgb = picture(smooth_picture(64, 64, 11))
    ten = PixelFormat.parse("yuv420p10le")
    for plain, dithered in zip(
        rgb_to_planes(rgb, ten, BT709), rgb_to_planes(rgb, ten, BT709, dither=True), strict=True
    ):
        assert torch.equal(plain.view(torch.int16), dithered.view(torch.int16))


def test_dithered_gray_stays_gray_in_rgb_planes() -> None:
    gray = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(0)).expand(1, 3, -1, -1)
    g, b, r = rgb_to_planes(gray, PixelFormat.parse("gbrp"), Color(Matrix.RGB, Range.FULL), dither=True)
    assert torch.equal(g, b)
    assert torch.equal(g, r)


def test_the_pattern_is_blue_noise() -> None:
    """Every threshold once, mean 0, and next to nothing below a quarter of the sampling frequency.

    White noise would have its share there: 20% of the frequencies, 20% of the power.
    """
    tile = threshold_bands(torch.device("cpu"), 0, SIDE).double().numpy()
    np.testing.assert_allclose(np.sort(tile, axis=None), (np.arange(SIDE**2) + 0.5) / SIDE**2 - 0.5)
    assert np.abs(tile).max() < 0.5
    power = np.abs(np.fft.fft2(tile)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    low = frequency < 0.25
    assert low.mean() == pytest.approx(0.2, abs=0.02)
    assert power[low].sum() / power.sum() < 0.03


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p10le", "yuv410p", "yuv440p", "gbrp", "gray"])
@pytest.mark.parametrize("location", [ChromaLocation.LEFT, ChromaLocation.TOPLEFT, ChromaLocation.BOTTOM])
def test_strips_and_batches_give_what_one_whole_picture_gives(
    name: str, location: ChromaLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = PixelFormat.parse(name)
    color = Color(Matrix.RGB if name == "gbrp" else Matrix.BT709, Range.LIMITED, 1, 1, location)
    batch = torch.rand(2, 3, 391, 75, generator=torch.Generator().manual_seed(1))
    in_strips = None
    for samples in (1, 2**14, 2**30):
        monkeypatch.setattr(strips, "CPU_STRIP_SAMPLES", samples)
        planes = [p.to(torch.int32) for p in rgb_to_planes(batch, layout, color, dither=True)]
        in_strips = in_strips or planes
        assert all(torch.equal(a, b) for a, b in zip(planes, in_strips, strict=True))
    second = rgb_to_planes(batch[1:], layout, color, dither=True)
    assert all(torch.equal(b[1:], s.to(torch.int32)) for b, s in zip(planes, second, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_memory_format_does_not_matter_and_the_input_is_not_changed(dtype: torch.dtype) -> None:
    rgb = (torch.rand(2, 3, 70, 50, generator=torch.Generator().manual_seed(2)) * 1.4 - 0.2).to(dtype)
    kept = rgb.clone()
    contiguous = rgb_to_planes(rgb, YUV420, BT709, dither=True)
    last = rgb_to_planes(rgb.contiguous(memory_format=torch.channels_last), YUV420, BT709, dither=True)
    cropped = torch.nn.functional.pad(rgb, (3, 5, 2, 1))[..., 2:-1, 3:-5]
    view = rgb_to_planes(cropped, YUV420, BT709, dither=True)
    for a, b, c in zip(contiguous, last, view, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
        assert a.is_contiguous()
    assert torch.equal(rgb, kept)


def test_values_beyond_black_and_white_are_clipped_not_wrapped() -> None:
    extremes = torch.tensor([-9.0, -0.001, 1.001, 9.0]).view(1, 1, 1, 4).expand(1, 3, 8, 4)
    for name, color, low, high in [
        ("gray", BT709, 16, 235),
        ("gray", Color(Matrix.BT709, Range.FULL), 0, 255),
        ("gray16le", Color(Matrix.BT709, Range.FULL), 0, 65535),
    ]:
        (plane,) = rgb_to_planes(extremes, PixelFormat.parse(name), color, dither=True)
        assert plane[0, 0].tolist() == [low, low, high, high]


def test_the_number_of_torch_threads_is_left_as_it_was() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        rgb = planes_to_rgb(rgb_to_planes(torch.rand(1, 3, 64, 64), YUV420, BT709), YUV420, BT709)
        assert rgb.shape == (1, 3, 64, 64)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p10le", "yuv410p", "yuv420p16le", "gbrp", "gray"])
def test_cuda_gives_what_the_cpu_gives(name: str) -> None:
    """Within one code: sums may be rounded otherwise there, and a code's boundary may lie between."""
    require_cuda()
    layout = PixelFormat.parse(name)
    color = Color(Matrix.RGB if name == "gbrp" else Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT)
    rgb = torch.rand(2, 3, 101, 77, generator=torch.Generator().manual_seed(3))
    here = rgb_to_planes(rgb, layout, color, dither=True)
    there = rgb_to_planes(rgb.cuda(), layout, color, dither=True)
    for a, b in zip(here, there, strict=True):
        assert (a.to(torch.int32) - b.cpu().to(torch.int32)).abs().max() <= 1
    back = planes_to_rgb([p.cuda() for p in here], layout, color)
    assert (back.cpu() - planes_to_rgb(here, layout, color)).abs().max() < 1e-5
