"""Which GPU is used and in which number format, for cards as torch describes them; none is needed here."""

from __future__ import annotations

import pytest
import torch

from vidsr.backends.choose import choose_device, choose_precision, runs_on
from vidsr.bench.candidates import ways_here
from vidsr.errors import DeviceError, UsageError

# torch's own list for a CUDA 12.8 wheel of 2.9
WHEEL = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]
CUDA = torch.device("cuda", 0)


def machine_with(monkeypatch: pytest.MonkeyPatch, *cards: tuple[str, tuple[int, int]]) -> None:
    """A machine with these cards, (name, compute capability), and torch's usual build for CUDA."""

    def at(device: torch.device | int) -> tuple[str, tuple[int, int]]:
        return cards[device if isinstance(device, int) else device.index or 0]

    for name, answer in {
        "is_available": lambda: True,
        "device_count": lambda: len(cards),
        "current_device": lambda: 0,
        "get_arch_list": lambda: WHEEL,
        "get_device_name": lambda device: at(device)[0],
        "get_device_capability": lambda device: at(device)[1],
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)


@pytest.mark.parametrize(
    ("name", "capability", "precision"),
    [
        ("NVIDIA GeForce RTX 4090", (8, 9), "fp16"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", (9, 0), "fp16"),
        ("Tesla V100-SXM2-16GB", (7, 0), "fp16"),
        ("Tesla T4", (7, 5), "fp16"),
        ("Quadro RTX 4000", (7, 5), "fp16"),
        ("NVIDIA GeForce GTX 1660 Ti", (7, 5), "fp32"),
        ("NVIDIA GeForce MX450", (7, 5), "fp32"),
        ("NVIDIA T1000 8GB", (7, 5), "fp32"),
        ("NVIDIA GeForce GTX 1080 Ti", (6, 1), "fp32"),
    ],
)
def test_the_number_format_is_one_that_the_card_is_good_at(
    monkeypatch: pytest.MonkeyPatch, name: str, capability: tuple[int, int], precision: str
) -> None:
    machine_with(monkeypatch, (name, capability))
    assert choose_precision("auto", CUDA) == precision
    assert choose_precision("fp16", CUDA) == "fp16"  # whoever asks for it gets it


def test_bf16_is_refused_where_it_would_crawl(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(monkeypatch, ("Tesla T4", (7, 5)), ("NVIDIA A10", (8, 6)))
    with pytest.raises(UsageError, match="Tesla T4 does not multiply bf16"):
        choose_precision("bf16", CUDA)
    assert choose_precision("bf16", torch.device("cuda", 1)) == "bf16"


def test_bench_measures_what_a_card_has(monkeypatch: pytest.MonkeyPatch) -> None:
    machine_with(
        monkeypatch, ("NVIDIA A10", (8, 6)), ("Tesla T4", (7, 5)), ("NVIDIA GeForce GTX 1650", (7, 5))
    )
    formats = [[way.precision for way in ways_here(f"cuda:{number}")] for number in range(3)]
    assert formats == [["fp16", "bf16", "fp32"], ["fp16", "fp32"], ["fp32"]]


def test_a_card_that_torch_has_no_code_for_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = ("NVIDIA GeForce GTX 1080", (6, 1)), ("NVIDIA GeForce RTX 3060", (8, 6))
    machine_with(monkeypatch, old, new)
    assert choose_device("auto") == torch.device("cuda", 1)
    with pytest.raises(DeviceError, match="no code for cuda:0, NVIDIA GeForce GTX 1080"):
        choose_device("cuda")
    machine_with(monkeypatch, old)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "architectures", "runs"),
    [
        ((8, 9), WHEEL, True),  # code for 8.6 on 8.9
        ((8, 7), WHEEL, True),
        ((6, 1), WHEEL, False),
        ((12, 1), WHEEL, True),
        ((13, 0), WHEEL, False),
        ((13, 0), [*WHEEL, "compute_120"], True),  # compiled by the driver
        ((7, 5), ["sm_80", "compute_80"], False),
        ((9, 0), ["sm_90a"], True),
        ((10, 3), ["sm_100a"], False),
        ((8, 0), [], True),  # nothing is known
    ],
)
def test_code_runs_on_later_members_of_its_generation(
    capability: tuple[int, int], architectures: list[str], runs: bool
) -> None:
    """CUDA C++ Programming Guide, "Binary Compatibility" and "PTX Compatibility"."""
    assert runs_on(capability, architectures) is runs


def test_a_torch_without_cuda_says_that_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceError, match="the installed torch was built without CUDA"):
        choose_device("cuda")


def test_a_driver_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def init() -> None:  # torch's own words
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
            "driver by downloading and installing a new version from the URL: ..."
        )

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", init)
    with pytest.raises(
        DeviceError, match=r"used here: The NVIDIA driver .* too old \(found version 11040\)$"
    ):
        choose_device("cuda:0")


@pytest.mark.parametrize("wish", ["auto", "cuda:0"])
def test_a_gpu_that_another_program_keeps_for_itself_is_an_error_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    def busy(device: object) -> tuple[int, int]:
        raise torch.AcceleratorError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nMore")

    machine_with(monkeypatch, ("NVIDIA A10", (8, 6)))
    monkeypatch.setattr(torch.cuda, "get_device_capability", busy)
    with pytest.raises(DeviceError, match=r"busy or unavailable$") as caught:
        choose_device(wish)
    assert "--device cpu" in (caught.value.hint or "")
