"""The ceilings, against FLOPs that torch counts, copies that numpy makes, and a clock that is known."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vidsr.bench import ceiling
from vidsr.bench.ceiling import copy_bytes_rate, matrix_flops_rate, seconds_a_call

CPU = torch.device("cpu")


def test_the_product_is_counted_as_torch_counts_it(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def one_second(call: object, *_: object, **__: object) -> float:
        assert callable(call)
        with FlopCounterMode(display=False) as counted:
            call()
        counts.append(counted.get_total_flops())
        return 1.0

    monkeypatch.setattr(ceiling, "seconds_a_call", one_second)
    assert matrix_flops_rate(CPU, "bf16", seconds=0, side=48) == counts[0] > 0


def test_the_copy_s_rate_is_near_that_of_numpy() -> None:
    size = 2**26
    source, target = np.zeros(size, np.uint8), np.ones(size, np.uint8)
    rates = []
    for _ in range(3):
        begun = time.perf_counter()
        target[:] = source
        rates.append(2 * size / (time.perf_counter() - begun))
    ours = max(copy_bytes_rate(CPU, seconds=0, size_bytes=size) for _ in range(3))
    assert max(rates) / 8 < ours < max(rates) * 8  # numpy copies on one core, and the machine may be busy


def test_time_a_call_is_the_mean_of_the_calls_that_count() -> None:
    calls = []

    def first_one_slow() -> None:
        calls.append(1)
        time.sleep(0.3 if len(calls) == 1 else 0.02)

    seconds = seconds_a_call(first_one_slow, CPU, seconds=0.1, at_least=2)
    assert 0.02 <= seconds < 0.15
    assert len(calls) >= 1 + 2  # the first does not count, two must


def test_a_call_longer_than_the_time_is_made_as_often_as_asked() -> None:
    calls = []
    seconds_a_call(lambda: calls.append(1), CPU, seconds=0, at_least=3, warm_up=2)
    assert len(calls) == 5
