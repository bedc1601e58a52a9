"""`vidsr estimate IN`: how long a job will take and how large its output will be, before it is begun."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from vidsr.cli.interrupts import interruptible
from vidsr.cli.loading import loading
from vidsr.cli.moments import LengthType, TimeOfDayType, next_time
from vidsr.cli.options import TIME, GroupedCommand, option_group
from vidsr.cli.upscale import job_of, upscale
from vidsr.errors import TooLateError, UsageError
from vidsr.media.write.standard_streams import STANDARD
from vidsr.presets import DEFAULT_MODEL, find_preset, list_presets

if TYPE_CHECKING:
    from vidsr.estimate.choose import Candidate
    from vidsr.job import Job
    from vidsr.progress.events import Event

estimate_option = option_group("Estimate")
_NOT_OF_A_TRIAL = frozenset(
    {"source", "output", "progress", "pipe_format", "restart", "no_resume", "segment"}
)
"""Options of the main command that say nothing about what the work costs."""


class _SecondsType(click.FloatRange):
    """A number in a range, and none that is no number: NaN lies outside of no bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number", param, ctx)
        return seconds


class _NamesType(click.ParamType[tuple[str, ...]]):
    """a,b,c to a tuple."""

    name = "A,B,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
        if not names:
            self.fail("it names nothing", param, ctx)
        return names


@click.command(cls=GroupedCommand, short_help="Predict time and size of a job before it is begun.")
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", metavar="[OUTPUT]", required=False, type=click.Path(path_type=Path))
@estimate_option("--models", type=_NamesType(), default=(), help="Try each of these models.")
@estimate_option("--encoder-presets", type=_NamesType(), default=(), help="Try each of these presets.")
@estimate_option("--finish-by", type=TimeOfDayType(), help="Pick the best that is done by this time of day.")
@estimate_option("--within", type=LengthType(), help="Pick the best that is done in 3h, 90m or 1h30m.")
@estimate_option(
    "--seconds",
    metavar="N",
    type=_SecondsType(1, 3600),
    default=20.0,
    show_default=True,
    help="Try each for about so long; longer makes the margins smaller.",
)
@estimate_option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
@click.pass_context
def estimate(
    context: click.Context,
    /,
    source: Path,
    output: Path | None,
    models: tuple[str, ...],
    encoder_presets: tuple[str, ...],
    finish_by: time | None,
    within: timedelta | None,
    seconds: float,
    as_json: bool,
    **words: Any,
) -> None:
    """Predict how long upscaling INPUT will take and how large OUTPUT will be. Nothing is written.

    Short stretches from all over INPUT go through the real network and encoder; the spread between them is
    the margin. All other options are those of the job itself.
    """
    if finish_by is not None and within is not None:
        raise UsageError("--finish-by cannot be combined with --within", "give one of them")
    if not models and "," in (words["model"] or ""):  # as `vidsr preview` takes them
        models, words["model"] = _NamesType().convert(words["model"], None, context), None
    if models and words["model"] is not None:
        raise UsageError("--model cannot be combined with --models", "name all of them in --models")
    if encoder_presets and words["encoder_preset"] is not None:
        raise UsageError(
            "--encoder-preset cannot be combined with --encoder-presets", "name all of them in one"
        )
    if source == STANDARD:
        raise UsageError("standard input cannot be read twice", "name a file")
    begun = datetime.now().astimezone()
    deadline = begun + within if within is not None else None
    if finish_by is not None:
        deadline = next_time(finish_by, begun)
    target = output or source.with_name(f"{source.stem}.upscaled.mkv")
    job = job_of(source=source, output=target, pipe_format="nut", **words)
    if deadline is not None and not models and job.model is None and job.weights is None:
        models = tuple(_models_here())

    candidates = _survey(job, models, encoder_presets, seconds)
    chosen, now = None, datetime.now().astimezone()
    if deadline is not None:
        from vidsr.estimate.choose import first_in_time

        chosen = first_in_time(candidates, (deadline - now).total_seconds())
    command = None if chosen is None else list(_command(context, chosen, target))
    if as_json:
        _print_json(job, candidates, chosen, command, deadline)
    else:
        _print_table(candidates, chosen, command, deadline, now)
    if deadline is not None and chosen is None:
        raise _too_late(candidates, deadline, now)


estimate.params += [param for param in upscale.params if param.name not in _NOT_OF_A_TRIAL]


def _models_here() -> list[str]:
    """The models for the same kind of pictures as the default one whose weights need not be fetched."""
    from vidsr.weights.catalog import entry

    content = find_preset(DEFAULT_MODEL).content
    return [p.name for p in list_presets().values() if p.content == content and entry(p).is_present]


