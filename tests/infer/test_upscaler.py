"""The stage between decoder and encoder: every frame once, in order, whatever the memory and the size."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.infer.nearest import NearestBackend, gray_frame, make_upscaler, picture
from vidsr.errors import DeviceMemoryError, FrameSizeError
from vidsr.infer.healing import GROW_AFTER_BATCHES
from vidsr.infer.render import pad_to_multiple
from vidsr.infer.upscaler import Upscaler


@pytest.mark.parametrize("count", [1, 3, 8])
def test_frames_come_back_in_order_with_their_time_stamps(count: int) -> None:
    upscaler = make_upscaler(NearestBackend(), 8)
    frames = [gray_frame(i) for i in range(count)]
    result = upscaler.submit(frames).result()
    assert [f.pts for f in result] == [i * 1001 for i in range(count)]
    assert [f.index for f in result] == list(range(count))
    assert all(f.time_base == Fraction(1, 24000) for f in result)
    assert [int(f.planes[0].min()) for f in result] == [16 + i for i in range(count)]
    assert [int(f.planes[0].max()) for f in result] == [16 + i for i in range(count)]
    assert all((f.width, f.height) == (24, 20) for f in result)


@pytest.mark.parametrize("room", [1, 2, 3, 5])
def test_out_of_memory_halves_the_batch_and_computes_the_same_frames_again(room: int) -> None:
    backend = NearestBackend(room=room)
    upscaler = make_upscaler(backend, 8)
    frames = [gray_frame(i) for i in range(8)]
    result = upscaler.submit(frames).result()
    assert [int(f.planes[0][0, 0]) for f in result] == [16 + i for i in range(8)]
    assert [f.index for f in result] == list(range(8))
    assert upscaler.batch_size <= room
    assert upscaler.batch_size in {1, 2, 4}


def test_a_halved_batch_grows_back_when_memory_returns() -> None:
    backend = NearestBackend(room=2)
    upscaler = make_upscaler(backend, 8)
    upscaler.submit([gray_frame(i) for i in range(8)])
    assert upscaler.batch_size == 2
    backend.room = 99
    for _ in range(2 * GROW_AFTER_BATCHES):
        upscaler.submit([gray_frame(0)])
    assert upscaler.batch_size == 8


def test_a_frame_that_does_not_fit_is_computed_in_tiles() -> None:
    backend = NearestBackend(pixels=50 * 50)
    upscaler = make_upscaler(backend, 1, width=100, height=90)
    ramp = np.add.outer(np.arange(90), np.arange(100)).astype(np.uint8) // 2 + 40
    plain = gray_frame(0, width=100, height=90)
    frame = plain.with_planes((ramp, *plain.planes[1:]), plain.format, plain.color)
    result = upscaler.submit([frame]).result()[0]
    assert np.array_equal(result.planes[0], ramp.repeat(2, 0).repeat(2, 1))
    assert len(backend.batches) > 3
    backend.batches.clear()
    upscaler.submit([frame])  # it remembers
    assert all(height * width <= 50 * 50 for _, _, height, width in backend.batches)


def test_tiles_asked_for_are_used_and_change_nothing() -> None:
    whole, tiled = NearestBackend(), NearestBackend()
    frame = gray_frame(0, 77, width=64, height=48)
    source, target = picture(64, 48), picture(128, 96)
    expected = Upscaler(whole, source, target, batch_size=1).submit([frame]).result()[0]
    got = Upscaler(tiled, source, target, batch_size=1, tile=32).submit([frame]).result()[0]
    assert [shape[2:] for shape in whole.batches] == [(48, 64)]
    assert {shape[2:] for shape in tiled.batches} == {(32, 32)}
    for ours, theirs in zip(got.planes, expected.planes, strict=True):
        assert np.array_equal(ours, theirs)


def test_one_frame_that_does_not_fit_in_tiles_is_an_error_and_not_a_loop() -> None:
    upscaler = make_upscaler(NearestBackend(room=0), 4)
    with pytest.raises(DeviceMemoryError, match="too little memory for one frame of 12x10 yuv420p"):
        upscaler.submit([gray_frame(i) for i in range(4)])


@pytest.mark.parametrize(("width", "height"), [(12, 10), (13, 11), (1, 1), (7, 4)])
@pytest.mark.parametrize("multiple", [1, 2, 4])
def test_any_size_is_padded_for_the_network_and_cropped_again(width: int, height: int, multiple: int) -> None:
    backend = NearestBackend(multiple=multiple)
    upscaler = make_upscaler(backend, 2, width=width, height=height)
    result = upscaler.submit([gray_frame(0, 200, width=width, height=height)]).result()
    assert (result[0].width, result[0].height) == (2 * width, 2 * height)
    assert result[0].planes[0].min() == result[0].planes[0].max() == 200
    assert result[0].planes[1].min() == result[0].planes[1].max() == 128


def test_padding_repeats_the_border() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    padded = pad_to_multiple(x, 4)
    assert padded[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert pad_to_multiple(x, 1) is x


def test_a_target_of_another_size_is_resized_at_the_end() -> None:
    upscaler = Upscaler(NearestBackend(scale=4), picture(12, 10), picture(18, 14), batch_size=1)
    result = upscaler.submit([gray_frame(0, 90)]).result()
    assert result[0].planes[0].shape == (14, 18)
    assert result[0].planes[0].min() == result[0].planes[0].max() == 90


def test_eight_bit_gray_becomes_the_same_gray_in_ten_bits() -> None:
    target = picture(24, 20, "yuv420p10le")
    upscaler = Upscaler(NearestBackend(), picture(12, 10), target, batch_size=1)
    result = upscaler.submit([gray_frame(0, 100)]).result()
    assert result[0].format.name == "yuv420p10le"
    assert result[0].planes[0].min() == result[0].planes[0].max() == 400
    assert result[0].planes[2].min() == result[0].planes[2].max() == 512


def test_a_frame_of_another_size_is_named_with_its_place() -> None:
    upscaler = make_upscaler(NearestBackend(), 1)
    with pytest.raises(FrameSizeError, match=r"frame 24 \(1\.001 s\) is 14x10 .* began as 12x10 yuv420p"):
        upscaler.submit([gray_frame(24, 50, width=14)])
