"""Pictures through `vidsr.Upscaler`, against the network itself, called in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import vidsr
from tests.infer.nearest import NearestBackend
from vidsr.errors import DeviceMemoryError, UnknownNameError, UsageError
from vidsr.models.base import Network

Small = tuple[Network, Path]
EXACT: dict[str, Any] = {"device": "cpu", "backend": "torch", "precision": "fp32"}


def opened(weights: Path, **more: Any) -> vidsr.Upscaler:
    return vidsr.Upscaler(weights=weights, **(EXACT | more))


def noise(height: int, width: int, dtype: Any) -> npt.NDArray[Any]:
    return np.random.default_rng(7).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_gives_what_the_network_gives_rounded_to_the_nearest_code(small: Small, dtype: Any) -> None:
    network, weights = small
    picture, peak = noise(23, 37, dtype), np.iinfo(dtype).max
    with opened(weights) as upscaler:
        larger = upscaler(picture)
    pixels = torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / peak
    expected = network(pixels).clamp(0, 1)[0].permute(1, 2, 0).double().numpy() * peak
    assert larger.dtype == dtype
    assert larger.shape == (46, 74, 3)
    assert larger.flags.c_contiguous
    # half a code for rounding, and float32 arithmetic in another order
    assert np.abs(larger - expected).max() < 0.5 + 2e-6 * peak


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
def test_a_tensor_gives_what_the_network_gives_clamped(small: Small, batch: int) -> None:
    network, weights = small
    pixels = torch.rand(5, 3, 20, 31, generator=torch.Generator().manual_seed(1))
    with opened(weights, batch=batch) as upscaler:
        larger = upscaler(pixels)
    expected = network(pixels)
    assert expected.min() < 0 or expected.max() > 1  # there is something to clamp
    torch.testing.assert_close(larger, expected.clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_tensor_comes_back_in_its_own_dtype_and_can_be_used_like_any_other(
    small: Small, dtype: torch.dtype
) -> None:
    pixels = torch.rand(1, 3, 16, 16, dtype=torch.float32).to(dtype).requires_grad_()
    with opened(small[1]) as upscaler:
        larger = upscaler(pixels)
    assert larger.dtype == dtype
    assert not larger.requires_grad
    assert not larger.is_inference()  # torch refuses to train with those


def test_sizes_that_the_network_cannot_take_are_padded_by_their_edge_and_cropped(folding: Small) -> None:
    network, weights = folding
    pixels = torch.rand(1, 3, 17, 23, generator=torch.Generator().manual_seed(2))
    with opened(weights) as upscaler:
        larger = upscaler(pixels)
    padded = F.pad(pixels, (0, 1, 0, 1), mode="replicate")
    torch.testing.assert_close(larger, network(padded)[..., :34, :46].clamp(0, 1), rtol=0, atol=1e-5)


def test_in_tiles_it_gives_the_same(small: Small) -> None:
    network, weights = small
    pixels = torch.rand(1, 3, 90, 75, generator=torch.Generator().manual_seed(3))
    with opened(weights, tile=32) as upscaler:
        larger = upscaler(pixels)
    torch.testing.assert_close(larger, network(pixels).clamp(0, 1), rtol=0, atol=1e-5)


def test_one_upscaler_takes_pictures_of_changing_sizes_and_kinds(small: Small) -> None:
    with opened(small[1]) as upscaler:
        sizes = [upscaler(noise(h, w, np.uint8)).shape for h, w in ((8, 9), (30, 12), (8, 9))]
        assert upscaler(torch.rand(2, 3, 8, 9)).shape == (2, 3, 16, 18)
    assert sizes == [(16, 18, 3), (60, 24, 3), (16, 18, 3)]


def repeated(pixels: Tensor) -> Tensor:
    return pixels.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def with_backend(monkeypatch: pytest.MonkeyPatch, backend: NearestBackend) -> None:
    monkeypatch.setattr("vidsr.api.pictures.open_network", lambda *_, **__: backend)


def test_when_memory_runs_out_fewer_pictures_are_computed_at_once(
    monkeypatch: pytest.MonkeyPatch, small: Small
) -> None:
    backend = NearestBackend(2, room=3)
    with_backend(monkeypatch, backend)
    pixels = torch.rand(7, 3, 10, 12)
    with opened(small[1], batch=7) as upscaler:
        assert torch.equal(upscaler(pixels), repeated(pixels))
        learned = len(backend.batches)
        assert torch.equal(upscaler(pixels), repeated(pixels))
    assert max(batch[0] for batch in backend.batches[learned:]) <= 3  # it did not have to learn it again


def test_when_not_even_one_picture_fits_it_is_computed_in_tiles(
    monkeypatch: pytest.MonkeyPatch, small: Small
) -> None:
    with_backend(monkeypatch, NearestBackend(2, pixels=70 * 70))
    pixels = torch.rand(2, 3, 120, 200)
    with opened(small[1], batch=2) as upscaler:
        assert torch.equal(upscaler(pixels), repeated(pixels))


def test_when_no_part_fits_the_error_says_so(monkeypatch: pytest.MonkeyPatch, small: Small) -> None:
    with_backend(monkeypatch, NearestBackend(2, pixels=10))
    with opened(small[1]) as upscaler, pytest.raises(DeviceMemoryError, match="too little memory"):
        upscaler(torch.rand(1, 3, 120, 200))


@pytest.mark.parametrize(
    ("pictures", "error", "words"),
    [
        (np.zeros((8, 8), np.uint8), ValueError, r"\(H, W, 3\)"),
        (np.zeros((8, 8, 4), np.uint8), ValueError, r"\(8, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), ValueError, r"\(0, 8, 3\)"),
        (np.zeros((8, 8, 3), np.float32), TypeError, "float32"),
        (torch.zeros(3, 8, 8), ValueError, r"\(N, 3, H, W\)"),
        (torch.zeros(1, 8, 8, 3), ValueError, r"\(1, 8, 8, 3\)"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), TypeError, "uint8"),
        ([[0]], TypeError, "list"),
    ],
)
def test_anything_else_is_refused_and_named(
    small: Small, pictures: Any, error: type[Exception], words: str
) -> None:
    with opened(small[1]) as upscaler, pytest.raises(error, match=words):
        upscaler(pictures)


def test_a_closed_one_computes_nothing_any_more_and_can_be_closed_again(small: Small) -> None:
    upscaler = opened(small[1])
    assert repr(upscaler) == "Upscaler(2x, torch fp32 on cpu)"
    upscaler.close()
    upscaler.close()
    assert repr(upscaler).endswith("closed)")
    with pytest.raises(ValueError, match="closed"):
        upscaler(torch.rand(1, 3, 8, 8))


def test_wrong_words_fail_before_anything_is_loaded(small: Small) -> None:
    with pytest.raises(UnknownNameError, match="animevideo"):
        vidsr.Upscaler("realesr-animevideo")
    with pytest.raises(UsageError, match="batch"):
        opened(small[1], batch=0)
    with pytest.raises(UsageError, match="tile"):
        opened(small[1], tile=8)
    with pytest.raises(UsageError, match="batch is 257"):
        opened(small[1], batch=257)
    with pytest.raises(UsageError, match="backend is 'tensorrt'"):
        opened(small[1], backend="tensorrt")
    with pytest.raises(UsageError, match="precision is 'int4'"):
        opened(small[1], precision="int4")


def test_arguments_of_a_wrong_type_are_named(small: Small) -> None:
    with pytest.raises(TypeError, match="model has to be a str, not 3"):
        vidsr.Upscaler(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="device has to be a str, not device"):
        opened(small[1], device=torch.device("cpu"))
    with pytest.raises(TypeError, match="batch has to be an int, not '4'"):
        opened(small[1], batch="4")
    with pytest.raises(TypeError, match="denoise has to be a number"):
        vidsr.Upscaler("realesr-general-x4v3", denoise="0.5")  # type: ignore[arg-type]
