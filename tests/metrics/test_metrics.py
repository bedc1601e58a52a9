"""The numbers of `vidsr metrics`, against an independent ffmpeg and against arithmetic done by hand."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import stat
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg
from vidsr.cli.main import run
from vidsr.errors import FrameError, FrameFormatError, FrameSizeError, ToolMissingError
from vidsr.media.read.probe import probe
from vidsr.metrics import vmaf
from vidsr.metrics.compare import Comparison, compare
from vidsr.metrics.meeting import arrange

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())


def make(path: Path, *arguments: str | Path) -> Path:
    ffmpeg("-v", "error", "-y", *arguments, path)
    return path


def pattern(path: Path, pixel_format: str, *, noise: int = 0, size: str = "98x66", frames: int = 6) -> Path:
    """A moving test picture, lossless; noise makes another one of it."""
    filters = f"format={pixel_format}" + (f",noise=alls={noise}:allf=t:all_seed=7" if noise else "")
    source = f"testsrc2=size={size}:rate=25:duration={frames / 25}"
    return make(path, "-f", "lavfi", "-i", source, "-vf", f"{filters},format={pixel_format}", "-c:v", "ffv1")


def compared(a: Path, b: Path, *, scale: bool = False, ignore_times: bool = False) -> Comparison:
    meeting = arrange(probe(a), probe(b), scale=scale)
    return compare(meeting, ignore_times=ignore_times, on_frame=lambda _: None)


def reference(a: Path, b: Path, tmp_path: Path) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """psnr's and ssim's own lines for every frame."""
    found = []
    for name in ("psnr", "ssim"):
        log = tmp_path / f"{name}.log"
        ffmpeg(
            "-v", "error", "-i", b, "-i", a, "-lavfi", f"[0:v][1:v]{name}=stats_file={log}", "-f", "null", "-"
        )
        lines = log.read_text(encoding="utf-8").splitlines()
        found.append(
            [{k.lower(): float(v) for k, v in re.findall(r"(\w+):(inf|[\d.]+)", line)} for line in lines]
        )
    return found[0], found[1]


@pytest.mark.parametrize("layout", ["yuv420p", "yuv420p10le", "yuv422p12le", "yuv444p", "gray", "gbrp"])
def test_every_frame_has_the_psnr_and_ssim_that_ffmpeg_gives(layout: str, tmp_path: Path) -> None:
    a = pattern(tmp_path / "a.mkv", layout)
    b = pattern(tmp_path / "b.mkv", layout, noise=12)
    psnr, ssim = reference(a, b, tmp_path)
    found = compared(a, b)
    assert len(found.frames) == len(psnr) == 6
    for ours, their_psnr, their_ssim in zip(found.frames, psnr, ssim, strict=True):
        for plane in ours.psnr:
            key = "psnr_avg" if plane == "all" else f"psnr_{plane}"
            assert ours.psnr[plane] == pytest.approx(their_psnr[key], abs=0.006)
            assert ours.ssim[plane] == pytest.approx(their_ssim[plane], abs=2e-6)
    assert 15 < found.frames[0].psnr["all"] < 45


def test_a_plane_that_is_3_off_everywhere_has_a_squared_error_of_9(tmp_path: Path) -> None:
    paths = []
    for value in (100, 103):
        source = f"color=size=64x48:rate=25:duration=0.08,format=yuv420p,lutyuv=y={value}:u=90:v=160"
        paths.append(make(tmp_path / f"{value}.mkv", "-f", "lavfi", "-i", source, "-c:v", "ffv1"))
    frame = compared(*paths).frames[0]
    assert frame.mse["y"] == 9
    assert frame.psnr["y"] == pytest.approx(10 * math.log10(255**2 / 9), abs=1e-4)
    assert math.isinf(frame.psnr["u"])
    assert frame.psnr["all"] == pytest.approx(10 * math.log10(255**2 / 6), abs=1e-4)  # luma is 2/3 of 4:2:0


def test_8_bits_are_compared_with_10_in_10(tmp_path: Path) -> None:
    a = pattern(tmp_path / "a.mkv", "yuv420p")
    b = pattern(tmp_path / "b.mkv", "yuv420p10le", noise=8)
    found = compared(a, b)
    with av.open(a) as one, av.open(b) as other:
        x = next(one.decode(video=0)).to_ndarray()[:66].astype(int) * 4
        y = next(other.decode(video=0)).to_ndarray()[:66].astype(int)
    assert found.frames[0].mse["y"] == pytest.approx(np.mean((x - y) ** 2), rel=1e-5)
    assert any("compared in 10" in note for note in found.notes)


def test_full_range_and_another_matrix_are_no_difference(tmp_path: Path) -> None:
    a = pattern(tmp_path / "a.mkv", "yuv444p")
    convert = "scale=in_color_matrix=smpte170m:in_range=limited:out_color_matrix=bt709:out_range=full"
    b = make(
        tmp_path / "b.mkv", "-i", a, "-vf", f"{convert},format=yuv444p", "-colorspace", "bt709",
        "-color_range", "pc", "-c:v", "ffv1",
    )  # fmt: skip
    found = compared(a, b)
    with av.open(a) as one, av.open(b) as other:
        x, y = (next(c.decode(video=0)).to_ndarray().astype(float) for c in (one, other))
    assert np.mean((x - y) ** 2) > 150  # as they are; converted only rounding is left
    assert found.frames[0].mse["all"] < 15
    assert any("full range" in note for note in found.notes)


def test_sizes_that_differ_are_refused_or_scaled(tmp_path: Path) -> None:
    a = pattern(tmp_path / "a.mkv", "yuv420p")
    b = pattern(tmp_path / "b.mkv", "yuv420p", size="196x132")
    with pytest.raises(FrameSizeError, match=r"98x66.*196x132") as caught:
        compared(a, b)
    assert "--scale" in str(caught.value.hint)
    flags = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    fitted = make(tmp_path / "fitted.mkv", "-i", b, "-vf", f"scale=98:66:{flags}", "-c:v", "ffv1")
    psnr, _ = reference(a, fitted, tmp_path)
    found = compared(a, b, scale=True)
    assert [f.psnr["all"] for f in found.frames] == pytest.approx([f["psnr_avg"] for f in psnr], abs=0.05)


def test_colours_cannot_be_compared_with_none(tmp_path: Path) -> None:
    with pytest.raises(FrameFormatError, match="no colours"):
        compared(pattern(tmp_path / "a.mkv", "gray"), pattern(tmp_path / "b.mkv", "gbrp"))


def test_luma_is_compared_with_gray(tmp_path: Path) -> None:
    a = pattern(tmp_path / "a.mkv", "yuv420p")
    b = make(tmp_path / "b.mkv", "-i", a, "-vf", "extractplanes=y", "-c:v", "ffv1")
    for found in (compared(a, b), compared(b, a)):
        assert list(found.frames[0].psnr) == ["all", "y"]
        assert math.isinf(found.frames[0].psnr["all"])


def test_a_frame_that_is_missing_is_named(tmp_path: Path) -> None:
    a = pattern(tmp_path / "a.mkv", "yuv420p", frames=8)
    b = make(
        tmp_path / "b.mkv",
        "-i",
        a,
        "-vf",
        "select=not(eq(n\\,3))",
        "-fps_mode",
        "passthrough",
        "-c:v",
        "ffv1",
    )
    with pytest.raises(FrameError, match=r"frame 3 is shown at 0\.120 s in A and at 0\.160 s in B") as caught:
        compared(a, b)
    assert "--ignore-times" in str(caught.value.hint)
    found = compared(a, b, ignore_times=True)
    assert [frame.is_identical for frame in found.frames] == [True] * 3 + [False] * 4
    assert (found.a_frames, found.b_frames) == (8, 7)
    assert any("last 1 frame of A" in note for note in found.notes)


def vmaf_reference(reference: Path, other: Path, tmp_path: Path) -> list[float]:
    log = tmp_path / "reference.json"
    graph = f"[0:v][1:v]libvmaf=log_fmt=json:log_path={log}"
    ffmpeg("-v", "error", "-i", other, "-i", reference, "-lavfi", graph, "-f", "null", "-")
    return [frame["metrics"]["vmaf"] for frame in json.loads(log.read_text("utf-8"))["frames"]]


def test_vmaf_is_that_of_ffmpeg_with_a_as_the_reference(tmp_path: Path) -> None:
    a = pattern(tmp_path / "a it's.mkv", "yuv420p", size="192x128")
    b = pattern(tmp_path / "b, [x].mkv", "yuv420p", size="192x128", noise=20)
    expected = vmaf_reference(a, b, tmp_path)
    swapped = vmaf_reference(b, a, tmp_path)
    found = vmaf.measure_vmaf(vmaf.find_ffmpeg(FFMPEG), arrange(probe(a), probe(b), scale=False))
    assert found == pytest.approx(expected, abs=1e-4)
    assert found != pytest.approx(swapped, abs=0.1)


def test_vmaf_pairs_frames_across_clocks_and_lengths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """24000/1001 frames a second in MP4 and in Matroska's milliseconds, the second one shorter by one."""
    picture = "testsrc2=size=192x128:rate=24000/1001:duration=1"
    a = make(tmp_path / "a.mp4", "-f", "lavfi", "-i", picture, "-c:v", "libx264", "-qp", "0")
    b = make(tmp_path / "b.mkv", "-i", a, "-frames:v", "23", "-c:v", "libx264", "-crf", "35")
    whole = make(tmp_path / "c.mkv", "-i", a, "-c:v", "libx264", "-crf", "35")
    for other, count in ((whole, 24), (b, 23)):
        assert run(["metrics", str(a), str(other), "--ffmpeg", str(FFMPEG), "--json", "-"]) == 0
        found = json.loads(capsys.readouterr().out)
        scores = [frame["vmaf"] for frame in found["frames"]]
        assert len(scores) == count
        # without clocks: by its times alone ffmpeg pairs some frames with their neighbours
        bare, changed = (
            make(tmp_path / f"{path.stem}.y4m", "-i", path, "-fps_mode", "passthrough") for path in (a, other)
        )
        assert scores == pytest.approx(vmaf_reference(bare, changed, tmp_path)[:count], abs=1e-4)


