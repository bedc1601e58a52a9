"""Pixels to output planes: network, resize, colour, for whole pictures and for windows of them.

A window gives the very samples that the whole picture would give in what it keeps: around that it
computes a margin for the filters behind the network, and around the margin the network's halo. It
owns that geometry; what is computed, and when, is decided elsewhere.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.backends.base import Backend, LostResultError, Overlapping, Result
from vidsr.backends.device_faults import is_out_of_memory
from vidsr.errors import DeviceMemoryError
from vidsr.infer.packing import Grid, least_multiple
from vidsr.infer.picture import Picture
from vidsr.infer.resize import resize
from vidsr.infer.tiles import Span, Tile, TiledBackend, smallest_window
from vidsr.media.color.chroma import Axis, ChromaGrid
from vidsr.media.color.convert import rgb_to_planes
from vidsr.models.base import EVERYWHERE

LEAST_BLOCK = 32
"""Side of the blocks that are reused, in input pixels, for networks that see little around. Computed
pixels on frames 85 to 175 of a drawn clip (reach 19, near 8) are 0.31 of all with blocks of 16 and 0.32
with 32, and comparing takes 2.3 times as long with 16."""
BLOCK_PER_REACH = 1.5
"""Else so many times the reach: a lone block then costs 5.4 times its own pixels, as 32 do at 19."""
BLOCK_MULTIPLE = 8
MOST_ALIGN = 32
"""Input pixels. Windows must begin and end on whole output samples; where the ratio of output to input is
so odd that these lie further apart, only whole pictures are computed."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Finished samples of a part of the output.

    places: where they go, per plane the rows and columns. planes: (rows, columns) each.
    """

    places: tuple[tuple[slice, slice], ...]
    planes: tuple[Tensor, ...]


def paste(planes: Sequence[Tensor], patches: Sequence[Patch]) -> tuple[Tensor, ...]:
    """Copies of a picture's planes with patches put in."""
    pasted = tuple(plane.clone() for plane in planes)
    for patch in patches:
        for whole, place, part in zip(pasted, patch.places, patch.planes, strict=True):
            whole[place] = part
    return pasted


class Rendering:
    """A whole picture that was begun. Its planes, (1, rows, columns) each, are made when they are wanted."""

    def __init__(self, finish: Callable[..., tuple[Tensor, ...]]) -> None:
        """finish: gives the planes; see `Renderer.finish` for its even_if_lost."""
        self._finish: Callable[..., tuple[Tensor, ...]] | None = finish
        self._planes: tuple[Tensor, ...] = ()

    def planes(self) -> tuple[Tensor, ...]:
        """Wait for them. Raises what the backend raises, and may then be asked again."""
        self._make(even_if_lost=True)
        return self._planes

    def make_room(self) -> None:
        """Have the planes made now, so that the backend's memory is free.

        Not where the result is lost: whether anybody still wants it is not known (a run may have ended).
        """
        with suppress(LostResultError):
            self._make(even_if_lost=False)

    def _make(self, *, even_if_lost: bool) -> None:
        if self._finish is not None:
            self._planes = self._finish(even_if_lost=even_if_lost)
            self._finish = None  # with it go the picture that went in, the renderer and the network


