"""Sound, subtitles, fonts, covers, chapters and tags: kept, converted, or named in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import BT601, BT709, remake
from tests.reference_ffmpeg import ffmpeg
from vidsr.errors import StreamRefusedError, UsageError
from vidsr.frames import PixelFormat
from vidsr.job import EncoderRequest
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import settings_for
from vidsr.media.read.probe import probe
from vidsr.media.verify import verify
from vidsr.media.verify.contents import essential
from vidsr.media.write.writer import Writer

MS = Fraction(1, 1000)


def test_matroska_keeps_everything_of_matroska(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mkv"
    remade = remake(source, output)
    assert remade.notes == []
    before, after = reference.streams(source), reference.streams(output)
    assert [s.kind for s in after] == [s.kind for s in before]
    for old, new in zip(before[1:], after[1:], strict=True):
        assert new.language == old.language
        assert new.dispositions == old.dispositions
        assert new.metadata == old.metadata
    assert after[0].metadata["title"] == "The picture"
    packets_before, packets_after = reference.packets(source), reference.packets(output)
    for stream in range(1, 6):
        assert packets_after[stream] == packets_before[stream]
    assert reference.chapters(output) == reference.chapters(source)
    tags = reference.global_metadata(output)
    assert tags["title"] == "A small film"
    assert tags["ARTIST"] == "Nobody"


def test_fonts_and_cover_are_the_same_bytes(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mkv"
    remake(source, output)
    assert reference.attachments(output, tmp_path) == {"Sample.ttf": bytes(range(256)) * 20}
    cover = reference.streams(output)[7]
    assert "png" in cover.description
    assert "attached pic" in cover.dispositions
    assert reference.packets(output)[7][0].md5 == reference.packets(source)[7][0].md5


def test_attachment_of_an_unknown_kind_is_kept(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(clips("fonts_only.mkv"), output)
    assert reference.attachments(output, tmp_path) == {"odd.bin": b"not really a font" * 9}


def test_mp4_says_what_it_cannot_hold(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mp4"
    remade = remake(source, output, encoder="libx264")
    assert remade.notes == [
        "audio 2 (pcm_s16le) is converted to AAC: MP4 cannot hold it",
        "subtitle 4 (subrip) is converted to mov_text: MP4 cannot hold it",
        "subtitle 5 (ass) is converted to mov_text: MP4 cannot hold it; positions and fonts are lost",
        "attachment Sample.ttf is left out: MP4 cannot hold it",
    ]
    kinds = [(s.kind, s.language) for s in reference.streams(output) if s.kind != "data"]
    assert kinds == [
        ("video", "und"), ("audio", "jpn"), ("audio", "eng"), ("audio", "fra"),
        ("subtitle", "eng"), ("subtitle", "deu"), ("video", ""),
    ]  # fmt: skip
    before, after = reference.packets(source), reference.packets(output)
    for stream in (1, 3):
        assert [row.md5 for row in after[stream]] == [row.md5 for row in before[stream]]
    assert after[7][0].md5 == before[7][0].md5
    assert reference.chapters(output) == reference.chapters(source)
    assert reference.global_metadata(output)["title"] == "A small film"


def test_text_subtitles_say_the_same_in_mp4(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mp4"
    remake(source, output, encoder="libx264")
    assert reference.subtitle_text(output, 0) == [
        (200 * MS, 900 * MS, "First line"),
        (1100 * MS, 1700 * MS, "Second, with ümlaut"),
    ]
    assert reference.subtitle_text(output, 1) == reference.subtitle_text(source, 1)


def test_converted_sound_is_the_same_tone_at_the_same_time(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mp4"
    remake(source, output, encoder="libx264")
    old, new = reference.sound_samples(source, 1), reference.sound_samples(output, 1)
    assert abs(len(new) - len(old)) <= 1024
    count = min(len(old), len(new)) - 2048
    noise = new[1024:count] - old[1024:count]
    assert float((noise**2).mean()) < 1e-3 * float((old**2).mean())


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_mp4_extras_are_kept(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    source, output = clips("extras.mp4"), tmp_path / f"out.{suffix}"
    remade = remake(source, output, encoder="libx264")
    changed = ["subtitle 2 (mov_text) is converted to subrip: Matroska cannot hold it"]
    assert remade.notes == (changed if suffix == "mkv" else [])
    assert reference.subtitle_text(output, 0) == reference.subtitle_text(source, 0)
    assert reference.chapters(output) == reference.chapters(source)
    assert reference.global_metadata(output)["title"] == "A small film"
    pictures = [s for s in reference.streams(output) if "attached pic" in s.dispositions]
    assert len(pictures) == 1
    before, after = reference.packets(source), reference.packets(output)
    assert after[pictures[0].index][0].md5 == before[4][0].md5
    languages = {s.kind: s.language for s in reference.streams(output) if s.kind in ("audio", "subtitle")}
    assert languages == {"audio": "jpn", "subtitle": "eng"}


def test_quicktime_keeps_pcm_and_titles(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mov"
    remade = remake(source, output, encoder="libx264")
    assert "audio 2 (pcm_s16le)" not in " ".join(remade.notes)
    assert [row.md5 for row in reference.packets(output)[2]] == [
        row.md5 for row in reference.packets(source)[2]
    ]
    assert [s.title for s in probe(output).streams[:3]] == ["The picture", "Stereo", "Commentary"]
    assert [s.language for s in probe(output).streams[4:6]] == ["eng", "ger"]


def test_webm_gets_opus_and_webvtt(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.webm"
    remade = remake(source, output, encoder="libvpx-vp9", options={"cpu-used": "8"})
    assert remade.notes == [
        "audio 1 (flac) is converted to Opus: WebM cannot hold it",
        "audio 2 (pcm_s16le) is converted to Opus: WebM cannot hold it",
        "subtitle 4 (subrip) is converted to webvtt: WebM cannot hold it",
        "subtitle 5 (ass) is converted to webvtt: WebM cannot hold it; positions and fonts are lost",
        "attachment Sample.ttf is left out: WebM cannot hold it",
        "cover picture 7 (png) is left out: WebM cannot hold it",
        "marks of audio 2 left out, WebM cannot hold them: comment",
    ]
    assert reference.subtitle_text(output, 0) == reference.subtitle_text(source, 0)
    assert [row.md5 for row in reference.packets(output)[3]] == [
        row.md5 for row in reference.packets(source)[3]
    ]


def test_strict_refuses_what_would_be_left_out_before_any_work(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(StreamRefusedError, match=r"attachment Sample\.ttf is left out"):
        remake(clips("everything.mkv"), output, encoder="libx264", strict=True)
    assert list(tmp_path.iterdir()) == []


def test_strict_refuses_what_would_be_converted(clips: ClipShelf, tmp_path: Path) -> None:
    """One SubRip track alone, which MP4 has in a form of its own."""
    with pytest.raises(StreamRefusedError, match=r"subtitle 4 \(subrip\) is converted to mov_text"):
        remake(
            clips("everything.mkv"),
            tmp_path / "out.mp4",
            encoder="libx264",
            strict=True,
            audio="none",
            subtitles="first",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("audio", "subtitles", "expected"),
    [
        ("all", "all", [1, 2, 3, 4, 5]),
        ("none", "all", [4, 5]),
        ("first", "none", [1]),
        ("fra", "first", [3, 4]),
        ("jpn", "deu", [1, 5]),
        ("JPN", "Deu", [1, 5]),
        ("fra,jpn", "eng, deu", [1, 3, 4, 5]),
    ],
)
def test_streams_can_be_chosen(
    clips: ClipShelf, tmp_path: Path, audio: str, subtitles: str, expected: list[int]
) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mkv"
    remake(source, output, audio=audio, subtitles=subtitles)
    before, after = reference.packets(source), reference.packets(output)
    kept = [s.index for s in reference.streams(output) if s.kind in ("audio", "subtitle")]
    assert [after[index] for index in kept] == [before[index] for index in expected]


def test_language_that_is_not_there_is_an_error(clips: ClipShelf, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no audio stream has the language 'ita'") as caught:
        remake(clips("everything.mkv"), tmp_path / "out.mkv", audio="ita")
    assert caught.value.hint == "everything.mkv has: eng, fra, jpn"
    for several, missing in (("jpn,ita", "ita"), ("jpn,", "")):
        with pytest.raises(UsageError, match=f"no audio stream has the language '{missing}'"):
            remake(clips("everything.mkv"), tmp_path / "out.mkv", audio=several)


def test_order_of_the_streams_is_kept(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("sound_first.mkv"), tmp_path / "out.mkv"
    remake(source, output)
    assert [s.kind for s in reference.streams(source)] == ["audio", "video"]
    assert [s.kind for s in reference.streams(output)] == ["audio", "video"]


def test_second_video_is_copied_and_said_so(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("two_videos.mkv"), tmp_path / "out.mkv"
    remade = remake(source, output)
    assert remade.notes == ["video 1 (h264) is copied as it is, not upscaled"]
    assert reference.packets(output)[1] == reference.packets(source)[1]


def test_tags_that_mp4_cannot_hold_are_named(clips: ClipShelf, tmp_path: Path) -> None:
    remade = remake(clips("odd_tags.mkv"), tmp_path / "out.mp4", encoder="libx264")
    assert remade.notes == ["tags left out, MP4 cannot hold them: CATALOG_NUMBER, MOOD"]
    assert reference.global_metadata(tmp_path / "out.mp4")["title"] == "Tagged"


def test_statistics_of_the_old_coding_are_not_kept(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(clips("statistics.mkv"), output)
    for stream in reference.streams(output):
        assert not {key for key in stream.metadata if key.startswith(("BPS", "NUMBER_OF", "_STATISTICS"))}


def test_transparency_is_named(clips: ClipShelf, tmp_path: Path) -> None:
    remade = remake(clips("yuva420p.mkv"), tmp_path / "out.mkv")
    assert remade.notes == ["transparency (yuva420p) is left out"]


def test_transparency_beside_the_picture_is_named_and_its_tag_goes_with_it(tmp_path: Path) -> None:
    """VP9's is a second picture that decoders pass over; browsers look for it where the tag says so."""
    source, output = tmp_path / "alpha.webm", tmp_path / "out.webm"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=0.3", "-vf", "format=yuva420p",
        "-c:v", "libvpx-vp9", "-auto-alt-ref", "0", "-deadline", "realtime", source,
    )  # fmt: skip
    assert any(key.lower() == "alpha_mode" for key in reference.streams(source)[0].metadata)
    remade = remake(source, output, encoder="libvpx-vp9")
    assert remade.notes == ["transparency (coded beside the picture) is left out"]
    assert not any(key.lower() == "alpha_mode" for key in reference.streams(output)[0].metadata)
    assert remake(source, tmp_path / "out.mp4", encoder="libx264").notes == remade.notes


