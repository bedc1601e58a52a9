"""Which blocks of a picture differ from the input that their present output was computed from.

It knows pictures as tensors and blocks as a `Grid`; what is done about a changed block is not its
business. A `Changes` looks at a frame once, and compares what it saw with a *memory*: for every block,
the input of the block and its surroundings (the grid's reach) when its output was computed. Memories
are never changed, only replaced.

What is shown for a block depends on the input of the block and its reach alone. So as long as that
input is equal (`SameInput`) or within the tolerance (`NearInput`) of the remembered one, what is shown
is the network's output for an input that is equal, or within the tolerance, there. Nothing is ever
compared with a frame whose output is not on show: differences cannot add up unseen.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.infer.packing import Grid, least_multiple

Look: TypeAlias = tuple[Tensor, ...]
"""What a Changes has to know of a frame."""
Memory: TypeAlias = tuple[Tensor, ...]
"""What it has to know of the frames that the blocks were computed from."""


class Changes(Protocol):
    """One way of comparing; all tensors but the blocks to renew are on the device of the pixels.

    grid: whose blocks are compared.
    """

    grid: Grid

    def look(self, pixels: Tensor) -> Look:
        """pixels: (3, H, W) R'G'B' in [0, 1], of the grid's size."""
        ...

    def remember(self, look: Look) -> Memory:
        """All blocks were computed from this frame."""
        ...

    def renew(self, memory: Memory, look: Look, blocks: Tensor) -> Memory:
        """The blocks, bool (rows, columns), were computed from this frame, the others keep their own.

        blocks: on the host, lest it wait to know how many there are.
        """
        ...

    def changed(self, memory: Memory, look: Look) -> Tensor:
        """bool (rows, columns): blocks whose output may no longer be shown for this frame."""
        ...


class SameInput:
    """Blocks change when any sample within their reach does.

    The memory is one frame: where a block is unchanged the new frame equals the old one within its
    reach, and where it has changed its output is computed from the new one; in either case all outputs
    are what the new frame gives, and it is all there is to remember.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def look(self, pixels: Tensor) -> Look:
        return (pixels,)

    def remember(self, look: Look) -> Memory:
        return (look[0].clone(),)  # the pixels may be a part of a larger batch

    def renew(self, memory: Memory, look: Look, blocks: Tensor) -> Memory:
        return self.remember(look)

    def changed(self, memory: Memory, look: Look) -> Tensor:
        differs = (memory[0] != look[0]).any(0)
        return _blocks_reached(differs, self.grid)


def _blocks_reached(pixels: Tensor, grid: Grid) -> Tensor:
    """bool (H, W) -> bool (rows, columns): blocks with a pixel within their reach."""
    for dim, length in ((0, grid.height), (1, grid.width)):
        count = grid.shape[dim]
        padding = [0, 0, 0, 0]
        padding[2 - 2 * dim : 4 - 2 * dim] = grid.reach, count * grid.block + grid.reach - length
        padded = F.pad(pixels, padding)
        pixels = padded.unfold(dim, grid.block + 2 * grid.reach, grid.block).any(-1)
    return pixels


CELL = 8
"""Side of the cells whose difference is measured, in pixels; they overlap by half. A block of codec
noise is as large (H.264 transforms 8x8 and 4x4), so that its energy is measured, not its peaks; and a
line that moves stays within some cell whatever its direction."""
STEP = CELL // 2
MEAN_CELL = 32
"""Side of the areas whose mean is watched for slow fades."""
BUSY = 24.0
"""Standard deviation of luma, in code values, from which a cell has the full tolerance."""
CALM_SHARE = 3 / 8
"""Of the tolerance, in cells without detail. On frames of a low-bit-rate clip between which nothing moved,
99.9% of cells differed by less than 2.2 code values where the deviation is below 4, and by less than 7.3
above 24: an encoder hides its noise beside lines, and there it is hidden again."""
MEAN_SHARE = 1 / 8
"""Of the tolerance, for means: 0.9 code values at 7, so that slow fades move in steps of a sample."""
CHROMA_WEIGHT = 0.5
"""Of a chroma difference beside one of luma. At 1, the coarser quantisation of chroma makes a quarter more
blocks change on the same clip, for 0.2 dB in the worst frame."""