class Renderer:
    """From the backend's input to the planes of `target`.

    backend: of the network. Where its memory is too little, it is exchanged for one that computes in tiles.
    """

    def __init__(
        self, backend: Backend, source: Picture, target: Picture, *, dither: bool, most_pixels: int
    ) -> None:
        """most_pixels: input pixels of all the windows computed at once, on a GPU."""
        self.backend = backend
        self._begun: deque[Rendering] = deque()
        self._most_pixels = most_pixels
        self._source = source
        self._target = target
        self._dither = dither
        grid = ChromaGrid.of(target.format, target.color.chroma_location)
        self._rows = _Mapping.of(source.height, target.height, grid.rows, backend.scale)
        self._columns = _Mapping.of(source.width, target.width, grid.columns, backend.scale)
        self._align = math.lcm(self._rows.align, self._columns.align, backend.input_multiple)
        self._margin = least_multiple(max(self._rows.support, self._columns.support), self._align)

    def grid(self) -> Grid:
        """The blocks that can be computed and put into a finished picture one by one."""
        regions = self._align <= MOST_ALIGN and self.backend.halo < EVERYWHERE
        align, margin = (self._align, self._margin) if regions else (1, 0)
        # What depends on everything is one block as large as the picture, which no surroundings can change.
        side = max(self._source.height, self._source.width)
        halo, least = (0, side) if self.backend.halo >= EVERYWHERE else (self.backend.halo, LEAST_BLOCK)
        reach = least_multiple(halo + margin, align)
        block = least_multiple(max(least, BLOCK_PER_REACH * reach), math.lcm(BLOCK_MULTIPLE, align))
        multiple = self.backend.input_multiple
        height = least_multiple(self._source.height, multiple)
        width = least_multiple(self._source.width, multiple)
        return Grid(height, width, block, reach, align, regions)

    @property
    def planes_bytes(self) -> int:
        """Of the planes of one picture."""
        return self._target.format.planes_bytes(self._target.height, self._target.width)

    def pad(self, pixels: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) of the source's size to the size the network takes."""
        return pad_to_multiple(pixels, self.backend.input_multiple)

    def upscale(self, pixels: Tensor) -> Tensor:
        """(N, 3, H', W') from `pad` -> (N, 3, target height, target width), not clamped."""
        return self._fitted(self.backend(pixels))

    def whole(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(N, 3, H', W') from `pad` -> the planes of N pictures, (N, rows, columns) each."""
        return self._planes(self.upscale(pixels), (0, 0))

    def overlaps(self, count: int) -> bool:
        """Whether to `begin` so many pictures, and not to wait for them as a whole.

        A single one is soonest done by all cores, which is what a call does.
        """
        return count > 1 and isinstance(self.backend, Overlapping)

    def begin(self, pixels: Tensor) -> list[Rendering]:
        """`whole` for a backend that overlaps: one by one, beside each other and beside the caller."""
        return [self._begin(pixels[number : number + 1]) for number in range(len(pixels))]

    def _begin(self, picture: Tensor) -> Rendering:
        most = self.backend.under_way if isinstance(self.backend, Overlapping) else 0
        while len(self._begun) > max(most - 1, 0):  # the oldest's memory is the next one's
            self._begun.popleft().make_room()
        backend = self.backend  # which may have been exchanged just now
        if not isinstance(backend, Overlapping):
            return Rendering(partial(self.finish, picture, backend, partial(backend, picture)))
        rendering = Rendering(partial(self.finish, picture, backend, backend.begin(picture)))
        self._begun.append(rendering)
        return rendering

    @torch.inference_mode()
    def finish(
        self, pixels: Tensor, backend: Backend, result: Result, *, even_if_lost: bool = True
    ) -> tuple[Tensor, ...]:
        """The planes of a picture that `backend` began; computed once more where that came to nothing.

        even_if_lost: else LostResultError is raised for a result that is.
        """
        while True:
            try:
                return self._planes(self._fitted(result()), (0, 0))
            except LostResultError:
                if not even_if_lost:
                    raise
            except (DeviceMemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if backend is self.backend:  # and was not exchanged already, for another picture's sake
                    self.use_smaller_tiles(error)
            backend, result = self.backend, partial(self.backend, pixels)

    def use_smaller_tiles(self, error: DeviceMemoryError | RuntimeError) -> None:
        """Compute in windows of half the side from now on, or of half the picture.

        Raises DeviceMemoryError from the error where smaller ones would only waste work.
        """
        tiled = self.backend if isinstance(self.backend, TiledBackend) else None
        whole = self.backend if tiled is None else tiled.whole
        window = (max(self._source.width, self._source.height) if tiled is None else tiled.window) // 2
        if window < smallest_window(whole.halo, whole.input_multiple):
            raise DeviceMemoryError(
                f"the device has too little memory for one frame of {self._source}"
                + ("" if tiled is None else f", even in tiles of {tiled.window}"),
                "close other programs that use the device, or pass --device cpu",
            ) from error
        self.backend = TiledBackend(whole, window)

    def windows(self, pixels: Tensor, windows: Sequence[tuple[int, Tile]]) -> list[Patch]:
        """What windows of the grid keep, in the order given.

        pixels: (N, 3, H', W') from `pad`. windows: each with the picture, of the N, that it is of.
        """
        patches: dict[int, Patch] = {}
        for numbers in self._at_once([window for _, window in windows]):
            parts = []
            for number in numbers:
                picture, window = windows[number]
                rows, columns = window.rows, window.columns
                parts.append(pixels[picture, :, rows.start : rows.stop, columns.start : columns.stop])
            result = self.backend(torch.stack(parts))
            for k, number in enumerate(numbers):
                patches[number] = self._patch(result[k : k + 1], windows[number][1])
        return [patches[number] for number in range(len(windows))]

    def _at_once(self, windows: Sequence[Tile]) -> Iterator[list[int]]:
        """Numbers of windows of one shape, as many as the device likes to compute together."""
        by_shape: dict[tuple[int, int], list[int]] = {}
        for number, window in enumerate(windows):
            by_shape.setdefault(window.shape, []).append(number)
        for (height, width), numbers in by_shape.items():
            is_cpu = self.backend.device.type == "cpu"  # whose cores so many windows keep busy
            most = self.backend.streams if is_cpu else max(self._most_pixels // (height * width), 1)
            begun = 0
            while begun < len(numbers):
                # a power of two: few different batches for backends that prepare each shape
                count = 1 << (min(len(numbers) - begun, most).bit_length() - 1)
                yield numbers[begun : begun + count]
                begun += count

    def _patch(self, result: Tensor, window: Tile) -> Patch:
        """result: (1, 3, height * scale, width * scale) of the window."""
        rows = self._rows.cut(window.rows, self._source.height, self._margin)
        columns = self._columns.cut(window.columns, self._source.width, self._margin)
        rgb = result[..., rows.native, columns.native]
        rgb = resize(rgb, rows.length, columns.length)
        planes = self._planes(rgb, (rows.origin, columns.origin))
        places, kept = [], []
        for number, plane in enumerate(planes):
            is_chroma = number > 0 and self._target.format.family == "yuv"
            down, across = self._target.format.size_multiple if is_chroma else (1, 1)
            places.append((rows.place(down), columns.place(across)))
            kept.append(plane[0, rows.kept(down), columns.kept(across)])
        return Patch(tuple(places), tuple(kept))

    def _fitted(self, result: Tensor) -> Tensor:
        """The network's output without what comes of padding, in the target's size."""
        scale = self.backend.scale
        height, width = self._source.height * scale, self._source.width * scale
        return resize(result[..., :height, :width], self._target.height, self._target.width)

    def _planes(self, rgb: Tensor, origin: tuple[int, int]) -> tuple[Tensor, ...]:
        target = self._target
        return rgb_to_planes(rgb, target.format, target.color, dither=self._dither, origin=origin)


@dataclass(frozen=True, slots=True)
class _Cut:
    """What is taken of a window along one axis.

    native: of the network's output. origin, length: what becomes of it, in luma samples of the output.
    keep_start, keep_stop: what is kept of that, counted from origin.
    """

    native: slice
    origin: int
    length: int
    keep_start: int
    keep_stop: int

    def kept(self, step: int) -> slice:
        """Of a plane that has every step-th sample."""
        return slice(self.keep_start // step, -(-self.keep_stop // step))

    def place(self, step: int) -> slice:
        """The same in the plane of the whole picture."""
        kept, origin = self.kept(step), self.origin // step
        return slice(origin + kept.start, origin + kept.stop)


@dataclass(frozen=True, slots=True)
class _Mapping:
    """One axis from the network's input to the output.

    ratio: output samples per input pixel. scale: the network's. align: input pixels between places where
    a chroma sample begins. support: input pixels that resize and chroma filter reach beyond what they give.
    """

    ratio: Fraction
    scale: int
    align: int
    support: int

    @classmethod
    def of(cls, source: int, target: int, chroma: Axis, scale: int) -> _Mapping:
        ratio = Fraction(target, source)
        taps = chroma.taps_down() if chroma.step > 1 else ((0, 1.0),)
        reach = Fraction(max(-taps[0][0], taps[-1][0] - (chroma.step - 1), 0)) / ratio
        if ratio != scale:
            # Keys' cubic reaches two samples of the coarser side; one more for centres between samples
            reach += (2 * max(scale / ratio, Fraction(1)) + 1) / scale
        return cls(ratio, scale, (ratio / chroma.step).denominator, math.ceil(reach))

    def cut(self, span: Span, length: int, margin: int) -> _Cut:
        """length: of the source, which the last window may reach beyond by its padding."""
        keep_stop = min(span.keep_stop, length)
        first = max(span.keep_start - margin, span.start)
        last = min(keep_stop + margin, span.stop, length)
        native = slice((first - span.start) * self.scale, (last - span.start) * self.scale)
        origin = int(first * self.ratio)
        return _Cut(
            native,
            origin,
            int(last * self.ratio) - origin,
            int(span.keep_start * self.ratio) - origin,
            int(keep_stop * self.ratio) - origin,
        )


def pad_to_multiple(pixels: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples; at most multiple - 1 of each."""
    height, width = pixels.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if bottom == 0 and right == 0:
        return pixels
    return F.pad(pixels, (0, right, 0, bottom), mode="replicate")