def test_what_hangs_on_frames_and_cannot_be_kept_is_named(clips: ClipShelf, tmp_path: Path) -> None:
    info = replace(probe(clips("b_frames.mp4")), embedded_extras=("closed captions", "HDR10+ metadata"))
    settings = settings_for(EncoderRequest("libx264"), source=PixelFormat.parse("yuv420p"))
    with Writer(tmp_path / "out.mkv", info, settings, width=96, height=64, color=BT709) as writer:
        assert writer.notes == [
            "closed captions inside the video are left out",
            "HDR10+ metadata inside the video are left out",
        ]
    with pytest.raises(StreamRefusedError, match="closed captions inside the video"):
        Writer(tmp_path / "out.mkv", info, settings, width=96, height=64, color=BT709, strict=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_time_code_is_kept_and_its_track_is_no_stream_of_its_own(
    clips: ClipShelf, tmp_path: Path, suffix: str
) -> None:
    source, output = clips("time_code.mp4"), tmp_path / f"out.{suffix}"
    assert remake(source, output, encoder="libx264", color=BT601, strict=True).notes == []
    description = reference.side_data(output)
    assert "01:00:00:00" in description
    assert ("tmcd" in description) == (suffix != "mkv")
    assert verify(source, output).failures == ()


def test_a_chapter_that_lasts_no_time_is_kept(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("short_chapter.mkv"), tmp_path / "out.mkv"
    remake(source, output, color=BT601)
    assert reference.chapters(output) == reference.chapters(source)
    assert [chapter.title for chapter in reference.chapters(output)] == ["Opening", "Part two", "The end"]
    assert verify(source, output).failures == ()


@pytest.mark.parametrize(
    ("suffix", "named"),
    [
        ("mkv", []),
        ("mp4", ["marks of audio 1 left out, MP4 cannot hold them: original"]),
        (
            "mov",
            [
                "marks of audio 1 left out, QuickTime cannot hold them: original",
                "marks of audio 2 left out, QuickTime cannot hold them: comment, forced",
            ],
        ),
    ],
)
def test_what_a_stream_is_for_is_kept_or_named(
    clips: ClipShelf, tmp_path: Path, suffix: str, named: list[str]
) -> None:
    source, output = clips("marks.mkv"), tmp_path / f"out.{suffix}"
    assert remake(source, output, encoder="libx264", color=BT601).notes == named
    kept = [
        stream.dispositions & {"original", "comment", "forced"} for stream in reference.streams(output)[1:]
    ]
    lost = {word for note in named for word in note.rpartition(": ")[2].split(", ")}
    assert kept == [{"original"} - lost, {"comment", "forced"} - lost]
    assert verify(source, output).failures == ()
    if named:
        with pytest.raises(StreamRefusedError, match="original"):
            remake(source, tmp_path / f"strict.{suffix}", encoder="libx264", strict=True)


def test_sound_of_dvds_is_converted_for_quicktime_and_plain_samples_are_copied() -> None:
    quicktime = OutputFormat.named("mov")
    assert quicktime.holds_audio("pcm_s16le")
    assert quicktime.holds_audio("pcm_s24be")
    assert not quicktime.holds_audio("pcm_dvd")
    assert not quicktime.holds_audio("pcm_bluray")


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
@pytest.mark.parametrize(
    "coding", [("libx264", "-preset", "veryfast"), ("libx265", "-x265-params", "log-level=none")]
)
def test_second_pictures_of_a_transport_stream_are_copied_and_verified(
    tmp_path: Path, coding: tuple[str, ...], suffix: str
) -> None:
    """Their units stand behind start codes there, and behind lengths in Matroska and MP4: other packets."""
    source, output = tmp_path / "in.ts", tmp_path / f"out.{suffix}"
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.4", "-f", "lavfi", "-i",
        "testsrc2=size=64x48:rate=25:duration=0.4", "-map", "0", "-map", "1",
        "-c:v", *coding, source,
    )  # fmt: skip
    assert probe(source).video_index == 0
    remade = remake(source, output, encoder="libx264", color=BT601)
    codec = "hevc" if "x265" in coding[0] else "h264"
    assert remade.notes == [f"video 1 ({codec}) is copied as it is, not upscaled"]
    before, after = (
        reference.ffmpeg("-v", "error", "-i", path, "-map", "0:v:1", "-f", "framehash", "-hash", "md5", "-")[
            0
        ]
        for path in (source, output)
    )
    hashes = [
        [line.split()[-1] for line in text.splitlines() if b"#" not in line] for text in (before, after)
    ]
    assert len(hashes[0]) == 10
    assert hashes[0] == hashes[1]
    assert verify(source, output, color=BT601).failures == ()


def test_units_of_a_picture_are_the_same_behind_start_codes_and_lengths() -> None:
    """One has 256 to 511 bytes: its length looks like a start code."""
    units = [b"\x09\xf0", bytes([0x65]) + b"\xaa" * 299, b"\x41\x9a"]
    behind_codes = b"\0" + b"".join(b"\0\0\1" + unit for unit in units) + b"\0"
    behind_lengths = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units[1:])
    assert behind_lengths[:3] == b"\0\0\1"
    assert bytes(essential(memoryview(behind_codes), "h264")) == b"".join(units)
    assert bytes(essential(memoryview(behind_lengths), "h264")) == b"".join(units[1:])


