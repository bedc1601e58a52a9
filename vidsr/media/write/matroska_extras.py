"""What a Matroska source says of its chapters and of files that belong to it, and what arrives of that where.

Only Matroska holds it, and only as a file: its header is completed when all is written.
"""

from __future__ import annotations

from dataclasses import dataclass

from vidsr.media.containers import OutputFormat
from vidsr.media.matroska.chapters import MatroskaChapters
from vidsr.media.matroska.ebml import Field
from vidsr.media.matroska.source import Identity
from vidsr.media.matroska.tags import MatroskaTags
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.timeline import Timeline

_APART = "once they are, keep all of them in a folder of their own, away from the sources"
"""Source and output have the same number, and a player takes the first file with it that it finds."""


@dataclass(frozen=True, slots=True)
class MatroskaExtras:
    """holds: whether source and output both can say it; then `chapters` are all that the output has.

    identity: the file's number and its neighbours', of a whole source, as fields. Its own is kept even where
    nothing in the file is linked: whether others play parts of it, only they say. is_linked: whether the file
    itself says that it is one of several; else an output is whole with another number too. lost: a line about
    each thing that cannot be kept. notes: what people should know though it is kept.
    """

    holds: bool = False
    chapters: MatroskaChapters | None = None
    identity: tuple[Field, ...] = ()
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_linked: bool = False


def matroska_extras(
    source: SourceInfo, timeline: Timeline, output: OutputFormat, *, is_file: bool
) -> MatroskaExtras:
    if source.matroska is None:
        return MatroskaExtras()
    found, identity = source.matroska.chapters, source.matroska.identity
    kept = None if found is None else found.on(timeline)
    is_torn = found is None and bool(source.chapters)  # FFmpeg finds some: they are not to be had in full
    lost = _lost_tags(source, source.matroska.tags)
    if is_torn or not is_file or output.muxer != "matroska":
        beyond = [] if kept is None else kept.beyond_a_list
        if is_torn:
            lost += ("the chapters cannot be read in full: one plain list of them is kept",)
        elif beyond:
            lost += (f"left out of the chapters: {', '.join(beyond)}",)
        links = tuple(f"{line}; the links are left out" for line in _links(found, identity))
        return MatroskaExtras(lost=lost + links)
    if found is not None and found.names_tracks:
        lost += ("which tracks chapters belong to is left out: the tracks get other numbers",)
    if timeline.is_cut:
        lost += tuple(f"{line}; a part goes without the links" for line in _links(found, identity))
        return MatroskaExtras(True, kept, (), lost)
    notes = tuple(f"{line}; {_APART}" for line in _links(found, identity))
    is_linked = bool(notes) or identity.has_family
    return MatroskaExtras(True, kept, identity.fields, lost, notes, is_linked)


def _lost_tags(source: SourceInfo, tags: MatroskaTags) -> tuple[str, ...]:
    """FFmpeg's muxers write tags of the file, of tracks and of the chapters that they list."""
    of_inner = tags.names_beyond({chapter.id % 2**64 for chapter in source.chapters})
    of_what = {"editions": tags.names_of_editions, "chapters in chapters or in further editions": of_inner}
    return tuple(
        f"tags of {what} are left out: {', '.join(names)}" for what, names in of_what.items() if names
    )


def _links(chapters: MatroskaChapters | None, identity: Identity) -> tuple[str, ...]:
    """A line where the file is one of several that are played as one."""
    played = () if chapters is None else chapters.played_segments
    others = dict.fromkeys((*played, *identity.neighbours))
    if not others:
        return ()
    numbers = ", ".join(number.hex() for number in others)
    return (f"it is linked with other files, which are not upscaled with it (segments {numbers})",)
