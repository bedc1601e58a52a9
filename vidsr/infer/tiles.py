"""Tiles: integer geometry, and a backend that computes a picture window by window.

A tile's result equals the untiled one because every kept pixel is computed with all the input pixels it
depends on: the window is larger than what is kept of it by the network's halo on each side that is
not the picture's own border, where the network pads with zeros in either case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.backends.base import Backend
from vidsr.models.base import EVERYWHERE

LEAST_KEPT = 16
"""A window keeps at least so many pixels of its side, however small a tile was asked for."""


@dataclass(frozen=True, slots=True)
class Span:
    """Along one axis, in input pixels: [start, stop) is computed, [keep_start, keep_stop) of it kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


@dataclass(frozen=True, slots=True)
class Tile:
    """One window of a picture."""

    rows: Span
    columns: Span

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of what is computed."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    @property
    def area(self) -> int:
        """Pixels that are computed."""
        return self.shape[0] * self.shape[1]


def plan_spans(length: int, window: int, halo: int, multiple: int = 1) -> list[Span]:
    """Cover [0, length) with windows of one size.

    length: a multiple of `multiple`. window: rounded down to a multiple; when it is not shorter than
    `length`, one span of `length`. All windows start at multiples, lie inside the picture, and the kept
    parts are disjoint and in order.

    Raises ValueError if a window is too short to keep anything between its halos.
    """
    if length % multiple:
        raise ValueError(f"{length} is no multiple of {multiple}")
    window -= window % multiple
    if window >= length:
        return [Span(0, length, 0, length)]
    halo += -halo % multiple
    keep = window - 2 * halo
    if keep < multiple:
        raise ValueError(f"a window of {window} keeps nothing between halos of {halo}")
    spans = []
    kept_until = 0
    while kept_until < length:
        start = min(max(kept_until - halo, 0), length - window)
        stop = start + window
        keep_stop = length if stop == length else stop - halo
        spans.append(Span(start, stop, kept_until, keep_stop))
        kept_until = keep_stop
    return spans


def plan_tiles(height: int, width: int, window: tuple[int, int], halo: int, multiple: int = 1) -> list[Tile]:
    """Cover a picture with windows of one shape (height, width), row by row."""
    columns = plan_spans(width, window[1], halo, multiple)
    return [Tile(row, column) for row in plan_spans(height, window[0], halo, multiple) for column in columns]


def smallest_window(halo: int, multiple: int) -> int:
    """The shortest window worth computing: it keeps at least half of its side.

    With less, pixels are computed more than four times over.
    """
    return max(4 * (halo + -halo % multiple), 32)


class TiledBackend:
    """A backend that gives another one windows of at most `window` input pixels in height and width.

    Less memory for more work: a window of side w keeps w - 2 * halo of itself. whole: the other one.
    """

    def __init__(self, backend: Backend, window: int) -> None:
        self.device = backend.device
        self.dtype = backend.dtype
        self.scale = backend.scale
        self.halo = backend.halo
        self.input_multiple = backend.input_multiple
        self.streams = backend.streams
        halo = backend.halo + -backend.halo % backend.input_multiple
        self.window = max(window, 2 * halo + LEAST_KEPT)
        self.words = f"{backend.words}, tiles of {self.window}"
        self.whole = backend

    def __call__(self, batch: Tensor) -> Tensor:
        height, width = batch.shape[2:]
        tiles = plan_tiles(height, width, (self.window, self.window), self.halo, self.input_multiple)
        if len(tiles) == 1:
            return self.whole(batch)
        return compute_tiles(self.whole, batch, tiles)


def in_tiles(backend: Backend, window: int | None) -> Backend:
    """With the windows that were asked for, if any were and the network does not see the whole picture."""
    return backend if window is None or backend.halo >= EVERYWHERE else TiledBackend(backend, window)


def compute_tiles(backend: Backend, batch: Tensor, tiles: Sequence[Tile]) -> Tensor:
    """The pictures (N, 3, H, W) enlarged, each tile computed by itself; together they keep all of it."""
    s = backend.scale
    count, channels, height, width = batch.shape
    result = torch.empty((count, channels, height * s, width * s), dtype=backend.dtype, device=backend.device)
    for tile in tiles:
        r, c = tile.rows, tile.columns
        part = backend(batch[:, :, r.start : r.stop, c.start : c.stop])
        result[:, :, r.keep_start * s : r.keep_stop * s, c.keep_start * s : c.keep_stop * s] = part[
            :,
            :,
            (r.keep_start - r.start) * s : (r.keep_stop - r.start) * s,
            (c.keep_start - c.start) * s : (c.keep_stop - c.start) * s,
        ]
    return result
