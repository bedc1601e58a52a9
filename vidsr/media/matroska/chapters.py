"""The chapters of a Matroska file in full, of which FFmpeg reads one level of one list.

That is several editions (lists), chapters in chapters, titles in several languages, what is hidden or not
enabled, the order in which an edition plays its chapters, and parts of other files that it plays. What is not
understood here is kept as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidsr.media.matroska import ebml
from vidsr.media.matroska.ebml import EbmlError, Field
from vidsr.media.matroska.ids import (
    CHAPTER,
    CHAPTER_DISPLAY,
    CHAPTER_END,
    CHAPTER_IS_ENABLED,
    CHAPTER_IS_HIDDEN,
    CHAPTER_LANGUAGE,
    CHAPTER_LANGUAGE_BCP47,
    CHAPTER_SEGMENT_UUID,
    CHAPTER_START,
    CHAPTER_TITLE,
    CHAPTER_TRACKS,
    CHAPTERS,
    EDITION,
    EDITION_IS_DEFAULT,
    EDITION_IS_HIDDEN,
    EDITION_IS_ORDERED,
)
from vidsr.media.timeline import Timeline

MOST_BYTES = 2**22
"""A thousand chapters with titles in ten languages take a tenth of it."""

MOST_LAYERS = 32
"""Chapters in chapters; discs have three layers."""

_UNIT = Fraction(1, 10**9)
_MARK = "mark as hidden or not enabled"
_DISPLAYED = (CHAPTER_TITLE, CHAPTER_LANGUAGE, CHAPTER_LANGUAGE_BCP47)


@dataclass(frozen=True, slots=True)
class MatroskaChapters:
    """editions: each holds chapters, without checksums and empty space. Made by `parse_chapters`, or cut."""

    editions: tuple[Field, ...]

    @property
    def content(self) -> bytes:
        """Of the element that holds them."""
        return ebml.checked(self.editions)

    @property
    def played_segments(self) -> tuple[bytes, ...]:
        """The numbers (segment UUIDs) of other files that parts are played of."""
        found = (_value(fields, CHAPTER_SEGMENT_UUID) for fields in self._all)
        return tuple(dict.fromkeys(number for number in found if number is not None))

    @property
    def names_tracks(self) -> bool:
        """Whether some chapter belongs to some tracks alone, whose numbers an output does not keep."""
        return any(field.id == CHAPTER_TRACKS for fields in self._all for field in fields)

    @property
    def beyond_a_list(self) -> list[str]:
        """Words for what a plain list with one title for each chapter does not say."""
        found = Counter(dict.fromkeys(("inner chapter", "further edition", "further title", _MARK), 0))
        found["further edition"] = len(self.editions) - 1
        for edition in self.editions:
            fields = edition.fields
            found["inner chapter"] += len(list(_chapters_in(fields))) - len(_direct(fields))
            found[_MARK] += bool(_number(fields, EDITION_IS_HIDDEN, 0))
        for fields in self._all:
            found["further title"] += max(len([f for f in fields if f.id == CHAPTER_DISPLAY]) - 1, 0)
            found[_MARK] += bool(_number(fields, CHAPTER_IS_HIDDEN, 0))
            found[_MARK] += not _number(fields, CHAPTER_IS_ENABLED, 1)
        words = [f"{count} {_plural(what) if count > 1 else what}" for what, count in found.items() if count]
        if any(_number(edition.fields, EDITION_IS_ORDERED, 0) for edition in self.editions):
            words.append("the order in which they are played")
        return words

    @property
    def _all(self) -> Iterator[list[Field]]:
        """The fields of each chapter."""
        for edition in self.editions:
            yield from _chapters_in(edition.fields)

    def on(self, timeline: Timeline) -> MatroskaChapters | None:
        """What an output of that part of the source has, on its clock; None if no chapter is left.

        Chapters that play other files belong to no part of this one: a cut goes without them.
        """
        kept = []
        for edition in self.editions:
            fields = _moved(edition.fields, timeline, None)
            if _direct(fields):
                kept.append(ebml.master(EDITION, fields))
        return MatroskaChapters(tuple(kept)) if kept else None

    def describe(self) -> list[str]:
        """A line for each edition and chapter, for people."""
        lines = []
        for number, edition in enumerate(self.editions, start=1):
            fields = edition.fields
            marks = {
                "default": _number(fields, EDITION_IS_DEFAULT, 0),
                "hidden": _number(fields, EDITION_IS_HIDDEN, 0),
                "ordered": _number(fields, EDITION_IS_ORDERED, 0),
            }
            lines.append(f"edition {number}{_in_brackets(name for name, is_set in marks.items() if is_set)}")
            lines += _described(fields, "  ")
        return lines


def parse_chapters(content: bytes) -> MatroskaChapters | None:
    """None where there are none, or they are torn or lie too deep."""
    try:
        editions = [_sound(field, MOST_LAYERS) for field in Field(CHAPTERS, content).fields]
    except EbmlError:
        return None
    kept = tuple(edition for edition in editions if edition.id == EDITION and _direct(edition.fields))
    return MatroskaChapters(kept) if kept else None


def _sound(field: Field, layers: int) -> Field:
    """The element and all in it, read through once: nothing is torn, and nothing lies too deep.

    Raises EbmlError.
    """
    if not layers:
        raise EbmlError("more layers of chapters than anything sound has")
    if field.id not in (EDITION, CHAPTER):
        if field.id == CHAPTER_DISPLAY:
            _ = field.fields
        return field
    fields = [_sound(inner, layers - 1) for inner in field.fields]
    for number in (CHAPTER_START, CHAPTER_END, CHAPTER_IS_HIDDEN, CHAPTER_IS_ENABLED):
        _number(fields, number, 0)
    for number in (EDITION_IS_DEFAULT, EDITION_IS_HIDDEN, EDITION_IS_ORDERED):
        _number(fields, number, 0)
    return ebml.master(field.id, fields)


def _moved(fields: Sequence[Field], timeline: Timeline, parent_end: Fraction | None) -> list[Field]:
    """What lies in an edition or a chapter, its chapters cut to what is kept, on the output's clock."""
    starts = sorted(
        _number(chapter.fields, CHAPTER_START, 0) * _UNIT
        for chapter in _direct(fields)
        if _value(chapter.fields, CHAPTER_SEGMENT_UUID) is None
    )
    kept = []
    for field in fields:
        if field.id != CHAPTER:
            kept.append(field)
            continue
        inside = field.fields
        start = _number(inside, CHAPTER_START, 0) * _UNIT
        behind = bisect_right(starts, start)
        following = starts[behind] if behind < len(starts) else parent_end
        moved = _moved_chapter(inside, timeline, following)
        if moved is not None:
            kept.append(ebml.master(CHAPTER, moved))
    return kept


