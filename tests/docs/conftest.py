"""A folder as the pages suppose it: clips under the names they use, small networks in the models' places."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.paths import REPOSITORY
from tests.reference_ffmpeg import ffmpeg
from vidsr.models import Architecture
from vidsr.presets import Preset, read_preset

IN_MKV = ("in.mkv", "samples/cel.mkv", "season/01.mkv", "season/02.mkv")
LATE = 750
"""Seconds: where a page looks into the middle of an episode."""


def small(preset: Preset) -> tuple[Architecture, dict[str, Tensor]]:
    """The least network of a preset's family and factor; it repeats pixels, so that outputs are verified."""
    if preset.architecture == "srvgg":
        architecture = Architecture.srvgg(num_feat=2, num_conv=1, upscale=preset.scale, act_type="prelu")
        return architecture, zeros(architecture)
    architecture = Architecture.rrdb(num_feat=3, num_block=1, num_grow_ch=2, scale=preset.scale)
    state = zeros(architecture)
    for layer in ("conv_first", "conv_up1", "conv_up2", "conv_hr", "conv_last"):
        weight = state[f"{layer}.weight"]
        folded = weight.shape[1] // 3  # input pixels that were folded into one: their mean is passed on
        for channel in range(3):
            weight[channel, channel * folded : (channel + 1) * folded, 1, 1] = 1 / folded
    return architecture, state


def zeros(architecture: Architecture) -> dict[str, Tensor]:
    return {name: torch.zeros(value.shape) for name, value in architecture.build().state_dict().items()}


def write_small_presets(folder: Path) -> None:
    """The packaged presets' names, each with a small network."""
    for path in sorted((REPOSITORY / "presets").glob("*.toml")):
        preset = read_preset(path)
        architecture, state = small(preset)
        save_file(state, folder / f"{preset.name}.safetensors")
        words = "\n".join(
            f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
            for key, value in architecture.arguments.items()
            if key != "unshuffle"
        )
        source = f'source = [{{ files = [{{ path = "{preset.name}.safetensors" }}] }}]'
        partner = f"[denoise_partner]\n{source}\n" if preset.denoise_partner else ""
        (folder / path.name).write_text(
            f'name = "{preset.name}"\nsummary = "{preset.summary}"\nscale = {preset.scale}\n'
            f'[architecture]\nkind = "{architecture.kind}"\n{words}\n[weights]\n{source}\n{partner}'
        )


def write_clips(folder: Path) -> None:
    """A dozen frames each; the later half of those in in.mkv and in.mp4 begins at LATE."""
    for name in ("samples", "season"):
        (folder / name).mkdir()
    subtitles = folder / "lines.srt"
    subtitles.write_text("1\n00:00:00,000 --> 00:00:01,500\nHello\n")
    video = "testsrc2=s=64x48:r=3:d=4"
    late = f"setpts='if(lt(N,6),N,{3 * LATE}+N-6)/3/TB'"
    beside = ("-f", "lavfi", "-i", "sine=d=2", "-i", subtitles, "-map", "0", "-map", "1")
    coded = (
        "-vf",
        late,
        "-fps_mode",
        "passthrough",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-c:a",
        "aac",
    )
    named = ("-metadata:s:a:0", "language=jpn", "-metadata:s:s:0", "language=eng")
    make(folder / "in.mkv", video, *beside, "-map", "2", *coded, *named)
    make(folder / "in.mp4", video, *beside, *coded)
    mpeg = ("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-frames:v", "12")
    fields = "tinterlace=interleave_top,setsar=16/11"
    make(folder / "dvd.mkv", "testsrc2=s=64x64:r=50:d=1", "-vf", fields, *mpeg)
    make(folder / "film.mkv", "testsrc2=s=64x64:r=24000/1001:d=1", "-vf", "telecine", *mpeg)
    for name in IN_MKV[1:]:
        shutil.copy(folder / "in.mkv", folder / name)
    subtitles.unlink()
    torch.save(zeros(Architecture.srvgg(num_feat=4, num_conv=1, upscale=2)), folder / "my_model.pth")


def make(path: Path, picture: str, *words: str | Path) -> None:
    ffmpeg("-v", "error", "-f", "lavfi", "-i", picture, *words, path)


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs")
    (folder / "presets").mkdir()
    write_small_presets(folder / "presets")
    (folder / "work").mkdir()
    write_clips(folder / "work")
    return folder


@pytest.fixture
def reader(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder of somebody who follows the pages; their own configuration beside it."""
    shutil.copytree(material / "work", tmp_path / "work")
    shutil.copytree(material / "presets", tmp_path / "config" / "presets")
    for kind in ("config", "data", "cache"):
        monkeypatch.setattr(f"platformdirs.user_{kind}_dir", lambda *_, kind=kind, **__: str(tmp_path / kind))
    # small networks take longer to be compiled than to be run
    monkeypatch.setattr("vidsr.backends.open.openvino_is_installed", lambda: False)
    monkeypatch.delenv("VIDSR_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"
