"""`vidsr models`: what is listed, shown, fetched, verified and imported, as people and programs read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from vidsr.cli.main import run
from vidsr.models.compact import SRVGGNetCompact


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configuration, cache and data folders of a new user."""
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("VIDSR_WEIGHTS", raising=False)
    return tmp_path


def test_the_list_names_six_models_and_says_which_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(listed) == {
        "realesr-animevideov3",
        "realesr-general-x4v3",
        "RealESRGAN_x4plus",
        "RealESRNet_x4plus",
        "RealESRGAN_x4plus_anime_6B",
        "RealESRGAN_x2plus",
    }
    here = {name for name, entry in listed.items() if entry["present"]}
    assert here == {"realesr-animevideov3", "RealESRGAN_x4plus", "RealESRGAN_x4plus_anime_6B"}
    assert listed["RealESRGAN_x2plus"]["scale"] == 2
    assert run(["models"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_show_tells_the_facts_of_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", "REALESR-ANIMEVIDEOV3", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["halo"] == 18
    # 3*64*9 + 16*64*64*9 + 64*48*9 multiplications, each with an addition
    assert shown["flops_per_pixel"] == 2 * (1728 + 16 * 36864 + 27648)
    assert run(["models", "show", "realesr-general-x4v3"]) == 0
    text = capsys.readouterr().out
    assert "sees 34 pixels" in text
    assert "realesr-general-wdn-x4v3.pth" in text


def test_show_says_what_int8_costs_where_there_is_int8(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", "realesr-animevideov3", "--json"]) == 0
    stated = json.loads(capsys.readouterr().out)["int8_psnr_db"]
    assert 40 < stated < 60
    assert run(["models", "show", "realesr-animevideov3"]) == 0
    assert f"{stated:.1f} dB to fp32; --precision int8" in capsys.readouterr().out
    assert run(["models", "show", "realesr-general-x4v3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["int8_psnr_db"] is None


def test_verify_tells_a_wrong_file_from_a_good_one(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "verify", "realesr-animevideov3"]) == 0
    assert capsys.readouterr().out.count("verified") == 2
    wrong = own_folders / "mine" / "realesr-general-x4v3.pth"
    wrong.parent.mkdir()
    wrong.write_bytes(b"x" * 1000)
    monkeypatch.setenv("VIDSR_WEIGHTS", str(wrong.parent))
    assert run(["models", "verify", "realesr-general-x4v3"]) == 1
    assert "realesr-general-x4v3.pth wrong: " in capsys.readouterr().out


def test_an_imported_file_is_a_model_with_a_name(
    own_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own_folders / "2x_Mine.pth"
    torch.save({"params": SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2).state_dict()}, file)
    assert run(["models", "import", str(file), "--name", "mine", "--summary", "my own"]) == 0
    capsys.readouterr()
    file.unlink()
    assert run(["models", "show", "mine"]) == 0
    shown = capsys.readouterr().out
    assert "mine: my own" in shown
    assert "SRVGGNetCompact x2, 2 conv, 8 channels" in shown


def test_a_model_that_cannot_be_fetched_names_address_and_place(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # a port that nobody listens on, in place of the official site
    monkeypatch.setenv("VIDSR_MIRROR", "http://127.0.0.1:9/")
    monkeypatch.setattr("vidsr.weights.locate.addresses", lambda url: [f"http://127.0.0.1:9/{url[8:]}"])
    assert run(["models", "pull", "realesr-general-x4v3"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2].startswith("Error: realesr-general-x4v3.pth could not be fetched")
    assert "by hand" in lines[-1]


def test_an_unknown_model_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "show", "RealESRGAN_x4"]) == 2
    assert "did you mean RealESRGAN_x4plus?" in capsys.readouterr().err
