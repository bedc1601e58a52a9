"""Which streams of the source are in the output, and what is written on them: names, tags, chapters.

It compares descriptions (`SourceInfo`) and knows what each container can hold of them; payloads are
compared in `payloads`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from fractions import Fraction
from itertools import zip_longest

import av

from vidsr.media.containers import OutputFormat
from vidsr.media.matroska.chapters import MatroskaChapters
from vidsr.media.read.source_info import TIME_CODE_KEY, SourceInfo, StreamInfo
from vidsr.media.read.stream_infos import UNDETERMINED, plain_language
from vidsr.media.tag_pairs import tag_value
from vidsr.media.timeline import ChapterInfo, Timeline
from vidsr.media.verify.report import Check, Json, passed
from vidsr.media.write.matroska_extras import MatroskaExtras
from vidsr.media.write.plan import Fate, StreamPlan
from vidsr.media.write.tags import (
    HELD_DISPOSITIONS,
    global_tags,
    holds_language_tag,
    holds_marks_of_use,
    lost_stream_tags,
    main_video_marks,
    stream_tags,
)

CHAPTER_TRACK = "bin_data"
"""The text track that FFmpeg's MP4 muxer keeps chapter titles in; it is no stream of its own right."""

CHAPTER_TOLERANCE = Fraction(1, 1000)
"""MP4 counts chapters in milliseconds."""

_SAME_CODING = {"mp1": "mp3", "mp2": "mp3", "srt": "subrip", "ssa": "ass"}
"""Names that are one coding to a container: MP4 has one number for all layers of MPEG audio."""

_MARKS_A_DEFAULT = ("mp4", "mov")
"""These enable the first stream of a kind where the source names no default one."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A stream of the source and its place in the output; found is None where it has none."""

    plan: StreamPlan
    found: StreamInfo | None

    @property
    def name(self) -> str:
        """As the report calls it: kind and index in the source."""
        return f"{kind_of(self.plan.stream)} {self.plan.stream.index}"


def kind_of(stream: StreamInfo) -> str:
    return "cover picture" if stream.is_picture else stream.type


def pair_streams(plans: Sequence[StreamPlan], output: SourceInfo) -> tuple[list[Carried], list[StreamInfo]]:
    """(each stream that is to be carried with its place in the output, what else the output holds).

    Streams of a kind are paired in order; where one is missing, by coding, language and title.
    """
    kept = [plan for plan in plans if plan.fate is not Fate.DROP]
    there = [s for s in output.streams if s.index != output.video_index and not _is_for_the_container(s)]
    place: dict[int, StreamInfo] = {}
    surplus: list[StreamInfo] = []
    for kind in dict.fromkeys([kind_of(p.stream) for p in kept] + [kind_of(s) for s in there]):
        wanted = [p for p in kept if kind_of(p.stream) == kind]
        found = [s for s in there if kind_of(s) == kind]
        for i, k in _alignment(wanted, found):
            place[wanted[i].stream.index] = found[k]
        placed = {s.index for s in place.values()}
        surplus += [s for s in found if s.index not in placed]
    return [Carried(plan, place.get(plan.stream.index)) for plan in kept], surplus


def _is_for_the_container(stream: StreamInfo) -> bool:
    """Made by FFmpeg's MP4 muxer for chapters or a time code, which are compared as such and as a tag."""
    return stream.codec == CHAPTER_TRACK or (stream.type == "data" and stream.has_time_code)


def _alignment(wanted: list[StreamPlan], found: list[StreamInfo]) -> Iterator[tuple[int, int]]:
    if len(wanted) == len(found):
        yield from ((i, i) for i in range(len(wanted)))
        return
    left = [(expected_codec(p), p.stream.language, p.stream.title) for p in wanted]
    right = [(_coding(s.codec), s.language, s.title) for s in found]
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        yield from ((block.a + i, block.b + i) for i in range(block.size))


def _coding(codec: str | None) -> str | None:
    return _SAME_CODING.get(codec or "", codec)


def expected_codec(plan: StreamPlan) -> str | None:
    """The coding a stream should have in the output."""
    if plan.fate is Fate.CONVERT and plan.codec is not None:
        return _coding(av.Codec(plan.codec, "w").canonical_name)
    return _coding(plan.stream.codec)


def check_streams(carried: Sequence[Carried], surplus: Sequence[StreamInfo]) -> Check:
    """The list of streams: none missing, none too many, each in its coding."""
    expected: list[Json] = [_words(c.plan.stream, expected_codec(c.plan)) for c in carried]
    found: list[Json] = [_words(c.found, _coding(c.found.codec)) for c in carried if c.found is not None]
    found += [_words(stream, stream.codec) for stream in surplus]
    faults = [f"{_words(c.plan.stream, c.plan.stream.codec)} is missing" for c in carried if c.found is None]
    faults += [
        f"{c.name} is {c.found.codec} instead of {expected_codec(c.plan)}"
        for c in carried
        if c.found is not None and not _same_coding(c)
    ]
    faults += [f"{_words(stream, stream.codec)} is not of the source" for stream in surplus]
    good = f"video and {len(carried)} more" if carried else "video alone"
    return Check("streams", not faults, expected, found, "; ".join(faults) or good)


