"""Pictures of any size and number for a graph that takes only one size, or only one at a time.

A larger picture is computed in windows of the graph's own size which overlap by its halo, a smaller one
is extended by its last row and column.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vidsr.backends.base import Backend
from vidsr.infer.tiles import compute_tiles, plan_tiles
from vidsr.models.base import EVERYWHERE

ALIGNED = 8
"""Windows begin at multiples of this where the size is one: pixels are then folded alike in all of them."""


class FixedShapeBackend:
    """The backend of such a graph, for whatever comes.

    halo: EVERYWHERE for a fixed size. The same pixels give something else where a window lies otherwise
    in the picture, so that nothing can be put together from parts computed apart.
    """

    def __init__(self, backend: Backend, size: tuple[int, int] | None) -> None:
        """size: the (height, width) the graph takes, None = any. One picture at a time is given to it."""
        self.device = backend.device
        self.dtype = backend.dtype
        self.scale = backend.scale
        self.halo = backend.halo if size is None else EVERYWHERE
        self.input_multiple = backend.input_multiple
        self.streams = 1
        self.words = backend.words if size is None else f"{backend.words}, tiles of {size[1]}x{size[0]}"
        self._backend = backend
        self._size = size

    def __call__(self, batch: Tensor) -> Tensor:
        # cloned: a backend may overwrite its result at the next call
        return torch.cat([self._picture(picture[None]).clone() for picture in batch])

    def _picture(self, picture: Tensor) -> Tensor:
        if self._size is None:
            return self._backend(picture)
        height, width = picture.shape[2:]
        multiple = math.gcd(*self._size, ALIGNED)
        rows, columns = (
            max(length + -length % multiple, fixed)
            for length, fixed in zip((height, width), self._size, strict=True)
        )
        extended = F.pad(picture, (0, columns - width, 0, rows - height), mode="replicate")
        tiles = plan_tiles(rows, columns, self._size, self._backend.halo, multiple)
        result = compute_tiles(self._backend, extended, tiles)
        return result[:, :, : height * self.scale, : width * self.scale]
