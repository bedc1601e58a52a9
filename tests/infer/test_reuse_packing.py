"""Windows for changed blocks: everything wanted is kept, with its halo, in few shapes and little area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.infer.packing import SIDES, WORTH_IT, Blocks, Grid, plan_windows
from vidsr.infer.tiles import Span, Tile


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    align = draw(st.sampled_from([1, 2, 8]))
    return Grid(
        height=draw(st.integers(1, 500)),
        width=draw(st.integers(1, 500)),
        block=align * draw(st.integers(4, 40)) if align < 8 else 8 * draw(st.integers(1, 8)),
        reach=align * draw(st.integers(0, 12)),
        align=align,
    )


@st.composite
def wanted_in(draw: st.DrawFn, grid: Grid) -> Blocks:
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    blocks: Blocks = random.random(grid.shape) < draw(st.sampled_from([0.02, 0.1, 0.3]))
    return blocks


def check_span(span: Span, length: int, grid: Grid) -> None:
    assert 0 <= span.start <= span.keep_start < span.keep_stop <= span.stop <= length
    assert span.start % grid.align == 0
    assert span.stop == length or span.stop % grid.align == 0
    # what is kept has its reach around it, unless the picture ends before
    assert span.start == 0 or span.keep_start - span.start >= grid.reach
    assert span.stop == length or span.stop - span.keep_stop >= grid.reach


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_windows_keep_every_wanted_block_with_its_reach(data: st.DataObject) -> None:
    grid = data.draw(grids())
    wanted = data.draw(wanted_in(grid))
    windows = plan_windows(wanted, grid)
    if windows is None:
        return
    kept_pixels = np.zeros((grid.height, grid.width), bool)
    for window in windows:
        check_span(window.rows, grid.height, grid)
        check_span(window.columns, grid.width, grid)
        rows, columns = window.rows, window.columns
        kept_pixels[rows.keep_start : rows.keep_stop, columns.keep_start : columns.keep_stop] = True
    block = grid.block
    by_pixels = np.zeros(grid.shape, bool)
    for row, column in np.ndindex(*grid.shape):
        part = kept_pixels[row * block : (row + 1) * block, column * block : (column + 1) * block]
        by_pixels[row, column] = part.all()
    kept = grid.kept(windows)
    assert not (wanted & ~by_pixels).any()
    # what is said to be kept is; a block may be kept by several windows together without being named
    assert not (kept & ~by_pixels).any()
    assert not (wanted & ~kept).any()


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_windows_never_cost_as_much_as_the_picture(data: st.DataObject) -> None:
    grid = data.draw(grids())
    windows = plan_windows(data.draw(wanted_in(grid)), grid)
    if windows is not None:
        assert sum(window.area for window in windows) <= WORTH_IT * grid.height * grid.width


GRID = Grid(480, 640, 32, 19)


def test_no_block_needs_no_window() -> None:
    assert plan_windows(np.zeros(GRID.shape, bool), GRID) == []


def test_all_blocks_need_the_whole_picture() -> None:
    assert plan_windows(GRID.all_blocks(), GRID) is None


def test_a_picture_without_regions_is_whole_or_nothing() -> None:
    grid = Grid(480, 640, 32, 19, regions=False)
    wanted = np.zeros(grid.shape, bool)
    assert plan_windows(wanted, grid) == []
    wanted[0, 0] = True
    assert plan_windows(wanted, grid) is None


def test_a_block_in_the_middle_by_hand() -> None:
    wanted = np.zeros(GRID.shape, bool)
    wanted[5, 7] = True  # rows 160 to 192, columns 224 to 256, and 19 around
    assert plan_windows(wanted, GRID) == [Tile(Span(141, 211, 160, 192), Span(205, 275, 224, 256))]


def test_a_block_in_the_corner_by_hand() -> None:
    wanted = np.zeros(GRID.shape, bool)
    wanted[-1, 0] = True
    # a window of 70 as everywhere: at a border it has no halo there and keeps more on the other side:
    # rows from 410 + 19 on, that is the block at 448; columns to 70 - 19, that is the block to 32
    assert plan_windows(wanted, GRID) == [Tile(Span(410, 480, 448, 480), Span(0, 70, 0, 32))]


def test_distant_blocks_get_windows_of_their_own() -> None:
    wanted = np.zeros(GRID.shape, bool)
    wanted[1, 1] = wanted[13, 18] = True
    windows = plan_windows(wanted, GRID)
    assert windows is not None
    assert [window.area for window in windows] == [70 * 70, 70 * 70]


def test_neighbours_share_a_window() -> None:
    wanted = np.zeros(GRID.shape, bool)
    wanted[4:6, 4:7] = True
    windows = plan_windows(wanted, GRID)
    assert windows is not None
    # 2 x 3 blocks of 32, and 19 around: apart they would be six windows of 70 x 70
    assert [window.shape for window in windows] == [(102, 134)]


def test_an_l_is_cut_where_it_bends() -> None:
    wanted = np.zeros(GRID.shape, bool)
    wanted[2:12, 2] = wanted[11, 2:16] = True
    windows = plan_windows(wanted, GRID)
    assert windows is not None
    bounding_box = (10 * 32 + 38) * (14 * 32 + 38)
    assert sum(window.area for window in windows) < bounding_box / 2


@pytest.mark.parametrize("grid", [GRID, Grid(1080, 1920, 32, 19), Grid(720, 1280, 56, 35)], ids=repr)
def test_few_shapes_whatever_changes(grid: Grid) -> None:
    random = np.random.default_rng(3)
    shapes = set()
    for _ in range(200):
        wanted = np.zeros(grid.shape, bool)
        for _ in range(random.integers(1, 6)):
            row, column = random.integers(grid.shape[0]), random.integers(grid.shape[1])
            wanted[row : row + random.integers(1, 9), column : column + random.integers(1, 9)] = True
        windows = plan_windows(wanted, grid)
        shapes |= {window.shape for window in windows or ()}
    assert len(shapes) <= len(SIDES) ** 2


def test_blocks_and_reach_that_break_the_alignment_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of 8"):
        Grid(480, 640, 32, 19, align=8)
