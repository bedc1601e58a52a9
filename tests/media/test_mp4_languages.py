"""Languages in full (the box "elng") of MP4 and QuickTime sources, which FFmpeg passes over."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.media import box_tree, ebml_tree, reference
from tests.media.clips import ClipShelf
from tests.media.ebml_tree import BCP47, LANGUAGE
from tests.media.remake import BT601, remake
from vidsr.job import Segment
from vidsr.media.containers import OutputFormat
from vidsr.media.mp4.boxes import BoxError
from vidsr.media.mp4.output import complete
from vidsr.media.mp4.source import read_languages
from vidsr.media.read.probe import probe
from vidsr.media.verify import verify
from vidsr.media.write.plan import plan_streams


@pytest.fixture(scope="module", params=["mp4", "mov"])
def source(
    clips: ClipShelf, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """Track 0 is the video, 1 and 2 are Portuguese sound, 3 subtitles whose older field says nothing."""
    folder = tmp_path_factory.mktemp("tagged")
    flat, path = folder / f"flat.{request.param}", folder / f"tagged.{request.param}"
    lines = folder / "lines.srt"
    lines.write_text("1\n00:00:00,200 --> 00:00:00,900\nLine\n\n", encoding="utf-8")
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mp4"), "-i", lines, "-map", "0", "-map", "1", "-c", "copy",
        "-c:s", "mov_text", flat,
    )  # fmt: skip
    tags: dict[int, bytes | None] = {1: b"pt-BR", 2: b"pt-PT", 3: b"es-419"}
    plain = {"track_1": "por", "track_2": "por", "track_3": "und"}
    box_tree.with_languages(flat, path, tags, **{k: box_tree.packed(v) for k, v in plain.items()})
    return path


def test_they_are_read_and_choose(source: Path) -> None:
    info = probe(source)
    assert [s.language_tag for s in info.streams] == [None, "pt-BR", "pt-PT", "es-419"]
    assert [s.language for s in info.streams[1:]] == ["por", "por", "es"]
    for audio, subtitles, chosen in (
        ("pt-BR", "es-419", {1, 3}), ("pt", "none", {1, 2}), ("pt-pt", "es", {2, 3}),
        ("por", "all", {1, 2, 3}),
    ):  # fmt: skip
        output = OutputFormat.named("matroska")
        plans = plan_streams(info, output, audio=audio, subtitles=subtitles, cut=False)
        assert {p.stream.index for p in plans} == chosen


def test_they_arrive_in_matroska(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(source, output, color=BT601)
    tracks = ebml_tree.tracks(output)
    assert [t.get(BCP47) for t in tracks] == [None, b"pt-BR", b"pt-PT", b"es-419"]
    assert [t[LANGUAGE] for t in tracks[1:]] == [b"por", b"por", b"es"]
    assert verify(source, output).failures == ()


def elng(path: Path) -> list[bytes | None]:
    """What each track of a file has in that box, which lies behind the older field."""
    found = []
    for track in box_tree.tracks(box_tree.read(path.read_bytes())):
        media = box_tree.child(track, b"mdia")
        kinds = [kind for kind, _ in media]
        assert kinds[0] == b"mdhd"
        found.append(dict(media).get(b"elng"))
        assert b"elng" not in kinds[2:]
    return [content for content in found if content is None or isinstance(content, bytes)]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_they_arrive_in_mp4_and_quicktime(source: Path, tmp_path: Path, suffix: str) -> None:
    output, plain = tmp_path / f"out.{suffix}", tmp_path / f"plain.{suffix}"
    assert remake(source, output, encoder="libx264", color=BT601, strict=True).notes == []
    tags = [f"\0\0\0\0{tag}\0".encode() for tag in ("pt-BR", "pt-PT", "es-419")]
    assert elng(output) == [None, *tags]
    assert verify(source, output).failures == ()
    # the same without: nothing else differs, to FFmpeg neither
    box_tree.with_languages(output, plain, {1: None, 2: None, 3: None})
    assert elng(plain) == [None] * 4
    assert len(output.read_bytes()) - len(plain.read_bytes()) == sum(8 + len(tag) for tag in tags)
    assert reference.packets(output) == reference.packets(plain)
    assert [s.language for s in reference.streams(output)[1:3]] == ["por", "por"]
    index = output.read_bytes().index(b"moov")
    assert output.read_bytes()[: index - 4] == plain.read_bytes()[: index - 4]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_a_language_that_nobody_says_is_none(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    unsaid, output = tmp_path / "unsaid.mp4", tmp_path / f"out.{suffix}"
    box_tree.with_languages(
        clips("b_frames.mp4"), unsaid, {0: b"und", 1: b"und"}, track_1=box_tree.packed("und")
    )
    streams = probe(unsaid).streams
    assert [(s.language, s.language_tag) for s in streams] == [(None, None), (None, None), ("eng", None)]
    remake(unsaid, output, encoder="ffv1" if suffix == "mkv" else "libx264", color=BT601)
    assert verify(unsaid, output).failures == ()
    if suffix != "mkv":
        assert elng(output) == [None] * 3


def test_a_track_that_mp4_leaves_out_moves_no_language(source: Path, tmp_path: Path) -> None:
    """The first sound ends before the part begins; FFmpeg's muxer writes no track without packets."""
    flat, tagged, output = tmp_path / "flat.mkv", tmp_path / "tagged.mkv", tmp_path / "out.mp4"
    reference.ffmpeg(
        "-v", "error", "-i", source, "-f", "lavfi", "-i", "sine=duration=0.4", "-f", "lavfi", "-i",
        "sine=duration=2", "-map", "0:v", "-map", "1", "-map", "2", "-c:v", "copy", "-c:a", "aac", flat,
    )  # fmt: skip
    ebml_tree.with_tracks(flat, tagged, {1: {BCP47: b"pt-BR"}, 2: {BCP47: b"es-419"}})
    remake(tagged, output, encoder="libx264", color=BT601, segment=Segment(1200, 1800))
    assert elng(output) == [None, b"\0\0\0\0es-419\0"]


