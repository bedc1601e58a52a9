"""Blocks of a picture that must be computed again, and the few windows that compute them.

Integers and booleans only: it knows neither pixels nor networks, and lengths are in pixels of the
network's input unless said otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vidsr.infer.tiles import Span, Tile

Blocks: TypeAlias = npt.NDArray[np.bool_]
"""(rows, columns) of a Grid."""

SIDES = (1, 2, 3, 6)
"""Windows keep so many blocks along either axis: 16 shapes at most, since a backend may compile each.

Computed pixels on frames 85 to 175 of a drawn clip (640x480, blocks of 32, reach 19, near 8), relative
to whole frames: bounding boxes of any shape 0.324, these sides up to 3 0.338, squares of 1, 2, 3, 4, 6
0.354, one square per frame 0.378, always 3x3 0.389. Planning takes 1 ms a frame."""
WINDOW_COST = 600
"""Pixels that a window costs before its first one: calls, copies and pasting, about a millisecond of the
1.5 microseconds a pixel that animevideov3 takes on a 2-core CPU."""
WORTH_IT = 0.9
"""Above this share of the picture's own pixels windows give way to the whole picture, which needs no
halos, no pasting and no further shape."""

CUTS_TRIED = 200
"""Planning ends there: 20 ms. Blocks so scattered that they would need more rarely pay."""
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Grid:
    """Square blocks over a picture, the last row and column as large as what is left.

    reach: how far around a block its output depends on input. align: every window begins at a
    multiple; block and reach are multiples of it. regions: False = only whole pictures are computed.
    """

    height: int
    width: int
    block: int
    reach: int
    align: int = 1
    regions: bool = True

    def __post_init__(self) -> None:
        if self.block % self.align or self.reach % self.align:
            raise ValueError(f"{self} has a block or a reach that is no multiple of {self.align}")

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of blocks."""
        return -(-self.height // self.block), -(-self.width // self.block)

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def all_blocks(self) -> Blocks:
        return np.ones(self.shape, np.bool_)

    def kept(self, windows: list[Tile]) -> Blocks:
        """The blocks that lie wholly in what windows keep."""
        kept = np.zeros(self.shape, np.bool_)
        for window in windows:
            kept[self._blocks(window.rows, self.height), self._blocks(window.columns, self.width)] = True
        return kept

    def _blocks(self, span: Span, length: int) -> slice:
        last = -(-length // self.block) if span.keep_stop == length else span.keep_stop // self.block
        return slice(span.keep_start // self.block, last)

    def window(self, row: int, column: int, rows: int, columns: int) -> Tile:
        """The window that keeps at least rows x columns blocks from block (row, column) on."""
        return Tile(self._span(self.height, row, rows), self._span(self.width, column, columns))

    def side(self, blocks: int, length: int) -> int:
        """Pixels of a window that keeps so many blocks along an axis of this length."""
        return min(blocks * self.block + 2 * self.reach, length)

    def _span(self, length: int, first: int, blocks: int) -> Span:
        side = self.side(blocks, length)
        start = min(max(first * self.block - self.reach, 0), length - side)
        start -= start % self.align
        stop = start + side
        if length - stop < self.align:  # a border that the alignment keeps a window from by a little
            stop = length
        keep_start = start and -(-(start + self.reach) // self.block) * self.block
        keep_stop = length if stop == length else (stop - self.reach) // self.block * self.block
        return Span(start, stop, keep_start, keep_stop)


def plan_windows(wanted: Blocks, grid: Grid) -> list[Tile] | None:
    """Windows that keep every wanted block, at most WORTH_IT of the picture in all; else None.

    The blocks' bounding box is cut in two wherever that saves most, and the parts again, while cutting
    saves anything; what is left is covered with windows of the cheapest shape (see SIDES).
    """
    if not wanted.any():
        return []
    if not grid.regions:
        return None
    limit = WORTH_IT * grid.pixels
    if int(wanted.sum()) * grid.block**2 > limit:  # more than the windows could ever do
        return None
    costs, shapes = _covers(grid)
    cost, boxes = _cut(wanted, 0, 0, costs, repeat(0, CUTS_TRIED))
    if cost > limit:
        return None
    return [window for box in boxes for window in _cover(box, shapes, grid)]


@dataclass(frozen=True, slots=True)
class _Box:
    """Blocks [row, row + rows) x [column, column + columns)."""

    row: int
    column: int
    rows: int
    columns: int


def _cut(
    wanted: Blocks, row: int, column: int, costs: npt.NDArray[np.int64], cuts: Iterator[int]
) -> tuple[int, list[_Box]]:
    """(pixels, boxes) for the wanted blocks, the first of which is block (row, column) of the picture.

    cuts: how many more may be tried.
    """
    rows, columns = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    wanted = wanted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    row, column = row + int(rows[0]), column + int(columns[0])
    height, width = wanted.shape
    whole = int(costs[height, width]), [_Box(row, column, height, width)]
    if wanted.all() or next(cuts, None) is None:
        return whole
    across, down = _cost_of_cuts(wanted, costs), _cost_of_cuts(wanted.T, costs.T)
    if across.min(initial=_NEVER) <= down.min(initial=_NEVER):
        at = int(across.argmin()) + 1
        first = _cut(wanted[:at], row, column, costs, cuts)
        second = _cut(wanted[at:], row + at, column, costs, cuts)
    else:
        at = int(down.argmin()) + 1
        first = _cut(wanted[:, :at], row, column, costs, cuts)
        second = _cut(wanted[:, at:], row, column + at, costs, cuts)
    cost = first[0] + second[0]
    return (cost, first[1] + second[1]) if cost < whole[0] else whole


def _cost_of_cuts(wanted: Blocks, costs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What the two bounding boxes cost together after a cut between rows k and k + 1, for every k."""
    before = _bounding_box_costs(wanted, costs)
    after = _bounding_box_costs(wanted[::-1], costs)[::-1]
    return np.add(before[:-1], after[1:])


def _bounding_box_costs(wanted: Blocks, costs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Of the first 1, 2, ... rows. The first row must have a wanted block."""
    width = wanted.shape[1]
    occupied = wanted.any(1)
    left = np.minimum.accumulate(np.where(occupied, wanted.argmax(1), width))
    right = np.maximum.accumulate(np.where(occupied, width - wanted[:, ::-1].argmax(1), 0))
    last = np.maximum.accumulate(np.where(occupied, np.arange(len(wanted)), 0))
    found: npt.NDArray[np.int64] = costs[last + 1, right - left]
    return found


@lru_cache(maxsize=8)
def _covers(grid: Grid) -> tuple[npt.NDArray[np.int64], dict[tuple[int, int], tuple[int, int]]]:
    """For every box of (rows, columns) blocks: what its cheapest cover costs, and of which shape it is."""
    rows, columns = grid.shape
    costs = np.zeros((rows + 1, columns + 1), np.int64)
    shapes = {}
    for height in range(1, rows + 1):
        for width in range(1, columns + 1):
            cost, shape = min(
                (
                    -(-height // down)
                    * -(-width // across)
                    * (grid.side(down, grid.height) * grid.side(across, grid.width) + WINDOW_COST),
                    (down, across),
                )
                for down in SIDES
                for across in SIDES
            )
            costs[height, width] = cost
            shapes[height, width] = shape
    return costs, shapes


def _cover(box: _Box, shapes: dict[tuple[int, int], tuple[int, int]], grid: Grid) -> Iterator[Tile]:
    down, across = shapes[box.rows, box.columns]
    for row in range(box.row, box.row + box.rows, down):
        for column in range(box.column, box.column + box.columns, across):
            yield grid.window(row, column, down, across)


def least_multiple(at_least: float, of: int) -> int:
    """The smallest multiple of `of` that is not below `at_least`."""
    return math.ceil(at_least / of) * of
