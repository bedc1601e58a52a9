"""Reuse changes nothing in exact mode, little in near mode, and computes what changed and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidsr.backends.base import Backend
from vidsr.backends.openvino import OpenVinoBackend, openvino_is_installed
from vidsr.backends.torch_eager import TorchBackend
from vidsr.errors import DeviceMemoryError
from vidsr.frames import ChromaLocation, Color, Frame, Matrix, PixelFormat, Range
from vidsr.infer import reuse as reuse_module
from vidsr.infer.picture import Picture
from vidsr.infer.upscaler import Upscaler
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RRDBNet

BT709 = Color(Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT)
YUV420 = PixelFormat.parse("yuv420p")
WIDTH, HEIGHT = 200, 136
Planes = tuple[npt.NDArray[Any], ...]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures this small are computed sooner than threads meet, on a busy machine ten times so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def compact(scale: int = 4, layers: int = 2) -> Network:
    torch.manual_seed(11)
    network = SRVGGNetCompact(num_feat=16, num_conv=layers, upscale=scale).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    return network.requires_grad_(False)


BACKENDS: dict[str, Callable[[Network], Backend]] = {
    "torch-fp32": lambda n: TorchBackend(n, torch.device("cpu"), torch.float32),
    "torch-bf16": lambda n: TorchBackend(n, torch.device("cpu"), torch.bfloat16),
    "openvino-fp32": lambda n: OpenVinoBackend(n, "fp32", threads=1),
    "openvino-bf16": lambda n: OpenVinoBackend(n, "bf16", threads=1),
}


@pytest.fixture(params=BACKENDS, scope="module")
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param.startswith("openvino") and not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    return BACKENDS[request.param](compact())


@pytest.fixture(scope="module")
def plain() -> Backend:
    return BACKENDS["torch-fp32"](compact())


@pytest.fixture(scope="module")
def told() -> list[Frame]:
    """The frames of the story."""
    return frames_of(story())


@pytest.fixture(scope="module")
def told_whole(plain: Backend, told: list[Frame]) -> list[Frame]:
    """All of them computed, in batches of four."""
    return run(make(plain, "off", batch=4), told)


@pytest.fixture(scope="module")
def told_exactly(plain: Backend, told: list[Frame]) -> list[Frame]:
    """With exact reuse, from the first one on."""
    return run(make(plain, "exact"), told)


class Counting:
    """A backend that tells how much it was given, and fails at call `fail_at` as a full device does."""

    def __init__(self, backend: Backend, *, fail_at: int | None = None) -> None:
        self.device, self.dtype, self.scale = backend.device, backend.dtype, backend.scale
        self.halo, self.input_multiple, self.words = backend.halo, backend.input_multiple, backend.words
        self.streams = backend.streams
        self.shapes: list[tuple[int, ...]] = []
        self.fail_at = fail_at
        self._backend = backend

    def __call__(self, batch: Tensor) -> Tensor:
        self.shapes.append(tuple(batch.shape))
        if self.fail_at == len(self.shapes):
            raise DeviceMemoryError("full")
        return self._backend(batch)

    @property
    def pixels(self) -> int:
        return sum(n * height * width for n, _, height, width in self.shapes)


def drawing(seed: int, width: int = WIDTH, height: int = HEIGHT, fmt: PixelFormat = YUV420) -> Planes:
    """Rectangles of flat colour over a gradient, as planes."""
    random = np.random.default_rng(seed)
    planes = []
    for plane in range(fmt.plane_count):
        rows, columns = fmt.plane_shape(plane, height, width)
        step_y, step_x = height / rows, width / columns
        samples = np.add.outer(np.arange(rows) * step_y, np.arange(columns) * step_x) / (height + width)
        samples = 60 + 100 * samples
        for _ in range(12):
            y, x = random.integers(0, height - 20), random.integers(0, width - 20)
            y2, x2 = y + random.integers(4, 60), x + random.integers(4, 60)
            value = random.integers(20, 230)
            samples[int(y / step_y) : int(y2 / step_y), int(x / step_x) : int(x2 / step_x)] = value
        planes.append((samples * (fmt.peak / 255)).astype(fmt.dtype))
    return tuple(planes)


def frames_of(pictures: Sequence[Planes], fmt: PixelFormat = YUV420) -> list[Frame]:
    return [
        Frame(planes, fmt, BT709, pts=i, time_base=Fraction(1, 24), index=i)
        for i, planes in enumerate(pictures)
    ]


def make(
    backend: Backend, mode: str, *, batch: int = 1, target: Picture | None = None, **more: Any
) -> Upscaler:
    source = Picture(WIDTH, HEIGHT, YUV420, BT709)
    target = target or Picture(WIDTH * backend.scale, HEIGHT * backend.scale, YUV420, BT709)
    return Upscaler(backend, source, target, batch_size=batch, reuse=mode, **more)  # type: ignore[arg-type]


def run(upscaler: Upscaler, frames: Sequence[Frame]) -> list[Frame]:
    result: list[Frame] = []
    while len(result) < len(frames):  # the batch may shrink on the way
        begun = len(result)
        result += upscaler.submit(frames[begun : begun + upscaler.batch_size]).result()
    return result


def largest_difference(ours: Sequence[Frame], theirs: Sequence[Frame]) -> int:
    assert len(ours) == len(theirs)
    return max(
        int(np.abs(a.astype(np.int32) - b).max())
        for mine, other in zip(ours, theirs, strict=True)
        for a, b in zip(mine.planes, other.planes, strict=True)
    )


def with_rectangle(planes: Planes, y: int, x: int, height: int, width: int, value: int) -> Planes:
    """Luma samples and the chroma samples under them replaced."""
    edited = tuple(plane.copy() for plane in planes)
    edited[0][y : y + height, x : x + width] = value
    for plane in edited[1:]:
        plane[y // 2 : -(-(y + height) // 2), x // 2 : -(-(x + width) // 2)] = 255 - value
    return edited


def story() -> list[Planes]:
    """Held, one pixel, a corner, a line that moves, held, a cut, noise everywhere, a pose that returns."""
    first, second = drawing(1), drawing(2)
    noise = np.random.default_rng(4)
    noisy = tuple(
        (plane.astype(np.int16) + noise.integers(-9, 10, plane.shape)).clip(0, 255).astype(np.uint8)
        for plane in second
    )
    return [
        first,
        first,
        with_rectangle(first, 70, 90, 1, 1, 255),
        with_rectangle(first, 0, 0, 5, 6, 255),
        with_rectangle(first, HEIGHT - 3, WIDTH - 4, 3, 4, 0),
        with_rectangle(first, 20, 100, 60, 1, 250),
        with_rectangle(first, 20, 101, 60, 1, 250),
        with_rectangle(first, 20, 101, 60, 1, 250),
        second,
        with_rectangle(second, 40, 40, 30, 30, 99),
        noisy,
        first,
    ]


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_exact_equals_computing_everything_on_every_backend(backend: Backend, batch: int) -> None:
    frames = frames_of(story())
    upscaler = make(backend, "exact", batch=batch)
    assert largest_difference(run(upscaler, frames), run(make(backend, "off", batch=batch), frames)) <= 1
    counts = upscaler.reuse_counts
    assert counts is not None
    assert counts.frames == len(frames)
    assert counts.frames_reused >= 2
    assert 0.3 < counts.share_reused < 0.9


def test_exact_is_the_same_to_the_last_bit_where_all_windows_have_one_shape(backend: Backend) -> None:
    """A window and a tile of the same place and shape: nothing but the same numbers can come of it."""
    frames = frames_of([drawing(1), with_rectangle(drawing(1), 64, 96, 1, 1, 255)])
    counting = Counting(backend)
    upscaler = make(counting, "exact")
    (before, after) = run(upscaler, frames)
    window = counting.shapes[-1]
    assert window[2:] != (HEIGHT, WIDTH)
    run(upscaler, frames_of([drawing(5)]))
    # the same change again, after everything was computed anew: the same window gives the same samples
    repeated = run(upscaler, frames)
    assert largest_difference([before, after], repeated) == 0
    assert largest_difference([after], run(make(backend, "off"), frames)[1:]) <= 1


def test_exact_in_torch_fp32_is_the_same_to_the_last_bit_whatever_the_shapes(plain: Backend) -> None:
    frames = frames_of(story())
    assert largest_difference(run(make(plain, "exact"), frames), run(make(plain, "off"), frames)) == 0


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_edits_equal_computing_everything(data: st.DataObject, plain: Backend) -> None:
    pictures = [drawing(3)]
    for _ in range(data.draw(st.integers(1, 4))):
        base = pictures[data.draw(st.integers(0, len(pictures) - 1))]
        height, width = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 60))
        y, x = data.draw(st.integers(0, HEIGHT - 1)), data.draw(st.integers(0, WIDTH - 1))
        pictures.append(with_rectangle(base, y, x, height, width, data.draw(st.integers(0, 255))))
    frames = frames_of(pictures)
    assert largest_difference(run(make(plain, "exact"), frames), run(make(plain, "off"), frames)) == 0


FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p", "yuv420p10le", "gbrp", "gray"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("location", [ChromaLocation.LEFT, ChromaLocation.CENTER, ChromaLocation.BOTTOMLEFT])
def test_windows_give_what_the_whole_picture_gives_in_every_layout(
    plain: Backend, name: str, location: ChromaLocation
) -> None:
    fmt = PixelFormat.parse(name)
    matrix = Matrix.RGB if fmt.family == "rgb" else Matrix.BT709
    color = Color(matrix, Range.FULL if fmt.family == "rgb" else Range.LIMITED, 1, 1, location)
    target = Picture(WIDTH * 4, HEIGHT * 4, fmt, color)
    frames = frames_of([drawing(1), with_rectangle(drawing(1), 61, 77, 5, 3, 255)])
    ours, theirs = make(plain, "exact", target=target), make(plain, "off", target=target)
    assert largest_difference(run(ours, frames), run(theirs, frames)) == 0
    assert ours.reuse_counts is not None
    assert 0 < ours.reuse_counts.pixels_computed < 1.6 * WIDTH * HEIGHT


@pytest.mark.parametrize(
    ("width", "height", "regions"),
    [
        (WIDTH * 2, HEIGHT * 2, True),
        (WIDTH * 3, HEIGHT * 3, True),
        (WIDTH * 5, HEIGHT * 5, True),
        (WIDTH * 9 // 4, HEIGHT * 9 // 4, True),
        (WIDTH * 3 // 2, HEIGHT * 2, True),
        (WIDTH * 2 - 2, HEIGHT * 2, False),
    ],
)
def test_regions_are_reused_before_a_resize_of_a_plain_ratio(
    plain: Backend, width: int, height: int, regions: bool
) -> None:
    target = Picture(width, height, YUV420, BT709)
    frames = frames_of(story()[:8])
    ours, theirs = make(plain, "exact", target=target), make(plain, "off", target=target)
    # weights of the resampling are computed from places in the window: other roundings
    assert largest_difference(run(ours, frames), run(theirs, frames)) <= 1
    assert ours.reuse_counts is not None
    whole_pictures = ours.reuse_counts.pixels_computed / (WIDTH * HEIGHT)
    assert (whole_pictures < 4) is regions
    assert ours.reuse_counts.frames_reused == 2


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_networks_that_need_multiples_and_see_far(scale: int) -> None:
    torch.manual_seed(5)
    network = RRDBNet(num_feat=8, num_block=1, num_grow_ch=4, scale=scale).eval().requires_grad_(False)
    backend = BACKENDS["torch-fp32"](network)
    width, height = 333, 281
    source = Picture(width, height, YUV420, BT709)
    first = drawing(1, width, height)
    frames = frames_of([first, with_rectangle(first, 30, 50, 2, 2, 255), first])
    target = Picture(width * network.scale, height * network.scale, PixelFormat.parse("yuv444p"), BT709)
    off = Upscaler(backend, source, target, batch_size=1)
    exact = Upscaler(backend, source, target, batch_size=1, reuse="exact")
    assert largest_difference(run(exact, frames), run(off, frames)) <= 1
    assert exact.reuse_counts is not None
    assert exact.reuse_counts.blocks_computed < exact.reuse_counts.blocks


def test_a_network_that_sees_the_whole_picture_still_reuses_whole_pictures() -> None:
    network = RRDBNet(num_feat=4, num_block=6, num_grow_ch=2).eval().requires_grad_(False)
    backend = Counting(BACKENDS["torch-fp32"](network))
    assert backend.halo > 90
    frames = frames_of([drawing(1), drawing(1), with_rectangle(drawing(1), 60, 90, 9, 9, 0), drawing(1)])
    upscaler = make(backend, "exact")
    run(upscaler, frames)
    # the returning picture is found too; the changed one would need windows as large as itself
    assert backend.shapes == [(1, 3, HEIGHT, WIDTH)] * 2


def test_held_frames_are_the_same_arrays_and_cost_nothing(plain: Backend) -> None:
    backend = Counting(plain)
    result = run(make(backend, "exact"), frames_of([drawing(1)] * 4))
    assert len(backend.shapes) == 1
    assert all(frame.planes[0] is result[0].planes[0] for frame in result)
    assert [frame.pts for frame in result] == [0, 1, 2, 3]


def test_a_pose_that_returns_is_not_computed_again(plain: Backend) -> None:
    backend = Counting(plain)
    pictures = [drawing(i % 3) for i in range(9)]
    upscaler = make(backend, "exact")
    run(upscaler, frames_of(pictures))
    assert len(backend.shapes) == 3
    assert upscaler.reuse_counts is not None
    assert upscaler.reuse_counts.frames_reused == 6


def test_a_return_to_nearly_an_earlier_pose_is_made_from_it(plain: Backend) -> None:
    backend = Counting(plain)
    first = drawing(1)
    frames = frames_of([first, drawing(2), with_rectangle(first, 60, 90, 4, 4, 0)])
    ours = run(make(backend, "exact"), frames)
    assert backend.shapes[:2] == [(1, 3, HEIGHT, WIDTH)] * 2
    assert sum(height * width for _, _, height, width in backend.shapes[2:]) < WIDTH * HEIGHT / 2
    assert largest_difference(ours, run(make(plain, "off"), frames)) == 0


def test_memory_holds_few_pictures(plain: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    one_picture = WIDTH * HEIGHT * 16 * 3 // 2 + WIDTH * HEIGHT * 3 * 4
    monkeypatch.setattr(reuse_module, "MEMORY_BYTES", int(2.5 * one_picture))
    backend = Counting(plain)
    run(make(backend, "exact"), frames_of([drawing(i % 3) for i in range(6)]))
    assert len(backend.shapes) == 6  # three poses in turn, and two are remembered
    backend.shapes.clear()
    run(make(backend, "exact"), frames_of([drawing(i % 2) for i in range(6)]))
    assert len(backend.shapes) == 2


def test_a_blink_does_not_push_out_the_pose_that_returns(plain: Backend) -> None:
    backend = Counting(plain)
    pose, other = drawing(1), drawing(2)
    # 20 blinks within one block of 35, more than the eight pictures that are remembered
    blinks = [with_rectangle(other, 45, 76, 2, 2, value) for value in range(0, 240, 12)]
    upscaler = make(backend, "exact")
    run(upscaler, frames_of([pose, other, *blinks]))
    backend.shapes.clear()
    run(upscaler, frames_of([pose]))
    assert backend.shapes == []


def test_what_was_handed_out_is_never_written_to(plain: Backend) -> None:
    upscaler = make(plain, "exact")
    handed_out, copies = [], []
    for frame in frames_of(story()):
        (shown,) = upscaler.submit([frame]).result()
        handed_out.append(shown.planes)
        copies.append(tuple(plane.copy() for plane in shown.planes))
    for planes, copy in zip(handed_out, copies, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(planes, copy, strict=True))


def test_a_small_change_costs_a_window(plain: Backend) -> None:
    backend = Counting(plain)
    run(make(backend, "exact"), frames_of([drawing(1), with_rectangle(drawing(1), 64, 96, 1, 1, 255)]))
    assert backend.shapes[0] == (1, 3, HEIGHT, WIDTH)
    assert 0 < backend.pixels - WIDTH * HEIGHT < WIDTH * HEIGHT / 2


def test_a_frame_that_changed_all_over_costs_no_more_than_itself(plain: Backend) -> None:
    backend = Counting(plain)
    run(make(backend, "exact"), frames_of([drawing(i) for i in range(4)]))
    assert backend.shapes == [(1, 3, HEIGHT, WIDTH)] * 4


@pytest.mark.parametrize("begun", range(1, 12))
def test_exact_does_not_depend_on_where_it_begins(
    plain: Backend, told: list[Frame], told_exactly: list[Frame], begun: int
) -> None:
    assert largest_difference(told_exactly[begun:], run(make(plain, "exact"), told[begun:])) == 0


def test_forgetting_computes_the_next_frame_whole(plain: Backend) -> None:
    backend = Counting(plain)
    upscaler = make(backend, "near")
    run(upscaler, frames_of([drawing(1)]))
    upscaler.forget()
    run(upscaler, frames_of([drawing(1)]))
    assert backend.shapes == [(1, 3, HEIGHT, WIDTH)] * 2


@pytest.mark.parametrize("fail_at", range(1, 12))
def test_running_out_of_memory_leaves_nothing_half_done(
    plain: Backend, told: list[Frame], told_whole: list[Frame], fail_at: int
) -> None:
    ours = run(make(Counting(plain, fail_at=fail_at), "exact", batch=4), told)
    assert largest_difference(ours, told_whole) <= 1


def test_tiles_and_reuse_together(plain: Backend) -> None:
    frames = frames_of(story())
    ours = run(make(plain, "exact", tile=96), frames)
    assert largest_difference(ours, run(make(plain, "off"), frames)) == 0


def noisy_hold(count: int, amplitude: float) -> list[Planes]:
    """One drawing, with fresh noise in every frame."""
    random = np.random.default_rng(8)
    first = drawing(1)
    return [
        tuple(
            (plane + random.normal(0, amplitude, plane.shape)).round().clip(0, 255).astype(np.uint8)
            for plane in first
        )
        for _ in range(count)
    ]


def test_near_shows_a_held_drawing_under_noise_once(plain: Backend) -> None:
    frames = frames_of(noisy_hold(6, 0.7))
    for mode, reused in (("exact", 0), ("near", 5)):
        upscaler = make(plain, mode)
        run(upscaler, frames)
        assert upscaler.reuse_counts is not None
        assert upscaler.reuse_counts.frames_reused == reused


def test_near_owes_a_segment_nothing_from_before_it(plain: Backend) -> None:
    """A run that is continued at the fourth frame shows what the uninterrupted one shows."""
    frames = frames_of(noisy_hold(6, 0.7))
    frames[3] = replace(frames[3], starts_segment=True)
    whole, continued = run(make(plain, "near"), frames), run(make(plain, "near"), frames[3:])
    assert largest_difference(whole[3:], continued) == 0
    assert largest_difference(whole[2:3], whole[3:4]) > 0
    assert largest_difference(whole[3:4], whole[4:5]) == 0


def test_near_shows_what_the_network_gives_for_an_input_within_the_tolerance(backend: Backend) -> None:
    """Every block of what is shown is a block of what the network gives for one of the frames so far,
    and that frame differs little there: an independent search over all of them."""
    tolerance = 8.0
    random = np.random.default_rng(9)
    pictures = [drawing(1)]
    for _ in range(7):
        edited = with_rectangle(
            pictures[-1],
            int(random.integers(120)),
            int(random.integers(180)),
            9,
            9,
            int(random.integers(60, 160)),
        )
        pictures.append(
            tuple((p + random.normal(0, 0.8, p.shape)).round().clip(0, 255).astype(np.uint8) for p in edited)
        )
    frames = frames_of(pictures)
    shown = run(make(backend, "near", reuse_tolerance=tolerance), frames)
    whole = run(make(backend, "off"), frames)
    older = 0
    for now in range(len(frames)):
        for y in range(0, HEIGHT, 32):
            for x in range(0, WIDTH, 32):
                ours = shown[now].planes[0][4 * y : 4 * y + 128, 4 * x : 4 * x + 128].astype(np.int16)
                sources = [
                    then
                    for then in range(now + 1)
                    if np.abs(whole[then].planes[0][4 * y : 4 * y + 128, 4 * x : 4 * x + 128] - ours).max()
                    <= 1
                ]
                assert sources, (now, y, x)
                distances = [rms_of_cells(pictures[then][0], pictures[now][0], y, x) for then in sources]
                # limited-range luma to full-range code values, and rounding
                assert min(distances) * 255 / 219 <= tolerance * 1.1
                older += now not in sources
    assert older > 20  # blocks that were kept although their input differs: else nothing was tested


def rms_of_cells(then: npt.NDArray[Any], now: npt.NDArray[Any], y: int, x: int) -> float:
    part = np.s_[max(y - 4, 0) : y + 36, max(x - 4, 0) : x + 36]
    difference = (then[part].astype(np.float64) - now[part]) ** 2
    rows, columns = (size // 8 for size in difference.shape)
    return float(
        np.sqrt(difference[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8).mean((1, 3)).max())
    )


def test_near_follows_a_fade_in_small_steps(plain: Backend) -> None:
    first = drawing(1)
    fade = [tuple((p * (1 - i / 60)).round().astype(np.uint8) for p in first) for i in range(20)]
    frames = frames_of(fade)
    ours, theirs = run(make(plain, "near"), frames), run(make(plain, "off"), frames)
    for mine, other in zip(ours, theirs, strict=True):
        means = [
            F.avg_pool2d(torch.from_numpy(f.planes[0].astype(np.float32))[None, None], 128)
            for f in (mine, other)
        ]
        # one code value of the input; this network, of random weights, changes contrast by less than 2
        assert (means[0] - means[1]).abs().max() <= 2


def test_near_recomputes_all_after_a_cut(plain: Backend) -> None:
    frames = frames_of([drawing(1), drawing(2)])
    assert largest_difference(run(make(plain, "near"), frames), run(make(plain, "off"), frames)) == 0


def test_counts_add_up(plain: Backend) -> None:
    backend = Counting(plain)
    upscaler = make(backend, "exact", batch=5)
    run(upscaler, frames_of(story()))
    counts = upscaler.reuse_counts
    assert counts is not None
    assert counts.pixels_computed == backend.pixels
    assert counts.pixels == 12 * WIDTH * HEIGHT
    assert counts.work_saved == pytest.approx(1 - backend.pixels / (12 * WIDTH * HEIGHT))
    assert counts.blocks == 12 * 5 * 7  # blocks of 32 in 136 rows, 200 columns
    assert make(plain, "off").reuse_counts is None
