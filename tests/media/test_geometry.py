"""Shape, rotation, sample layout, colour tags and HDR metadata reach the file, as ffmpeg reads it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.copies import copy
from tests.media.remake import BT709, flat_planes, frames_of, remake
from vidsr.errors import FrameSizeError
from vidsr.frames import ChromaLocation, Color, Frame, Matrix, PixelFormat, Range
from vidsr.job import EncoderRequest
from vidsr.media.encode.encoders import settings_for
from vidsr.media.geometry import is_turn
from vidsr.media.pixels import has_alpha, planar_equivalent
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.write.writer import Writer

LAYOUTS = [
    "yuv420p10le.mkv", "yuv422p.mkv", "yuv444p.mkv", "yuv422p10le.mkv", "yuv444p12le.mkv", "gray.mkv",
    "gray10le.mkv", "bgr0.mkv", "bgra.mkv", "yuva420p.mkv", "gbrp10le.mkv", "gbrp12le.mkv", "yuv410p.mkv",
    "yuv411p.mkv", "yuv440p.mkv", "nv12.nut", "yuyv422.nut", "p010le.nut", "yuv420p10be.nut", "rgb24.nut",
    "odd_size.mkv", "full_range.mov",
]  # fmt: skip


def plane_bytes(frame: Frame) -> bytes:
    return b"".join(np.ascontiguousarray(plane).tobytes() for plane in frame.planes)


@pytest.mark.parametrize("name", LAYOUTS)
def test_planes_are_the_samples_ffmpeg_decodes(clips: ClipShelf, name: str) -> None:
    path = clips(name)
    frames = frames_of(path)
    layout = frames[0].format
    assert b"".join(map(plane_bytes, frames)) == reference.raw_video(path, layout.name)


@pytest.mark.parametrize("name", [name for name in LAYOUTS if "gbrp12" not in name])
def test_ffv1_gives_the_samples_back(clips: ClipShelf, tmp_path: Path, name: str) -> None:
    source, output = clips(name), tmp_path / "out.mkv"
    remake(source, output)
    layout = planar_equivalent(probe(source).pixel_format)
    assert reference.raw_video(output, layout.name) == reference.raw_video(source, layout.name)


def test_animated_gif_is_read_over_its_colours(clips: ClipShelf) -> None:
    path = clips("pal8.gif")
    frames = frames_of(path)
    assert frames[0].format.name == "gbrp"
    assert b"".join(map(plane_bytes, frames)) == reference.raw_video(path, "gbrp")


@pytest.mark.parametrize(
    ("coded", "planar"),
    [("nv12", "yuv420p"), ("nv21", "yuv420p"), ("nv24", "yuv444p"), ("yuyv422", "yuv422p"), ("rgb24", "gbrp"),
     ("p010le", "yuv420p10le"), ("p016le", "yuv420p16le"), ("yuv420p10be", "yuv420p10le"),
     ("yuva444p10le", "yuv444p10le"), ("rgba64be", "gbrp16le"), ("monow", "gray"), ("ya8", "gray"),
     ("pal8", "gbrp"), ("x2rgb10le", "gbrp10le"), ("vuya", "yuv444p"), ("yuvj420p", "yuv420p")],
)  # fmt: skip
def test_nearest_lossless_planar_layout(coded: str, planar: str) -> None:
    assert planar_equivalent(coded) == PixelFormat.parse(planar)


def test_alpha_is_noticed() -> None:
    assert [name for name in ("yuva420p", "rgba", "pal8", "yuv420p", "rgb24", "bgr0") if has_alpha(name)] == [
        "yuva420p", "rgba", "pal8",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_sample_aspect_ratio_is_kept(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    remake(clips("anamorphic.mp4"), output, encoder="libx264")
    assert "SAR 16:11" in reference.streams(output)[0].description


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_rotation_is_kept(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    source, output = clips("rotated.mp4"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")

    def rotation(path: Path) -> float:
        found = re.search(r"rotation of (-?[\d.]+) degrees", reference.side_data(path))
        assert found
        return float(found[1])

    assert rotation(source) == 90
    assert rotation(output) == 90


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_mirroring_is_kept(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    source, output = clips("mirrored.mp4"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")
    assert probe(source).display_matrix is not None
    assert probe(output).display_matrix == probe(source).display_matrix
    upright = ("-v", "error", "-i", "{}", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
    shown = [reference.ffmpeg(*(str(p) if a == "{}" else a for a in upright))[0] for p in (source, output)]
    assert shown[0] == shown[1]


def write_still(
    path: Path, source: Path, width: int, height: int, color: Color, encoder: str = "libx264"
) -> None:
    info = probe(source)
    layout = PixelFormat.parse("yuv420p")
    settings = settings_for(EncoderRequest(encoder), source=layout, container=path.suffix, threads=1)
    planes = flat_planes(layout, width, height, 128)
    with Writer(path, info, settings, width=width, height=height, color=color, audio="none") as writer:
        for number in range(3):
            writer.write(Frame(planes, layout, color, number * 512, info.time_base, number, 512))
        writer.finish()


@pytest.mark.parametrize(
    ("size", "aspect"),
    [((192, 128), "16:11"), ((384, 256), "16:11"), ((384, 128), "8:11"), ((194, 128), None)],
)
def test_stretched_sizes_keep_the_shape_on_the_screen(
    clips: ClipShelf, tmp_path: Path, size: tuple[int, int], aspect: str | None
) -> None:
    output = tmp_path / "out.mp4"
    write_still(output, clips("anamorphic.mp4"), *size, BT709)
    found = re.search(r"SAR (\d+):(\d+)", reference.streams(output)[0].description)
    assert found
    shape = Fraction(int(found[1]) * size[0], int(found[2]) * size[1])
    assert float(shape) == pytest.approx(float(Fraction(16 * 96, 11 * 64)), rel=0.02)
    if aspect is not None:
        assert f"{found[1]}:{found[2]}" == aspect


TAGS = [
    (Color(Matrix.BT709, Range.LIMITED, 1, 1, ChromaLocation.LEFT), "tv, bt709"),
    (Color(Matrix.SMPTE170M, Range.LIMITED, 6, 6, ChromaLocation.CENTER), "tv, smpte170m, center"),
    (Color(Matrix.BT470BG, Range.FULL, 5, 6, ChromaLocation.LEFT), "pc, bt470bg/bt470bg/smpte170m"),
    (
        Color(Matrix.BT2020_NCL, Range.LIMITED, 9, 16, ChromaLocation.TOPLEFT),
        "tv, bt2020nc/bt2020/smpte2084, topleft",
    ),
]


@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize(("color", "words"), TAGS)
def test_colour_tags_are_in_the_file(
    clips: ClipShelf, tmp_path: Path, encoder: str, suffix: str, color: Color, words: str
) -> None:
    output = tmp_path / f"out.{suffix}"
    write_still(output, clips("b_frames.mp4"), 96, 64, color, encoder)
    description = reference.streams(output)[0].description.replace("yuvj", "yuv").replace(", progressive", "")
    assert f"yuv420p({words}" in description
    assert probe(output).color == color


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_hevc_has_the_tag_that_apple_players_want(clips: ClipShelf, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    write_still(output, clips("b_frames.mp4"), 96, 64, BT709, "libx265")
    assert "hvc1" in reference.streams(output)[0].description


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_hdr10_metadata_is_carried(clips: ClipShelf, tmp_path: Path, encoder: str, suffix: str) -> None:
    source, output = clips(f"hdr10.{suffix}"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder=encoder, options={})

    def numbers(path: Path) -> list[float]:
        text = reference.ffmpeg("-i", path, "-vf", "showinfo", "-frames:v", "1", "-f", "null", "-")[1]
        display = re.search(r"r\(.*max_luminance=[\d.]+", text)
        light = re.search(r"MaxCLL=(\d+), MaxFALL=(\d+)", text)
        assert display
        assert light
        return [float(n) for n in re.findall(r"\d+\.\d+", display[0])] + [float(light[1]), float(light[2])]

    assert numbers(output) == pytest.approx(numbers(source), abs=1e-4)
    assert numbers(source)[:2] == pytest.approx([0.68, 0.32])


def test_hdr_metadata_that_cannot_be_written_is_named(clips: ClipShelf, tmp_path: Path) -> None:
    remade = remake(clips("hdr10.mkv"), tmp_path / "out.mkv", encoder="ffv1")
    assert remade.notes == ["HDR10 metadata is left out: ffv1 cannot write it"]


def test_hdr_metadata_stays_behind_when_colours_are_made_sdr(clips: ClipShelf, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    remade = remake(clips("hdr10.mkv"), output, encoder="libx265", options={}, color=BT709)
    assert remade.notes == []
    assert "MaxCLL" not in reference.ffmpeg("-i", output, "-vf", "showinfo", "-f", "null", "-")[1]


def test_size_change_on_the_way_is_an_error_with_its_place(clips: ClipShelf) -> None:
    frames: list[Frame] = []
    with Reader(probe(clips("size_change.ts"))) as reader, pytest.raises(FrameSizeError) as caught:
        frames.extend(reader.frames())
    assert [(frame.width, frame.height) for frame in frames] == [(96, 64)] * 10
    time = float(frames[-1].time) + 0.04
    assert caught.value.message == f"frame 10 ({time:.3f} s) is 128x96; the stream began at 96x64"
    assert caught.value.hint is not None
    assert "--on-size-change rescale" in caught.value.hint


def test_a_display_matrix_that_only_turns_is_told_from_one_that_distorts() -> None:
    one, half = 65536, 32768
    assert is_turn(None)
    assert is_turn((one, 0, 0, 0, one, 0, 0, 0, 1 << 30))
    assert is_turn((0, one, 0, one, 0, 0, 0, 0, 1 << 30))  # mirrored
    assert is_turn((46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30))  # by 45 degrees
    assert not is_turn((one, half, 0, 0, one, 0, 0, 0, 1 << 30))
    assert not is_turn((half, 0, 0, 0, one, 0, 0, 0, 1 << 30))


def test_a_shift_beyond_what_the_format_holds_is_no_crash(clips: ClipShelf, tmp_path: Path) -> None:
    """As a flipped bit makes it: 16384 pixels down, which twice as large would be 32768."""
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    data = bytearray(clips("rotated.mp4").read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2, version 0
    assert data[matrix + 32 : matrix + 36] == (1 << 30).to_bytes(4, "big")
    data[matrix + 28 : matrix + 32] = (1 << 30).to_bytes(4, "big")
    source.write_bytes(data)
    copy(source, output, factor=2)
    before, after = probe(source).display_matrix, probe(output).display_matrix
    assert before is not None
    assert after == (*before[:7], 2**31 - 1, 1 << 30)
