"""Tries a job in several ways, models and encoder presets, and predicts each.

A model is loaded once; its presets follow each other on the same engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from vidsr.bench.machine import usable_cores
from vidsr.channel import StopSignal
from vidsr.errors import UsageError
from vidsr.estimate.choose import Candidate, order_models, order_presets
from vidsr.estimate.predict import Prediction, predict
from vidsr.estimate.sampling import Sample, take_sample
from vidsr.estimate.scan import SourceLog, scan
from vidsr.execute.prepare import Engine, Prepared, open_engine, prepare
from vidsr.job import Job
from vidsr.media.containers import OutputFormat
from vidsr.media.write.plan import Fate, plan_streams
from vidsr.presets import DEFAULT_MODEL
from vidsr.progress.events import Show, heeding
from vidsr.progress.words import duration_words

Step = Callable[[str], None]
"""Called with a few words before each thing that takes long."""


def survey(
    job: Job,
    *,
    models: Sequence[str],
    presets: Sequence[str],
    seconds: float,
    show: Show,
    step: Step,
    stop: StopSignal | None = None,
) -> Iterator[Candidate]:
    """The job with each model and each encoder preset, best first (see `choose`).

    models, presets: none = the job's own. seconds: about how long each is tried. show: told of downloads
    and notes. stop: ends it where it is set.

    Raises UnknownNameError for a name that does not exist, and whatever a run of the job would raise.
    """
    if models and job.weights is not None:
        raise UsageError("--weights is one network; it cannot be combined with --models", "give one of them")
    stop = stop or StopSignal()
    show = heeding(show, stop.raise_reason)
    log: SourceLog | None = None
    for model in order_models(models) if models else [job.model]:
        engine: Engine | None = None
        of_model = replace(job, model=model)
        begun = time.perf_counter()
        step(f"{model or (job.weights.name if job.weights else DEFAULT_MODEL)}: loading")
        first = prepare(of_model, show)
        for preset in order_presets(first.settings.name, presets) if presets else [job.encoder.preset]:
            tried = replace(of_model, encoder=replace(job.encoder, preset=preset))
            prepared = first if preset == job.encoder.preset else prepare(tried, show)
            stop.raise_reason()
            if log is None:
                step("reading the packets of the source")
                log = _log(prepared)
                begun = time.perf_counter()
            if engine is None or prepared.target != first.target:
                engine = open_engine(prepared, prepared.devices[0], stop)
                opening = time.perf_counter() - begun
            name = f"{prepared.model}, {prepared.settings.name} {prepared.settings.preset or ''}".rstrip()
            step(f"{name}: trying")
            sample = take_sample(
                prepared,
                engine,
                log,
                seconds=seconds,
                opening_seconds=opening,
                stop=stop,
                announce=partial(_announce, step, name),
            )
            yield Candidate(
                tried,
                prepared.model,
                prepared.settings.name,
                prepared.settings.preset,
                engine.words,
                _prediction(prepared, engine, log, sample),
            )


def _announce(step: Step, name: str, frames: int, seconds: float) -> None:
    step(f"{name}: trying {frames} frames, the fewest that tell enough; about {duration_words(seconds)}")


def _log(prepared: Prepared) -> SourceLog:
    filtering = prepared.filtering
    if filtering is None:
        return scan(prepared.info, prepared.segment)
    return scan(filtering.source, filtering.segment)


def _prediction(prepared: Prepared, engine: Engine, log: SourceLog, sample: Sample) -> Prediction:
    is_filtered = prepared.filtering is not None
    expected = prepared.frames_expected if is_filtered else None
    return predict(
        sample,
        frames=expected or len(log.stamps),
        frames_are_exact=not is_filtered,
        bytes_beside=0 if prepared.job.is_piped else log.bytes_beside(_kept(prepared)),
        shares_cores=engine.device.type == "cpu",
        cores=usable_cores(),
    )


def _kept(prepared: Prepared) -> set[int]:
    """Indices of the streams that go into the output beside the video."""
    job = prepared.job
    timeline = prepared.info.timeline(prepared.segment)
    plans = plan_streams(
        prepared.info,
        OutputFormat.of_path(job.output),
        audio=job.audio,
        subtitles=job.subtitles,
        cut=timeline.is_cut,
    )
    return {plan.stream.index for plan in plans if plan.fate is not Fate.DROP}
