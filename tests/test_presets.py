"""The packaged presets say what was published, and a malformed one is named with its fault."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from vidsr.errors import UnknownNameError, UsageError
from vidsr.presets import DEFAULT_MODEL, Preset, WeightsFile, find_preset, list_presets, read_preset

RELEASES = "https://github.com/xinntao/Real-ESRGAN/releases/download"

# tag, file, bytes, sha256 as published; then family, its size and native factor
PUBLISHED = {
    "realesr-animevideov3": (
        "v0.2.5.0/realesr-animevideov3.pth",
        2504012,
        "b8a8376811077954d82ca3fcf476f1ac3da3e8a68a4f4d71363008000a18b75d",
        ("srvgg", 16, 4),
    ),
    "realesr-general-x4v3": (
        "v0.2.5.0/realesr-general-x4v3.pth",
        4885111,
        "8dc7edb9ac80ccdc30c3a5dca6616509367f05fbc184ad95b731f05bece96292",
        ("srvgg", 32, 4),
    ),
    "RealESRGAN_x4plus": (
        "v0.1.0/RealESRGAN_x4plus.pth",
        67040989,
        "4fa0d38905f75ac06eb49a7951b426670021be3018265fd191d2125df9d682f1",
        ("rrdb", 23, 4),
    ),
    "RealESRNet_x4plus": ("v0.1.1/RealESRNet_x4plus.pth", None, None, ("rrdb", 23, 4)),
    "RealESRGAN_x4plus_anime_6B": (
        "v0.2.2.4/RealESRGAN_x4plus_anime_6B.pth",
        17938799,
        "f872d837d3c90ed2e05227bed711af5671a6fd1c9f7d7e91c911a61f155e99da",
        ("rrdb", 6, 4),
    ),
    "RealESRGAN_x2plus": (
        "v0.2.1/RealESRGAN_x2plus.pth",
        67061725,
        "49fafd45f8fd7aa8d31ab2a22d14d91b536c34494a5cfe31eb5d89c2fa266abb",
        ("rrdb", 23, 2),
    ),
}
WDN = (
    "v0.2.5.0/realesr-general-wdn-x4v3.pth",
    4885111,
    "1641f8c4464b9f097c9fdda5589273713f67cf59f3d909e0bd688f0cee269dca",
)


@pytest.fixture(autouse=True)
def _no_presets_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: str(tmp_path / "config"))


def official(preset: Preset) -> WeightsFile:
    (file,) = preset.sources[-1].files
    return file


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_six_presets_carry_the_published_addresses_and_sums(name: str) -> None:
    path, size, sha256, (family, layers, scale) = PUBLISHED[name]
    preset = find_preset(name)
    file = official(preset)
    assert (file.url, file.size_bytes, file.sha256) == (f"{RELEASES}/{path}", size, sha256)
    count = preset.arguments["num_conv" if family == "srvgg" else "num_block"]
    assert (preset.architecture, count, preset.scale) == (family, layers, scale)
    assert preset.arguments["num_feat"] == 64


def test_the_denoise_partner_is_the_published_one() -> None:
    (source,) = find_preset("realesr-general-x4v3").denoise_partner
    (file,) = source.files
    assert (file.url, file.size_bytes, file.sha256) == (f"{RELEASES}/{WDN[0]}", *WDN[1:])


def test_the_three_models_of_the_wheel_need_no_network() -> None:
    packaged = {
        name
        for name, preset in list_presets().items()
        if preset.sources[0].files[0].package
        and all(f.sha256 and f.size_bytes for f in preset.sources[0].files)
    }
    assert packaged == {DEFAULT_MODEL, "RealESRGAN_x4plus", "RealESRGAN_x4plus_anime_6B"}


def test_names_are_found_whatever_their_case_and_the_nearest_is_offered() -> None:
    assert find_preset("realesrgan_X4PLUS").name == "RealESRGAN_x4plus"
    with pytest.raises(UnknownNameError, match="unknown model 'animevideov3'") as error:
        find_preset("animevideov3")
    assert "realesr-animevideov3" in str(error.value.hint)


MINIMAL = """
summary = "mine"
scale = 2

[architecture]
kind = "srvgg"
upscale = 2

[[weights.source]]
files = [{ path = "mine.pth" }]
"""


def test_a_users_preset_wins_over_a_packaged_one(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / f"{DEFAULT_MODEL}.toml").write_text(MINIMAL)
    (folder / "mine.toml").write_text(MINIMAL)
    assert find_preset(DEFAULT_MODEL).summary == "mine"
    mine = find_preset("mine")
    assert mine.name == "mine"  # of the file, where the preset has none
    assert mine.sources[0].files[0].path == str(folder / "mine.pth")
    assert set(list_presets()) == {*PUBLISHED, "mine"}


FILES = 'files = [{ path = "mine.pth" }]'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('summary = "mine"', "", "lacks the key 'summary'"),
        ('kind = "srvgg"', "", "lacks the key 'kind'"),
        ("[[weights.source]]", "[[weights.sauce]]", "lacks the key 'source'"),
        ('summary = "mine"', 'sumary = "mine"', "unknown key sumary"),
        ("\nscale = 2\n", "\nscale = 4\n", "scale is 4, its architecture's 2"),
        ("\nscale = 2\n", '\nscale = "two"\n', "value of the wrong kind"),
        ("\nscale = 2\n", "\nscale = 2\nrun = 5\n", "value of the wrong kind"),
        ("\nscale = 2\n", "\nscale = 2\nrun = { batch = 0 }\n", "batch 0"),
        ("\nscale = 2\n", "\nscale = 2\nrun = { bach = 2 }\n", "unknown key run.bach"),
        ("\nscale = 2\n", '\nscale = 2\ncontent = "cats"\n', "content 'cats'"),
        ("\nscale = 2\n", "\nscale = 2\nencoder = { crff = 2 }\n", "crff"),
        (FILES, "files = [{ paths = 5 }]", "paths"),
        (FILES, 'files = [{ path = "a", url = "ftp://x/a" }]', "not an http or https address"),
        (FILES, 'files = [{ path = "../a", url = "https://x/a" }]', "not the plain name of a file"),
        (FILES, 'files = [{ path = "a", url = "https://x/a", package = "p" }]', "both a package and a url"),
        (FILES, 'files = [{ path = "a", sha256 = "ABC" }]', "not a sha256"),
        (FILES, 'files = [{ path = "a", size_bytes = 0 }]', "not a size in bytes"),
        (FILES, "files = [", "cannot be read"),
    ],
)
def test_a_malformed_preset_is_named_with_its_fault(old: str, new: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    assert old in MINIMAL
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(UsageError, match=words) as error:
        read_preset(path)
    assert str(path) in error.value.message