def _survey(
    job: Job, models: Sequence[str], encoder_presets: Sequence[str], seconds: float
) -> list[Candidate]:
    from rich.console import Console
    from rich.text import Text

    with loading():
        from vidsr.estimate.survey import survey
        from vidsr.progress.events import Fetching, Note
        from vidsr.progress.words import fetching_words

    notes = Console(stderr=True, markup=False, emoji=False)
    with interruptible() as interruption, notes.status("starting") as status:

        def step(words: str) -> None:
            status.update(Text(words))
            if not notes.is_terminal:
                notes.print(words, style="dim", highlight=False)

        def show(event: Event) -> None:
            match event:
                case Fetching():
                    status.update(Text(fetching_words(event)))
                case Note():
                    notes.print(f"Note: {event.text}", markup=False, highlight=False)

        return list(
            survey(
                job,
                models=models,
                presets=encoder_presets,
                seconds=seconds,
                show=show,
                step=step,
                stop=interruption.new_stop(),
            )
        )


def _print_json(
    job: Job,
    candidates: Sequence[Candidate],
    chosen: Candidate | None,
    command: Sequence[str] | None,
    deadline: datetime | None,
) -> None:
    from vidsr.estimate.report import to_json

    report: dict[str, Any] = {
        "source": str(job.source),
        "output": str(job.output),
        "candidates": to_json(candidates),
    }
    if deadline is not None:
        report["finish_by"] = deadline.isoformat(timespec="seconds")
        report["chosen"] = next((i for i, c in enumerate(candidates) if c is chosen), None)
        report["command"] = command
    click.echo(json.dumps(report, ensure_ascii=False, indent=2))


def _print_table(
    candidates: Sequence[Candidate],
    chosen: Candidate | None,
    command: Sequence[str] | None,
    deadline: datetime | None,
    now: datetime,
) -> None:
    from rich.console import Console

    from vidsr.estimate.report import choice_lines, closing_lines, order_words, tables

    shown = Console(markup=False, emoji=False)
    for table in tables(candidates):
        shown.print(table)
    lines = list(closing_lines(candidates))
    if deadline is not None and len(candidates) > 1:
        lines.append(order_words(candidates))
    if deadline is not None and chosen is not None and command is not None:
        lines += choice_lines(chosen, command, now, deadline)
    for line in lines:
        shown.print(line, markup=False, highlight=False, soft_wrap=True)


def _too_late(candidates: Sequence[Candidate], deadline: datetime, now: datetime) -> TooLateError:
    from vidsr.estimate.report import moment_words

    quickest = min(candidates, key=lambda candidate: candidate.prediction.seconds.high)
    latest = now + timedelta(seconds=quickest.prediction.seconds.high)
    name = f"{quickest.model} {quickest.encoder_preset or ''}".rstrip()
    return TooLateError(
        f"nothing that was tried is sure to be done by {moment_words(deadline, now)}; the quickest, {name}, "
        f"needs until {moment_words(latest, now)}",
        "try a smaller --scale, a quicker model or encoder preset, or allow more time",
    )


def _command(context: click.Context, chosen: Candidate, output: Path) -> Iterator[str]:
    """What to type for the chosen job: the options as they were given, with its model and preset."""
    yield from ("vidsr", str(chosen.job.source), str(output))
    if chosen.job.model is not None:
        yield from ("--model", chosen.job.model)
    if chosen.job.encoder.preset is not None:
        yield from ("--encoder-preset", chosen.job.encoder.preset)
    of_job = {param.name for param in upscale.params} - {"source", "output", "model", "encoder_preset"}
    for param in context.command.params:
        given = param.name is not None and context.get_parameter_source(param.name)
        if param.name not in of_job or given is not ParameterSource.COMMANDLINE:
            continue
        assert isinstance(param, click.Option)
        name, value = max(param.opts, key=len), context.params[param.name]
        if param.is_flag:
            yield name
        else:
            for each in value if param.multiple else (value,):
                yield from (name, _typed(param, each))


def _typed(param: click.Option, value: Any) -> str:
    """As it can be typed again."""
    if param.type is TIME and isinstance(value, Fraction):
        return format(Decimal(value.numerator) / Decimal(value.denominator), "f")  # they were decimals
    if param.name == "frames":
        return ":".join("" if bound is None else str(bound) for bound in value)
    if param.name == "encoder_options":
        return "=".join(value)
    return str(value)