def test_sound_that_begins_behind_what_ffmpeg_looks_at_is_kept(tmp_path: Path) -> None:
    """8 s and more than 5 MB of pictures alone, then pictures with sound, as titles of discs begin."""
    parts = [tmp_path / "silent.vob", tmp_path / "sounding.vob"]
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=8,noise=alls=100:allf=t",
        "-c:v", "mpeg2video", "-b:v", "9M", "-minrate", "9M", "-maxrate", "9M", "-bufsize", "2M",
        "-qmin", "1", "-g", "1", parts[0],
    )  # fmt: skip
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.8", "-f", "lavfi", "-i",
        "sine=duration=0.8", "-c:v", "mpeg2video", "-c:a", "ac3", "-output_ts_offset", "9", parts[1],
    )  # fmt: skip
    source, output = tmp_path / "in.vob", tmp_path / "out.mkv"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert parts[0].stat().st_size > 6_000_000
    assert remake(source, output, encoder="libx264", color=BT601).notes == []
    sounds = reference.packets(parts[1])[1]
    assert [row.md5 for row in reference.packets(output)[1]] == [row.md5 for row in sounds]
    assert verify(source, output, color=BT601).failures == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_comes_out_of_a_pipe_is_opened_once(tmp_path: Path) -> None:
    """Its sound, which is announced and never comes, is not looked for by opening it again."""
    silent, pipe = tmp_path / "silent.ts", tmp_path / "pipe.ts"
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=2", "-f", "lavfi", "-i",
        "sine=duration=2", "-c:v", "mpeg2video", "-c:a", "mp2", "-streamid", "1:300", silent,
    )  # fmt: skip
    data = silent.read_bytes()
    packets = [data[place : place + 188] for place in range(0, len(data), 188)]
    silent.write_bytes(b"".join(p for p in packets if int.from_bytes(p[1:3], "big") & 0x1FFF != 300))
    os.mkfifo(pipe)
    feeding = ["sh", "-c", 'exec cat "$0" > "$1"', str(silent), str(pipe)]
    with subprocess.Popen(feeding, stderr=subprocess.DEVNULL) as feeder:
        try:
            asking = [sys.executable, "-m", "vidsr", "info", str(pipe)]
            said = subprocess.run(asking, capture_output=True, text=True, timeout=60, check=False)
        finally:
            feeder.kill()
    assert said.returncode == 0, said.stderr
    assert "96x64" in said.stdout


def test_a_second_program_that_begins_on_the_way_is_copied(tmp_path: Path) -> None:
    """Two recordings of other stations, joined: by itself FFmpeg knows nothing of the second's streams."""
    parts = [tmp_path / f"{number}.ts" for number in range(2)]
    for number, part in enumerate(parts):
        size = f"{96 - 32 * number}x{64 - 16 * number}"
        reference.ffmpeg(
            "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.8",
            "-f", "lavfi", "-i", "sine=duration=0.8", "-c:v", "libx264", "-c:a", "mp2",
            "-streamid", f"0:{256 + 44 * number}", "-streamid", f"1:{257 + 44 * number}",
            "-mpegts_service_id", str(1 + number), part,
        )  # fmt: skip
    source, output = tmp_path / "in.ts", tmp_path / "out.mkv"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    remade = remake(source, output, encoder="libx264", color=BT601)
    assert remade.notes == ["video 2 (h264) is copied as it is, not upscaled"]
    assert [len(rows) for rows in reference.packets(output).values()][:1] == [20]
    sounds = reference.packets(parts[1])[1]
    assert [row.md5 for row in reference.packets(output)[3]] == [row.md5 for row in sounds]
    assert verify(source, output, color=BT601).failures == ()
