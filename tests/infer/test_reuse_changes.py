"""What counts as a change: any sample in exact mode; in near mode lines, fades and cuts, but not noise."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidsr.infer.changes import Changes, NearInput, SameInput
from vidsr.infer.packing import Grid

GRID = Grid(96, 128, 32, 19)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures this small are computed sooner than threads meet, on a busy machine ten times so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def flat(value: float = 128.0) -> Tensor:
    """A gray picture of the grid's size; values here are 8-bit code values, 0 to 255."""
    return torch.full((3, GRID.height, GRID.width), value / 255)


def changed(changes: Changes, before: Tensor, after: Tensor) -> Tensor:
    return changes.changed(changes.remember(changes.look(before)), changes.look(after))


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_exact_finds_the_blocks_within_reach_of_a_pixel_and_no_other(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 150))
    grid = Grid(height, width, data.draw(st.integers(4, 48)), data.draw(st.integers(0, 60)))
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    before = torch.rand(3, height, width)
    after = before.clone()
    after[data.draw(st.integers(0, 2)), y, x] += 1e-7 + before[0, y, x] * 1e-6
    expected = [
        [
            top - grid.reach <= y < min(top + grid.block, height) + grid.reach
            and left - grid.reach <= x < min(left + grid.block, width) + grid.reach
            for left in range(0, width, grid.block)
        ]
        for top in range(0, height, grid.block)
    ]
    assert changed(SameInput(grid), before, after).tolist() == expected


@pytest.mark.parametrize(
    "changes",
    [SameInput(GRID), NearInput(GRID, 8.0), NearInput(GRID, 0.01)],
    ids=["same", "near 8", "near 0.01"],
)
def test_an_equal_picture_is_unchanged(changes: Changes) -> None:
    picture = torch.rand(3, GRID.height, GRID.width)
    assert not changed(changes, picture, picture.clone()).any()


@pytest.mark.parametrize("changes", [SameInput(GRID), NearInput(GRID, 8.0)], ids=["same", "near"])
def test_a_cut_changes_every_block(changes: Changes) -> None:
    torch.manual_seed(1)
    before = torch.rand(3, GRID.height, GRID.width)
    assert changed(changes, before, before.flip(-1)).all()
    assert changed(changes, flat(20), flat(60)).all()


def line(contrast: float, angle_degrees: float, shift: float, ground: Tensor) -> Tensor:
    """The ground with a line one pixel wide through the middle, moved sideways by `shift` pixels.

    Drawn by distance, with soft edges: a sample has as much of the line as it covers of the pixel.
    """
    y, x = torch.meshgrid(
        torch.arange(GRID.height, dtype=torch.float32),
        torch.arange(GRID.width, dtype=torch.float32),
        indexing="ij",
    )
    angle = math.radians(angle_degrees)
    distance = (x - GRID.width / 2) * math.cos(angle) + (y - GRID.height / 2) * math.sin(angle) - shift
    return ground + contrast / 255 * (1 - distance.abs()).clamp(0, 1)


CALM, ANYWHERE = 12.5, 33.0
"""Contrasts from which a line is never missed at a tolerance of 8: 12 and 32 by the arithmetic of NearInput
(a quarter of the contrast against 3 and 8), and a little for float16."""


def missed(contrast: float, ground: Tensor) -> list[tuple[int, float, float]]:
    """(angle, start, shift) of the lines whose move is not noticed."""
    changes = NearInput(GRID, 8.0)
    found = []
    for angle in range(0, 180, 15):
        for start in (0.0, 0.25, 0.5, 3.0):
            memory = changes.remember(changes.look(line(contrast, angle, start, ground)))
            for shift in (1.0, -1.0, 2.0, 5.0, 11.0):
                moved = line(contrast, angle, start + shift, ground)
                if not changes.changed(memory, changes.look(moved)).any():
                    found.append((angle, start, shift))
    return found


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_faint_line_on_calm_ground_that_moves_is_never_missed(sign: int) -> None:
    assert missed(sign * CALM, flat()) == []


def test_a_line_among_others_that_moves_is_never_missed() -> None:
    random = np.random.default_rng(5)
    cells = random.choice([0.0, 1.0], (1, GRID.height // 4, GRID.width // 4))
    ground = torch.from_numpy(cells).float().repeat(3, 1, 1).repeat_interleave(4, 1).repeat_interleave(4, 2)
    assert missed(ANYWHERE, 0.25 + ground / 2) == []  # detail of 128 code values everywhere


@pytest.mark.parametrize(("contrast", "noticed"), [(5.5, False), (6.5, True)])
def test_the_least_contrast_on_calm_ground_is_six(contrast: float, noticed: bool) -> None:
    # a vertical line inside a cell of 8x8: 16 of 64 samples differ, so the rms is half the contrast;
    # 3/8 of the tolerance of 8 is 3
    before, after = flat(), flat()
    before[:, :, 65] += contrast / 255
    after[:, :, 66] += contrast / 255
    assert bool(changed(NearInput(GRID, 8.0), before, after).any()) is noticed


def test_a_line_in_colour_alone_is_noticed() -> None:
    before, after = flat(), flat()
    # the same luma: 0.299 * 40 red against 0.114 * 105 blue
    for picture, column in ((before, 65), (after, 67)):
        picture[0, :, column : column + 2] += 40 / 255
        picture[2, :, column : column + 2] -= 105 / 255
    assert changed(NearInput(GRID, 8.0), before, after).any()


def test_a_line_in_the_reach_of_a_block_counts_for_it() -> None:
    before, after = flat(), flat()
    before[:, 40:56, 84] += 0.5  # 20 rows below block row 0; 19 is the reach, 20 its next multiple of 4
    after[:, 40:56, 85] += 0.5
    found = changed(NearInput(GRID, 8.0), before, after)
    assert found[1].any()
    # columns 84 and 85 are within 19 of columns 64 to 96 and of 96 to 128, and of no block left of them
    assert found[1].tolist() == [False, False, True, True]


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.0])
def test_codec_noise_on_calm_ground_is_no_change(deviation: float) -> None:
    torch.manual_seed(2)
    before = flat() + torch.randn(1, GRID.height, GRID.width) * deviation / 255 / 2**0.5
    after = flat() + torch.randn(1, GRID.height, GRID.width) * deviation / 255 / 2**0.5
    assert not changed(NearInput(GRID, 8.0), before, after).any()


