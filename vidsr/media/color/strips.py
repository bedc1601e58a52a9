"""Many short operations on large pictures without a machine's caches, threads and allocator in the way.

It knows torch's habits on a CPU, never what is computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

# Samples of one channel that are worked on at once on a CPU: few enough for a strip and what is made of
# it to stay in the caches. 2560x1920 float32 R'G'B' to 8-bit 4:2:0, CPU time, in strips of 8 rows 56 ms,
# 32 23 ms, 64 17 ms, 128 15 ms, 256 17 ms, 1024 23 ms: below, calling torch takes longer than its work.
CPU_STRIP_SAMPLES = 2**19


def strip_rows(step: int, height: int, width: int) -> int:
    """Rows of a strip: step times a power of two."""
    rows = step
    while rows < height and 2 * rows * width <= CPU_STRIP_SAMPLES:
        rows *= 2
    return rows


class Scratch:
    """Tensors by name, whose memory is used again for every strip.

    Asking the allocator each time can cost more than the arithmetic: above a threshold that depends on
    what the process freed before, glibc gives fresh pages. 2560x1920 to 4:2:0 then took 136 ms, with
    48,000 page faults, and 27 ms with 4,000; where glibc keeps the pages 24 and 17 ms.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """A contiguous tensor, its contents undefined; what was had under the name before is overwritten."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size or buffer.dtype != dtype:
            buffer = self._buffers[name] = torch.empty(size, dtype=dtype, device=self._device)
        return buffer[:size].view(shape)


@contextmanager
def in_this_thread(device: torch.device) -> Iterator[None]:
    """Keep torch's operations on the CPU from being shared among threads.

    Each short operation would end in a barrier, and while an encoder has the other cores a barrier
    costs a time slice. On 2 cores that others used too, 2560x1920 to 4:2:0 took 65 ms on average, 128
    at most, and with two threads 442 and 3603. The setting is the calling thread's own; only a thread
    that first uses torch meanwhile would take it over.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
