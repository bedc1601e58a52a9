"""The shape of the picture in Matroska's header, as an independent program and by hand."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media import ebml_tree, reference
from tests.media.clips import ClipShelf, anamorphic
from tests.media.remake import BT601, remake
from vidsr.media.matroska.output import HeaderChanges, TrackChange, UnknownLayoutError, complete
from vidsr.media.verify import verify


def set_display_size(path: Path, track: int, width: int, height: int) -> None:
    complete(path, HeaderChanges({track: TrackChange((width, height))}))


def shown(path: Path, number: int = 0) -> Fraction:
    """The last one that ffmpeg names: where bitstream and container differ, the container's."""
    listing = [s for s in reference.streams(path) if s.kind == "video"][number]
    ratios = re.findall(r"SAR (\d+):(\d+)", listing.description)
    assert ratios, listing.description
    return Fraction(int(ratios[-1][0]), int(ratios[-1][1]))


@pytest.mark.parametrize(
    ("encoder", "suffix"), [("ffv1", "mkv"), ("libsvtav1", "mkv"), ("libvpx-vp9", "webm")]
)
def test_codings_that_do_not_carry_it_keep_their_shape(
    clips: ClipShelf, tmp_path: Path, encoder: str, suffix: str
) -> None:
    output = tmp_path / f"out.{suffix}"
    options = {"libsvtav1": {"preset": "12"}, "libvpx-vp9": {"cpu-used": "8"}}.get(encoder, {})
    remake(clips("anamorphic.mp4"), output, encoder=encoder, options=options)
    # 96 x 16/11 = 139.6 is written as whole pixels: 140
    assert shown(output) == Fraction(140, 96)
    assert [row.pts for row in reference.decoded(output)] == [n * Fraction(40, 1000) for n in range(10)]


@pytest.mark.parametrize("suffix", ["mkv", "webm"])
@pytest.mark.parametrize(
    ("mode", "size"),
    [
        ("left_right", (70, 64)),
        ("col_interleaved_rl", (70, 64)),
        ("bottom_top", (140, 32)),
        ("row_interleaved_lr", (140, 32)),
        ("checkerboard_lr", (140, 64)),
    ],
)
def test_of_stereoscopic_pictures_each_view_has_its_shape(
    tmp_path: Path, mode: str, size: tuple[int, int], suffix: str
) -> None:
    """Matroska says the size of one view (RFC 9559): 96 x 16/11 = 139.6 is 140, half of it 70."""
    source, output = stereoscopic(tmp_path / "in.mkv", mode), tmp_path / f"out.{suffix}"
    before = dict(ebml_tree.children(ebml_tree.tracks(source)[0]["e0"]))
    remake(source, output, encoder={"mkv": "ffv1", "webm": "libvpx-vp9"}[suffix], color=BT601, options={})
    video = dict(ebml_tree.children(ebml_tree.tracks(output)[0]["e0"]))
    shown_size = tuple(int.from_bytes(video[key], "big") for key in ("54b0", "54ba"))
    assert shown_size == size
    assert video["53b8"] == before["53b8"]
    assert verify(source, output).failures == ()


MODES = (
    "mono", "left_right", "bottom_top", "top_bottom", "checkerboard_rl", "checkerboard_lr",
    "row_interleaved_rl", "row_interleaved_lr", "col_interleaved_rl", "col_interleaved_lr",
    "anaglyph_cyan_red", "right_left", "anaglyph_green_magenta", "block_lr", "block_rl",
)  # fmt: skip
"""FFmpeg's names for the values 0 to 14 of Matroska's StereoMode (RFC 9559, 5.1.4.1.28.3)."""


@pytest.mark.parametrize("mode", MODES)
def test_views_that_webm_refuses_are_named(tmp_path: Path, mode: str) -> None:
    """Which they are, ffmpeg says."""
    source, output = stereoscopic(tmp_path / "in.mkv", mode), tmp_path / "out.webm"
    _, words = reference.ffmpeg(
        "-v", "error", "-i", source, "-c:v", "libvpx-vp9", "-frames:v", "1", tmp_path / "theirs.webm",
        expect_success=False,
    )  # fmt: skip
    notes = remake(source, output, encoder="libvpx-vp9", color=BT601, options={}).notes
    named = ["tags of the video left out, WebM cannot hold them: stereo_mode"]
    assert notes == (named if "stereo mode is not valid" in words else [])
    assert bool(notes) == (mode in ("anaglyph_green_magenta", "block_lr", "block_rl"))
    assert verify(source, output).failures == ()


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("box.mp4", (), (140, 32)),
        ("messages.mp4", ("-x264-params", "frame-packing=3"), (70, 64)),
        ("messages.ts", ("-x264-params", "frame-packing=4"), (140, 32)),
    ],
)
def test_views_that_a_box_or_the_video_itself_tells_of_arrive(
    tmp_path: Path, name: str, arguments: tuple[str, ...], size: tuple[int, int]
) -> None:
    source, output = tmp_path / name, tmp_path / "out.mkv"
    if arguments:
        picture = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2,setsar=16/11", "-c:v", "libx264")
        reference.ffmpeg("-v", "error", *picture, "-preset", "ultrafast", *arguments, source)
    else:
        told = stereoscopic(tmp_path / "told.mkv", "top_bottom")
        reference.ffmpeg("-v", "error", "-i", told, "-c", "copy", "-strict", "unofficial", source)
        # newer programs write a box of Apple's beside it, which says less and counts for more
        source.write_bytes(source.read_bytes().replace(b"vexu", b"free"))
    remake(source, output, color=BT601)
    video = dict(ebml_tree.children(ebml_tree.tracks(output)[0]["e0"]))
    assert tuple(int.from_bytes(video[key], "big") for key in ("54b0", "54ba")) == size
    # RFC 9559: 1 is side by side, 3 above each other, the left view first in both
    assert video["53b8"] == (b"\1" if size == (70, 64) else b"\3")
    assert verify(source, output).failures == ()
    named = remake(source, tmp_path / "out.mp4", encoder="libx264", color=BT601).notes
    assert named == ["tags of the video left out, MP4 cannot hold them: stereo_mode"]


