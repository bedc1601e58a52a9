"""Chapters in layers, lists and languages, and files that belong together; written and read by hand.

Where MKVToolNix is installed, it has its say as well.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.media import ebml_tree, reference
from tests.media.clips import ClipShelf
from tests.media.ebml_tree import ATOM, CHAPTERS, DISPLAY, EDITION, INFO, Tree, made_tree, read_tree
from tests.media.remake import BT601, remake
from vidsr.cli.info import describe
from vidsr.cli.main import run
from vidsr.errors import StreamRefusedError
from vidsr.job import Segment
from vidsr.media.matroska.chapters import MOST_BYTES, MOST_LAYERS
from vidsr.media.matroska.source import read_source
from vidsr.media.matroska.tags import MatroskaTags
from vidsr.media.read.probe import probe
from vidsr.media.verify import verify

UID, START, END, HIDDEN, ENABLED, TRACKS = "73c4", "91", "92", "98", "4598", "8f"
TITLE, LANGUAGE, BCP47, COUNTRY = "85", "437c", "437d", "437e"
EDITION_UID, EDITION_HIDDEN, EDITION_DEFAULT, EDITION_ORDERED = "45bc", "45bd", "45db", "45dd"
OTHER_SEGMENT, OWN, PREVIOUS, NEXT, FAMILY = "6e67", "73a4", "3cb923", "3eb923", "4444"
TAGS, TAG, TARGETS, EDITION_TAG, CHAPTER_TAG = "1254c367", "7373", "63c0", "63c9", "63c4"
SIMPLE, NAME, STRING = "67c8", "45a3", "4487"
MASTERS = (EDITION, ATOM, DISPLAY)

ELSEWHERE = bytes(range(16))
NUMBERS = {OWN: b"o" * 16, PREVIOUS: b"p" * 16, NEXT: b"n" * 16, FAMILY: b"f" * 16}


def ms(time: int) -> bytes:
    """Nanoseconds in as few bytes as they need."""
    value = time * 1_000_000
    return value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big")


def display(title: str, language: str, tag: str) -> tuple[str, Tree]:
    return DISPLAY, [(TITLE, title.encode()), (LANGUAGE, language.encode()), (BCP47, tag.encode())]


def atom(number: int, start: int, end: int | None, *more: tuple[str, bytes | Tree]) -> tuple[str, Tree]:
    ends: Tree = [] if end is None else [(END, ms(end))]
    return ATOM, [(UID, bytes([number])), (START, ms(start)), *ends, *more]


WHOLE: Tree = [
    (EDITION, [
        (EDITION_UID, b"\x0a"), (EDITION_DEFAULT, b"\1"),
        atom(
            1, 0, 1000, display("Opening", "eng", "en-US"), display("Ouverture", "fre", "fr-CA"),
            atom(2, 200, 600, (HIDDEN, b"\1"), (ENABLED, b"\0"), display("Inner", "eng", "en")),
            atom(3, 600, 1000, display("Second inner", "eng", "en"), ("6944", [("6955", b"\0")])),
        ),
        atom(4, 1000, None, display("No end said", "eng", "en"), atom(5, 1100, None)),
        atom(6, 1600, 2000, display("Last", "eng", "en")),
    ]),
    (EDITION, [
        (EDITION_UID, b"\x0b"), (EDITION_ORDERED, b"\1"), (EDITION_HIDDEN, b"\1"),
        atom(7, 1200, 1500, display("Later first", "ger", "de")),
        atom(8, 0, 500, (OTHER_SEGMENT, ELSEWHERE), display("Elsewhere", "eng", "en")),
        atom(9, 0, 400, display("Then the beginning", "eng", "en")),
    ]),
]  # fmt: skip

FROM_400_TO_1400: Tree = [
    (EDITION, [
        (EDITION_UID, b"\x0a"), (EDITION_DEFAULT, b"\1"),
        atom(
            1, 0, 600, display("Opening", "eng", "en-US"), display("Ouverture", "fre", "fr-CA"),
            atom(2, 0, 200, (HIDDEN, b"\1"), (ENABLED, b"\0"), display("Inner", "eng", "en")),
            atom(3, 200, 600, display("Second inner", "eng", "en"), ("6944", [("6955", b"\0")])),
        ),
        atom(4, 600, None, display("No end said", "eng", "en"), atom(5, 700, None)),
    ]),
    (EDITION, [
        (EDITION_UID, b"\x0b"), (EDITION_ORDERED, b"\1"), (EDITION_HIDDEN, b"\1"),
        atom(7, 800, 1000, display("Later first", "ger", "de")),
    ]),
]  # fmt: skip
"""By hand: the cut begins 400 ms into it and ends at 1400 ms; "Last" begins behind, chapter 9 ends before."""


@pytest.fixture(scope="module")
def source(clips: ClipShelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layers") / "layers.mkv"
    identity = made_tree(list(NUMBERS.items()))
    ebml_tree.with_parts(clips("b_frames.mkv"), path, {CHAPTERS: made_tree(WHOLE)}, identity)
    return path


def chapters_of(path: Path) -> Tree:
    return read_tree(dict(ebml_tree.segment(path))[CHAPTERS], MASTERS)


def numbers_of(path: Path) -> dict[str, bytes]:
    fields = dict(ebml_tree.children(dict(ebml_tree.segment(path))[INFO]))
    return {key: fields[key] for key in NUMBERS if key in fields}


def plain(tree: Tree) -> Tree:
    """Read back as far as the names here go; what is in other elements stays bytes."""
    return read_tree(made_tree(tree), MASTERS)


def test_from_matroska_to_matroska_they_arrive_in_full(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    linked = f"segments {ELSEWHERE.hex()}, {NUMBERS[PREVIOUS].hex()}, {NUMBERS[NEXT].hex()}"
    notes = remake(source, output, color=BT601, strict=True).notes
    assert notes == [
        f"it is linked with other files, which are not upscaled with it ({linked}); "
        "once they are, keep all of them in a folder of their own, away from the sources"
    ]
    assert chapters_of(output) == plain(WHOLE)
    assert numbers_of(output) == NUMBERS
    assert verify(source, output).ok
    info = dict(ebml_tree.children(dict(ebml_tree.segment(output))[INFO]))
    assert info[ebml_tree.WRITING_APP] == info[ebml_tree.MUXING_APP]
    _, words = reference.ffmpeg(
        "-v", "warning", "-xerror", "-err_detect", "crccheck", "-ss", "1", "-i", output, "-f", "null", "-"
    )  # fmt: skip
    assert words == ""
    assert reference.chapters(output) == reference.chapters(source)


@pytest.mark.parametrize("linked_by", [OWN, FAMILY, OTHER_SEGMENT])
def test_a_number_of_its_own_is_kept_and_verified_where_the_file_says_that_it_is_linked(
    clips: ClipShelf, tmp_path: Path, linked_by: str
) -> None:
    """Another file may play parts of this one by it, which only that one says: it is kept in any case."""
    source, output, other = (tmp_path / f"{name}.mkv" for name in ("source", "output", "other"))
    numbers = {key: NUMBERS[key] for key in (OWN, linked_by) if key in NUMBERS}
    elsewhere: Tree = [(EDITION, [atom(1, 0, 500, (OTHER_SEGMENT, ELSEWHERE))])]
    parts = {CHAPTERS: made_tree(elsewhere)} if linked_by == OTHER_SEGMENT else {}
    ebml_tree.with_parts(clips("b_frames.mkv"), source, parts, b"", numbers)
    remake(source, output, color=BT601)
    assert numbers_of(output) == numbers
    assert verify(source, output).failures == ()
    ebml_tree.with_parts(output, other, {}, b"", numbers | {OWN: b"x" * 16})
    is_missed = ["segment numbers"] if linked_by != OWN else []
    assert [check.name for check in verify(source, other).failures] == is_missed


def test_a_family_alone_is_kept_beside_the_number_that_the_muxer_gives(
    clips: ClipShelf, tmp_path: Path
) -> None:
    source, output = tmp_path / "source.mkv", tmp_path / "out.mkv"
    ebml_tree.with_parts(clips("b_frames.mkv"), source, {}, b"", {FAMILY: NUMBERS[FAMILY]})
    remake(source, output, color=BT601)
    assert numbers_of(output).keys() == {OWN, FAMILY}
    assert verify(source, output).failures == ()


def test_a_part_has_its_own_chapters_on_its_own_clock(source: Path, tmp_path: Path) -> None:
    output, part = tmp_path / "out.mkv", Segment(400, 1400)
    notes = remake(source, output, color=BT601, segment=part).notes
    assert len(notes) == 1
    assert notes[0].endswith("a part goes without the links")
    assert chapters_of(output) == plain(FROM_400_TO_1400)
    assert not numbers_of(output).keys() & {PREVIOUS, NEXT, FAMILY}
    assert numbers_of(output)[OWN] != NUMBERS[OWN]
    assert verify(source, output, segment=part).ok


def test_of_a_part_without_chapters_none_are_written(source: Path, tmp_path: Path) -> None:
    late, output = tmp_path / "late.mkv", tmp_path / "out.mkv"
    only: Tree = [(EDITION, [atom(1, 0, 200, display("Begin", "eng", "en"))])]
    ebml_tree.with_parts(source, late, {CHAPTERS: made_tree(only)})
    remake(late, output, color=BT601, segment=Segment(400, 800))
    assert CHAPTERS not in dict(ebml_tree.segment(output))
    assert verify(late, output, segment=Segment(400, 800)).ok


def test_chapters_that_ffmpeg_passes_over_arrive_too(source: Path, tmp_path: Path) -> None:
    """It has none without a number of their own."""
    odd, output = tmp_path / "odd.mkv", tmp_path / "out.mkv"
    unnumbered: Tree = [(EDITION, [(ATOM, [(START, ms(0)), display("No number", "eng", "en")])])]
    ebml_tree.with_parts(source, odd, {CHAPTERS: made_tree(unnumbered)})
    assert reference.chapters(odd) == []
    remake(odd, output, color=BT601)
    assert chapters_of(output) == plain(unnumbered)
    assert verify(odd, output).ok


LOST = (
    "left out of the chapters: 3 inner chapters, 1 further edition, 1 further title, "
    "3 marks as hidden or not enabled, the order in which they are played"
)


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_what_another_container_cannot_say_is_named(source: Path, tmp_path: Path, suffix: str) -> None:
    encoder, output = {"mp4": "libx264", "webm": "libvpx-vp9"}[suffix], tmp_path / f"out.{suffix}"
    notes = remake(source, output, encoder=encoder, audio="none", color=BT601, options={}).notes
    assert notes[0] == LOST
    assert notes[1].endswith("; the links are left out")
    assert len(notes) == 2
    assert [c.title for c in reference.chapters(output)] == [c.title for c in reference.chapters(source)]
    assert [c.name for c in verify(source, output, audio="none").failures if c.name == "chapters"] == []
    with pytest.raises(StreamRefusedError, match="3 inner chapters"):
        remake(source, tmp_path / f"s.{suffix}", encoder=encoder, audio="none", color=BT601, strict=True)


def test_a_plain_list_loses_nothing(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("short_chapter.mkv"), tmp_path / "out.mp4"
    assert remake(source, output, encoder="libx264", color=BT601, strict=True).notes == []


def test_chapters_of_some_tracks_become_those_of_all_and_that_is_named(source: Path, tmp_path: Path) -> None:
    odd, output = tmp_path / "odd.mkv", tmp_path / "out.mkv"
    of_a_track: Tree = [(EDITION, [atom(1, 0, 900, (TRACKS, [("89", b"\1")]))])]
    ebml_tree.with_parts(source, odd, {CHAPTERS: made_tree(of_a_track)})
    notes = remake(odd, output, color=BT601).notes
    assert "which tracks chapters belong to is left out: the tracks get other numbers" in notes
    assert chapters_of(output) == plain([(EDITION, [atom(1, 0, 900)])])
    assert verify(odd, output).ok


def test_verification_misses_them(source: Path, tmp_path: Path) -> None:
    output, spoilt = tmp_path / "out.mkv", tmp_path / "spoilt.mkv"
    remake(source, output, color=BT601)
    whole = made_tree(WHOLE)
    for old, new in (
        (b"Ouverture", b"Overture!"),
        (b"fr-CA", b"fr-FR"),
        (ms(600), ms(640)),
        (ELSEWHERE, b"x" * 16),
    ):
        ebml_tree.with_parts(output, spoilt, {CHAPTERS: whole.replace(old, new)})
        assert [c.name for c in verify(source, spoilt).failures] == ["chapters"]
    ebml_tree.with_parts(output, spoilt, {CHAPTERS: made_tree(WHOLE[:1])})
    assert [c.name for c in verify(source, spoilt).failures] == ["chapters"]
    spoilt.write_bytes(output.read_bytes().replace(b"n" * 16, b"N" * 16))
    assert [c.name for c in verify(source, spoilt).failures if c.name != "file"] == ["segment numbers"]


def opened(rest: int, language: str = "eng", tag: str = "en", end: int | None = None) -> Tree:
    """Two chapters as mkvmerge writes them: where each begins, and not where it ends."""
    first = atom(1, 0, None, display("Opening", language, tag))
    return [(EDITION, [first, atom(2, rest, end, display("Rest", language, tag))])]


OPEN = opened(800)


def failures(source: Path, output: Path, **chosen: Any) -> list[str]:
    """What is wrong with an output just made."""
    remake(source, output, color=BT601, **chosen)
    checked = {key: value for key, value in chosen.items() if key != "strict"}
    return [f"{check.name}: {check.detail}" for check in verify(source, output, **checked).failures]


def test_chapters_that_do_not_say_where_they_end_stay_open(clips: ClipShelf, tmp_path: Path) -> None:
    """FFmpeg has the last one end with the file, which may be shorter or longer for many reasons."""
    lines, longer, source = tmp_path / "late.srt", tmp_path / "longer.mkv", tmp_path / "open.mkv"
    lines.write_text("1\n00:00:03,200 --> 00:00:04,900\nLate\n\n", encoding="utf-8")
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mkv"), "-i", lines, "-f", "lavfi", "-i", "sine=duration=3",
        "-map", "0:v", "-map", "1", "-map", "2", "-c:v", "copy", "-c:s", "srt", "-c:a", "flac", longer,
    )  # fmt: skip
    ebml_tree.with_parts(longer, source, {CHAPTERS: made_tree(OPEN)})
    assert failures(source, tmp_path / "whole.mkv", strict=True) == []
    assert chapters_of(tmp_path / "whole.mkv") == plain(OPEN)
    assert failures(source, tmp_path / "silent.mkv", audio="none") == []
    assert failures(source, tmp_path / "bare.mkv", subtitles="none") == []
    assert failures(source, tmp_path / "cut.mkv", segment=Segment(480, 1600)) == []
    assert chapters_of(tmp_path / "cut.mkv") == plain(opened(320))
    ends = [chapter.end for chapter in reference.chapters(source)]
    assert [chapter.end for chapter in reference.chapters(tmp_path / "bare.mkv")] != ends


def test_of_a_torn_source_they_stay_open_too(clips: ClipShelf, tmp_path: Path) -> None:
    whole, torn, output = tmp_path / "whole.mkv", tmp_path / "torn.mkv", tmp_path / "out.mkv"
    ebml_tree.with_parts(clips("b_frames.mkv"), whole, {CHAPTERS: made_tree(OPEN)})
    torn.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    damage = remake(torn, output, color=BT601).damage
    assert [c for c in verify(torn, output, damage=damage).failures if c.name == "chapters"] == []


def test_a_part_of_which_one_edition_is_left(clips: ClipShelf, tmp_path: Path) -> None:
    source = tmp_path / "source.mkv"
    elsewhere = atom(3, 0, 900, (OTHER_SEGMENT, ELSEWHERE), display("Elsewhere", "eng", "en"))
    ordered: Tree = [(EDITION, [(EDITION_ORDERED, b"\1"), elsewhere])]
    ebml_tree.with_parts(clips("b_frames.mkv"), source, {CHAPTERS: made_tree(OPEN + ordered)})
    part = Segment(400, 1200)
    assert failures(source, tmp_path / "one.mkv", segment=part) == []
    ebml_tree.with_parts(clips("b_frames.mkv"), source, {CHAPTERS: made_tree(ordered)})
    assert failures(source, tmp_path / "none.mkv", segment=part) == []
    assert reference.chapters(tmp_path / "none.mkv") == []
    assert reference.chapters(source) != []


def test_verification_misses_languages_and_ends_of_a_plain_list(clips: ClipShelf, tmp_path: Path) -> None:
    source, output, spoilt = (tmp_path / f"{name}.mkv" for name in ("source", "output", "spoilt"))
    ebml_tree.with_parts(clips("b_frames.mkv"), source, {CHAPTERS: made_tree(OPEN)})
    assert failures(source, output) == []
    german, closed = opened(800, "ger", "de"), opened(800, end=2000)
    deep: Tree = [atom(1, 0, 900)]
    for _ in range(MOST_LAYERS + 1):
        deep = [(ATOM, [(UID, b"\1"), (START, ms(0)), *deep])]
    too_deep: Tree = [(EDITION, deep)]
    for changed in (german, closed, OPEN * 2, too_deep, []):
        ebml_tree.with_parts(output, spoilt, {CHAPTERS: made_tree(changed)})
        assert [check.name for check in verify(source, spoilt).failures] == ["chapters"]


def tag(targets: Tree, *named: tuple[str, str]) -> tuple[str, Tree]:
    simple: Tree = [(SIMPLE, [(NAME, name.encode()), (STRING, value.encode())]) for name, value in named]
    return TAG, [(TARGETS, targets), *simple]


TAGGED: Tree = [
    tag([(EDITION_TAG, b"\x0b")], ("TITLE", "Directors Cut"), ("MOOD", "long"), ("GENRE", "Drama")),
    tag([(EDITION_TAG, b"\x0a")], ("MOOD", "short")),
    (TAG, [(TARGETS, [(EDITION_TAG, b"\x0a")]),
           (SIMPLE, [(NAME, b"MOOD"), (STRING, b"court"), ("447a", b"fre")])]),
    tag([("68ca", b"\x32")], ("DIRECTOR", "Nobody"), ("GENRE", "Drama")),
    tag([(CHAPTER_TAG, b"\1")], ("ARTIST", "First")),
    tag([(CHAPTER_TAG, b"\2")], ("ARTIST", "Inner"), ("LYRICS", "La")),
    tag([(CHAPTER_TAG, b"\x08")], ("COMPOSER", "Elsewhere")),
]  # fmt: skip


@pytest.fixture(scope="module")
def tagged(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tags") / "tagged.mkv"
    ebml_tree.with_parts(source, path, {TAGS: made_tree(TAGGED)}, made_tree([("7ba9", b"The film")]))
    return path


def test_tags_of_an_edition_are_not_those_of_the_film(tagged: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    assert reference.global_metadata(tagged)["TITLE"] == "Directors Cut"
    found = dict(probe(tagged).metadata)
    assert {k: v for k, v in found.items() if k != "encoder"} == {
        "title": "The film", "DIRECTOR": "Nobody", "GENRE": "Drama"
    }  # fmt: skip
    notes = remake(tagged, output, color=BT601).notes
    assert notes[:2] == [
        "tags of editions are left out: TITLE, MOOD, GENRE",
        "tags of chapters in chapters or in further editions are left out: ARTIST, LYRICS, COMPOSER",
    ]
    there = reference.global_metadata(output)
    assert (there["title"], there["DIRECTOR"], there["GENRE"]) == ("The film", "Nobody", "Drama")
    assert "MOOD-fre" in reference.global_metadata(tagged)
    assert not {"MOOD", "MOOD-fre", "TITLE"} & there.keys()
    assert verify(tagged, output).ok
    with pytest.raises(StreamRefusedError, match="tags of editions"):
        remake(tagged, tmp_path / "strict.mp4", encoder="libx264", color=BT601, strict=True)


def test_tags_that_are_torn_or_too_many_end_nothing(tagged: Path, tmp_path: Path) -> None:
    data, torn = tagged.read_bytes(), tmp_path / "torn.mkv"
    start = data.index(bytes.fromhex(TAGS))
    for place in range(start, start + 400, 7):
        for change in (b"\0\0\0", b"\xff\xff\xff"):
            torn.write_bytes(data[:place] + change + data[place + 3 : start + 20_000])
            read_source(torn)
    deep: Tree = [(NAME, b"DEEP")]
    for _ in range(100):
        deep = [(NAME, b"DEEP"), (SIMPLE, deep)]
    many: Tree = [tag([(EDITION_TAG, b"\1")], ("MOOD", "x" * 2**22))]
    long: Tree = [(TAG, [(TARGETS, [(EDITION_TAG, bytes(9))])])]
    in_layers: Tree = [(TAG, [(SIMPLE, deep)])]
    for odd in (in_layers, many, long):
        ebml_tree.with_parts(tagged, torn, {TAGS: made_tree(odd)})
        assert read_source(torn).tags == MatroskaTags()
    assert read_source(tmp_path).tags == MatroskaTags()


def test_a_megabyte_of_chapters_arrives(source: Path, tmp_path: Path) -> None:
    long, output = tmp_path / "long.mkv", tmp_path / "out.mkv"
    titles = [
        display("A chapter with a title of some length", "eng", tag) for tag in ("en", "de", "fr", "ja")
    ]
    atoms: Tree = [(ATOM, [(UID, n.to_bytes(2, "big")), (START, ms(n)), *titles]) for n in range(1, 3200)]
    ebml_tree.with_parts(source, long, {CHAPTERS: made_tree([(EDITION, atoms)])})
    assert len(dict(ebml_tree.segment(long))[CHAPTERS]) > 2**20
    remake(long, output, color=BT601, segment=Segment(400, 1400))
    found = chapters_of(output)[0][1]
    assert isinstance(found, list)
    # by hand: the first begins at 400 ms and ends where the next begins, the last begins at 1399 ms
    starts = [dict(chapter)[START] for key, chapter in found if key == ATOM and isinstance(chapter, list)]
    assert starts == [ms(n) for n in range(1000)]
    assert verify(long, output, segment=Segment(400, 1400)).ok


def test_they_are_shown(source: Path) -> None:
    lines = list(describe(probe(source)))
    assert lines[lines.index("  Chapters") + 1 :] == [
        "    edition 1 (default)",
        "      0.000 to 1.000 s 'Opening' [en-US] / 'Ouverture' [fr-CA]",
        "        0.200 to 0.600 s 'Inner' [en] (hidden, not enabled)",
        "        0.600 to 1.000 s 'Second inner' [en]",
        "      1.000 s 'No end said' [en]",
        "        1.100 s untitled",
        "      1.600 to 2.000 s 'Last' [en]",
        "    edition 2 (hidden, ordered)",
        "      1.200 to 1.500 s 'Later first' [de]",
        f"      0.000 to 0.500 s 'Elsewhere' [en] (of segment {ELSEWHERE.hex()})",
        "      0.000 to 0.400 s 'Then the beginning' [en]",
    ]


def test_what_would_steer_a_terminal_is_shown_as_escapes(
    source: Path, clips: ClipShelf, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In titles of chapters in layers and in a list, languages, titles of tracks, time codes."""
    named, odd, listed = (tmp_path / f"{name}.mkv" for name in ("named", "odd", "listed"))
    red = "\x1b[31m"
    sound: dict[str, bytes | None] = {ebml_tree.LANGUAGE: red.encode(), "536e": f"Sound{red}\n".encode()}
    ebml_tree.with_tracks(clips("b_frames.mkv"), named, {1: sound})
    label = made_tree([tag([], ("TIMECODE", red))])
    chapters: Tree = [atom(1, 0, 900, display(f"A{red}", red, f"en{red}"), atom(2, 0, 900))]
    ebml_tree.with_parts(named, odd, {CHAPTERS: made_tree([(EDITION, chapters)]), TAGS: label})
    ebml_tree.with_parts(
        named, listed, {CHAPTERS: made_tree([(EDITION, [atom(1, 0, 900, display(red, "", ""))])])}
    )
    silent = tmp_path / "silent.mkv"
    reference.ffmpeg("-v", "error", "-i", odd, "-map", "0", "-map", "-0:1", "-c", "copy", silent)
    for words in (["info", odd], ["info", listed], ["verify", odd, silent]):
        run([str(word) for word in words])
        shown = capsys.readouterr().out
        assert r"\x1b[31m" in shown
        assert "\x1b" not in shown
    assert probe(odd).streams[1].title == f"Sound{red}\n"