def test_a_cover_before_the_video_moves_no_language(clips: ClipShelf, tmp_path: Path) -> None:
    cover, first, output = tmp_path / "cover.png", tmp_path / "in.mkv", tmp_path / "out.mp4"
    reference.ffmpeg("-v", "error", "-f", "lavfi", "-i", "color=red:s=32x32", "-frames:v", "1", cover)
    reference.ffmpeg(
        "-v", "error", "-i", cover, "-i", clips("b_frames.mp4"), "-map", "0", "-map", "1", "-c", "copy",
        "-disposition:v:0", "attached_pic", first.with_suffix(".mp4"),
    )  # fmt: skip
    info = probe(first.with_suffix(".mp4"))
    assert [(s.type, s.is_picture) for s in info.streams].count(("video", True)) == 1
    tagged = tmp_path / "tagged.mp4"
    box_tree.with_languages(first.with_suffix(".mp4"), tagged, {1: b"ja-JP", 2: b"en-GB"})
    remake(tagged, output, encoder="libx264", color=BT601)
    assert elng(output) == [None, b"\0\0\0\0ja-JP\0", b"\0\0\0\0en-GB\0"]
    assert verify(tagged, output).failures == ()


def test_verification_misses_them(source: Path, tmp_path: Path) -> None:
    output, spoilt = tmp_path / "out.mp4", tmp_path / "spoilt.mp4"
    remake(source, output, encoder="libx264", color=BT601)
    for tags in ({1: None}, {1: b"pt-PT"}, {0: b"en-GB"}):
        box_tree.with_languages(output, spoilt, dict(tags))
        assert [c.name for c in verify(source, spoilt).failures] == ["languages"]


def test_files_that_are_laid_out_otherwise_are_left_alone(source: Path, tmp_path: Path) -> None:
    boxes, other = box_tree.read(source.read_bytes()), tmp_path / "other.mp4"
    cases = {
        "the index does not lie last": box_tree.made([*boxes, (b"free", b"")]),
        "a language in full is there": box_tree.made(boxes),
        "a track without a header": box_tree.made([(b"moov", [(b"trak", [])] * 2)]),
        "a track without mdia": box_tree.made(
            [(b"moov", [(b"trak", [(b"tkhd", bytes(12) + b"\0\0\0\2" + bytes(68))])])]
        ),
        "a box is larger": box_tree.made(boxes)[:-1],
    }
    for words, data in cases.items():
        other.write_bytes(data)
        with pytest.raises(BoxError, match=words):
            complete(other, {2: "pt-BR"})
        assert other.read_bytes() == data


