"""Tags of a Matroska file by what they belong to, where FFmpeg's demuxer does not tell that.

It takes those of an edition for the whole file's ("Director's Cut" would be the film's title), and passes
over those of chapters that it does not list. It knows FFmpeg's names for tags, and no output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from vidsr.media.matroska.ebml import EbmlError, Field
from vidsr.media.matroska.ids import (
    INFO,
    SIMPLE_TAG,
    TAG,
    TAG_ATTACHMENT_UID,
    TAG_CHAPTER_UID,
    TAG_EDITION_UID,
    TAG_LANGUAGE,
    TAG_NAME,
    TAG_STRING,
    TAG_TARGET_TYPE,
    TAG_TARGETS,
    TAG_TRACK_UID,
    TAGS,
    TITLE,
)
from vidsr.media.tag_pairs import Tags

MOST_BYTES = 2**22
"""Of all tags; statistics of a hundred tracks take a hundredth."""

_MOST_LAYERS = 8
"""Tags in tags."""

_UIDS = (TAG_ATTACHMENT_UID, TAG_CHAPTER_UID, TAG_TRACK_UID, TAG_EDITION_UID)
"""In the order in which FFmpeg asks for them, but for the last; 0 means all there are."""

_CALLED = {"lead_performer": "performer", "part_number": "track"}
"""What FFmpeg calls otherwise."""


@dataclass(frozen=True, slots=True)
class MatroskaTags:
    """Pairs of name and value, names as FFmpeg gives them; of_chapters: of a chapter's number and a name.

    of_file: its title among them, where there are some of editions.
    """

    of_file: Tags = ()
    of_editions: Tags = ()
    of_chapters: tuple[tuple[int, str], ...] = ()

    @property
    def names_of_editions(self) -> list[str]:
        return _each_once(name for name, _ in self.of_editions)

    def names_beyond(self, listed: Collection[int]) -> list[str]:
        """Names of tags of chapters other than those with the numbers listed."""
        return _each_once(name for number, name in self.of_chapters if number not in listed)

    def without_editions(self, metadata: Tags) -> Tags:
        """What FFmpeg gives as the file's tags, those of editions taken away and what they hide put back."""
        own = {name.lower(): (name, value) for name, value in self.of_file}
        others = {(name.lower(), value) for name, value in self.of_editions}
        kept = []
        for name, value in metadata:
            key = name.lower()
            if (key, value) not in others:
                kept.append((name, value))
            elif key in own:
                kept.append(own[key])
        return tuple(kept)


def _each_once(names: Iterable[str]) -> list[str]:
    """Without those that say a language too (TITLE-eng), behind the same without."""
    found = dict.fromkeys(names)
    return [name for name in found if name.rpartition("-")[0] not in found]


def parse_tags(content: bytes, info: bytes) -> MatroskaTags:
    """content, info: of the elements of tags and of the description. Nothing if they are torn or too deep."""
    of_file: list[tuple[str, str]] = []
    of_editions: list[tuple[str, str]] = []
    of_chapters: list[tuple[int, str]] = []
    try:
        for tag in Field(TAGS, content).fields:
            if tag.id != TAG:
                continue
            kind, number, prefix = _target(tag.fields)
            named = list(_named(tag.fields, prefix, _MOST_LAYERS))
            if kind == TAG_CHAPTER_UID:
                of_chapters += [(number, name) for name, _ in named]
            elif kind is None:
                of_file += named
            elif kind == TAG_EDITION_UID:
                of_editions += named
        if of_editions:
            described = Field(INFO, info).fields
            of_file[:0] = [("title", field.text) for field in described if field.id == TITLE]
    except EbmlError:
        return MatroskaTags()
    return MatroskaTags(tuple(of_file), tuple(of_editions), tuple(of_chapters))


def _target(fields: Sequence[Field]) -> tuple[int | None, int, str]:
    """(what tags belong to, None = the file; its number; what FFmpeg puts before their names).

    Raises EbmlError.
    """
    inside = {f.id: f for field in fields if field.id == TAG_TARGETS for f in field.fields}
    prefix = inside[TAG_TARGET_TYPE].text if TAG_TARGET_TYPE in inside else ""
    for kind in _UIDS:
        if kind in inside and inside[kind].unsigned:
            return kind, inside[kind].unsigned, prefix
    return None, 0, prefix


def _named(fields: Sequence[Field], prefix: str, layers: int) -> Iterator[tuple[str, str]]:
    """Raises EbmlError."""
    if not layers:
        raise EbmlError("more layers of tags than anything sound has")
    for field in fields:
        if field.id != SIMPLE_TAG:
            continue
        inside = field.fields
        texts = {f.id: f.text for f in inside if f.id in (TAG_NAME, TAG_STRING, TAG_LANGUAGE)}
        name = texts.get(TAG_NAME, "")
        full = f"{prefix}/{name}" if prefix else _CALLED.get(name.lower(), name)
        yield full, texts.get(TAG_STRING, "")
        if texts.get(TAG_LANGUAGE, "und") != "und":
            yield f"{full}-{texts[TAG_LANGUAGE]}", texts.get(TAG_STRING, "")
        yield from _named(inside, full, layers - 1)
