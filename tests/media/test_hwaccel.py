"""Decoding on hardware: the same frames, or one clear word before any work."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from av.codec.hwaccel import hwdevices_available

from tests.cuda import require_cuda
from tests.media.clips import ClipShelf
from vidsr.cli.main import run
from vidsr.media.probe import probe
from vidsr.media.reader import Reader


def upscale(source: Path, output: Path, weights: Path, hwaccel: str) -> int:
    words = [str(source), str(output), "--weights", str(weights), "--hwaccel", hwaccel]
    return run([*words, "--progress", "plain"])


def decoded(path: Path, hwaccel: str | None) -> list[tuple[int, str]]:
    """(pts, digest of the samples) of every frame."""
    with Reader(probe(path), hwaccel=hwaccel) as reader:
        return [
            (frame.pts, hashlib.md5(b"".join(plane.tobytes() for plane in frame.planes)).hexdigest())
            for frame in reader.frames()
        ]


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
    assert "Note: drm does not decode h264; the processor does\n" in capfd.readouterr().err
    assert decoded(source, "drm") == decoded(source, None)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["b_frames.mp4", "late.ts", "hdr10.mkv"])
def test_nvdec_gives_the_frames_that_the_processor_gives(clips: ClipShelf, name: str) -> None:
    require_cuda()
    assert decoded(clips(name), "cuda") == decoded(clips(name), None)
