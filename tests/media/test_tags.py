"""Every tag arrives, is written under another name, or is named before work begins."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.copies import copy
from tests.media.remake import remake
from vidsr.errors import StreamRefusedError
from vidsr.media.verify import verify

TAGS = {
    "title": "A film", "artist": "Somebody", "album_artist": "Else", "composer": "C", "album": "Album",
    "comment": "Some words", "genre": "Drama", "copyright": "(c)", "grouping": "g", "lyrics": "la la",
    "description": "d", "synopsis": "s", "show": "Show", "episode_id": "E7", "network": "net",
    "keywords": "one, two", "episode_sort": "7", "season_number": "2", "media_type": "10", "hd_video": "1",
    "compilation": "yes", "disc": "1/2", "track": "3/4", "location": "+48.1+011.5/", "rating": "5",
    "creation_time": "2020-01-02T03:04:05.000000Z", "year": "1999", "publisher": "P", "mood": "calm",
    "performer": "Who", "sort_name": "film, a", "tmpo": "120", "isrc": "x", "encoded_by": "me",
}  # fmt: skip


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory, clips: ClipShelf) -> Path:
    path = tmp_path_factory.mktemp("tagged") / "tagged.mkv"
    words = [word for key, value in TAGS.items() for word in ("-metadata", f"{key}={value}")]
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mp4"), "-map", "0", "-c", "copy", "-t", "0.4", *words,
        "-metadata:s:a:0", "comment=of the sound", "-metadata:s:v:0", "mood=of the picture",
        "-metadata:s:v:0", "creation_time=2020-01-02T03:04:05.000000Z", path,
    )  # fmt: skip
    return path


def arrived(path: Path) -> dict[str, str]:
    return {key.lower(): value for key, value in reference.global_metadata(path).items()}


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_every_tag_of_the_file_arrives_or_is_named(tagged: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    encoder = "libvpx-vp9" if suffix == "webm" else "libx264"
    notes = remake(
        tagged, output, encoder=encoder, options={"cpu-used": "8"} if suffix == "webm" else None
    ).notes
    named = {key.strip().lower() for note in notes if note.startswith("tags left out") for key in
             note.split(": ", 1)[1].split(",")}  # fmt: skip
    renamed = {
        words[1]: words[2] for note in notes if (words := re.match(r"tag (\w+) is written as (\w+)", note))
    }
    there = arrived(output)
    for key, value in TAGS.items():
        if key == "creation_time":
            continue  # ffmpeg shows it as a tag of streams; see below
        kept = there.get(renamed.get(key.upper(), renamed.get(key, key)).lower())
        if key == "location" and kept:
            kept = kept.replace("+48.1000", "+48.1").replace("+011.5000", "+011.5")
        assert (kept == value) != (key in named), (key, kept, named)
    if suffix in ("mp4", "mov"):
        assert there["date"] == "1999"
        assert "creation_time   : 2020-01-02T03:04:05" in reference.side_data(output)
    else:
        assert not named


def test_tags_of_streams_arrive_or_are_named(tagged: Path, tmp_path: Path) -> None:
    notes = remake(tagged, tmp_path / "out.mp4", encoder="libx264").notes
    assert [note for note in notes if note.startswith("tags of")] == [
        "tags of audio 1 left out, MP4 cannot hold them: COMMENT",
        "tags of the video left out, MP4 cannot hold them: MOOD",
    ]
    assert not [n for n in remake(tagged, tmp_path / "out.mkv").notes if n.startswith("tags")]
    streams = reference.streams(tmp_path / "out.mkv")
    assert streams[0].metadata["MOOD"] == "of the picture"
    assert streams[1].metadata["COMMENT"] == "of the sound"


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_verification_expects_what_the_container_holds(tagged: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    copy(tagged, output)
    report = verify(tagged, output)
    assert report.ok, report.failures


def test_a_tag_that_would_be_lost_is_an_error_with_strict(tagged: Path, tmp_path: Path) -> None:
    with pytest.raises(StreamRefusedError, match="cannot hold"):
        remake(tagged, tmp_path / "out.mp4", encoder="libx264", strict=True)
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_the_source_tells_of_itself_is_no_tag(clips: ClipShelf, tmp_path: Path) -> None:
    """Matroska's muxer writes no DURATION but its own; NUT keeps whatever it is given."""
    source, output = tmp_path / "in.nut", tmp_path / "out.mkv"
    words = ["-metadata", "DURATION=00:00:09", "-metadata", "mood=calm"]
    reference.ffmpeg("-v", "error", "-i", clips("vfr.mkv"), "-c", "copy", *words, source)
    copy(source, output)
    assert verify(source, output).ok
    assert arrived(output)["mood"] == "calm"
