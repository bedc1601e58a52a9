"""Which files a batch reads, and what it calls the files it writes.

Pure paths and words: nothing is opened but lists and folders.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from vidsr.errors import SourceMissingError, UsageError

VIDEO_SUFFIXES = frozenset(
    {".mkv", ".mp4", ".m4v", ".mov", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".vob", ".wmv"}
    | {".flv", ".ogv", ".ogm", ".3gp", ".divx", ".rmvb", ".dv", ".mxf", ".nut", ".asf"}
)
"""What is taken from a folder. A list may name any file."""

TEMPLATE_FIELDS = ("stem", "name", "suffix", "folder", "number", "model")


def find_sources(place: Path, *, recursive: bool = False) -> list[Path]:
    """The videos of a folder in the order people number them (2 before 10), or the files a list names.

    A list is a text file with a path on each line, relative to the list itself; empty lines and lines that
    begin with # are passed over.

    Raises SourceMissingError, UsageError if there is nothing to do.
    """
    if place.is_dir():
        paths = place.rglob("*") if recursive else place.iterdir()
        found = [p for p in paths if p.suffix.lower() in VIDEO_SUFFIXES and p.is_file() and p.name[0] != "."]
        if not found:
            raise UsageError(f"there is no video in {place}", "name a folder with videos, or a list of them")
        return sorted(found, key=natural_order)
    try:
        text = place.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{place} is neither a folder nor a list of files", f"vidsr '{place}' OUTPUT upscales one video"
        ) from error
    except OSError as error:
        raise SourceMissingError(f"{place}: {error.strerror}") from error
    lines = (line.strip() for line in text.splitlines())
    found = [place.parent / line for line in lines if line and not line.startswith("#")]
    if not found:
        raise UsageError(f"the list {place} names no file", "write one path on each line")
    return found


def natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key in which numbers count as numbers: part 2 comes before part 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d+)", str(path).casefold())
        if part
    ]


def name_outputs(sources: Sequence[Path], template: str, *, model: str, into: Path | None) -> list[Path]:
    """An output for each source.

    template: with the fields {stem}, {name}, {suffix} (with its dot), {folder} (the name of the source's
    folder), {number} (counted from 1; {number:02} for two digits) and {model}. into: the folder that
    relative names are in; None = each source's own.

    Raises UsageError for an unknown field, for a name without a suffix, or if two sources would have the same
    output or one its own.
    """
    _check(template)
    outputs = []
    for number, source in enumerate(sources, 1):
        fields = {
            "stem": source.stem,
            "name": source.name,
            "suffix": source.suffix,
            "folder": source.absolute().parent.name,
            "number": number,
            "model": model,
        }
        try:
            name = template.format(**fields)
        except ValueError as error:
            raise UsageError(f"the template {template!r} cannot be filled in: {error}") from error
        if not Path(name).suffix:
            raise UsageError(
                f"the output {name!r} has no suffix, which would choose the container",
                "let --name end in .mkv, for example",
            )
        outputs.append((into if into is not None else source.parent) / name)
    _refuse_clashes(sources, outputs)
    return outputs


def without_outputs(sources: Iterable[Path], outputs: Iterable[Path]) -> list[int]:
    """Places of the sources that are not themselves outputs of others, as after a run in their own folder."""
    made = {output.absolute() for output in outputs}
    return [place for place, source in enumerate(sources) if source.absolute() not in made]


def _check(template: str) -> None:
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise UsageError(
            f"{template!r} is no template: {error}", "write {stem}-4x.mkv, for example"
        ) from error
    unknown = [field for field in fields if field not in TEMPLATE_FIELDS]
    if unknown:
        known = ", ".join(f"{{{field}}}" for field in TEMPLATE_FIELDS)
        raise UsageError(f"the template has an unknown field {{{unknown[0]}}}", f"known are {known}")


def _refuse_clashes(sources: Sequence[Path], outputs: Sequence[Path]) -> None:
    first: dict[Path, Path] = {}
    for source, output in zip(sources, outputs, strict=True):
        other = first.setdefault(output.absolute(), source)
        if other != source:
            raise UsageError(
                f"{other} and {source} would both become {output}",
                "use {name}, {folder} or {number} in --name",
            )
        if output.absolute() == source.absolute():
            raise UsageError(f"{source} would be its own output", "use --into FOLDER or another --name")
