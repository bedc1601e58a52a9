"""What Matroska says of tracks and FFmpeg does not read: languages in full, tracks that are not enabled."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media import ebml_tree, reference
from tests.media.clips import ClipShelf
from tests.media.ebml_tree import BCP47, ENABLED, LANGUAGE
from tests.media.remake import BT601, remake
from vidsr.cli.info import describe
from vidsr.errors import StreamRefusedError, UsageError
from vidsr.frames import PixelFormat
from vidsr.job import EncoderRequest, Segment
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import settings_for
from vidsr.media.matroska import ebml
from vidsr.media.matroska import source as matroska_source
from vidsr.media.matroska.source import read_source
from vidsr.media.read.probe import probe
from vidsr.media.verify import verify
from vidsr.media.write.plan import plan_streams
from vidsr.media.write.writer import Writer

TAGS = {1: b"pt-BR", 2: b"pt-PT", 3: b"fr-CA", 4: b"es-419", 5: b"zh-Hant"}


@pytest.fixture(scope="module")
def source(clips: ClipShelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Track 0 is the video, 1 to 3 are sound, 4 and 5 subtitles; sound 2 and subtitles 5 are not enabled."""
    path = tmp_path_factory.mktemp("tagged") / "tagged.mkv"
    changes: dict[int, dict[str, bytes | None]] = {n: {BCP47: tag} for n, tag in TAGS.items()}
    for number, language in {1: b"por", 2: b"por", 4: b"spa", 5: b"chi"}.items():
        changes[number][LANGUAGE] = language
    changes[3][LANGUAGE] = None
    for number in (2, 5):
        changes[number][ENABLED] = b"\0"
    ebml_tree.with_tracks(clips("everything.mkv"), path, changes)
    return path


def test_they_are_read(source: Path) -> None:
    streams = probe(source).streams
    assert [s.language_tag for s in streams] == [None, *(tag.decode() for tag in TAGS.values()), None, None]
    assert [s.is_enabled for s in streams] == [True, True, False, True, True, False, True, True]
    assert [s.language for s in streams[1:6]] == ["por", "por", "fr", "spa", "chi"]
    lines = list(describe(probe(source)))
    assert any("pt-PT" in line and "not enabled" in line for line in lines)


