"""What a device can do at best: the arithmetic of a large matrix product, the traffic of a large copy.

No network does more arithmetic in a second than the product of two large matrices, nor moves more
memory than a plain copy; both are measured with the same library and number format on the same
machine, not taken from a data sheet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vidsr.backends.choose import DTYPES

MATRIX_SIDE = {"cpu": 2048, "cuda": 8192}
"""On a 2-core CPU 1024, 2048 and 3072 gave within 15% of each other, 2048 the most; an H200 needs more
to fill 132 processors."""
COPY_BYTES = {"cpu": 2**28, "cuda": 2**30}
"""Several times the largest caches (a server CPU: up to 2**28 with both copies)."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """flops_rate: of the matrix product; bytes_rate: of the copy, bytes read plus bytes written, a second."""

    flops_rate: float
    bytes_rate: float


def measure_ceiling(device: torch.device, precision: str, *, seconds: float) -> Ceiling:
    """seconds: about how long to measure each of the two; at least three repetitions are made."""
    found = Ceiling(
        matrix_flops_rate(device, precision, seconds=seconds), copy_bytes_rate(device, seconds=seconds)
    )
    if device.type == "cuda":
        torch.cuda.empty_cache()  # this process lives on beside those that are measured
    return found


def matrix_flops_rate(
    device: torch.device, precision: str, *, seconds: float, side: int | None = None
) -> float:
    """FLOPs a second of torch's product of square matrices in this number format.

    int8: products of bytes, added up in 32 bits; FLOPs in name only. fp32 on CUDA is fp32, not TF32, as
    the networks' convolutions are: torch's default for products.
    """
    side = side or MATRIX_SIDE.get(device.type, 2048)
    if precision == "int8":
        shape = (side, side)
        few, others = (torch.randint(-128, 128, shape, dtype=torch.int8, device=device) for _ in range(2))

        def multiply() -> None:
            torch._int_mm(few, others)

    else:
        one, other = (torch.randn(side, side, device=device).to(DTYPES[precision]) for _ in range(2))
        product = torch.empty_like(one)

        def multiply() -> None:
            torch.mm(one, other, out=product)

    return 2 * side**3 / seconds_a_call(multiply, device, seconds=seconds)


def copy_bytes_rate(device: torch.device, *, seconds: float, size_bytes: int | None = None) -> float:
    """Bytes read plus bytes written a second by a copy within the device's memory."""
    size = size_bytes or COPY_BYTES.get(device.type, 2**28)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)

    def copy() -> None:
        target.copy_(source)

    return 2 * size / seconds_a_call(copy, device, seconds=seconds)


def seconds_a_call(
    call: Callable[[], object],
    device: torch.device,
    *,
    seconds: float,
    at_least: int = 3,
    warm_up: int = 1,
) -> float:
    """The mean over as many calls as fit into `seconds`, after `warm_up` calls that do not count.

    CUDA work is queued without waiting in between, as a run does it; the queue is waited for every
    `at_least` calls so that the clock can be read.
    """
    for _ in range(warm_up):
        call()
    synchronize(device)
    calls = 0
    begun = time.perf_counter()
    while True:
        for _ in range(at_least):
            call()
        synchronize(device)
        calls += at_least
        elapsed = time.perf_counter() - begun
        if elapsed >= seconds:
            return elapsed / calls


def synchronize(device: torch.device) -> None:
    """Wait until everything queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
