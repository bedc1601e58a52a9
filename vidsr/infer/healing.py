"""What is done when the device's memory runs out: fewer pictures at once, then tiles, and back again.

It knows how much is computed at once, never what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from vidsr.backends.device_faults import is_out_of_memory
from vidsr.errors import DeviceMemoryError
from vidsr.infer.render import Renderer

GROW_AFTER_BATCHES = 50
"""After so many batches without trouble a batch that was halved is doubled again: what filled the
device (another program, often) may have gone."""

T = TypeVar("T")
R = TypeVar("R")


class Healing:
    """Computes batches of pictures through a renderer, in such portions as fit.

    batch_size: pictures at once. When the device runs out of memory it is halved; when not even one picture
    fits, the renderer is told to compute in tiles. The same pictures are computed again each time, and the
    batch grows back later.
    """

    def __init__(self, renderer: Renderer, batch_size: int) -> None:
        self.batch_size = batch_size
        self._most_at_once = batch_size
        self._good_batches = 0
        self._renderer = renderer

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
                self._renderer.use_smaller_tiles(error)
        # Outside the except block: the exception's traceback holds the tensors that did not fit.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(pictures) == 1:
            return self._portions(pictures, work)
        half = len(pictures) // 2
        self.batch_size = min(self.batch_size, half)
        return self._portions(pictures[:half], work) + self._portions(pictures[half:], work)
