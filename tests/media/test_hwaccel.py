"""Decoding on hardware: the same frames, or one clear word before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from av.codec.hwaccel import hwdevices_available

from tests.media.clips import ClipShelf
from tests.reference_ffmpeg import frame_lines
from vidsr.cli.main import run


def upscale(source: Path, output: Path, weights: Path, hwaccel: str | None) -> int:
    wish = [] if hwaccel is None else ["--hwaccel", hwaccel]
    return run([str(source), str(output), "--weights", str(weights), *wish, "--progress", "plain"])


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
    asked, plain = tmp_path / "asked.mkv", tmp_path / "plain.mkv"
    assert upscale(clips("b_frames.mp4"), asked, repeat_2x, "drm") == 0
    assert "Note: drm does not decode h264; the processor does\n" in capfd.readouterr().err
    assert upscale(clips("b_frames.mp4"), plain, repeat_2x, None) == 0
    assert frame_lines(asked) == frame_lines(plain)


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["b_frames.mp4", "late.ts", "hdr10.mkv"])
def test_nvdec_gives_the_frames_that_the_processor_gives(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, name: str
) -> None:
    if not torch.cuda.is_available():
        if os.environ.get("VIDSR_REQUIRE_CUDA"):
            pytest.fail("VIDSR_REQUIRE_CUDA is set, and there is no CUDA device")
        pytest.skip("no CUDA device")
    there, here = tmp_path / "there.mkv", tmp_path / "here.mkv"
    assert upscale(clips(name), there, repeat_2x, "cuda") == 0
    assert upscale(clips(name), here, repeat_2x, None) == 0
    assert frame_lines(there) == frame_lines(here)
