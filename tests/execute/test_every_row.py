"""The table of what must not get lost: a small clip for each row, a whole job, and what ffmpeg then finds.

Frames by their list of time stamps, sound by the hash of every packet, never by durations.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from vidsr.errors import NoVideoStreamError, VidsrError
from vidsr.execute.resumable import run_resumable
from vidsr.job import EncoderRequest, Job, RangeRequest, SizeRequest
from vidsr.media.read.probe import probe
from vidsr.media.read.scenes import SegmentLength
from vidsr.progress.events import Event, Finished

MS = Fraction(1, 1000)


@dataclass(frozen=True)
class Row:
    """clip, suffix: from what to what. says: what ffmpeg's description of the output's video must match.

    sound: whether the packets of all sound tracks are the source's. wish: of the job.
    """

    clip: str
    suffix: str
    says: str = ""
    sound: bool = False
    wish: tuple[tuple[str, object], ...] = ()


def encoded(name: str, **more: object) -> tuple[tuple[str, object], ...]:
    return (("encoder", EncoderRequest(name, **more)),)  # type: ignore[arg-type]


ROWS = {
    "constant rate, B-frames, two sound tracks": Row("b_frames.mp4", "mp4", "h264", sound=True),
    "the same to Matroska": Row("b_frames.mp4", "mkv", "h264", sound=True),
    "variable rate": Row("vfr.mp4", "mp4"),
    "variable rate in milliseconds": Row("vfr.mkv", "mkv"),
    "24000/1001": Row("ntsc.mp4", "mp4", r"23\.98 fps"),
    "late first frame": Row("late.ts", "mkv"),
    "negative first frame": Row("negative.ts", "mp4"),
    "edit list": Row("edit_list.mp4", "mp4"),
    "the picture begins after the sound": Row("late_video.mkv", "mkv", sound=True),
    "sound before picture in the file": Row("sound_first.mkv", "mkv", sound=True),
    "everything Matroska holds": Row("everything.mkv", "mkv", sound=True),
    "MP4 with cover, chapters, mov_text": Row("extras.mp4", "mp4", sound=True),
    "rotation": Row("rotated.mp4", "mp4"),
    "sample aspect ratio to MP4": Row("anamorphic.mp4", "mp4", "SAR 16:11"),
    "sample aspect ratio of a coding without it": Row(
        "anamorphic.mkv", "mkv", "ffv1.*SAR 93:64", wish=encoded("ffv1")
    ),
    "odd size": Row("odd_size.mkv", "mkv", "54x38|52x36", wish=(("size", SizeRequest(scale=Fraction(1))),)),
    "one pixel": Row("one_pixel.mkv", "mkv", "2x2"),
    "full range": Row("full_range.mov", "mkv", r"yuvj420p\(pc|yuv420p\(pc"),
    "RGB": Row("bgr0.mkv", "mkv", r"(gbrp|bgr0)\(pc, gbr", wish=encoded("ffv1")),
    "gray": Row("gray.mkv", "mkv", r"gray", wish=encoded("ffv1")),
    "4:2:2": Row("yuv422p.mkv", "mkv", "yuv422p"),
    "4:4:4": Row("yuv444p.mkv", "mkv", "yuv444p"),
    "10 bit stays 10 bit": Row("yuv420p10le.mkv", "mkv", "yuv420p10le"),
    "12 bit becomes 10 bit": Row("yuv444p12le.mkv", "mkv", "yuv444p10le"),
    "alpha is dropped": Row("yuva420p.mkv", "mkv", r"yuv420p\("),
    "HDR10 by x264": Row("hdr10.mkv", "mkv", "yuv420p10le.*bt2020nc/bt2020/smpte2084"),
    "HDR10 by x265": Row("hdr10.mkv", "mp4", "hevc.*smpte2084", wish=encoded("libx265", preset="fast")),
    "HDR10 by SVT-AV1": Row("hdr10.mkv", "mkv", "av1.*smpte2084", wish=encoded("libsvtav1", preset="12")),
    "ProRes": Row("b_frames.mp4", "mov", "prores", sound=True, wish=encoded("prores_ks")),
    "FFV1": Row("b_frames.mp4", "mkv", "ffv1", sound=True, wish=encoded("ffv1")),
    "two videos": Row("two_videos.mkv", "mkv"),
    "AVI": Row("mpeg4.avi", "mkv"),
    "ASF": Row("wmv.wmv", "mp4"),
    "open GOPs": Row("open_gop.ts", "mkv"),
    "fragments": Row("fragmented.mp4", "mp4"),
}  # fmt: skip


# one in three; the others, whose matter has tests of its own in tests/media too, are behind the marker
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if place % 3 else []) for place, name in enumerate(ROWS)],
)
def test_nothing_of_the_row_is_lost(name: str, clips: ClipShelf, tmp_path: Path, repeat_2x: Path) -> None:
    row = ROWS[name]
    source, output = clips(row.clip), tmp_path / f"out.{row.suffix}"
    events: list[Event] = []
    wishes = {"weights": repeat_2x, "precision": "fp32", **dict(row.wish)}
    run_resumable(Job(source, output, **wishes), show=events.append, length=SegmentLength(20, 20))  # type: ignore[arg-type]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.verified is True

    theirs, ours = reference.decoded(source), reference.decoded(output)
    shift = min(theirs[0].pts, Fraction(0))
    slack = MS / 2 if row.suffix == "mkv" else Fraction(0)
    if row.suffix in ("mp4", "mov") and theirs[0].pts > 0:
        slack = MS / 2  # a late start lies in an edit list, which counts milliseconds
    assert len(ours) == len(theirs)
    for old, new in zip(theirs, ours, strict=True):
        assert abs(new.pts - (old.pts - shift)) <= slack

    description = next(s for s in reference.streams(output) if s.kind == "video").description
    assert re.search(row.says, description), description
    if row.sound:
        before, after = reference.packets(source), reference.packets(output)
        tracks = [
            [s.index for s in reference.streams(path) if s.kind == "audio"] for path in (source, output)
        ]
        assert len(tracks[0]) == len(tracks[1]) > 0
        for old_index, new_index in zip(*tracks, strict=True):
            assert [p.md5 for p in after[new_index]] == [p.md5 for p in before[old_index]]
    if name.startswith("HDR10"):
        theirs_hdr, ours_hdr = probe(source).hdr, probe(output).hdr
        assert theirs_hdr is not None
        assert ours_hdr is not None
        assert (ours_hdr.max_cll, ours_hdr.max_fall) == (1000, 400)
        assert ours_hdr.max_luminance == theirs_hdr.max_luminance == 1000
        assert ours_hdr.red is not None  # AV1 counts in 1/65536
        assert abs(ours_hdr.red[0] - Fraction(68, 100)) < Fraction(1, 10000)
    if name == "rotation":
        assert "rotation of 90" in reference.side_data(output)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_every_hardware_encoder_that_is_there_is_listed_or_said_to_be_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from vidsr.cli.main import run

    assert run(["encoders"]) == 0
    listed = capsys.readouterr().out
    for name in ("h264_nvenc", "hevc_nvenc", "av1_nvenc", "h264_qsv", "hevc_qsv", "av1_qsv", "h264_amf"):
        assert name in listed


def y4m(path: Path, width: int, height: int) -> Path:
    path.write_bytes(f"YUV4MPEG2 W{width} H{height} F25:1 C420\nFRAME\n".encode() + bytes(4096))
    return path


BAD = {
    "picture.png": NoVideoStreamError,
    "sound_only.m4a": NoVideoStreamError,
    "sound_with_cover.m4a": NoVideoStreamError,
}


@pytest.mark.parametrize("name", [*BAD, "huge", "absurd"])
def test_what_is_no_video_to_work_on_is_one_line(
    name: str, clips: ClipShelf, tmp_path: Path, repeat_2x: Path
) -> None:
    sizes = {"huge": (32000, 32000), "absurd": (2_000_000, 2_000_000)}
    source = y4m(tmp_path / "big.y4m", *sizes[name]) if name in sizes else clips(name)
    expected = BAD.get(name, VidsrError)
    with pytest.raises(expected) as caught:
        run_resumable(
            Job(source, tmp_path / "out.mkv", weights=repeat_2x, precision="fp32"), show=lambda _: None
        )
    assert "\n" not in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "out.mkv").exists()


def test_a_range_is_exact_with_its_sound(clips: ClipShelf, tmp_path: Path, repeat_2x: Path) -> None:
    source, output = clips("b_frames.mp4"), tmp_path / "out.mp4"
    wish = RangeRequest(first_frame=7, last_frame=31)
    run_resumable(Job(source, output, weights=repeat_2x, precision="fp32", range=wish), show=lambda _: None)
    theirs = [row.pts for row in reference.decoded(source)][7:31]
    assert [row.pts for row in reference.decoded(output)] == [pts - theirs[0] for pts in theirs]
    sound = [row.md5 for row in reference.packets(source)[1]]
    kept = [row.md5 for row in reference.packets(output)[1]]
    begin = sound.index(kept[0])
    assert sound[begin : begin + len(kept)] == kept
    # the first packet kept begins at or behind the first frame, by less than one AAC frame
    first = reference.packets(source)[1][begin].pts - theirs[0]
    assert 0 <= first < Fraction(1024, 48000) + MS