def _moved_chapter(
    fields: Sequence[Field], timeline: Timeline, following: Fraction | None
) -> list[Field] | None:
    """following: where it ends at the latest if it does not say so itself; None if nothing comes behind."""
    fields = [field for field in fields if field.id != CHAPTER_TRACKS]
    if _value(fields, CHAPTER_SEGMENT_UUID) is not None:
        return None if timeline.is_cut else fields
    start = _number(fields, CHAPTER_START, 0) * _UNIT
    said = None if _value(fields, CHAPTER_END) is None else _number(fields, CHAPTER_END, 0) * _UNIT
    end = following if said is None else said
    first = start if timeline.start is None else max(start, timeline.start)
    bounds = [time for time in (end, timeline.end) if time is not None]
    last = min(bounds) if bounds else None
    is_left = last is None or first < last or (start == end and timeline.contains(start))
    if timeline.is_cut and not is_left:
        return None
    times = {CHAPTER_START: first} | ({} if said is None or last is None else {CHAPTER_END: last})
    stamps = {
        number: ebml.unsigned(number, round(max(time - timeline.origin, Fraction(0)) / _UNIT))
        for number, time in times.items()
    }
    return [stamps.get(field.id, field) for field in _moved(fields, timeline, end)]


def _direct(fields: Sequence[Field]) -> list[Field]:
    return [field for field in fields if field.id == CHAPTER]


def _chapters_in(fields: Sequence[Field]) -> Iterator[list[Field]]:
    """The fields of each chapter, those in others among them."""
    for chapter in _direct(fields):
        inside = chapter.fields
        yield inside
        yield from _chapters_in(inside)


def _value(fields: Sequence[Field], number: int) -> bytes | None:
    return next((field.content for field in fields if field.id == number), None)


def _number(fields: Sequence[Field], number: int, default: int) -> int:
    return next((field.unsigned for field in fields if field.id == number), default)


def _described(fields: Sequence[Field], indent: str) -> Iterator[str]:
    for chapter in _direct(fields):
        inside = chapter.fields
        start = f"{_number(inside, CHAPTER_START, 0) / 10**9:.3f}"
        has_end = _value(inside, CHAPTER_END) is not None
        end = f" to {_number(inside, CHAPTER_END, 0) / 10**9:.3f}" if has_end else ""
        titles = " / ".join(_title(field) for field in inside if field.id == CHAPTER_DISPLAY) or "untitled"
        segment = _value(inside, CHAPTER_SEGMENT_UUID)
        marks = {
            "hidden": _number(inside, CHAPTER_IS_HIDDEN, 0),
            "not enabled": not _number(inside, CHAPTER_IS_ENABLED, 1),
            f"of segment {(segment or b'').hex()}": segment is not None,
        }
        words = _in_brackets(name for name, is_set in marks.items() if is_set)
        yield f"{indent}{start}{end} s {titles}{words}"
        yield from _described(inside, indent + "  ")


def _title(display: Field) -> str:
    texts = {field.id: field.text for field in display.fields if field.id in _DISPLAYED}
    language = texts.get(CHAPTER_LANGUAGE_BCP47) or texts.get(CHAPTER_LANGUAGE) or ""
    shown = f" [{language}]" if language else ""
    return f"{texts.get(CHAPTER_TITLE, '')!r}{shown}"


def _plural(words: str) -> str:
    return words.replace("mark", "marks") if words == _MARK else f"{words}s"


def _in_brackets(words: Iterator[str]) -> str:
    joined = ", ".join(words)
    return f" ({joined})" if joined else ""
