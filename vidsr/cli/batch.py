"""`vidsr batch DIR|LIST`: a season at a time, with one result for each file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsr.cli.interrupts import interruptible
from vidsr.cli.loading import loading
from vidsr.cli.options import GroupedCommand, option_group
from vidsr.cli.outputs import find_sources, name_outputs, without_outputs
from vidsr.cli.upscale import EXIT_DAMAGED_SOURCE, job_of, open_renderer, resume_mode, upscale
from vidsr.errors import OutputError, UsageError, VidsrError
from vidsr.presets import DEFAULT_MODEL
from vidsr.progress.words import one_line

if TYPE_CHECKING:
    from vidsr.execute.batch import JobResult
    from vidsr.job import Job, Receipt

EXIT_SOME_FAILED = 1
DEFAULT_NAME = "{stem}.upscaled.mkv"

batch_option = option_group("Batch")
_OF_ONE_FILE = frozenset({"source", "output", "pipe_format"})


@click.command(cls=GroupedCommand, short_help="Upscale a folder of videos, or a list of them.")
@click.argument("place", metavar="DIR|LIST", type=click.Path(exists=True, path_type=Path))
@batch_option(
    "--name",
    metavar="TEMPLATE",
    default=DEFAULT_NAME,
    show_default=True,
    help="Outputs' names, with {stem}, {number:02}, {folder}, {model}, {suffix}, {name}.",
)
@batch_option(
    "--into", metavar="DIR", type=click.Path(path_type=Path), help="Folder for the outputs; made if need be."
)
@batch_option("--recursive", "-r", is_flag=True, help="Take the videos of the folders within DIR as well.")
@batch_option("--dry-run", is_flag=True, help="Only show what would become what.")
def batch(place: Path, name: str, into: Path | None, recursive: bool, dry_run: bool, **words: Any) -> int:
    """Upscale every video in DIR, or every file that the text file LIST names, one after the other.

    Outputs that are there already are skipped, a file that fails does not stop the others, and the same
    command continues where it was stopped.
    """
    sources = find_sources(place, recursive=recursive)
    weights: Path | None = words["weights"]
    model = words["model"] or (DEFAULT_MODEL if weights is None else weights.stem)
    outputs = name_outputs(sources, name, model=model, into=into)
    kept = without_outputs(sources, outputs) if place.is_dir() else range(len(sources))
    pairs = [(sources[i], outputs[i]) for i in kept]
    _check_names(output for _, output in pairs)
    if dry_run:
        for source, output in pairs:
            click.echo(one_line(_what_would_become(source, output)))
        return 0
    resume, segment, style = resume_mode(words), words.pop("segment"), words.pop("progress")
    jobs = [job_of(source=source, output=output, pipe_format="nut", **words) for source, output in pairs]

    with loading():
        from vidsr.api.videos import upscale_job
        from vidsr.execute.batch import run_batch

    results: list[JobResult] = []
    with _folders(job.output.parent for job in jobs):
        try:
            with interruptible() as interruption, open_renderer(style, sys.stdout) as renderer:

                def run(job: Job) -> Receipt:
                    stop = interruption.new_stop()
                    show = renderer.show
                    return upscale_job(job, on_event=show, resume=resume, segment_frames=segment, stop=stop)

                results.extend(run_batch(jobs, run, show=renderer.show))
        except VidsrError:  # which ends them all; why earlier files failed is said nowhere else
            _name_failures(results)
            raise
    return _summarise(results)


batch.params += [param for param in upscale.params if param.name not in _OF_ONE_FILE]


def _what_would_become(source: Path, output: Path) -> str:
    """Raises OutputError where nothing can be called so."""
    try:
        is_missing = not source.exists()
    except OSError:  # its name is too long for any file
        is_missing = True
    try:
        is_there = output.exists()
    except OSError as error:
        raise _folder_error(output.parent, error) from error
    return f"{source}{' (no such file)' if is_missing else ''} -> {output}{' (is there)' if is_there else ''}"


def _check_names(outputs: Iterable[Path]) -> None:
    """Refuse names that choose no container or are too long, before the first file has taken its hours.

    Raises UsageError, OutputError.
    """
    from vidsr.media.containers import OutputFormat
    from vidsr.media.write.target import check_name

    for output in outputs:
        try:
            OutputFormat.of_path(output)
        except UsageError as error:
            raise UsageError(
                f"{output}: {error.message}", "let --name end in .mkv, for example, and not in {suffix}"
            ) from error
        try:
            check_name(output)
        except OutputError as error:
            raise OutputError(f"{output}: {error.message}", "choose a shorter --name") from error


def _folder_error(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"the folder {folder} cannot be made: {error.strerror}", "choose another --into or --name"
    )


@contextmanager
def _folders(wanted: Iterable[Path]) -> Iterator[None]:
    """Folders made where they are not there, and taken away again at the end if nothing came into them.

    Raises OutputError if one cannot be made.
    """
    made: list[Path] = []
    try:
        for folder in wanted:
            try:
                missing = [place for place in (folder, *folder.parents) if not place.exists()]
                made += reversed(missing)  # some of them may be made where the last one cannot be
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _folder_error(folder, error) from error
        yield
    finally:
        for folder in reversed(made):
            with suppress(OSError):  # something is in it
                folder.rmdir()


def _summarise(results: Sequence[JobResult]) -> int:
    """Counts, then each failure, on standard error. Returns the exit code."""
    counts = Counter(result.outcome for result in results)
    words = [f"{counts[outcome]} {outcome}" for outcome in ("done", "skipped", "failed") if counts[outcome]]
    files = "1 file" if len(results) == 1 else f"{len(results)} files"
    _say(f"{files}: {', '.join(words)}")
    _name_failures(results)
    if counts["failed"]:
        return EXIT_SOME_FAILED
    damaged = any(result.receipt is not None and result.receipt.damage for result in results)
    return EXIT_DAMAGED_SOURCE if damaged else 0


def _name_failures(results: Sequence[JobResult]) -> None:
    for result in results:
        if result.error is not None:
            source, message = str(result.job.source), result.error.message
            place = "" if source in message else f"{source}: "
            _say(f"Failed: {place}{message}")
            if result.error.hint:
                _say(f"Hint: {result.error.hint}")


def _say(line: str) -> None:
    with suppress(OSError):  # nobody can be told, except by the exit code
        click.echo(one_line(line), err=True)
