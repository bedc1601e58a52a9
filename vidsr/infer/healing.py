"""What is done when the device's memory runs out: fewer pictures at once, then tiles, and back again.

It knows how much is computed at once, never what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from vidsr.backends.base import Backend
from vidsr.backends.device_faults import is_out_of_memory
from vidsr.errors import DeviceMemoryError
from vidsr.infer.picture import Picture
from vidsr.infer.render import Renderer
from vidsr.infer.tiles import TiledBackend, smallest_window

GROW_AFTER_BATCHES = 50
"""After so many batches without trouble a batch that was halved is doubled again: what filled the
device (another program, often) may have gone."""

T = TypeVar("T")
R = TypeVar("R")


class Healing:
    """Computes batches of pictures through a renderer, in such portions as fit.

    batch_size: pictures at once. When the device runs out of memory it is halved; when not even one picture
    fits, the renderer is given a backend that computes in tiles. The same pictures are computed again each
    time, and the batch grows back later.
    """

    def __init__(self, renderer: Renderer, whole: Backend, source: Picture, batch_size: int) -> None:
        """whole: the backend without tiles. source: what goes in, the same for every batch."""
        self.batch_size = batch_size
        self._most_at_once = batch_size
        self._good_batches = 0
        self._renderer, self._whole, self._source = renderer, whole, source
        renderer.need_less_memory = self._use_smaller_tiles

    def compute(self, pictures: Sequence[T], work: Callable[[Sequence[T]], R]) -> list[R]:
        """What `work` gives for the pictures: in one portion, or in several consecutive ones.

        work: renders some of them. Raises DeviceMemoryError when not even a small tile of one picture fits.
        """
        results = self._portions(pictures, work)
        self._good_batches += 1
        if self._good_batches >= GROW_AFTER_BATCHES and self.batch_size < self._most_at_once:
            self.batch_size = min(2 * self.batch_size, self._most_at_once)
            self._good_batches = 0
        return results

    def _portions(self, pictures: Sequence[T], work: Callable[[Sequence[T]], R]) -> list[R]:
        try:
            return [work(pictures)]
        except (DeviceMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._good_batches = 0
            if len(pictures) == 1:
                self._use_smaller_tiles(error)
        # Outside the except block: the exception's traceback holds the tensors that did not fit.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(pictures) == 1:
            return self._portions(pictures, work)
        half = len(pictures) // 2
        self.batch_size = min(self.batch_size, half)
        return self._portions(pictures[:half], work) + self._portions(pictures[half:], work)

    def _use_smaller_tiles(self, error: DeviceMemoryError | RuntimeError) -> None:
        """Halve the window; raise DeviceMemoryError where a smaller one would only waste work."""
        present = self._renderer.backend.window if isinstance(self._renderer.backend, TiledBackend) else None
        window = (present or max(self._source.width, self._source.height)) // 2
        if window < smallest_window(self._whole.halo, self._whole.input_multiple):
            raise DeviceMemoryError(
                f"the device has too little memory for one frame of {self._source}"
                + (f", even in tiles of {present}" if present else ""),
                "close other programs that use the device, or pass --device cpu",
            ) from error
        self._renderer.backend = TiledBackend(self._whole, window)
