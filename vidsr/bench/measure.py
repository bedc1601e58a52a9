"""The plan of a measurement: which ways, on which picture, in which order, and what is made of the figures.

Everything is measured in rounds, each way once a round and in turning order, so that a machine that gets
slower on the way (heat, another program) does so for all of them; the median of the rounds counts. It
measures nothing itself: workers do.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vidsr import __version__
from vidsr.bench.candidates import Way
from vidsr.bench.ceiling import Ceiling
from vidsr.bench.clip import write_clip
from vidsr.bench.machine import Machine, load_average, this_machine
from vidsr.bench.work import Work, work_of
from vidsr.bench.worker import Worker
from vidsr.bench.workload import Memory, PipelineSpeed
from vidsr.errors import VidsrError
from vidsr.models.architecture import Architecture
from vidsr.presets import find_preset
from vidsr.weights.int8 import loss_of

PICTURES = ((640, 480), (480, 360), (320, 240), (240, 180), (160, 120), (96, 72))
"""(width, height), the first that is quick enough is measured on; cost a pixel hardly depends on the size
(OpenVINO: none from 96 pixels on). All are multiples of every model's input_multiple."""

Step = Callable[[str], None]
"""Called with a few words before each thing that takes long."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured; model_, pipeline_ and ceiling_seconds are of one measurement in one round.

    rounds, enough_seconds: for each model on each device; once so much time is spent no further round is
    begun. frame_seconds: the picture is chosen so that one frame at the machine's ceiling takes no
    longer. clip_frames: length of the clip that runs through the pipeline.
    """

    name: str
    rounds: int
    enough_seconds: float
    frame_seconds: float
    model_seconds: float
    pipeline_seconds: float
    ceiling_seconds: float
    clip_frames: int


FULL = Effort("full", 5, 900, 1.5, 2.0, 4.0, 0.5, 240)
QUICK = Effort("quick", 3, 30, 0.15, 0.4, 0.8, 0.15, 96)