def program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_an_ffmpeg_without_vmaf_is_an_error_if_named_and_a_note_if_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = program(tmp_path / "ffmpeg", "Unknown filter")
    with pytest.raises(ToolMissingError, match="has no libvmaf"):
        vmaf.find_ffmpeg(bare)
    with pytest.raises(ToolMissingError, match="no such program"):
        vmaf.find_ffmpeg(tmp_path / "nothing")
    monkeypatch.setenv("PATH", str(tmp_path))
    clip = pattern(tmp_path / "a.mkv", "yuv420p", frames=2)
    assert run(["metrics", str(clip), str(clip), "--ffmpeg", str(bare)]) == 1
    assert capsys.readouterr().err.startswith(f"Error: --ffmpeg {bare} has no libvmaf\nHint: ")
    assert run(["metrics", str(clip), str(clip)]) == 0
    shown = capsys.readouterr().out
    assert "VMAF is left out" in shown
    assert "--ffmpeg PATH" in shown
    assert "2 of 2 frames are identical" in shown


def test_the_command_writes_json_and_a_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = make(tmp_path / "worse.mkv", "-i", SAMPLE, "-an", "-c:v", "libx264", "-crf", "32")
    report, picture = tmp_path / "report.json", tmp_path / "plot.png"
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    arguments = [
        "metrics",
        str(SAMPLE),
        str(worse),
        "--no-vmaf",
        "--json",
        str(report),
        "--plot",
        str(picture),
    ]
    assert run(arguments) == 0
    assert "luma" in capsys.readouterr().out
    psnr, ssim = reference(SAMPLE, worse, tmp_path)
    found = json.loads(report.read_text(encoding="utf-8"))
    assert len(found["frames"]) == 72
    whole = {(row["metric"], row["plane"]): row for row in found["summary"]}
    mean = np.mean([f["mse_avg"] for f in psnr])
    assert whole["psnr", "all"]["overall"] == pytest.approx(10 * math.log10(255**2 / mean), abs=0.01)
    assert whole["ssim", "all"]["overall"] == pytest.approx(np.mean([f["all"] for f in ssim]), abs=1e-5)
    lowest = int(np.argmin([f["psnr_avg"] for f in psnr]))
    assert whole["psnr", "all"]["lowest_frame"] == lowest
    with av.open(picture) as container:
        drawn = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert drawn.shape[1] == 1200
    assert (drawn == (0x1F, 0x6F, 0xB4)).all(-1).sum() > 300  # the curve
    assert run(arguments) == 1
    assert "is there already" in capsys.readouterr().err


def test_a_plot_without_matplotlib_says_what_to_install_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert run(["metrics", "no.mkv", "no.mkv", "--plot", str(tmp_path / "p.png")]) == 1
    errors = capsys.readouterr().err
    assert "matplotlib" in errors
    assert '".[plot]"' in errors


def test_identical_videos_have_null_psnr_in_json_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = pattern(tmp_path / "a.mkv", "yuv420p", frames=3)
    assert run(["metrics", str(clip), str(clip), "--no-vmaf", "--json", "-"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert [frame["psnr"]["all"] for frame in found["frames"]] == [None] * 3
    assert "identical" in captured.err


def test_a_line_for_each_frame(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = pattern(tmp_path / "a.mkv", "yuv420p")
    b = pattern(tmp_path / "b.mkv", "yuv420p", noise=12)
    assert run(["metrics", str(a), str(b), "--no-vmaf", "--per-frame"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[:3] == ["frame", "seconds", "psnr"]
    psnr, _ = reference(a, b, tmp_path)
    assert [float(line.split("\t")[2]) for line in lines[1:]] == pytest.approx(
        [f["psnr_avg"] for f in psnr], abs=0.006
    )
