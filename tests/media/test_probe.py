"""What a file is, and what people are told when it is not what they thought."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import CHAPTERS, ClipShelf
from tests.media.reference import ffmpeg
from vidsr.cli.info import describe
from vidsr.errors import (
    DamagedSourceError,
    NotAVideoError,
    NoVideoStreamError,
    SourceError,
    SourceMissingError,
)
from vidsr.frames import ChromaLocation, Color, Matrix, Range
from vidsr.media.matroska.counting import count_blocks
from vidsr.media.matroska.ebml import read_head
from vidsr.media.matroska.ids import CLUSTER_TIME
from vidsr.media.read.probe import probe


def test_a_file_with_everything_is_described(clips: ClipShelf) -> None:
    info = probe(clips("everything.mkv"))
    assert (info.width, info.height, info.codec, info.pixel_format) == (96, 64, "h264", "yuv420p")
    assert (info.average_rate, info.time_base) == (Fraction(25), Fraction(1, 1000))
    assert (info.frame_count_estimate, info.frame_count_origin) == (50, "counted")
    assert (info.duration, info.start_pts, info.start_time) == (Fraction(2), 0, Fraction(0))
    summary = [(s.type, s.codec, s.language, s.title) for s in info.streams]
    assert summary == [
        ("video", "h264", None, "The picture"),
        ("audio", "flac", "jpn", "Stereo"),
        ("audio", "pcm_s16le", "eng", "Commentary"),
        ("audio", "opus", "fra", None),
        ("subtitle", "subrip", "eng", None),
        ("subtitle", "ass", "deu", None),
        ("attachment", "font/ttf", None, None),
        ("video", "png", None, None),
    ]
    assert info.streams[2].dispositions == ("comment",)
    assert info.streams[4].dispositions == ("default", "forced")
    assert info.streams[7].is_picture
    assert (info.streams[1].sample_rate, info.streams[1].channels) == (48000, 1)
    assert [(c.start, c.end, c.title) for c in info.chapters] == [
        (0, Fraction(4, 5), "Opening"),
        (Fraction(4, 5), 2, "Part two"),
    ]
    assert [s.index for s in info.attachments] == [6]


def test_description_is_json(clips: ClipShelf) -> None:
    for name in ("everything.mkv", "hdr10.mkv", "rotated.mp4"):
        plain = json.loads(json.dumps(probe(clips(name)).to_json()))
        assert plain["width"] == 96
        assert plain["streams"][0]["type"] == "video"
    assert plain["rotation"] == 90
    assert (
        json.loads(json.dumps(probe(clips("everything.mkv")).to_json()))["metadata"]["title"]
        == "A small film"
    )


def test_frames_of_a_variable_rate_are_counted_in_matroska(clips: ClipShelf) -> None:
    info = probe(clips("vfr.mkv"))
    truth = len(reference.packets(info.path)[0])
    assert (info.frame_count_estimate, info.frame_count_origin, info.is_frame_count_exact) == (
        truth,
        "counted",
        True,
    )
    assert any(line.startswith(f"  Frames      {truth}, ") for line in describe(info))


def test_of_a_long_film_some_clusters_tell_how_many_frames_it_has(tmp_path: Path) -> None:
    """30 a second for a third of the time, then 2 a second; the rate in the header would give 900."""
    path, tagged, live = (tmp_path / f"{name}.mkv" for name in ("film", "tagged", "live"))
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30:duration=30", "-f", "lavfi", "-i",
        "sine=duration=30", "-vf", "select='lt(t,10)+not(mod(n,15))'", "-fps_mode", "passthrough",
        "-c:v", "libx264", "-preset", "ultrafast", "-cluster_time_limit", "100", path,
    )  # fmt: skip
    info = probe(path)
    truth = len(reference.packets(path)[0])
    assert truth == 340
    assert info.frame_count_origin == "sampled"
    assert info.frame_count_estimate == pytest.approx(truth, rel=0.06)
    assert info.frames_a_second is not None
    assert float(info.frames_a_second) == pytest.approx(340 / 30, rel=0.06)
    assert any(line.startswith("  Frames      about 3") for line in describe(info))
    ffmpeg("-v", "error", "-i", path, "-map", "0", "-c", "copy", "-metadata:s:v:0",
           f"NUMBER_OF_FRAMES={truth}", tagged)  # fmt: skip
    assert (probe(tagged).frame_count_estimate, probe(tagged).frame_count_origin) == (truth, "header")
    ffmpeg("-v", "error", "-i", path, "-map", "0", "-c", "copy", "-live", "1", live)
    assert probe(live).frame_count_origin != "sampled"  # its clusters do not say where they end


@pytest.mark.parametrize("b_frames", [0, 3])
def test_clusters_shorter_than_a_picture_tell_the_number_too(tmp_path: Path, b_frames: int) -> None:
    """As where pictures are so large that each ends one: then every other one holds sound alone."""
    path = tmp_path / "film.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=60", "-f", "lavfi", "-i",
        "sine=duration=60:sample_rate=48000", "-c:v", "libx264", "-preset", "veryfast", "-bf", str(b_frames),
        "-c:a", "aac", "-cluster_time_limit", "40", path,
    )  # fmt: skip
    info = probe(path)
    assert (info.frame_count_estimate, info.frame_count_origin) == (1500, "duration x rate")


def test_a_torn_time_of_one_cluster_makes_no_million_frames(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=100:duration=60",
           "-c:v", "libx264", "-cluster_time_limit", "100", "-output_ts_offset", "100", path)  # fmt: skip
    cluster = path.read_bytes().rfind(b"\x1f\x43\xb6\x75")
    with path.open("r+b") as file:
        time = read_head(file, cluster)
        assert time is not None
        place: int | None = time.start
        while time.id != CLUSTER_TIME:
            assert place is not None
            time = read_head(file, place)
            assert time is not None
            place = time.end
        assert place is not None
        file.seek(time.start)
        file.write(b"\xff" * (place - time.start))
    counted = count_blocks(path, 1)
    assert counted is not None
    assert counted.blocks == pytest.approx(6000, rel=0.05)


def test_from_a_slow_disk_nothing_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=32x32:rate=10:duration=3", path)
    counted = count_blocks(path, 1)
    assert counted is not None
    assert counted.blocks == 30
    assert count_blocks(path, 1, most_seconds=0) is None


def test_a_constant_rate_gives_the_number_of_a_long_film(tmp_path: Path) -> None:
    """Some clusters would say it less well."""
    path = tmp_path / "film.mkv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=24000/1001:duration=30", "-c:v",
           "libx264", "-preset", "ultrafast", "-cluster_time_limit", "100", path)  # fmt: skip
    info = probe(path)
    assert (info.frame_count_estimate, info.frame_count_origin) == (
        len(reference.packets(path)[0]),
        "duration x rate",
    )


def test_header_counts_frames_in_mp4(clips: ClipShelf) -> None:
    info = probe(clips("vfr.mp4"))
    assert (info.frame_count_estimate, info.frame_count_origin) == (33, "header")


@pytest.mark.parametrize(
    ("name", "color"),
    [
        ("b_frames.mp4", Color(chroma_location=ChromaLocation.LEFT)),
        ("full_range.mov", Color(Matrix.BT470BG, Range.FULL, chroma_location=ChromaLocation.CENTER)),
        ("hdr10.mp4", Color(Matrix.BT2020_NCL, Range.LIMITED, 9, 16, ChromaLocation.TOPLEFT)),
        ("hdr10.mkv", Color(Matrix.BT2020_NCL, Range.LIMITED, 9, 16, ChromaLocation.TOPLEFT)),
        ("rgb24.nut", Color(Matrix.RGB)),
    ],
)
def test_colour_is_reported_as_tagged(clips: ClipShelf, name: str, color: Color) -> None:
    assert probe(clips(name)).color == color


def test_hdr_metadata_is_read_in_full(clips: ClipShelf) -> None:
    """The numbers that the clip was encoded with, in units of 0.00002 and 0.0001 cd/m2."""
    hdr = probe(clips("hdr10.mp4")).hdr
    assert hdr is not None
    assert hdr.green == (Fraction(13250, 50000), Fraction(34500, 50000))
    assert hdr.white == (Fraction(15635, 50000), Fraction(16450, 50000))
    assert (hdr.min_luminance, hdr.max_luminance) == (Fraction(50, 10000), Fraction(1000))
    assert (hdr.max_cll, hdr.max_fall) == (1000, 400)


def test_interlaced_material_is_noticed(clips: ClipShelf) -> None:
    info = probe(clips("interlaced.mpg"))
    assert (info.field_order, info.interlaced_frames) == ("tt", True)
    assert not probe(clips("b_frames.mp4")).interlaced_frames


def damaged(clips: ClipShelf, folder: Path, name: str, keep: float) -> Path:
    data = clips(name).read_bytes()
    path = folder / name
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_missing_file(tmp_path: Path) -> None:
    check(tmp_path / "no.mp4", SourceMissingError, "no such file")


def test_folder(tmp_path: Path) -> None:
    check(tmp_path, NotAVideoError, "is a folder, not a video")


def test_file_without_permission(tmp_path: Path, clips: ClipShelf) -> None:
    path = write(tmp_path / "secret.mp4", clips("b_frames.mp4").read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    check(path, SourceMissingError, "no permission to read it")


def test_file_names_that_look_like_protocols(clips: ClipShelf, tmp_path: Path) -> None:
    for name in ("pipe:0", "concat:a|b.mp4", "http:x.mp4", "file:x.mp4", "100%d.mp4", "ü ñ.mp4", "-x.mp4"):
        path = write(tmp_path / name, clips("b_frames.mp4").read_bytes())
        assert probe(path).width == 96


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", NotAVideoError, "is empty"),
        (b"\x00" * 5000, NotAVideoError, "is not a video that can be read"),
        (
            bytes((i * 7919 >> 3) & 255 for i in range(5000)),
            NotAVideoError,
            "is not a video that can be read",
        ),
        (b"Dear diary,\ntoday I was not a video.\n" * 40, NotAVideoError, "is a text file"),
        ("Grüße, keine Filme.\n".encode() * 40, NotAVideoError, "is a text file"),
        (CHAPTERS.encode(), NotAVideoError, "is a text file"),
    ],
    ids=["empty", "zeros", "noise", "text", "utf-8 text", "ffmetadata"],
)
def test_no_video_at_all(tmp_path: Path, content: bytes, error: type[SourceError], words: str) -> None:
    check(write(tmp_path / "video.mp4", content), error, words)


@pytest.mark.parametrize(
    "content",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{other}'\n",
        '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>\n',
        "[playlist]\nFile1={other}\n",
    ],
    ids=["hls", "ffconcat", "dash", "pls"],
)
@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "txt"])
def test_playlists_do_not_reach_other_files(
    clips: ClipShelf, tmp_path: Path, content: str, suffix: str
) -> None:
    path = tmp_path / f"list.{suffix}"
    path.write_text(content.format(other=clips("b_frames.mp4")))
    check(path, NotAVideoError, "is a playlist")


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_picture(clips: ClipShelf, name: str, tmp_path: Path) -> None:
    check(clips(name), NoVideoStreamError, "picture, not a video")
    check(
        write(tmp_path / "renamed.mp4", clips(name).read_bytes()), NoVideoStreamError, "picture, not a video"
    )


def test_sound_only(clips: ClipShelf) -> None:
    check(clips("sound_only.m4a"), NoVideoStreamError, "holds only sound")
    check(clips("sound_with_cover.m4a"), NoVideoStreamError, "holds only sound")


def test_mp4_without_its_index(clips: ClipShelf, tmp_path: Path) -> None:
    check(damaged(clips, tmp_path, "b_frames.mp4", 0.6), NotAVideoError, "has no index (moov atom)")


def test_only_a_header_is_left(clips: ClipShelf, tmp_path: Path) -> None:
    path = tmp_path / "header.mkv"
    data = clips("b_frames.mkv").read_bytes()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75")])  # up to the first cluster
    check(path, DamagedSourceError, "is a Matroska file too damaged to be opened")


def check(path: Path, error: type[SourceError], words: str) -> None:
    """The error is of that kind, in one line that names the file."""
    with pytest.raises(SourceError) as caught:
        probe(path)
    assert type(caught.value) is error
    assert words in caught.value.message
    assert path.name in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("source", "pixel_format", "rate", "frames"),
    [
        ("testsrc2=size=720x480:rate=30000/1001:duration=0.2", "yuv411p", Fraction(30000, 1001), 6),
        ("testsrc2=size=720x576:rate=25:duration=0.2", "yuv420p", Fraction(25), 5),
    ],
    ids=["NTSC", "PAL"],
)
def test_raw_dv_of_a_camcorder_has_the_rate_of_its_pictures(
    tmp_path: Path, source: str, pixel_format: str, rate: Fraction, frames: int
) -> None:
    path = tmp_path / "tape.dv"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", pixel_format, "-c:v", "dvvideo", path)
    info = probe(path)
    assert (info.average_rate, info.frame_count_estimate) == (rate, frames)


def test_a_rate_that_no_film_has_is_a_damaged_header(clips: ClipShelf, tmp_path: Path) -> None:
    data = bytearray(clips("mpeg4.avi").read_bytes())
    header = data.index(b"vids") + 20  # AVISTREAMHEADER: dwScale, dwRate
    data[header : header + 8] = (1).to_bytes(4, "little") + (16_777_241).to_bytes(4, "little")
    torn = tmp_path / "torn.avi"
    torn.write_bytes(data)
    with pytest.raises(DamagedSourceError, match="says that it has 16777241 frames a second"):
        probe(torn)