def test_older_fields_alone_are_as_before(clips: ClipShelf) -> None:
    assert read_languages(clips("b_frames.mp4")) == {}
    assert [s.language for s in probe(clips("b_frames.mp4")).streams] == [None, "jpn", "eng"]


def test_an_index_before_the_pictures_and_one_in_fragments(source: Path, tmp_path: Path) -> None:
    """Made by moving and copying boxes: what the tables of the index point to does not matter here."""
    boxes = box_tree.read(source.read_bytes())
    index = box_tree.made([boxes[-1]])
    first = tmp_path / "first.mp4"
    rest = b"".join(box_tree.made([box]) for box in boxes[1:-1])
    first.write_bytes(box_tree.made([boxes[0]]) + index + rest + box_tree.made([(b"moof", b"\0" * 9)] * 50))
    assert read_languages(first) == {2: "pt-BR", 3: "pt-PT", 4: "es-419"}
    large = index[4:]
    first.write_bytes((1).to_bytes(4, "big") + large[:4] + (len(index) + 8).to_bytes(8, "big") + large[4:])
    assert read_languages(first) == {2: "pt-BR", 3: "pt-PT", 4: "es-419"}
    first.write_bytes(bytes(4) + large)  # to the end of the file
    assert read_languages(first) == {2: "pt-BR", 3: "pt-PT", 4: "es-419"}


@pytest.mark.parametrize(
    "tag", [b"", b"\x1b[31mred", b"pt BR", "português".encode(), b"a" * 9, b"a-" * 4000, b"-", b"1"]
)
def test_what_is_no_tag_is_none(source: Path, tmp_path: Path, tag: bytes) -> None:
    odd = tmp_path / "odd.mp4"
    box_tree.with_languages(source, odd, {1: tag})
    assert read_languages(odd) == {3: "pt-PT", 4: "es-419"}
    assert [s.language_tag for s in probe(odd).streams] == [None, None, "pt-PT", "es-419"]


def test_a_number_that_two_tracks_have_names_neither(source: Path, tmp_path: Path) -> None:
    boxes = box_tree.read(source.read_bytes())
    third = box_tree.tracks(boxes)[2]
    header = next(content for kind, content in third if kind == b"tkhd")
    assert isinstance(header, bytes)
    assert header[12:16] == (3).to_bytes(4, "big")
    third[[kind for kind, _ in third].index(b"tkhd")] = (
        b"tkhd",
        header[:12] + (2).to_bytes(4, "big") + header[16:],
    )
    twice = tmp_path / "twice.mp4"
    twice.write_bytes(box_tree.made(boxes))
    assert read_languages(twice) == {4: "es-419"}


def test_torn_files_say_nothing_and_end_nothing(source: Path, tmp_path: Path) -> None:
    data, torn = source.read_bytes(), tmp_path / "torn.mp4"
    start = data.index(b"moov") - 4
    chance = random.Random(1)
    for _ in range(400):
        spoilt = bytearray(data[start:])
        for _ in range(chance.randint(1, 4)):
            spoilt[chance.randrange(min(len(spoilt), 1500))] = chance.choice(
                (0, 1, 255, chance.randrange(256))
            )
        torn.write_bytes(spoilt[: chance.randint(1, len(spoilt))])
        read_languages(torn)
    # an endless row of empty boxes, boxes in boxes that never end, a size beyond all
    for odd in (
        b"\0\0\0\x08free" * 200_000,
        b"\0\0\0\x08moov",
        b"\0\0\x03\xe8moov" + b"\0\0\0\x08trak" * 124,
        b"\0\0\0\1moov" + b"\xff" * 8,
        b"\0\0\0\7moov",
        b"",
    ):
        torn.write_bytes(odd)
        assert read_languages(torn) == {}
    assert read_languages(tmp_path) == {}
    assert read_languages(tmp_path / "none.mp4") == {}