def test_they_arrive_in_matroska(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    assert remake(source, output, color=BT601).notes == []
    before, after = ebml_tree.tracks(source), ebml_tree.tracks(output)
    assert [t.get(BCP47) for t in after] == [t.get(BCP47) for t in before]
    assert [t.get(ENABLED, b"\1") for t in after] == [t.get(ENABLED, b"\1") for t in before]
    assert [t[LANGUAGE] for t in after[1:]] == [b"por", b"por", b"fr", b"spa", b"chi"]
    info = dict(ebml_tree.children(dict(ebml_tree.segment(output))[ebml_tree.INFO]))
    assert info[ebml_tree.WRITING_APP] == info[ebml_tree.MUXING_APP]
    assert "...." not in output.read_bytes()[:4000].decode("latin-1")
    assert verify(source, output).ok
    _, words = reference.ffmpeg(
        "-v", "warning", "-xerror", "-err_detect", "crccheck", "-ss", "1", "-i", output, "-f", "null", "-"
    )  # fmt: skip
    assert not re.search("CRC|invalid|error", words, re.IGNORECASE), words
    assert reference.chapters(output) == reference.chapters(source)
    packets_before, packets_after = reference.packets(source), reference.packets(output)
    assert [packets_after[n] for n in range(1, 6)] == [packets_before[n] for n in range(1, 6)]


def test_a_selection_and_a_cut_keep_what_belongs_to_each_track(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(source, output, audio="pt-PT", subtitles="zh-Hant", segment=Segment(400, 1200))
    assert [t.get(BCP47) for t in ebml_tree.tracks(output)] == [None, b"pt-PT", b"zh-Hant"]
    assert [t.get(ENABLED) for t in ebml_tree.tracks(output)] == [None, b"\0", b"\0"]


ENCODERS = {"mkv": "ffv1", "webm": "libvpx-vp9", "mp4": "libx264", "mov": "libx264"}


def languages_of(path: Path) -> list[str]:
    """As ffmpeg lists the streams, `und` being its word for none in MP4."""
    return ["" if s.language == "und" else s.language for s in reference.streams(path)]


@pytest.mark.parametrize("suffix", ENCODERS)
def test_a_language_that_nobody_says_is_none(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    """As mkvmerge writes it, in both forms; without the older one, FFmpeg takes such a track for English."""
    source, output = tmp_path / "source.mkv", tmp_path / f"out.{suffix}"
    unsaid: dict[str, bytes | None] = {BCP47: b"und", LANGUAGE: b"und"}
    changes = {0: unsaid, 1: {BCP47: b"UND", LANGUAGE: None}, 2: {BCP47: b"und-Latn", LANGUAGE: None}}
    ebml_tree.with_tracks(clips("b_frames.mkv"), source, changes)
    streams = probe(source).streams
    assert [(s.language, s.language_tag) for s in streams] == [(None, None), (None, None), (None, "und-Latn")]
    assert not any("und," in f"{line}," for line in describe(probe(source)))
    with pytest.raises(UsageError) as caught:
        plan_streams(probe(source), OutputFormat.named("mp4"), audio="eng", subtitles="all", cut=False)
    assert str(caught.value.hint).endswith("has: some without a language, und-Latn")
    notes = remake(source, output, encoder=ENCODERS[suffix], color=BT601, options={}).notes
    assert not [note for note in notes if "language" in note]
    assert languages_of(output) == ["", "", ""]
    assert verify(source, output).failures == ()


@pytest.mark.skipif(shutil.which("mkvmerge") is None, reason="MKVToolNix is not installed")
@pytest.mark.parametrize("suffix", ENCODERS)
@pytest.mark.parametrize(
    ("options", "language"), [((), ""), (("--language", "0:und", "--language", "1:und"), ""),
                              (("--language", "1:ja"), "jpn")]
)  # fmt: skip
def test_files_of_mkvmerge_arrive(
    clips: ClipShelf, tmp_path: Path, suffix: str, options: tuple[str, ...], language: str
) -> None:
    flat, source, output = tmp_path / "flat.mkv", tmp_path / "source.mkv", tmp_path / f"out.{suffix}"
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mp4"), "-map", "0:v", "-map", "0:a:0", "-c", "copy",
        "-metadata:s", "language=", flat,
    )  # fmt: skip
    subprocess.run(["mkvmerge", "-q", "-o", source, *options, flat], check=True)
    assert languages_of(source) == ["", language]
    notes = remake(source, output, encoder=ENCODERS[suffix], color=BT601, options={}).notes
    assert not [note for note in notes if "language" in note]
    assert languages_of(output) == ["", language]
    assert verify(source, output).failures == ()


def test_the_shape_of_the_picture_is_written_beside_them(clips: ClipShelf, tmp_path: Path) -> None:
    flat, source, output = tmp_path / "flat.mkv", tmp_path / "source.mkv", tmp_path / "out.mkv"
    reference.ffmpeg("-v", "error", "-i", clips("anamorphic.mp4"), "-c", "copy", flat)
    ebml_tree.with_tracks(flat, source, {0: {BCP47: b"sr-Latn-RS", ENABLED: b"\0"}})
    remake(source, output)
    video = ebml_tree.tracks(output)[0]
    assert (video[BCP47], video[ENABLED]) == (b"sr-Latn-RS", b"\0")
    assert int.from_bytes(dict(ebml_tree.children(video["e0"]))["54b0"], "big") == 140


@pytest.mark.parametrize(
    ("which", "chosen"),
    [("por", {1, 2}), ("pt", {1, 2}), ("pt-BR", {1}), ("PT-br", {1}), ("fr", {3}), ("fr-CA", {3})],
)
def test_languages_choose_by_any_beginning(source: Path, which: str, chosen: set[int]) -> None:
    info, output = probe(source), OutputFormat.named("matroska")
    plans = plan_streams(info, output, audio=which, subtitles="none", cut=False)
    assert {p.stream.index for p in plans if p.stream.type == "audio"} == chosen


def test_a_language_that_is_not_there_is_answered_with_those_that_are(source: Path) -> None:
    info, output = probe(source), OutputFormat.named("matroska")
    for wanted in ("pt-AO", "p", "eng"):
        with pytest.raises(UsageError) as caught:
            plan_streams(info, output, audio=wanted, subtitles="all", cut=False)
        assert caught.value.hint is not None
        assert caught.value.hint.endswith("has: fr-CA, pt-BR, pt-PT")


LOST = [
    "language pt-BR of audio 1 becomes por",
    "language pt-PT of audio 2 becomes por",
    "audio 2 is marked as not enabled in the source; that is left out",
    "language fr-CA of audio 3 is left out",
    "language es-419 of subtitle 4 becomes spa",
    "language zh-Hant of subtitle 5 becomes chi",
    "subtitle 5 is marked as not enabled in the source; that is left out",
]


def test_mp4_names_what_it_cannot_say(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    notes = remake(source, output, encoder="libx264", color=BT601).notes
    kept = [note for note in notes if "converted" not in note and "attachment" not in note]
    assert kept == [note for note in LOST if "not enabled" in note]
    assert verify(source, output).ok
    with pytest.raises(StreamRefusedError, match="audio 2 is marked as not enabled"):
        remake(
            source, tmp_path / "strict.mp4", encoder="libx264", audio="pt-PT", subtitles="none", strict=True
        )


def test_matroska_in_a_pipe_names_them_too(source: Path, tmp_path: Path) -> None:
    info = probe(source)
    reading, writing = os.pipe()
    try:
        settings = settings_for(EncoderRequest("ffv1"), source=PixelFormat.parse("yuv420p"), container=".mkv")
        with Writer(
            Path("-"), info, settings, width=96, height=64, color=BT601, pipe=writing,
            container=OutputFormat.named("matroska"),
        ) as writer:  # fmt: skip
            expected = [
                line.replace("fr-CA of audio 3 is left out", "fr-CA of audio 3 becomes fr") for line in LOST
            ]
            assert [n for n in writer.notes if n.startswith("language ") or "not enabled" in n] == expected
    finally:
        os.close(reading)
        os.close(writing)


def test_verification_misses_them(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(source, output, color=BT601)
    faults: list[tuple[dict[str, bytes | None], str]] = [
        ({BCP47: b"pt-PT"}, "languages"),
        ({BCP47: None}, "languages"),
        ({ENABLED: b"\0"}, "enabled"),
    ]
    for change, name in faults:
        spoilt = tmp_path / "spoilt.mkv"
        ebml_tree.with_tracks(output, spoilt, {1: change})
        assert [c.name for c in verify(source, spoilt).checks if not c.ok] == [name]


def test_a_language_that_would_steer_a_terminal_is_none(source: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mkv"
    ebml_tree.with_tracks(source, odd, {1: {BCP47: b"pt\x1b[31m"}})
    assert [track.language_tag for track in read_source(odd).tracks][:3] == [None, None, "pt-PT"]


def test_of_tracks_beyond_all_measure_little_is_looked_at(
    clips: ClipShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of tracks, or thousands of elements in one; read one by one they took minutes."""
    odd, looked_at = tmp_path / "odd.mkv", [0]

    def counted(data: bytes) -> Iterator[ebml.Field]:
        for field in split(data):
            looked_at[0] += 1
            yield field

    split = ebml.split
    monkeypatch.setattr(ebml, "split", counted)
    monkeypatch.setattr(matroska_source, "split", counted)
    tracks = dict(ebml_tree.segment(clips("b_frames.mkv")))[ebml_tree.TRACKS]
    for more in ([b"\xec\x80" * 20_000] * 10, [b"\xec\x80"] * 2_000):
        looked_at[0] = 0
        entries = b"".join(ebml_tree.made(ebml_tree.TRACK, content) for content in more)
        ebml_tree.with_parts(clips("b_frames.mkv"), odd, {ebml_tree.TRACKS: tracks + entries})
        assert len(read_source(odd).tracks) == (3 if len(more) == 10 else 0)
        assert looked_at[0] < 12_000


def test_torn_headers_say_nothing_and_end_nothing(source: Path, tmp_path: Path) -> None:
    data = source.read_bytes()
    start = data.index(bytes.fromhex(ebml_tree.TRACKS))
    torn = tmp_path / "torn.mkv"
    for place in range(start, start + 600, 7):
        for change in (b"\0\0\0", b"\xff\xff\xff"):
            torn.write_bytes(data[:place] + change + data[place + 3 : 20_000])
            read_source(torn)
    torn.write_bytes(data[: start + 40])
    assert read_source(torn).tracks == ()
    assert read_source(tmp_path).tracks == ()