def _same_coding(carried: Carried) -> bool:
    if carried.found is None or carried.plan.fate in (Fate.ATTACH, Fate.COVER):
        return True  # their bytes are compared; the type is a file's, told by those
    return _coding(carried.found.codec) == expected_codec(carried.plan)


def _words(stream: StreamInfo, codec: str | None) -> str:
    coding = dict(stream.metadata).get("filename") or codec or ""
    words = [kind_of(stream), coding, stream.language or ""]
    return " ".join(word for word in words if word)


def check_names(
    source: SourceInfo, output: SourceInfo, carried: Sequence[Carried], container: OutputFormat
) -> Iterator[Check]:
    """Languages, titles, dispositions and other tags of the streams, the main video among them."""
    video = replace(source.video, dispositions=main_video_marks(source)), output.video, False
    pairs = [video] + [
        (c.plan.stream, c.found, c.plan.fate is not Fate.CONVERT)
        for c in carried
        if c.found is not None and kind_of(c.plan.stream) in ("audio", "subtitle", "video")
    ]
    languages, titles, flags, enabled, tags = [], [], [], [], []
    for theirs, ours, copied in pairs:
        name = f"{theirs.type} {theirs.index}"
        wanted = stream_tags(theirs, container, copied=copied)
        languages.append((name, _language(theirs, wanted, container), _found_language(ours, container)))
        if holds_language_tag(theirs, container, is_file=True) or ours.language_tag is not None:
            languages.append((f"{name} in full", theirs.language_tag, ours.language_tag))
        if holds_marks_of_use(container, is_file=True):
            enabled.append((name, theirs.is_enabled, ours.is_enabled))
        if container.muxer != "nut" and _is_text(theirs.title or ""):
            titles.append((name, theirs.title, ours.title))
        flags.append((name, *_dispositions(theirs, ours, [p[0] for p in pairs], container)))
        time_code = next((key for key in wanted if key.lower() == TIME_CODE_KEY), None)
        if time_code is not None and theirs.type == "video" and container.muxer in ("mp4", "mov"):
            found = tag_value(ours.metadata, TIME_CODE_KEY)
            tags.append((f"{name} {time_code}", wanted[time_code], found))
        if container.muxer in ("matroska", "webm"):
            there = {key.lower(): value for key, value in ours.metadata}
            left_out = {"creation_time", *lost_stream_tags(source, theirs, container)}
            plain = {k: v for k, v in wanted.items() if _is_plain(k) and k not in left_out}
            tags += [(f"{name} {k}", v, there.get(k.lower())) for k, v in plain.items()]
    yield _compared("languages", languages)
    yield _compared("titles", titles)
    yield _compared("dispositions", flags)
    if enabled:
        yield _compared("enabled", enabled)
    yield _compared("stream tags", tags)


def _is_text(value: str) -> bool:
    """False for the rests of bytes that are no text, which no container writes as they are."""
    return value.isprintable() and "\ufffd" not in value


def _is_plain(key: str) -> bool:
    """Tags that are not compared elsewhere or written by the container itself."""
    return key.lower() not in {
        "language",
        "title",
        "filename",
        "mimetype",
        "duration",
        "handler_name",
        "encoder",
    }


def _language(stream: StreamInfo, tags: dict[str, str], container: OutputFormat) -> str | None:
    """What is expected; None where there is none or the container has no word for it.

    MP4 has none for short codes ("fr"), but for languages in full, which begin with one.
    """
    language = tags.get("language")
    if language in (None, UNDETERMINED) or container.muxer == "nut":
        return None
    if container.muxer in ("mp4", "mov") and not re.fullmatch("[a-z]{3}", language or ""):
        has_tag = holds_language_tag(stream, container, is_file=True)
        return plain_language(stream.language_tag or "") if has_tag else None
    return language


def _found_language(stream: StreamInfo, container: OutputFormat) -> str | None:
    return None if container.muxer == "nut" else stream.language


def _dispositions(
    theirs: StreamInfo, ours: StreamInfo, all_of_source: Sequence[StreamInfo], container: OutputFormat
) -> tuple[Json, Json]:
    held = set(HELD_DISPOSITIONS.get(container.muxer, ()))
    alike = [s for s in all_of_source if s.type == theirs.type]
    if container.muxer in _MARKS_A_DEFAULT and any("default" in s.dispositions for s in alike):
        held.add("default")
    return [*sorted(held & set(theirs.dispositions))], [*sorted(held & set(ours.dispositions))]


