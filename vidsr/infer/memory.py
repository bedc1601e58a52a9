"""How many pictures a device has room for, told before the first one is computed.

A guess from the network's layers; what it misses is put right by `Healing`. It knows sizes and free memory,
never pixels.
"""

from __future__ import annotations

import torch

from vidsr.models.base import Network
from vidsr.models.facts import widest_values_per_pixel

SHARE_OF_FREE = 0.6
"""Of the free memory, for the batch that is computed. The rest is for two more batches of planes on their
way, a convolution's workspace and what the allocator cannot join together."""
SMALL_BYTES = 2**30
"""Of one picture. A second one at the same time saves 2% of a job's time, which is not worth more."""
RGB_VALUES = 3 * 4
"""Floats for each output pixel while colours are converted: R'G'B' and about three times as many more."""


def picture_bytes(network: Network, pixels: int, bytes_per_value: int) -> int:
    """What computing one picture takes at its worst moment, about.

    pixels: of the input. bytes_per_value: of the number format.
    """
    conversion = RGB_VALUES * network.scale**2 * 4  # float32, whatever the network computes in
    return pixels * (widest_values_per_pixel(network.steps()) * bytes_per_value + conversion)


def batch_that_fits(picture_bytes: int, free_bytes: int, most: int) -> int:
    """Pictures at once, 1 to `most`.

    1 where not even that fits: then tiles are needed, which is found out when it is tried.
    """
    return max(1, min(most, int(free_bytes * SHARE_OF_FREE) // picture_bytes))


def batch_of_small_ones(picture_bytes: int, most: int) -> int:
    """Pictures at once on a CPU: `most`, or 1 where they would take more memory than that is worth."""
    return most if picture_bytes <= SMALL_BYTES else 1


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had on a GPU; None where that cannot be told.

    What torch keeps from earlier work of this process and does not use is among them: the device counts it as
    taken, but it is given out again, and a second job would else get a smaller batch than the first.
    """
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
