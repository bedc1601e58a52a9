"""Small clips that show one thing each, made by the ffmpeg of imageio-ffmpeg, once per test session."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from tests.media.reference import ffmpeg

PICTURE = "testsrc2=size=96x64:rate=25:duration=2"
TONE = "sine=frequency=440:sample_rate=48000:duration=2"
TONE2 = "sine=frequency=880:sample_rate=44100:duration=2"
SRT = """1
00:00:00,200 --> 00:00:00,900
First line

2
00:00:01,100 --> 00:00:01,700
Second, with ümlaut

"""
ASS = """[Script Info]
ScriptType: v4.00+
PlayResX: 96
PlayResY: 64

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment
Style: Default,Sample,12,&H00FFFFFF,0,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.30,0:00:01.00,Default,,0,0,0,,{\\b1}Bold{\\b0} words
Dialogue: 0,0:00:01.20,0:00:01.80,Default,,0,0,0,,Last words
"""
CHAPTERS = """;FFMETADATA1
title=A small film
artist=Nobody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=800
title=Opening
[CHAPTER]
TIMEBASE=1/1000
START=800
END=2000
title=Part two
"""
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", "12", "-bf", "3", "-pix_fmt", "yuv420p")
FFV1 = ("-c:v", "ffv1", "-level", "3", "-g", "1")


def _make(path: Path, *arguments: str | Path) -> None:
    ffmpeg("-v", "error", "-y", *arguments, path)


def _picture(*filters: str, source: str = PICTURE) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", ",".join((source, *filters)))


def b_frames(path: Path) -> None:
    """H.264 with B-frames, GOP 12, two sound tracks with languages, in MP4."""
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, "-f", "lavfi", "-i", TONE2,
        "-map", "0", "-map", "1", "-map", "2", *H264, "-c:a", "aac", "-b:a", "64k",
        "-metadata:s:a:0", "language=jpn", "-metadata:s:a:1", "language=eng", "-disposition:a:1", "0",
    )  # fmt: skip


def vfr(path: Path) -> None:
    """Irregular time stamps: every third frame is missing, then the pace halves."""
    _make(
        path, *_picture("select='mod(n,3)'", "setpts='if(gt(N,15),PTS*2,PTS)'"), *H264,
        "-fps_mode", "passthrough", "-enc_time_base", "1/90000",
    )  # fmt: skip


def late(path: Path) -> None:
    """All streams start at 1.4 s."""
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, *H264, "-c:a", "aac", "-output_ts_offset", "1.4",
    )  # fmt: skip


def late_video(path: Path) -> None:
    """Sound starts at 0, the picture 0.52 s later."""
    _make(
        path, "-itsoffset", "0.52", *_picture(), "-f", "lavfi", "-i", TONE, *H264, "-c:a", "ac3",
    )  # fmt: skip


def negative(path: Path) -> None:
    """MPEG-TS whose 33-bit clock wraps after 0.4 s: FFmpeg reads the time before that as negative."""
    wrap = 2**33 / 90000
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, *H264, "-c:a", "mp2",
        "-muxdelay", "0", "-muxpreload", "0", "-output_ts_offset", f"{wrap - 0.4:.6f}",
    )  # fmt: skip


def edit_list(path: Path) -> None:
    """Cut by stream copy in the middle of a GOP: an edit list hides the frames before the cut."""
    whole = path.with_name("whole-for-edit-list.mp4")
    b_frames(whole)
    _make(path, "-ss", "0.72", "-i", whole, "-map", "0", "-c", "copy")


def hidden_sound(path: Path) -> None:
    """Cut by stream copy far behind a key frame: an edit list hides a second of sound before the cut."""
    whole = path.with_name("whole-for-hidden-sound.mp4")
    _make(whole, *_picture(), "-f", "lavfi", "-i", TONE, *H264, "-g", "250", "-c:a", "aac")
    _make(path, "-ss", "1.2", "-i", whole, "-map", "0", "-c", "copy")


def everything(path: Path) -> None:
    """Matroska with sound in three codings, SubRip, ASS, a font, a cover, chapters, tags."""
    folder = path.parent
    (folder / "lines.srt").write_text(SRT, encoding="utf-8")
    (folder / "lines.ass").write_text(ASS, encoding="utf-8")
    (folder / "chapters.txt").write_text(CHAPTERS, encoding="utf-8")
    (folder / "Sample.ttf").write_bytes(bytes(range(256)) * 20)
    cover = folder / "cover.png"
    _make(cover, *_picture(source="color=red:size=32x32:duration=0.04"), "-frames:v", "1")
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, "-f", "lavfi", "-i", TONE2,
        "-i", folder / "lines.srt", "-i", folder / "lines.ass", "-i", folder / "chapters.txt",
        "-map", "0", "-map", "1", "-map", "2", "-map", "1", "-map", "3", "-map", "4",
        "-map_metadata", "5", "-map_chapters", "5", *H264,
        "-c:a:0", "flac", "-c:a:1", "pcm_s16le", "-c:a:2", "libopus", "-c:s:0", "srt", "-c:s:1", "ass",
        "-metadata:s:v:0", "title=The picture", "-metadata:s:a:0", "language=jpn",
        "-metadata:s:a:0", "title=Stereo", "-metadata:s:a:1", "language=eng",
        "-metadata:s:a:1", "title=Commentary", "-metadata:s:a:2", "language=fra",
        "-metadata:s:s:0", "language=eng", "-metadata:s:s:1", "language=deu",
        "-disposition:a:0", "default", "-disposition:a:1", "comment", "-disposition:a:2", "0",
        "-disposition:s:0", "default+forced", "-disposition:s:1", "0",
        "-attach", folder / "Sample.ttf", "-metadata:s:t:0", "mimetype=font/ttf",
        "-attach", cover, "-metadata:s:t:1", "mimetype=image/png",
    )  # fmt: skip


def mp4_extras(path: Path) -> None:
    """MP4 with mov_text, chapters (as a text track), a cover and tags."""
    folder = path.parent
    (folder / "mp4-lines.srt").write_text(SRT, encoding="utf-8")
    (folder / "mp4-chapters.txt").write_text(CHAPTERS, encoding="utf-8")
    cover = folder / "mp4-cover.png"
    _make(cover, *_picture(source="color=blue:size=32x32:duration=0.04"), "-frames:v", "1")
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, "-i", folder / "mp4-lines.srt", "-i", cover,
        "-i", folder / "mp4-chapters.txt", "-map", "0", "-map", "1", "-map", "2", "-map", "3",
        "-map_metadata", "4", "-map_chapters", "4", *H264, "-c:v:1", "copy", "-c:a", "aac",
        "-c:s", "mov_text", "-metadata:s:a:0", "language=jpn", "-metadata:s:s:0", "language=eng",
        "-disposition:v:1", "attached_pic",
    )  # fmt: skip


def fonts_only(path: Path) -> None:
    """A font without a MIME type that FFmpeg knows."""
    font = path.parent / "odd.bin"
    font.write_bytes(b"not really a font" * 9)
    _make(path, *_picture(), *H264, "-attach", font, "-metadata:s:t:0", "mimetype=application/octet-stream")


def _format_clip(pixel_format: str, *options: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        _make(
            path,
            *_picture(f"format={pixel_format}"),
            *(options or FFV1),
            "-pix_fmt",
            pixel_format,
            "-t",
            "0.4",
        )

    return make


def odd_size(path: Path) -> None:
    _make(path, *_picture(source="testsrc2=size=53x37:rate=25:duration=0.4"), *FFV1, "-pix_fmt", "yuv420p")


def anamorphic(path: Path) -> None:
    _make(path, *_picture("setsar=16/11"), *H264, "-t", "0.4")


def rotated(path: Path) -> None:
    flat = path.with_name("flat-for-rotated.mp4")
    _make(flat, *_picture(), *H264, "-t", "0.4")
    _make(path, "-display_rotation", "90", "-i", flat, "-c", "copy")


def mirrored(path: Path) -> None:
    flat = path.with_name("flat-for-mirrored.mp4")
    _make(flat, *_picture(), *H264, "-t", "0.2")
    _make(path, "-display_rotation", "90", "-display_hflip", "-i", flat, "-c", "copy")


def full_range(path: Path) -> None:
    _make(path, *_picture("format=yuvj420p"), "-c:v", "mjpeg", "-q:v", "2", "-t", "0.4")


def hdr10(path: Path) -> None:
    """10-bit PQ with mastering display and content light level in the stream."""
    master = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    _make(
        path, *_picture("format=yuv420p10le"), "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-t", "0.4",
        "-x265-params", "log-level=none:hdr10=1:repeat-headers=1:chromaloc=2:colorprim=bt2020:"
        f"transfer=smpte2084:colormatrix=bt2020nc:range=limited:master-display={master}:max-cll=1000,400",
    )  # fmt: skip


def interlaced(path: Path) -> None:
    _make(
        path, *_picture("tinterlace=interleave_top", "setfield=tff"), "-c:v", "mpeg2video", "-q:v", "4",
        "-flags", "+ildct+ilme",
    )  # fmt: skip


def size_change(path: Path) -> None:
    """MPEG-TS: 10 frames of 96x64, then 10 of 128x96."""
    parts = []
    for number, size in enumerate(("96x64", "128x96")):
        part = path.with_name(f"size-{number}.ts")
        source = f"testsrc2=size={size}:rate=25:duration=0.4"
        _make(part, *_picture(source=source), "-c:v", "libx264", "-bf", "0", "-preset", "veryfast",
              "-output_ts_offset", str(0.4 * number))  # fmt: skip
        parts.append(part)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


def mpeg4_avi(path: Path) -> None:
    """MPEG-4 part 2 with packed B-frames, as most old downloads are."""
    _make(path, *_picture(), "-c:v", "mpeg4", "-bf", "2", "-q:v", "3", "-t", "0.8")


def film_avi(path: Path) -> None:
    """B-frames at the rate of film: with the times that decoding gives, the first picture is late by one."""
    rate = "testsrc2=size=64x48:rate=24000/1001:duration=0.8"
    _make(path, *_picture(source=rate), "-c:v", "mpeg4", "-bf", "2", "-q:v", "3")


def time_code(path: Path) -> None:
    """As cameras write it: a tag of the video and a track of its own."""
    _make(path, *_picture(), *H264, "-timecode", "01:00:00:00", "-t", "0.4")


def short_chapter(path: Path) -> None:
    """The last chapter lasts no time, as on many DVDs."""
    text = path.parent / "short-chapter.txt"
    last = "[CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=2000\ntitle=The end\n"
    text.write_text(CHAPTERS + last, encoding="utf-8")
    _make(path, *_picture(), "-i", text, "-map", "0", "-map_chapters", "1", *H264)


def marks(path: Path) -> None:
    """Two tracks of sound that say what they are for."""
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, "-map", "0", "-map", "1", "-map", "1", *H264,
        "-c:a", "aac", "-disposition:a:0", "default+original", "-disposition:a:1", "comment+forced",
    )  # fmt: skip


def torn_sound(path: Path) -> None:
    """The ninth sound frame has lost its sync word: the parser cuts it up, and two packets have one time."""
    _make(path, *_picture(), "-f", "lavfi", "-i", "sine=sample_rate=44100", "-c:v", "mpeg4", "-bf", "0",
          "-c:a", "mp2", "-t", "0.6")  # fmt: skip
    data, place = bytearray(path.read_bytes()), -1
    for _ in range(9):
        place = data.index(b"01wb", place + 1)
    assert data[place + 8] == 0xFF  # the sync word of MPEG audio
    data[place + 8] = 0xFD
    path.write_bytes(data)


def h264_b_frames(path: Path) -> None:
    _make(path, *_picture(), "-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-t", "0.8")


def long_h264_b_frames(path: Path) -> None:
    _make(path, *_picture(), *H264)


def wmv(path: Path) -> None:
    """ASF gives frames no duration."""
    _make(path, *_picture(), "-c:v", "wmv2", "-t", "0.8")


def sound_gap(path: Path) -> None:
    """PCM or Opus: a tone of 1 s, nothing for 0.5 s (no packets at all), a tone of 1 s."""
    _make(
        path, *_picture(source="testsrc2=size=96x64:rate=25:duration=2.5"),
        "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2,asetnsamples=480,"
        "asetpts='PTS+if(gte(T,1),0.5/TB,0)'",
        *H264, "-c:a", "libopus" if "opus" in path.name else "pcm_s16le",
    )  # fmt: skip


def spliced_sound(path: Path) -> None:
    """Two recordings of 0.8 s, the second with a clock that begins 10 s earlier and with sound in mono."""
    parts = []
    for number in range(2):
        part = path.with_name(f"part-{number}.ts")
        _make(part, *_picture(), "-f", "lavfi", "-i", TONE, "-c:v", "libx264", "-bf", "0", "-preset",
              "veryfast", "-c:a", "mp2", "-ac", str(2 - number), "-t", "0.8", "-output_ts_offset",
              str(20 - 10 * number))  # fmt: skip
        parts.append(part)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


def spliced(path: Path) -> None:
    parts = []
    for number in range(2):
        part = path.with_name(f"part-{number}.ts")
        _make(part, *_picture(), "-c:v", "libx264", "-bf", "0", "-preset", "veryfast", "-t", "0.8",
              "-output_ts_offset", str(20 - 10 * number))  # fmt: skip
        parts.append(part)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


JOINED_FRAMES = (20, 40)
_JOINED_FORMATS = {
    ".vob": ("-c:v", "mpeg2video", "-bf", "2", "-c:a", "ac3"),
    ".mpg": ("-c:v", "mpeg1video", "-bf", "2", "-c:a", "mp2", "-f", "vcd"),
    ".ts": (
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=none:open-gop=1:keyint=12:bframes=3",
        "-c:a",
        "mp2",
    ),
    ".m2ts": ("-c:v", "libx264", "-bf", "2", "-preset", "veryfast", "-c:a", "ac3", "-mpegts_m2ts_mode", "1"),
}


def joined(path: Path) -> None:
    """Two recordings joined with `cat`, as part-0 and part-1 beside it: the second one's clock begins as the
    first one's did, so that it steps back by 0.76 s. Of B-frames, MPEG-2 says not every picture's time.
    """
    parts = [path.with_name(f"part-{number}{path.suffix}") for number in range(2)]
    for number, part in enumerate(parts):
        beside: tuple[str | Path, ...] = ("-f", "lavfi", "-i", TONE, "-map", "0", "-map", "1")
        if path.suffix == ".m2ts":
            path.with_suffix(".sup").write_bytes(_empty_subtitles(200, 500))
            beside = (*beside[:4], "-i", path.with_suffix(".sup"), *beside[4:], "-map", "2", "-c:s", "copy")
        _make(part, *_picture(), *beside, *_JOINED_FORMATS[path.suffix], "-t",
              str(JOINED_FRAMES[number] / 25))  # fmt: skip
    path.write_bytes(b"".join(part.read_bytes() for part in parts))


def _empty_subtitles(*milliseconds: int) -> bytes:
    """PGS as on Blu-ray: compositions of nothing, each at its time."""

    def segment(time: int, kind: int, body: bytes) -> bytes:
        return b"PG" + struct.pack(">IIBH", time * 90, time * 90, kind, len(body)) + body

    composition = struct.pack(">HHBHBBBB", 96, 64, 0x10, 0, 0x80, 0, 0, 0)
    return b"".join(segment(time, 0x16, composition) + segment(time, 0x80, b"") for time in milliseconds)


def open_gop(path: Path) -> None:
    """HEVC with open GOPs: pictures before a key frame in time that refer to the GOP before."""
    _make(
        path, *_picture(), "-c:v", "libx265", "-preset", "ultrafast", "-t", "1.6",
        "-x265-params", "log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3",
    )  # fmt: skip


def ntsc(path: Path) -> None:
    _make(path, *_picture(source="testsrc2=size=96x64:rate=24000/1001:duration=0.5"), *H264)


def sound_first(path: Path) -> None:
    _make(path, *_picture(), "-f", "lavfi", "-i", TONE, "-map", "1", "-map", "0", *H264, "-c:a", "flac")


def two_videos(path: Path) -> None:
    small = "testsrc=size=48x32:rate=25:duration=2"
    _make(path, *_picture(), *_picture(source=small), "-map", "0", "-map", "1", *H264)


def odd_tags(path: Path) -> None:
    _make(path, *_picture(), *H264, "-t", "0.4", "-metadata", "title=Tagged", "-metadata", "MOOD=calm",
          "-metadata", "CATALOG_NUMBER=7")  # fmt: skip


def statistics(path: Path) -> None:
    """Tags as mkvmerge writes them, that would be wrong about another coding."""
    _make(
        path, *_picture(), "-f", "lavfi", "-i", TONE, *H264, "-c:a", "flac", "-metadata:s", "BPS=12345",
        "-metadata:s", "NUMBER_OF_FRAMES-eng=50", "-metadata:s", "NUMBER_OF_BYTES=4711",
        "-metadata:s", "_STATISTICS_TAGS=BPS NUMBER_OF_FRAMES",
    )  # fmt: skip


def _vga(seconds: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        still = f"color=gray:size=640x480:rate=25:duration={seconds}"
        _make(path, *_picture(source=still), "-c:v", "libx264", "-preset", "ultrafast")

    return make


def faststart(path: Path) -> None:
    whole = path.with_name("whole-for-faststart.mp4")
    b_frames(whole)
    _make(path, "-i", whole, "-map", "0", "-c", "copy", "-movflags", "+faststart")


def fragmented(path: Path) -> None:
    whole = path.with_name("whole-for-fragments.mp4")
    b_frames(whole)
    _make(path, "-i", whole, "-map", "0", "-c", "copy", "-movflags", "+frag_keyframe+empty_moov")


def every_frame_a_key(path: Path) -> None:
    _make(path, *_picture(), "-c:v", "libx264", "-preset", "veryfast", "-g", "1", "-movflags", "+faststart")


def one_gop(path: Path) -> None:
    _make(path, *_picture(), "-c:v", "libx264", "-preset", "veryfast", "-g", "300", "-bf", "0")


def one_pixel(path: Path) -> None:
    _make(path, *_picture(source="color=red:size=1x1:rate=25:duration=0.12"), *FFV1, "-pix_fmt", "yuv444p")


def long(path: Path) -> None:
    """100 s of sound, five pictures a second, a subtitle now and then."""
    times = ((20, 25), (88, 91), (93, 94))
    lines = [
        f"{n + 1}\n00:{a // 60:02}:{a % 60:02},000 --> 00:{b // 60:02}:{b % 60:02},000\nFrom {a} to {b}\n"
        for n, (a, b) in enumerate(times)
    ]
    (path.parent / "long.srt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    subtitles = ("-c:s", "mov_text") if path.suffix == ".mp4" else ("-c:s", "srt")
    _make(
        path, *_picture(source="testsrc2=size=64x48:rate=5:duration=100"), "-f", "lavfi", "-i",
        "sine=frequency=440:sample_rate=16000:duration=100", "-i", path.parent / "long.srt", "-map", "0",
        "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac",
        "-b:a", "24k", *subtitles,
    )  # fmt: skip


def sound_only(path: Path) -> None:
    _make(path, "-f", "lavfi", "-i", TONE, "-c:a", "aac")


def sound_with_cover(path: Path) -> None:
    cover = path.with_name("album.jpg")
    picture(cover)
    _make(
        path, "-f", "lavfi", "-i", TONE, "-i", cover, "-map", "0", "-map", "1", "-c:a", "aac", "-c:v", "copy",
        "-disposition:v", "attached_pic",
    )  # fmt: skip


def picture(path: Path) -> None:
    _make(path, *_picture(), "-frames:v", "1")


CLIPS: dict[str, Callable[[Path], None]] = {
    "b_frames.mp4": b_frames,
    "b_frames.mkv": b_frames,
    "vfr.mkv": vfr,
    "vfr.mp4": vfr,
    "late.mkv": late,
    "late.ts": late,
    "late_video.mkv": late_video,
    "negative.ts": negative,
    "edit_list.mp4": edit_list,
    "hidden_sound.mp4": hidden_sound,
    "everything.mkv": everything,
    "extras.mp4": mp4_extras,
    "fonts_only.mkv": fonts_only,
    "odd_size.mkv": odd_size,
    "anamorphic.mp4": anamorphic,
    "anamorphic.mkv": anamorphic,
    "rotated.mp4": rotated,
    "mirrored.mp4": mirrored,
    "full_range.mov": full_range,
    "hdr10.mkv": hdr10,
    "hdr10.mp4": hdr10,
    "interlaced.mpg": interlaced,
    "size_change.ts": size_change,
    "mpeg4.avi": mpeg4_avi,
    "film.avi": film_avi,
    "time_code.mp4": time_code,
    "short_chapter.mkv": short_chapter,
    "marks.mkv": marks,
    "torn_sound.avi": torn_sound,
    "h264.avi": h264_b_frames,
    "long_h264.avi": long_h264_b_frames,
    "h264.flv": h264_b_frames,
    "wmv.wmv": wmv,
    "raw.h264": h264_b_frames,
    "sound_gap.mkv": sound_gap,
    "opus_gap.mkv": sound_gap,
    "spliced.ts": spliced,
    "joined.vob": joined,
    "joined.mpg": joined,
    "joined.ts": joined,
    "joined.m2ts": joined,
    "spliced_sound.ts": spliced_sound,
    "open_gop.ts": open_gop,
    "ntsc.mp4": ntsc,
    "sound_first.mkv": sound_first,
    "two_videos.mkv": two_videos,
    "odd_tags.mkv": odd_tags,
    "statistics.mkv": statistics,
    "vga_short.mkv": _vga(4),
    "vga_long.mkv": _vga(20),
    "faststart.mp4": faststart,
    "fragmented.mp4": fragmented,
    "every_frame_a_key.mp4": every_frame_a_key,
    "one_gop.ts": one_gop,
    "one_pixel.mkv": one_pixel,
    "long.mkv": long,
    "long.mp4": long,
    "sound_only.m4a": sound_only,
    "sound_with_cover.m4a": sound_with_cover,
    "picture.png": picture,
    "picture.jpg": picture,
} | {f"{name}.mkv": _format_clip(name) for name in (
    "yuv420p10le", "yuv422p", "yuv444p", "yuv422p10le", "yuv444p12le", "gray", "gray10le", "bgr0", "bgra",
    "yuva420p", "gbrp10le", "yuv410p", "yuv411p", "yuv440p", "gbrp12le",
)} | {
    "nv12.nut": _format_clip("nv12", "-c:v", "rawvideo"),
    "yuyv422.nut": _format_clip("yuyv422", "-c:v", "rawvideo"),
    "p010le.nut": _format_clip("p010le", "-c:v", "rawvideo"),
    "yuv420p10be.nut": _format_clip("yuv420p10be", "-c:v", "rawvideo"),
    "rgb24.nut": _format_clip("rgb24", "-c:v", "rawvideo"),
    "pal8.gif": _format_clip("pal8", "-c:v", "gif"),
}  # fmt: skip


class ClipShelf:
    """Makes each clip the first time it is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str) -> Path:
        folder = self._folder / name.replace(".", "-")
        path = folder / name
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            CLIPS[name](path)
        return path
