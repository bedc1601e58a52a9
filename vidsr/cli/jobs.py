"""`vidsr jobs`: which long jobs are unfinished, what of them can be watched already, and cleaning up."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsr.cli.loading import loading
from vidsr.cli.upscale import open_renderer
from vidsr.errors import JobError, JobRunningError, UsageError

if TYPE_CHECKING:
    from vidsr.segments.listing import JobListing


class _JobsGroup(click.Group):
    """`vidsr jobs DIR` says what to write for that."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and _is_folder(Path(args[0])):
            listing = shlex.join(["vidsr", "jobs", "list", args[0]])
            raise UsageError(f"{args[0]} is a folder, and no command", f"{listing} lists its jobs")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_JobsGroup, invoke_without_command=True, short_help="List, export and clean unfinished jobs."
)
@click.pass_context
def jobs(ctx: click.Context) -> None:
    """Long jobs that were stopped before their end.

    Without a command: those of the present folder. The command that began a job continues it.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, folders=(), recursive=False)


@jobs.command("list", short_help="The unfinished jobs in folders.")
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--recursive", "-r", is_flag=True, help="Look in the folders within them as well.")
def list_(folders: tuple[Path, ...], recursive: bool) -> None:
    """Show what is finished of each unfinished job whose output lies in FOLDERS (default: here)."""
    from vidsr.segments.listing import list_jobs

    found = [job for folder in folders or (Path(),) for job in list_jobs(folder, recursive=recursive)]
    for job in found:
        for line in _words(job):
            click.echo(line)
    if not found:
        click.echo("no unfinished jobs here", err=True)


@jobs.command(short_help="A playable file of what is finished.")
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--overwrite", "-y", is_flag=True, help="Replace an existing TARGET.")
def export(output: Path, target: Path, overwrite: bool) -> None:
    """Write what is finished of OUTPUT's beginning to TARGET, with sound and subtitles.

    The job itself is left as it is; it may even be running.
    """
    with loading():
        from vidsr.execute.export import export_finished
        from vidsr.progress.words import one_line, size_words

    with open_renderer("plain", None) as renderer:
        written, behind = export_finished(output, target, show=renderer.show, overwrite=overwrite)
    rest = f"; {behind} more finished frames lie behind a gap" if behind else ""
    words = f"{target}: {written.frames} frames, {size_words(written.size_bytes)}{rest}"
    click.echo(one_line(words), err=True)


@jobs.command(short_help="Remove what unfinished jobs have left.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def clean(paths: tuple[Path, ...], yes: bool) -> None:
    """Throw away the finished pieces of unfinished jobs.

    PATHS are outputs, or folders for all the jobs whose outputs lie in them. What cannot be read, or was made
    by another version of vidsr, goes only by the output's name.
    """
    from vidsr.progress.words import one_line
    from vidsr.segments.contents import folder_of
    from vidsr.segments.listing import describe, list_jobs
    from vidsr.segments.workspace import Workspace

    found: list[JobListing] = []
    left: list[JobListing] = []
    for path in paths:
        if _is_folder(path):
            for job in list_jobs(path):
                if job.problem is None:
                    found.append(job)
                else:
                    left.append(job)
        elif _is_folder(folder_of(path)):
            found.append(describe(path))
        else:
            raise JobError(f"there is no unfinished job of {path}", "vidsr jobs list FOLDER shows them")
    if not found and not left:
        click.echo("no unfinished jobs here", err=True)
    running = [job for job in found if job.running]
    if running:
        raise JobRunningError(f"the job of {running[0].output} is running", "stop it first")
    for job in found:
        if yes or click.confirm(one_line(_question(job)), err=True):
            with Workspace.open(job.output) as workspace:
                workspace.remove()
    for job in left:
        command = shlex.join(["vidsr", "jobs", "clean", str(job.output)])
        click.echo(one_line(f"left alone: {job.problem}; {command} removes it"), err=True)


def _question(job: JobListing) -> str:
    pieces = _pieces(job)
    if job.problem is not None:
        return f"{job.problem}. Throw away {pieces} of {job.output}?"
    if job.unlisted and job.contents.record is None:
        return f"Throw away {pieces} of {job.output}, whose journal is lost?"
    more = f", and {pieces} that its journal does not list" if job.unlisted else ""
    return f"Throw away {job.contents.frames} finished frames of {job.output}{more}?"


def _pieces(job: JobListing) -> str:
    from vidsr.progress.words import size_words

    number = "1 finished piece" if job.unlisted == 1 else f"{job.unlisted} finished pieces"
    return f"{number} ({size_words(job.unlisted_bytes)})"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it is too long to be one, or may not be looked at
        return False


def _is_here(folder: str) -> bool:
    """Also where the folder of a command is not known."""
    try:
        return not folder or Path(folder) == Path.cwd()
    except OSError:  # the present folder was removed
        return False


def _words(job: JobListing) -> list[str]:
    from vidsr.progress.words import duration_words, one_line, size_words

    if job.problem is not None:
        return [one_line(f"{job.output}: {job.problem}")]
    contents, record = job.contents, job.contents.record
    total = None if record is None else record.frames_total
    of = f" of about {total} frames ({contents.frames / total:.0%})" if total else " frames"
    state = "running" if job.running else "stopped"
    lines = [
        one_line(f"{job.output}: {contents.frames}{of} finished, {state}, ")
        + f"{size_words(contents.size_bytes)}, {duration_words(contents.seconds)} of work"
    ]
    if record is not None and not job.running:
        place = "" if _is_here(record.folder) else f", in {shlex.quote(record.folder)}"
        lines.append(one_line(f"    begun {record.begun}; to continue{place}: {record.command}"))
    if job.unlisted and not job.running:
        takes_over = "the command that began the job takes over what is whole"
        lines.append(f"    and {_pieces(job)} that no journal lists; {takes_over}")
    return lines