@dataclass(frozen=True, slots=True)
class Spread:
    """What repetitions of one measurement gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class CeilingResult:
    """flops_rate, bytes_rate: a second."""

    device: str
    precision: str
    flops_rate: Spread
    bytes_rate: Spread


@dataclass(frozen=True, slots=True)
class Speed:
    """Frames of width x height a second, from so many rounds.

    model_fps: the network alone. pipeline_fps: decoded, upscaled and thrown away. file_fps: decoded,
    upscaled and encoded into a file. bottleneck: the stage that limited the last of these.
    """

    width: int
    height: int
    batch: int
    rounds: int
    model_fps: Spread
    pipeline_fps: Spread
    file_fps: Spread
    bottleneck: str
    memory: Memory


@dataclass(frozen=True, slots=True)
class Result:
    """One network run one way: its speed, or why it could not be run."""

    model: str
    way: Way
    work: Work
    speed: Speed | None
    share_of_ceiling: float | None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """load: see machine.load_average, before and after."""

    version: str
    effort: str
    machine: Machine
    load_before: float | None
    load_after: float | None
    ceilings: tuple[CeilingResult, ...]
    results: tuple[Result, ...]


def run_bench(models: Sequence[str], ways: Sequence[Way], effort: Effort, step: Step) -> Report:
    """Measure every model in every way that it has: int8 is only of those with constants for it.

    A way that fails is in the report with its error. Raises UnknownNameError for an unknown model,
    VidsrError where not even the ceilings can be measured.
    """
    works = {model: _work(model) for model in models}
    ways = [way for way in ways if any(_has(model, way) for model in models)]
    before = load_average()
    formats = list(dict.fromkeys((way.device, way.precision) for way in ways))
    ceilings: dict[tuple[str, str], list[Ceiling]] = {key: [] for key in formats}
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="vidsr-bench-") as folder, Worker("the ceilings") as judge:

        def measure_ceilings() -> None:
            for device, precision in formats:
                step(f"ceilings of {device} in {precision}")
                asked = judge.ask(
                    "ceiling", device=device, precision=precision, seconds=effort.ceiling_seconds
                )
                ceilings[device, precision].append(asked)

        measure_ceilings()
        for model, work in works.items():
            its_ways = [way for way in ways if _has(model, way)]
            for device in dict.fromkeys(way.device for way in its_ways):
                slowest = min(c[0].flops_rate for key, c in ceilings.items() if key[0] == device)
                width, height = choose_picture(work, slowest, effort.frame_seconds)
                clip = Path(folder) / f"{width}x{height}.mkv"
                if not clip.exists():
                    step(f"a clip of {width}x{height}")
                    write_clip(clip, width=width, height=height, frames=effort.clip_frames)
                here = [way for way in its_ways if way.device == device]
                results += _measure_ways(
                    model, work, here, clip, (width, height), effort, step, measure_ceilings
                )
    final = {key: _summary(*key, measured) for key, measured in ceilings.items()}
    return Report(
        version=__version__,
        effort=effort.name,
        machine=this_machine(),
        load_before=before,
        load_after=load_average(),
        ceilings=tuple(final.values()),
        results=tuple(_with_share(result, final) for result in results),
    )


def choose_picture(work: Work, flops_rate: float, seconds: float) -> tuple[int, int]:
    """The largest of PICTURES whose arithmetic takes at most so long at this rate, or the smallest."""
    for width, height in PICTURES:
        if width * height * work.flops / flops_rate <= seconds:
            return width, height
    return PICTURES[-1]


def turned(ways: Sequence[Way], number: int) -> list[Way]:
    """The order of round `number`: each round begins with another way, every second one runs backwards."""
    first = number % len(ways)
    order = [*ways[first:], *ways[:first]]
    return order[::-1] if number % 2 else order


def _measure_ways(
    model: str,
    work: Work,
    ways: Sequence[Way],
    clip: Path,
    picture: tuple[int, int],
    effort: Effort,
    step: Step,
    between: Callable[[], None],
) -> Iterator[Result]:
    """between: called before each round."""
    samples: dict[Way, list[_Sample]] = {way: [] for way in ways}
    batches: dict[Way, int] = {}
    errors: dict[Way, str] = {}
    with ExitStack() as stack:
        step(f"{model}: loading")
        workers = {way: stack.enter_context(Worker(f"{model}, {way}")) for way in ways}

        def finish_opening(way: Way) -> None:
            try:
                batches[way] = workers[way].finish()
            except VidsrError as error:
                errors[way] = error.message

        # nothing is timed yet: all at once, but not where memory is scarce
        for way, worker in workers.items():
            worker.begin("open", model=model, way=way, clip=clip)
            if way.shares_a_gpu:
                finish_opening(way)
        for way in workers:
            if not way.shares_a_gpu:
                finish_opening(way)
        begun = time.monotonic()
        for number in range(effort.rounds):
            if number and time.monotonic() - begun > effort.enough_seconds:
                break
            between()
            for way in turned(ways, number):
                if way in errors:
                    continue
                step(f"{model}: round {number + 1} of {effort.rounds}, {way}")
                try:
                    samples[way].append(_sample(workers[way], effort))
                except VidsrError as error:
                    errors[way] = error.message
    for way in ways:
        if way in errors:
            yield Result(model, way, work, None, None, errors[way])
        else:
            yield Result(model, way, work, _speed(samples[way], picture, batches[way]), None)


@dataclass(frozen=True, slots=True)
class _Sample:
    """What one way did in one round."""

    model_fps: float
    to_nowhere: PipelineSpeed
    to_file: PipelineSpeed
    memory: Memory


def _sample(worker: Worker, effort: Effort) -> _Sample:
    return _Sample(
        model_fps=worker.ask("model", seconds=effort.model_seconds),
        to_nowhere=worker.ask("pipeline", seconds=effort.pipeline_seconds, encode=False),
        to_file=worker.ask("pipeline", seconds=effort.pipeline_seconds, encode=True),
        memory=worker.ask("memory"),
    )


def _speed(samples: Sequence[_Sample], picture: tuple[int, int], batch: int) -> Speed:
    return Speed(
        width=picture[0],
        height=picture[1],
        batch=batch,
        rounds=len(samples),
        model_fps=Spread.of([sample.model_fps for sample in samples]),
        pipeline_fps=Spread.of([sample.to_nowhere.fps for sample in samples]),
        file_fps=Spread.of([sample.to_file.fps for sample in samples]),
        bottleneck=statistics.mode(sample.to_file.bottleneck for sample in samples),
        memory=samples[-1].memory,  # a peak never falls
    )


def _has(model: str, way: Way) -> bool:
    return way.precision != "int8" or loss_of(model) is not None


def _work(model: str) -> Work:
    preset = find_preset(model)
    return work_of(Architecture(preset.architecture, preset.arguments))


def _summary(device: str, precision: str, measured: Sequence[Ceiling]) -> CeilingResult:
    return CeilingResult(
        device,
        precision,
        Spread.of([ceiling.flops_rate for ceiling in measured]),
        Spread.of([ceiling.bytes_rate for ceiling in measured]),
    )


def _with_share(result: Result, ceilings: dict[tuple[str, str], CeilingResult]) -> Result:
    if result.speed is None:
        return result
    ceiling = ceilings[result.way.device, result.way.precision]
    floor = result.work.floor_seconds(
        result.speed.width * result.speed.height,
        result.way.precision,
        flops_rate=ceiling.flops_rate.median,
        bytes_rate=ceiling.bytes_rate.median,
    )
    share = floor * result.speed.model_fps.median
    return Result(result.model, result.way, result.work, result.speed, share)
