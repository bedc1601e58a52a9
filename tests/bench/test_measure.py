"""The plan: pictures by hand-computed cost, orders that favour nobody, shares of a ceiling."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from vidsr.bench import measure
from vidsr.bench.candidates import Way
from vidsr.bench.ceiling import Ceiling
from vidsr.bench.measure import Effort, Report, Spread, choose_picture, run_bench, turned
from vidsr.bench.work import Work
from vidsr.bench.workload import Memory, PipelineSpeed
from vidsr.errors import DeviceError
from vidsr.presets import DEFAULT_MODEL

ONE = Way("cpu", "torch", "fp32")
TWO = Way("cpu", "openvino", "fp32")
THREE = Way("cpu", "openvino", "bf16")
EFFORT = Effort("test", 3, 1000, 1.0, 0, 0, 0, 2)


def test_the_picture_is_the_largest_that_is_quick_enough() -> None:
    work = Work(flops=1000, values_by_layer=1, values_at_least=1)
    # 640x480 is 307.2 MFLOP here, 480x360 172.8, 320x240 76.8
    assert choose_picture(work, 1e9, 0.31) == (640, 480)
    assert choose_picture(work, 1e9, 0.30) == (480, 360)
    assert choose_picture(work, 1e9, 0.08) == (320, 240)
    assert choose_picture(work, 1e9, 1e-9) == (96, 72)


def test_every_way_comes_first_and_last_equally_often() -> None:
    ways = [ONE, TWO, THREE]
    rounds = [turned(ways, number) for number in range(6)]
    assert all(sorted(map(str, order)) == sorted(map(str, ways)) for order in rounds)
    assert set(Counter(order[0] for order in rounds).values()) == {2}
    assert set(Counter(order[-1] for order in rounds).values()) == {2}


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)


class ScriptedWorker:
    """Answers as a machine of known speed: 1 GFLOP/s, 1 GB/s; the network at half of that."""

    asked: list[str]

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> ScriptedWorker:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def begin(self, question: str, **arguments: Any) -> None:
        self.opened = arguments["way"]

    def finish(self) -> int:
        if self.opened == THREE:
            raise DeviceError("it does not open")
        return 1

    def ask(self, question: str, **arguments: Any) -> Any:
        ScriptedWorker.asked.append(f"{question} {self.name}")
        match question:
            case "ceiling":
                return Ceiling(1e9, 1e9)
            case "model":
                return 0.5e9 / (1_238_400 * 96 * 72)
            case "pipeline":
                if self.opened == TWO and len(ScriptedWorker.asked) > 12:
                    raise DeviceError("it broke on the way")
                return PipelineSpeed(4, 2.0, "encode" if arguments["encode"] else "upscale")
            case "memory":
                return Memory(10**9, None)
        raise AssertionError(question)


class WorkerOnGpu(ScriptedWorker):
    """One of several that have the memory of one GPU: none may be opened while another is."""

    opening = 0

    def begin(self, question: str, **arguments: Any) -> None:
        WorkerOnGpu.opening += 1
        assert WorkerOnGpu.opening == 1
        super().begin(question, **arguments)

    def finish(self) -> int:
        WorkerOnGpu.opening -= 1
        return super().finish()


def test_on_a_gpu_one_network_after_another_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "Worker", WorkerOnGpu)
    ScriptedWorker.asked = []
    ways = [Way("cuda:0", "torch", "fp16"), Way("cuda:0", "torch", "fp32")]
    report = run_bench([DEFAULT_MODEL], ways, EFFORT, lambda _: None)
    assert [result.error for result in report.results] == [None, None]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedWorker]:
    ScriptedWorker.asked = []
    monkeypatch.setattr(measure, "Worker", ScriptedWorker)
    return ScriptedWorker


def test_half_the_ceiling_s_speed_is_a_share_of_one_half(scripted: type[ScriptedWorker]) -> None:
    report = run_bench([DEFAULT_MODEL], [ONE], EFFORT, lambda _: None)
    (result,) = report.results
    assert result.share_of_ceiling == pytest.approx(0.5)
    assert result.speed is not None
    assert (result.speed.width, result.speed.height) == (96, 72)
    assert result.speed.rounds == 3
    assert result.speed.bottleneck == "encode"
    assert scripted.asked.count("ceiling the ceilings") == 1 + 3  # one before, one in every round


def test_a_way_that_fails_is_reported_and_the_others_go_on(scripted: type[ScriptedWorker]) -> None:
    report = run_bench([DEFAULT_MODEL], [ONE, TWO, THREE], EFFORT, lambda _: None)
    errors = {result.way: result.error for result in report.results}
    assert errors == {ONE: None, TWO: "it broke on the way", THREE: "it does not open"}
    assert report.results[0].speed is not None
    assert report.results[0].speed.rounds == 3


def test_int8_is_measured_of_models_that_have_it(scripted: type[ScriptedWorker]) -> None:
    int8 = Way("cpu", "openvino", "int8")
    report = run_bench([DEFAULT_MODEL, "RealESRGAN_x4plus"], [ONE, int8], EFFORT, lambda _: None)
    assert [(result.model, result.way) for result in report.results] == [
        (DEFAULT_MODEL, ONE),
        (DEFAULT_MODEL, int8),
        ("RealESRGAN_x4plus", ONE),
    ]
    assert ceilings_of(report) == ["fp32", "int8"]


def test_no_ceiling_is_measured_that_no_model_needs(scripted: type[ScriptedWorker]) -> None:
    int8 = Way("cpu", "openvino", "int8")
    report = run_bench(["RealESRGAN_x4plus"], [ONE, int8], EFFORT, lambda _: None)
    assert ceilings_of(report) == ["fp32"]
    assert scripted.asked.count("ceiling the ceilings") == 1 + 3


def test_a_model_without_any_of_the_ways_has_no_row(scripted: type[ScriptedWorker]) -> None:
    int8 = Way("cpu", "openvino", "int8")
    report = run_bench([DEFAULT_MODEL, "RealESRGAN_x4plus"], [int8], EFFORT, lambda _: None)
    assert [result.model for result in report.results] == [DEFAULT_MODEL]


def ceilings_of(report: Report) -> list[str]:
    return [ceiling.precision for ceiling in report.ceilings]


def test_no_round_is_begun_when_enough_time_is_spent(scripted: type[ScriptedWorker]) -> None:
    hasty = Effort("hasty", 50, -1.0, 1.0, 0, 0, 0, 2)
    report = run_bench([DEFAULT_MODEL], [ONE], hasty, lambda _: None)
    assert report.results[0].speed is not None
    assert report.results[0].speed.rounds == 1


def test_nothing_is_left_in_the_temporary_folder(
    scripted: type[ScriptedWorker], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run_bench([DEFAULT_MODEL], [ONE], EFFORT, lambda _: None)
    assert list(tmp_path.iterdir()) == []