class NearInput:
    """Blocks change when the difference within their reach exceeds a tolerance.

    Differences are those of Y', Cb / 2 and Cr / 2 (BT.601's) in 8-bit code values, chroma at half size.
    A block is unchanged while within its reach

    - in every cell of 8x8 pixels, the root of the mean square of the difference, the three components
      added up, is at most the tolerance; where the frame has little detail at most 3/8 of it, in
      proportion to its deviation between;
    - in every area of 32x32 pixels the mean of each component differs by at most an eighth of it.

    A line one pixel wide and as long as a cell gives, moved sideways by a pixel, half its contrast where it
    lies on the pixel grid, and a quarter where it is spread over two pixels; moved out of the cell, 0.35
    and a quarter. So it is never missed from a contrast of 1.5 times the tolerance on calm ground and 4
    times anywhere; on the pixel grid and moved by one pixel from 0.75 and twice. At 7: 11 and 28; 5 and 14.

    The memory is a window per block, the block with its reach, since neighbours may have been computed
    from different frames; it is kept as float16, a sixteenth of a code value exact.
    """

    def __init__(self, grid: Grid, tolerance: float) -> None:
        """tolerance: in 8-bit code values, above 0. The grid's block must be a multiple of CELL."""
        if tolerance <= 0:
            raise ValueError(f"a tolerance of {tolerance} is not above 0")
        if grid.block % CELL:
            raise ValueError(f"blocks of {grid.block} are no multiple of {CELL}")
        self.grid = grid
        self.tolerance = tolerance
        self._ring = least_multiple(max(grid.reach, MEAN_CELL // 2 - grid.block // 2), STEP)
        rows, columns = grid.shape
        # Up to whole cells the border is repeated, beyond them there is nothing: a sample repeated through
        # a whole cell would count for 64, and its noise be no longer hidden among theirs
        right, bottom = -grid.width % STEP, -grid.height % STEP
        self._to_cells = (0, right, 0, bottom)
        self._to_windows = (
            self._ring,
            columns * grid.block + self._ring - grid.width - right,
            self._ring,
            rows * grid.block + self._ring - grid.height - bottom,
        )

    def look(self, pixels: Tensor) -> Look:
        """(luma, chroma, limit), each of the picture with the ring around it.

        luma (H', W') and chroma (2, H'/2, W'/2) in float16 code values; limit (cells, cells) is the
        greatest mean square allowed in a cell.
        """
        red, green, blue = pixels.to(torch.float32).mul(255)
        luma = red * 0.299 + green * 0.587 + blue * 0.114
        chroma = torch.stack([blue - luma, red - luma])
        chroma[0] *= CHROMA_WEIGHT * 0.5 / 0.886
        chroma[1] *= CHROMA_WEIGHT * 0.5 / 0.701
        colours = F.pad(torch.cat([luma[None], chroma])[None], self._to_cells, mode="replicate")[0]
        return (
            F.pad(colours[0], self._to_windows).to(torch.float16),
            _means(F.pad(colours[1:], self._to_windows), 2).to(torch.float16),
            self._limit(colours[:1]),
        )

    def _limit(self, luma: Tensor) -> Tensor:
        """luma (1, H, W) -> (cells, cells) of the picture with the ring around it."""
        quarters = _means(torch.cat([luma, luma * luma]), STEP)
        margins = tuple(margin // STEP for margin in self._to_windows)
        mean, square = _means_of_four(F.pad(quarters[None], margins, mode="replicate"))[0]
        variance = F.max_pool2d((square - mean * mean)[None], 3, 1, 1)[0]
        share = (variance.clamp_(min=0).sqrt_() / BUSY).clamp_(CALM_SHARE, 1)
        return (self.tolerance * share) ** 2

    def remember(self, look: Look) -> Memory:
        luma, chroma, _ = look
        return self._windows(luma, 1).clone(), self._windows(chroma, 2).clone()

    def renew(self, memory: Memory, look: Look, blocks: Tensor) -> Memory:
        luma, chroma, _ = look
        rows, columns = blocks.nonzero().to(luma.device).unbind(1)
        renewed = []
        for old, new in zip(memory, (self._windows(luma, 1), self._windows(chroma, 2)), strict=True):
            windows = old.clone()
            windows[rows, columns] = new[rows, columns]
            renewed.append(windows)
        return tuple(renewed)

    def changed(self, memory: Memory, look: Look) -> Tensor:
        luma, chroma, limit = look
        rows, columns = self.grid.shape
        # (blocks, 1 or 2, side, side); small differences of float16 are exact
        by_luma = (self._windows(luma, 1) - memory[0]).to(torch.float32).flatten(0, 1)[:, None]
        by_chroma = (self._windows(chroma, 2) - memory[1]).to(torch.float32).flatten(0, 1)

        means = torch.cat([_means(by_luma, STEP), _means(by_chroma, STEP // 2)], 1)
        areas = F.avg_pool2d(means, 2)  # of an odd number the last one is left out, as no area begins there
        drift = F.avg_pool2d(areas, MEAN_CELL // STEP // 2, 1).abs().amax((1, 2, 3))

        energy = _means(by_luma.square_(), STEP)[:, 0]
        energy += _means(by_chroma.square_(), STEP // 2).sum(1)
        energy = _means_of_four(energy)
        cells = energy.shape[-1]
        energy = energy.view(rows, columns, cells, cells)
        stride = self.grid.block // STEP
        limits = limit.unfold(0, cells, stride).unfold(1, cells, stride)
        return (energy > limits).flatten(2).any(2) | (drift > self.tolerance * MEAN_SHARE).view(rows, columns)

    def _windows(self, picture: Tensor, scale: int) -> Tensor:
        """A view (rows, columns, ..., side, side) of a picture (..., H' / scale, W' / scale)."""
        block, side = self.grid.block // scale, (self.grid.block + 2 * self._ring) // scale
        windows = picture.unfold(-2, side, block).unfold(-2, side, block)
        return windows if picture.ndim == 2 else windows.movedim(0, 2)


def _means(values: Tensor, side: int) -> Tensor:
    """(..., H, W) -> (..., H / side, W / side): of each square. avg_pool2d takes 3 to 7 times as long."""
    *others, height, width = values.shape
    bands = values.reshape(*others, height // side, side, width)
    rows = bands[..., 0, :] + bands[..., 1, :]
    for row in range(2, side):
        rows += bands[..., row, :]
    sums = rows[..., 0::side] + rows[..., 1::side]
    for column in range(2, side):
        sums += rows[..., column::side]
    return sums.div_(side * side)


def _means_of_four(values: Tensor) -> Tensor:
    """(..., H, W) -> (..., H - 1, W - 1): of each value and its neighbours to the right and below."""
    pairs = values[..., :-1, :] + values[..., 1:, :]
    return (pairs[..., :-1] + pairs[..., 1:]).div_(4)
