"""The unfinished jobs in a folder, as far as their own folders tell without being locked or changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import JobError
from vidsr.segments.contents import Contents, folder_of, is_running, output_of, read_contents, unlisted


@dataclass(frozen=True, slots=True)
class JobListing:
    """One unfinished job.

    problem: why its folder cannot be read, else None. unlisted, unlisted_bytes: finished pieces that are
    there and the contents do not speak of, and their size.
    """

    output: Path
    contents: Contents
    running: bool
    problem: str | None = None
    unlisted: int = 0
    unlisted_bytes: int = 0


def list_jobs(folder: Path, *, recursive: bool = False) -> Iterator[JobListing]:
    """Those whose outputs lie in a folder, by name; with `recursive` also in the folders within it."""
    pattern = folder.rglob(".*.vidsr") if recursive else folder.glob(".*.vidsr")
    for path in sorted(pattern):
        output = output_of(path)
        if output is not None and path.is_dir():
            yield describe(output)


def describe(output: Path) -> JobListing:
    """The unfinished job of an output. Its contents are empty where there is none."""
    folder = folder_of(output)
    try:
        contents, running, problem = read_contents(folder), is_running(folder), None
    except JobError as error:
        contents, running, problem = Contents(None, ()), False, error.message
    return JobListing(output, contents, running, problem, *unlisted(folder, contents))