def check_tags(source: SourceInfo, output: SourceInfo, container: OutputFormat) -> Check:
    """The file's own tags: title, artist, date and so on."""
    there = {key.lower(): value for key, value in output.metadata}
    rows: list[tuple[str, Json, Json]] = []
    if container.muxer != "nut":
        for key, value in global_tags(source, container).items():
            name = key.lower()
            rows.append((key, _tag_value(name, value), _tag_value(name, there.get(name, "")) or None))
    return _compared("tags", rows)


def _tag_value(name: str, value: str) -> Json:
    """Without what containers write otherwise: parts of a second, zeros of a place on the earth."""
    if name == "creation_time":
        return value[: len("2026-01-31T12:00:00")]
    if name == "location":
        return " ".join(f"{float(part):+.3f}" for part in re.findall(r"[+-]\d+(?:\.\d+)?", value))
    return value


def check_chapters(
    source: SourceInfo, output: SourceInfo, container: OutputFormat, timeline: Timeline
) -> Check:
    """Title, start and end of every chapter that reaches into what is kept.

    MP4 and QuickTime keep them in a track without gaps: the first begins at 0, each ends where the next
    begins.
    """
    wanted = timeline.clip_chapters(source.chapters)
    has_gaps = container.muxer not in ("mp4", "mov")
    expected, found = [_chapter(c) for c in wanted], [_chapter(c) for c in output.chapters]
    if not wanted and not found:
        return passed("chapters", [], "none")
    if len(wanted) != len(output.chapters):
        return Check("chapters", False, expected, found, f"{len(found)} of {len(expected)} chapters")
    for number, (theirs, ours) in enumerate(zip(wanted, output.chapters, strict=True)):
        start = theirs.start if has_gaps or number else Fraction(0)
        moved = abs(ours.start - start) > CHAPTER_TOLERANCE
        cut = has_gaps and abs(ours.end - theirs.end) > CHAPTER_TOLERANCE
        if moved or cut or (ours.title or "") != (theirs.title or ""):
            detail = f"chapter {number + 1} is {_chapter_words(ours)} instead of {_chapter_words(theirs)}"
            return Check("chapters", False, expected, found, detail)
    return Check("chapters", True, expected, found, f"{len(found)}, titles and times")


def check_layers(wanted: MatroskaChapters | None, output: SourceInfo) -> Check:
    """Chapters from Matroska to Matroska: all that people see of them. wanted: None = none at all.

    They are compared as they are written: of one that does not say where it ends, FFmpeg makes up an end from
    whatever else is in the file.
    """
    there = None if output.matroska is None else output.matroska.chapters
    expected: list[Json] = [] if wanted is None else [*wanted.describe()]
    found: list[Json] = [] if there is None else [*there.describe()]
    if there is None and output.chapters:
        found = [f"{_chapter_words(chapter)}, not to be read in full" for chapter in output.chapters]
    lists = 0 if wanted is None else len(wanted.editions)
    count = len(expected) - lists
    if expected != found:
        theirs, ours = next(pair for pair in zip_longest(expected, found) if pair[0] != pair[1])
        words = f"{str(ours or 'none').strip()} instead of {str(theirs or 'none').strip()}"
        if not found:
            words = f"0 of {count} chapters"
        return Check("chapters", False, expected, found, words)
    within = f" in {lists} editions" if lists > 1 else ""
    return passed("chapters", expected, f"{count}{within}, titles and times" if count else "none")


def check_identity(extras: MatroskaExtras, output: SourceInfo) -> Check:
    """The numbers by which files that are played one behind the other find each other.

    A kind that the source does not have is the muxer's own.
    """
    kinds = {field.id for field in extras.identity}
    found = () if output.matroska is None else output.matroska.identity.fields
    there = [field for field in found if field.id in kinds]
    theirs, ours = (
        [f"{field.id:x} {field.content.hex()}" for field in sorted(fields, key=lambda f: (f.id, f.content))]
        for fields in (extras.identity, there)
    )
    return _compared("segment numbers", [("numbers", [*theirs], [*ours])])


def _chapter(chapter: ChapterInfo) -> Json:
    return {"title": chapter.title, "start": float(chapter.start), "end": float(chapter.end)}


def _chapter_words(chapter: ChapterInfo) -> str:
    return f"{chapter.title or 'untitled'} ({float(chapter.start):.3f} to {float(chapter.end):.3f} s)"


def _compared(name: str, rows: Sequence[tuple[str, Json, Json]]) -> Check:
    """Rows of (what, expected, found)."""
    expected: dict[str, Json] = {what: theirs for what, theirs, _ in rows if theirs not in (None, [])}
    differing = [row for row in rows if row[1] != row[2]]
    found: dict[str, Json] = {what: ours for what, _, ours in rows if ours not in (None, [])}
    if not differing:
        return Check(name, True, expected, found, str(len(expected)) if expected else "none")
    what, theirs, ours = differing[0]
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    return Check(name, False, expected, found, f"{what}: {_value(ours)} instead of {_value(theirs)}{more}")


def _value(value: Json) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value!r}"