def test_views_without_a_name_are_named_as_lost(tmp_path: Path) -> None:
    """Apple's box "vexu", when it is empty, says that there are two views and not where."""
    told, source, output = (
        stereoscopic(tmp_path / "told.mkv", "top_bottom"),
        tmp_path / "in.mp4",
        tmp_path / "o.mkv",
    )
    reference.ffmpeg("-v", "error", "-i", told, "-c", "copy", "-strict", "unofficial", source)
    if b"vexu" not in source.read_bytes():
        pytest.skip("this ffmpeg does not write the box")
    assert remake(source, output, color=BT601).notes == [
        "marks of stereoscopic pictures inside the video are left out"
    ]
    assert verify(source, output).failures == ()


def test_directions_of_a_spherical_video_are_named(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    projection = ebml_tree.made("7670", ebml_tree.made("7671", b"\1"))
    video = ebml_tree.tracks(clips("b_frames.mkv"))[0]["e0"]
    ebml_tree.with_tracks(clips("b_frames.mkv"), source, {0: {"e0": video + projection}})
    notes = remake(source, output, color=BT601).notes
    assert notes == ["directions of a spherical (360 degree) video inside the video are left out"]


def stereoscopic(path: Path, mode: str) -> Path:
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2,setsar=16/11", "-c:v", "libx264",
        "-preset", "ultrafast", "-metadata:s:v", f"stereo_mode={mode}", path,
    )  # fmt: skip
    return path


def test_nothing_else_of_the_file_changes(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mkv"
    remake(source, output)
    before = output.read_bytes()
    lists = reference.streams(output), reference.packets(output), reference.chapters(output)
    set_display_size(output, 0, 200, 64)
    assert shown(output) == Fraction(200, 96)
    assert len(output.read_bytes()) == len(before)
    after = reference.streams(output)
    assert (after[1:], reference.packets(output), reference.chapters(output)) == (lists[0][1:], *lists[1:])
    assert reference.attachments(output, tmp_path) == {"Sample.ttf": bytes(range(256)) * 20}
    # ffmpeg checks Matroska's checksums when it is asked to, and seeks by its index
    _, words = reference.ffmpeg(
        "-v", "warning", "-xerror", "-err_detect", "crccheck", "-ss", "1", "-i", output, "-f", "null", "-"
    )  # fmt: skip
    assert not re.search("CRC|invalid|error", words, re.IGNORECASE), words


def test_the_second_of_two_videos_can_be_meant(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(clips("two_videos.mkv"), output)
    set_display_size(output, 1, 96, 32)
    assert shown(output, 1) == Fraction(2)


def test_a_large_size_needs_more_bytes_and_gets_them(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(clips("anamorphic.mp4"), output)
    set_display_size(output, 0, 9_600_000, 64)
    assert shown(output) == Fraction(100_000)
    set_display_size(output, 0, 192, 64)
    assert shown(output) == Fraction(2)


def test_a_file_that_is_laid_out_otherwise_is_left_alone(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remake(clips("anamorphic.mp4"), output)
    for spoilt in (
        b"",
        b"\0" * 100,
        output.read_bytes()[:200],
        output.read_bytes().replace(b"\xec\1", b"\xbf\1"),
    ):
        output.write_bytes(spoilt)
        with pytest.raises(UnknownLayoutError):
            set_display_size(output, 0, 192, 64)
        assert output.read_bytes() == spoilt


def test_sound_may_come_first(clips: ClipShelf, tmp_path: Path) -> None:
    flat, source, output = tmp_path / "flat.mkv", tmp_path / "source.mkv", tmp_path / "out.mkv"
    anamorphic(flat)
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.4", "-i", flat, "-map", "0", "-map", "1",
        "-c:v", "copy", source,
    )  # fmt: skip
    remake(source, output)
    assert shown(output) == Fraction(140, 96)
