"""The number format on a CPU: what its flags say of what it has, and its maker of what that is good for."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from vidsr.backends import choose
from vidsr.backends.choose import choose_precision

CPU = torch.device("cpu")


def machine_with(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    *,
    cpuinfo: str,
    avx512_bf16: bool = False,
    amx: bool = False,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    place = folder / "cpuinfo"
    if cpuinfo:
        place.write_text(cpuinfo)
    monkeypatch.setattr(choose, "CPUINFO", place)


# as Linux writes them, shortened
EPYC = "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9R14\nflags\t\t: fpu avx512f avx512_bf16\n"
XEON = "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx512f avx512_bf16\n"
GRAVITON = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd i8mm bf16\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("cpuinfo", "avx512_bf16", "amx", "precision"),
    [
        pytest.param(EPYC, True, False, "bf16", id="amd"),
        pytest.param(EPYC, False, False, "fp32", id="amd before zen 4"),
        pytest.param(XEON, True, True, "bf16", id="intel with amx"),
        pytest.param(XEON, True, False, "fp32", id="intel whose amx is hidden"),
        pytest.param(XEON, False, False, "fp32", id="intel before"),
    ],
)
def test_bf16_is_taken_where_it_is_faster_than_fp32(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cpuinfo: str,
    *,
    avx512_bf16: bool,
    amx: bool,
    precision: str,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "processor", lambda: "")
    machine_with(monkeypatch, tmp_path, cpuinfo=cpuinfo, avx512_bf16=avx512_bf16, amx=amx)
    assert choose_precision("auto", CPU) == precision
    assert choose_precision("bf16", CPU) == "bf16"  # whoever asks for it gets it


@pytest.mark.parametrize(
    ("processor", "precision"),
    [
        ("Intel64 Family 6 Model 143 Stepping 8, GenuineIntel", "fp32"),
        ("AMD64 Family 25 Model 97 Stepping 2, AuthenticAMD", "bf16"),
    ],
)
def test_windows_names_the_maker_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, processor: str, precision: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "AMD64")
    monkeypatch.setattr(platform, "processor", lambda: processor)
    machine_with(monkeypatch, tmp_path, cpuinfo="", avx512_bf16=True)
    assert choose_precision("auto", CPU) == precision


@pytest.mark.parametrize(
    ("cpuinfo", "precision"), [(GRAVITON, "bf16"), (GRAVITON.replace(" bf16", ""), "fp32")]
)
def test_arm_says_it_in_a_word(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpuinfo: str, precision: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(platform, "processor", lambda: "")
    machine_with(monkeypatch, tmp_path, cpuinfo=cpuinfo)
    assert choose_precision("auto", CPU) == precision
