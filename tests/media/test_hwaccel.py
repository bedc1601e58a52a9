"""Decoding on hardware: the same frames, or one clear word before any work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from av.codec.hwaccel import hwdevices_available
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from tests.cuda import require_cuda
from tests.media.clips import ClipShelf
from tests.reference_ffmpeg import ffmpeg
from vidsr.channel import StopSignal
from vidsr.cli.main import run
from vidsr.frames import Frame
from vidsr.job import Segment
from vidsr.media.filters import parse_chain
from vidsr.media.pixels import PlaneReader, fill
from vidsr.media.read import hardware
from vidsr.media.read.demux import open_accelerated, open_source
from vidsr.media.read.filtered_reader import FilteredReader, Filtering
from vidsr.media.read.hardware import decodes_on_hardware, is_hardware_layout
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.segment_reader import Stretch
from vidsr.media.read.source_info import SourceInfo


def upscale(source: Path, output: Path, weights: Path, hwaccel: str) -> int:
    words = [str(source), str(output), "--weights", str(weights), "--hwaccel", hwaccel]
    return run([*words, "--progress", "plain"])


def decoded(path: Path, hwaccel: str | None) -> list[tuple[int, str]]:
    """(pts, digest) of every frame."""
    with Reader(probe(path), hwaccel=hwaccel) as reader:
        return [(frame.pts, digest(frame)) for frame in reader.frames()]


def digest(frame: Frame) -> str:
    """Of the layout, the samples and what is said of their colours."""
    about = repr((frame.format, frame.color)).encode()
    return hashlib.md5(b"".join([about, *(plane.tobytes() for plane in frame.planes)])).hexdigest()


def test_unknown_hardware_is_refused_with_what_there_is(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert upscale(clips("b_frames.mp4"), tmp_path / "out.mkv", repeat_2x, "nvdec") == 2
    said = capfd.readouterr().err
    assert said == (
        "Error: FFmpeg has no decoding hardware 'nvdec' here\n"
        f"Hint: it knows {', '.join(hwdevices_available()) or 'none'}\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is an NVIDIA GPU")
@pytest.mark.skipif("cuda" not in hwdevices_available(), reason="FFmpeg without CUDA")
@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_hardware_that_is_not_there_is_one_error(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    assert upscale(clips("b_frames.mp4"), tmp_path / "out.mkv", repeat_2x, name) == 1
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith(f"Error: {name} does not decode here: ")
    assert said[1:] == ["Hint: leave out --hwaccel to decode on the processor"]
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif("drm" not in hwdevices_available(), reason="FFmpeg without DRM")
def test_what_the_hardware_does_not_decode_the_processor_does_and_it_is_said(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """FFmpeg's DRM is for small boards, whose decoders PyAV's FFmpeg does not have: none is for H.264."""
    source = clips("b_frames.mp4")
    assert upscale(source, tmp_path / "out.mkv", repeat_2x, "drm") == 0
    assert "Note: drm does not decode this h264 (yuv420p); the processor does\n" in capfd.readouterr().err
    assert decoded(source, "drm") == decoded(source, None)


HARDWARE_LAYOUTS = {
    "yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le", "yuv422p10le": "p210le",
    "yuv444p12le": "yuv444p16le", "yuv444p": "yuv444p",
}  # fmt: skip
"""What NVDEC calls them. More than 10 bits, and 4:4:4 of more than 8, are the upper bits of 16."""


@pytest.fixture
def imitated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures decoded by the processor, in the layouts in which hardware hands them over."""
    accounted, repacker = Reader._accounted, VideoReformatter()

    def handed_over(reader: Reader, frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
        for frame in accounted(reader, frames):
            if reader._hwaccel is None:
                yield frame
                continue
            name = HARDWARE_LAYOUTS[frame.format.name]
            if name == "yuv444p16le":
                yield upper_bits(frame, name)
                continue
            color_range = ColorRange.JPEG if frame.format.name.startswith("yuvj") else ColorRange.MPEG
            moved = repacker.reformat(
                frame, format=name, src_color_range=color_range, dst_color_range=color_range
            )
            moved.color_range, moved.colorspace = frame.color_range, frame.colorspace
            yield moved

    monkeypatch.setattr(Reader, "_accounted", handed_over)
    monkeypatch.setattr(SourceInfo, "open_accelerated", lambda info, _: info.open())


def upper_bits(frame: VideoFrame, name: str) -> VideoFrame:
    planes, layout = PlaneReader().planes(frame)
    moved = VideoFrame(frame.width, frame.height, name)
    fill(moved, tuple((plane << (16 - layout.bits)).astype(np.uint16) for plane in planes))
    moved.pts, moved.duration = frame.pts, frame.duration
    moved.color_range, moved.colorspace = frame.color_range, frame.colorspace
    moved.color_primaries, moved.color_trc = frame.color_primaries, frame.color_trc
    return moved


LAYOUTS = [
    "b_frames.mp4", "interlaced.mpg", "full_range.mov", "hdr10.mkv", "yuv422p10le.mkv", "yuv444p12le.mkv",
    "yuv444p.mkv",
]  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.usefixtures("imitated")
def test_layouts_of_the_hardware_become_the_stream_s_own(clips: ClipShelf, name: str) -> None:
    assert decoded(clips(name), "cuda") == decoded(clips(name), None)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.usefixtures("imitated")
def test_filters_get_the_layout_that_they_were_made_for(clips: ClipShelf, name: str) -> None:
    assert filtered(clips(name), "cuda") == filtered(clips(name), None)


def filtered(path: Path, hwaccel: str | None) -> list[tuple[int, str]]:
    filtering = Filtering.of(probe(path), Segment(), parse_chain("bwdif,hflip"))
    reader = FilteredReader(filtering, [Stretch(Segment())], length=None, stop=StopSignal(), hwaccel=hwaccel)
    return [(frame.pts, digest(frame)) for frame in reader.frames()]


@pytest.mark.parametrize(
    ("name", "coded", "is_other"),
    [
        ("nv12", "yuv420p", True),
        ("nv12", "yuvj420p", True),
        ("p010le", "yuv420p10le", True),
        ("p016le", "yuv420p12le", True),
        ("yuv444p16le", "yuv444p10le", True),
        ("yuv420p", "yuv420p", False),  # the same, by the same name
        ("p010le", "yuv420p", False),  # the stream has changed, and its depth is lost if that is missed
        ("nv12", "yuv420p10le", False),
        ("nv12", "yuv422p", False),
        ("yuv444p16le", "gbrp10le", False),
    ],
)
def test_only_the_same_samples_in_another_order_are_a_layout_of_the_hardware(
    name: str, coded: str, is_other: bool
) -> None:
    assert is_hardware_layout(name, coded) is is_other


@pytest.mark.parametrize(
    ("is_hwaccel", "surfaces", "handed_over", "expected"),
    [
        (False, "yuv420p", "yuv420p", False),  # no decoder for the coding
        (True, "yuv420p", "yuv420p", False),  # one, which did not like the first picture
        (True, "cuda", "nv12", True),
        (True, "cuda", "yuv420p", True),
        (True, "yuv420p", "nv12", True),
    ],
)
def test_who_decodes_is_told_by_the_first_picture(
    clips: ClipShelf,
    monkeypatch: pytest.MonkeyPatch,
    is_hwaccel: bool,
    surfaces: str,
    handed_over: str,
    expected: bool,
) -> None:
    source = probe(clips("b_frames.mp4"))
    with open_source(source.path) as container:
        stream = container.streams.video[0]

        def decode(packet: Packet[VideoStream]) -> list[VideoFrame]:
            return [frame.reformat(format=handed_over) for frame in stream.decode(packet)]

        context = SimpleNamespace(is_hwaccel=is_hwaccel, pix_fmt=surfaces)
        hardware_stream = SimpleNamespace(codec_context=context, decode=decode)
        monkeypatch.setattr(hardware, "main_video_stream", lambda *_: hardware_stream)
        monkeypatch.setattr(hardware, "read_packets", lambda *_: container.demux(stream))
        assert decodes_on_hardware(container, source) is expected


@pytest.mark.skipif("cuda" not in hwdevices_available(), reason="FFmpeg without CUDA")
def test_a_device_s_number_is_a_number(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert upscale(clips("b_frames.mp4"), tmp_path / "out.mkv", repeat_2x, "cuda:first") == 2
    assert capfd.readouterr().err.startswith(
        "Error: 'first' is no number of a device\nHint: write --hwaccel "
    )


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("layout", "coding"),
    [
        ("yuv420p", ("-c:v", "libx264", "-bf", "3")),
        ("yuv420p10le", ("-c:v", "libx265", "-x265-params", "log-level=error")),
        ("yuv444p10le", ("-c:v", "libx265", "-x265-params", "log-level=error")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_nvdec_gives_the_frames_that_the_processor_gives(
    tmp_path: Path, layout: str, coding: tuple[str, ...]
) -> None:
    require_cuda()
    path = tmp_path / "large.mkv"  # hardware has least sizes; NVDEC's is 144x144 for HEVC
    picture = f"testsrc2=s=320x240:r=25:d=0.8,format={layout}"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", picture, *coding, "-pix_fmt", layout, path)
    source = probe(path)
    with open_accelerated(path, "cuda") as container:
        assert decodes_on_hardware(container, source)
    assert decoded(path, "cuda") == decoded(path, None)
    assert filtered(path, "cuda") == filtered(path, None)


@pytest.mark.cuda
def test_what_nvdec_cannot_decode_the_processor_does_and_it_is_said(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """No GPU has a decoder for FFV1."""
    require_cuda()
    assert upscale(clips("yuv420p10le.mkv"), tmp_path / "out.mkv", repeat_2x, "cuda") == 0
    assert "does not decode this ffv1 (yuv420p10le); the processor does\n" in capfd.readouterr().err
