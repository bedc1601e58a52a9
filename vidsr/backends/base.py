"""The seam between `infer` and whatever computes the network.

A backend knows layers, number formats and devices; it never sees a frame, a file or a time stamp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Checkpoint = Callable[[], None]
"""Called often during a computation; raises to abandon it (how Ctrl+C gets through)."""


def never_stop() -> None:
    """The checkpoint of a caller that never abandons a computation."""


class Backend(Protocol):
    """One network, ready to run on one device in one number format.

    device, dtype: where and how batches must come in, and how they come out.
    scale: output pixels per input pixel along each axis.
    halo: how many input pixels around a pixel its output depends on; EVERYWHERE (see `models.base`)
    where it depends on all of them, so that only whole pictures can be computed.
    input_multiple: height and width must be multiples of this.
    streams: pictures it computes at the same time, each on a share of the device.
    words: for people, e.g. "torch bf16 on cpu".
    """

    device: torch.device
    dtype: torch.dtype
    scale: int
    halo: int
    input_multiple: int
    streams: int
    words: str

    def __call__(self, batch: Tensor) -> Tensor:
        """(N, 3, H, W) R'G'B' in [0, 1] -> (N, 3, H * scale, W * scale), same device and dtype.

        Values may lie a little outside [0, 1]. On CUDA the result may still be in flight on the
        current stream. Raises DeviceMemoryError when the device is out of memory.
        """
        ...


Result = Callable[[], Tensor]
"""Call it to wait for what a backend has begun. Raises LostResultError where there is none any more."""


class LostResultError(Exception):
    """The memory of what was begun has another's result, or its computation was abandoned with another's."""


@runtime_checkable
class Overlapping(Protocol):
    """A backend on the CPU that computes pictures beside each other and beside whoever begins them.

    under_way: how many it likes to have begun: one for each of its streams and one to go on with.
    """

    under_way: int

    def begin(self, picture: Tensor) -> Result:
        """(1, 3, H, W) as for a call, which computes the same -> its result, when it is asked for.

        It is lost when under_way more have begun, and when waiting for any of them was given up. Raises
        what a call raises, here or there.
        """
        ...
