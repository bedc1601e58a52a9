"""How many pictures a device has room for, told before the first one is computed.

A guess from the network's layers, on the safe side; what it misses is put right by `Healing`. It knows sizes
and free memory, never pixels.
"""

from __future__ import annotations

import torch

from vidsr.models.facts import Facts

SHARE_OF_FREE = 0.6
"""Of the free memory, for the batch that is computed. The rest is for two more batches of planes on their
way, a convolution's workspace and what the allocator cannot join together."""
RGB_VALUES = 3 * 4
"""Floats for each output pixel while colours are converted: R'G'B' and about three times as many more."""


def batch_that_fits(facts: Facts, pixels: int, bytes_per_value: int, free_bytes: int, most: int) -> int:
    """Pictures at once, 1 to `most`.

    pixels: of one picture of the input. bytes_per_value: of the number format. 1 where not even that fits:
    then tiles are needed, which is found out when it is tried.
    """
    conversion = RGB_VALUES * facts.scale**2 * 4  # float32, whatever the network computes in
    picture = pixels * (facts.peak_activation_bytes_per_pixel(bytes_per_value) + conversion)
    return max(1, min(most, int(free_bytes * SHARE_OF_FREE) // picture))


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be had on a GPU; None where that cannot be told."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free)