def test_a_slow_fade_moves_in_steps_of_one_code_value() -> None:
    changes = NearInput(GRID, 8.0)
    memory = changes.remember(changes.look(flat(100)))
    shown = torch.full(GRID.shape, 100.0)
    updates = 0
    for frame in range(1, 200):
        value = 100 + frame * 0.15
        look = changes.look(flat(value))
        blocks = changes.changed(memory, look)
        memory = changes.renew(memory, look, blocks)
        shown[blocks] = value
        updates += int(blocks.any())
        # an eighth of 8, and a sixteenth for float16
        assert (shown - value).abs().max() <= 1 + 1 / 16
    assert updates == pytest.approx(199 * 0.15, abs=4)  # a step of 1, or of the frame after


@given(seed=st.integers(0, 2**32 - 1), tolerance=st.sampled_from([2.0, 8.0, 20.0]))
@settings(max_examples=15, deadline=None)
def test_however_blocks_are_renewed_what_is_shown_stays_within_the_tolerance(
    seed: int, tolerance: float
) -> None:
    """Frames drift at random, blocks are renewed one by one: kept ones were computed from a frame that
    differs by less than the tolerance in all their reach, said by an independent formulation."""
    random = np.random.default_rng(seed)
    changes = NearInput(GRID, tolerance)
    frame = random.uniform(60, 190, (3, GRID.height, GRID.width))
    computed_from = np.full(GRID.shape, 0, object)
    frames = [frame]
    look = changes.look(torch.from_numpy(frame / 255))
    memory = changes.remember(look)
    for number in range(1, 8):
        frame = frame + random.normal(0, tolerance / 6, (3, GRID.height, GRID.width)) + random.normal(0, 0.2)
        frames.append(frame)
        look = changes.look(torch.from_numpy(frame / 255))
        blocks = changes.changed(memory, look)
        # more may be renewed than changed, as windows do
        blocks |= torch.from_numpy(random.random(GRID.shape) < 0.2)
        memory = changes.renew(memory, look, blocks)
        computed_from[blocks.numpy()] = number
        for row, column in np.ndindex(*GRID.shape):
            then = frames[computed_from[row, column]]
            assert distance(then, frame, row, column) <= tolerance * 1.02 + 0.1


def distance(then: npt.NDArray[np.float64], now: npt.NDArray[np.float64], row: int, column: int) -> float:
    """The largest rms of luma differences over 8x8 cells in a block and its reach, cell by cell."""
    luma = np.einsum("c,chw->hw", [0.299, 0.587, 0.114], now - then)
    top, left = max(row * 32 - 20, 0), max(column * 32 - 20, 0)
    part = luma[top : min(row * 32 + 52, GRID.height), left : min(column * 32 + 52, GRID.width)]
    rows, columns = part.shape[0] // 8, part.shape[1] // 8
    assert rows >= 6
    assert columns >= 6
    squares = (part[: rows * 8, : columns * 8] ** 2).reshape(rows, 8, columns, 8).mean((1, 3))
    return float(np.sqrt(squares.max()))


def test_blocks_keep_their_own_memory() -> None:
    """A block is compared with what it was computed from, not with the frame before or its neighbour's."""
    changes = NearInput(GRID, 8.0)
    memory = changes.remember(changes.look(flat(100)))
    left_half = torch.zeros(GRID.shape, dtype=torch.bool)
    left_half[:, :2] = True
    memory = changes.renew(memory, changes.look(flat(120)), left_half)
    assert changes.changed(memory, changes.look(flat(120))).tolist() == (~left_half).tolist()
    assert changes.changed(memory, changes.look(flat(100))).tolist() == left_half.tolist()


def test_memories_are_replaced_and_never_changed() -> None:
    for changes in (SameInput(GRID), NearInput(GRID, 8.0)):
        frame = flat(100)
        memory = changes.remember(changes.look(frame))
        kept = [tensor.clone() for tensor in memory]
        changes.renew(memory, changes.look(flat(200)), torch.ones(GRID.shape, dtype=torch.bool))
        frame.fill_(0)  # nor with the caller's pixels
        assert all(torch.equal(a, b) for a, b in zip(memory, kept, strict=True))


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (33, 31), (97, 129)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_any_size_and_number_format(size: tuple[int, int], dtype: torch.dtype) -> None:
    grid = Grid(*size, block=32, reach=19)
    for changes in (SameInput(grid), NearInput(grid, 8.0)):
        before = torch.full((3, *size), 0.25, dtype=dtype)
        assert changed(changes, before, torch.full_like(before, 0.5)).shape == grid.shape
        assert changed(changes, before, torch.full_like(before, 0.5)).all()
        assert not changed(changes, before, before.clone()).any()


def test_a_tolerance_and_blocks_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="tolerance of 0"):
        NearInput(GRID, 0)
    with pytest.raises(ValueError, match="no multiple of 8"):
        NearInput(Grid(96, 128, 36, 19), 8.0)
