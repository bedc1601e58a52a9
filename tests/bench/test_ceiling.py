"""The ceilings, against FLOPs that torch counts, copies that numpy makes, and a clock that is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.profiler import ProfilerActivity, profile
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


def test_bytes_are_multiplied_as_bytes_and_added_up_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    products: list[list[object]] = []

    def half_a_second(call: Callable[[], object], *_: object, **__: object) -> float:
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
            call()
        products.extend(event.input_shapes for event in seen.events() or () if event.name == "aten::_int_mm")
        return 0.5

    monkeypatch.setattr(ceiling, "seconds_a_call", half_a_second)
    assert matrix_flops_rate(CPU, "int8", seconds=0, side=48) == 4 * 48**3
    assert products == [[[48, 48], [48, 48]]]


def test_every_byte_of_a_copy_is_counted_as_read_and_as_written(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[list[int]] = []

    def two_seconds(call: Callable[[], object], *_: object, **__: object) -> float:
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
            call()
        copied.extend(event.input_shapes[0] for event in seen.events() or () if event.name == "aten::copy_")
        return 2.0

    monkeypatch.setattr(ceiling, "seconds_a_call", two_seconds)
    assert copy_bytes_rate(CPU, seconds=0, size_bytes=4096) == 4096  # 2 x 4096 in two seconds
    assert copied == [[4096]]


def test_time_a_call_is_the_mean_of_the_calls_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, now = [], 100.0

    def first_one_slow() -> None:
        nonlocal now
        calls.append(1)
        now += 8.0 if len(calls) == 1 else 0.25

    monkeypatch.setattr("vidsr.bench.ceiling.time.perf_counter", lambda: now)
    assert seconds_a_call(first_one_slow, CPU, seconds=1.6, at_least=2) == 0.25
    assert len(calls) == 1 + 8  # the first does not count; 1.6 s are full after 7, and two are made at a time


def test_a_call_longer_than_the_time_is_made_as_often_as_asked() -> None:
    calls = []
    seconds_a_call(lambda: calls.append(1), CPU, seconds=0, at_least=3, warm_up=2)
    assert len(calls) == 5