def test_torn_and_endless_chapters_end_nothing(source: Path, tmp_path: Path) -> None:
    data, torn = source.read_bytes(), tmp_path / "torn.mkv"
    start = data.index(bytes.fromhex(CHAPTERS))
    for place in range(start, start + 700, 5):
        for change in (b"\0\0\0", b"\xff\xff\xff"):
            torn.write_bytes(data[:place] + change + data[place + 3 : start + 20_000])
            found = read_source(torn).chapters
            assert found is None or found.describe()
    nested: Tree = [atom(1, 0, 900)]
    for _ in range(MOST_LAYERS + 1):
        nested = [(ATOM, [(UID, b"\1"), (START, ms(0)), *nested])]
    ebml_tree.with_parts(source, torn, {CHAPTERS: made_tree([(EDITION, nested)])})
    assert read_source(torn).chapters is None


def test_layers_beyond_all_measure_are_named(source: Path, tmp_path: Path) -> None:
    deep, output = tmp_path / "deep.mkv", tmp_path / "out.mkv"
    nested: Tree = [atom(1, 0, 900)]
    for _ in range(MOST_LAYERS + 1):
        nested = [(ATOM, [(UID, b"\1"), (START, ms(0)), *nested])]
    ebml_tree.with_parts(source, deep, {CHAPTERS: made_tree([(EDITION, nested)])})
    notes = remake(deep, output, color=BT601).notes
    assert notes[0] == "the chapters cannot be read in full: one plain list of them is kept"
    assert [note.rpartition("; ")[2] for note in notes[1:]] == ["the links are left out"]
    assert len(reference.chapters(output)) == 1
    assert verify(deep, output).ok
    with pytest.raises(StreamRefusedError, match="cannot be read in full"):
        remake(deep, tmp_path / "strict.mkv", color=BT601, strict=True)
    large: Tree = [(UID, b"\2"), (START, ms(0)), (TITLE, bytes(MOST_BYTES))]
    odd: Tree = [(ATOM, large), (EDITION_ORDERED, bytes(9))]
    for part in odd:
        ebml_tree.with_parts(source, deep, {CHAPTERS: made_tree([(EDITION, [atom(1, 0, 900), part])])})
        assert remake(deep, output, color=BT601, overwrite=True).notes[0] == notes[0]
        assert verify(deep, output).ok


@pytest.mark.skipif(shutil.which("mkvextract") is None, reason="MKVToolNix is not installed")
def test_mkvextract_finds_the_same_in_source_and_output(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(source, output, color=BT601)

    def extracted(path: Path) -> bytes:
        return subprocess.run(["mkvextract", path, "chapters", "-"], capture_output=True, check=True).stdout

    assert b"Then the beginning" in extracted(source)
    assert extracted(output) == extracted(source)
