"""Which device and which number format a run uses, from what was asked and what the machine has."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from vidsr.backends.device_faults import faults_named
from vidsr.errors import DeviceError, UsageError
from vidsr.job import Precision

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

VOLTA, TURING, AMPERE = (7, 0), (7, 5), (8, 0)
"""Compute capabilities: the first with tensor cores for fp16; the one that has chips without; the first
with bf16."""
TURING_WITHOUT_TENSOR_CORES = frozenset(
    ("MX450", "MX550", "T400", "T500", "T550", "T600", "T1000", "T1200", "T2000", "30HX")
)
"""Words in the names of cards with such chips (TU116, TU117) that are not called GTX 16.."""

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux tells about processors; no other system has it."""


def choose_device(wish: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:1", "mps" ...

    Raises UsageError for a word that names no device, DeviceError for one this machine lacks.
    """
    if wish == "auto":
        with faults_named(torch.device("cuda")):
            return _first_usable_gpu() or torch.device("cpu")
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise UsageError(f"{wish!r} names no device", "use cpu, cuda, cuda:0, ... or auto") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "cuda":
        with faults_named(device):
            return _chosen_gpu(device)
    if device.type == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    raise DeviceError(f"the device {wish!r} cannot be used here", "use cpu, cuda or auto")


def choose_precision(wish: Precision, device: torch.device) -> Precision:
    """The number format to compute in; never "auto".

    "auto" is fp16 on GPUs and bf16 on CPUs that are faster in it, fp32 elsewhere. fp16 on a CPU is far
    slower than fp32 in torch, so it is refused there instead of crawling, as bf16 is on GPUs without it.
    int8 is for CPUs with VNNI. Raises UsageError for what is refused.
    """
    if wish == "auto":
        if device.type == "cuda" and gpu_multiplies_fp16(device):
            return "fp16"
        if device.type == "cpu" and cpu_is_faster_in_bf16():
            return "bf16"
        return "fp32"
    if wish == "int8":
        if device.type != "cpu":
            raise UsageError(f"int8 runs on CPUs only, not on {device}", "leave out --precision")
        if not cpu_multiplies_int8():
            raise UsageError(
                "this CPU has no 8-bit dot products (VNNI), without which int8 overflows and is slow",
                "use --precision bf16, fp32 or auto",
            )
    if wish == "fp16" and device.type == "cpu":
        raise UsageError("fp16 is slower than fp32 on a CPU", "use --precision bf16, fp32 or auto")
    if wish == "bf16" and device.type == "cuda" and not gpu_multiplies_bf16(device):
        raise UsageError(
            f"{torch.cuda.get_device_name(device)} does not multiply bf16", "use --precision fp32 or auto"
        )
    return wish


def gpu_multiplies_fp16(device: torch.device) -> bool:
    """Whether fp16 is right and faster than fp32 on a CUDA device.

    Before Volta (7.0) fp16 is as slow as fp32 or far slower. Turing's chips without tensor cores give NaN for
    some convolutions, that is black pictures (pytorch issues 58123 and 77955).
    """
    if torch.version.hip is not None:
        return True
    capability = torch.cuda.get_device_capability(device)
    if capability == TURING:
        name = torch.cuda.get_device_name(device)
        return "GTX 16" not in name and TURING_WITHOUT_TENSOR_CORES.isdisjoint(name.split())
    return capability >= VOLTA


def gpu_multiplies_bf16(device: torch.device) -> bool:
    """Whether a CUDA device has bf16 (NVIDIA's do from Ampere on): elsewhere torch does without cuDNN."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= AMPERE


def _chosen_gpu(device: torch.device) -> torch.device:
    if not torch.cuda.is_available():
        raise DeviceError(
            f"no CUDA device can be used here: {_why_there_is_no_cuda()}",
            "use --device cpu, or install a CUDA build of torch and a driver that matches it",
        )
    count = torch.cuda.device_count()
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= count:
        raise DeviceError(f"there is no device cuda:{index}", f"this machine has cuda:0 to cuda:{count - 1}")
    if not _torch_has_code_for(index):
        raise DeviceError(
            f"the installed torch has no code for cuda:{index}, {torch.cuda.get_device_name(index)}",
            "install a build of torch made for this card, or use --device cpu",
        )
    return torch.device("cuda", index)


def _first_usable_gpu() -> torch.device | None:
    """torch's current one where it can be used, else the first that can."""
    if not torch.cuda.is_available():
        return None
    current = torch.cuda.current_device()
    for index in (current, *range(torch.cuda.device_count())):
        if _torch_has_code_for(index):
            return torch.device("cuda", index)
    return None


def _torch_has_code_for(index: int) -> bool:
    if torch.version.hip is not None:
        return True
    return runs_on(torch.cuda.get_device_capability(index), torch.cuda.get_arch_list())


def runs_on(capability: tuple[int, int], architectures: Sequence[str]) -> bool:
    """Whether code for such architectures runs on a GPU of this compute capability.

    architectures: as torch lists its own, "sm_86" for code and "compute_90" for what the driver compiles.
    Code runs on its own generation from its own member on, what is compiled on all later ones; with a letter
    behind ("sm_90a") on one member alone. True where none are listed: nothing is known then.
    """
    for architecture in architectures:
        kind, _, number = architecture.partition("_")
        version = number.rstrip("af")
        if not version.isdigit():
            return True  # nothing that is known here
        made_for = int(version[:-1]), int(version[-1])
        if made_for == capability:
            return True
        is_later = made_for < capability and version == number
        if is_later and (kind == "compute" or made_for[0] == capability[0]):
            return True
    return not architectures


def _why_there_is_no_cuda() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return "the installed torch was built without CUDA"
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        return str(error).strip().splitlines()[0].split(". ")[0].rstrip(".")
    return "torch finds none"


def cpu_multiplies_bf16() -> bool:
    """Whether the CPU has bf16 dot products (AVX-512 BF16, AMX, or Arm's BF16 extension).

    oneDNN runs bf16 on every AVX-512 machine, by converting to fp32 and back where the instruction is
    missing, which is slower than fp32 itself.
    """
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return _linux_cpu_has("bf16")
    return _torch_finds("_is_avx512_bf16_supported") or _has_amx()


def cpu_is_faster_in_bf16() -> bool:
    """Whether those dot products also take less time than fp32.

    AVX-512's pay on AMD's processors and not on Intel's: the default model takes half as long in bf16 as in
    fp32 on an EPYC, and 1.8 times as long on an Emerald Rapids whose AMX its virtual machine hides; a product
    of matrices says the same of both (docs/LOG.md). AMX multiplies sixteen times as fast as fp32.
    """
    return cpu_multiplies_bf16() and (_has_amx() or not _is_intel())


def cpu_multiplies_int8() -> bool:
    """Whether the CPU has 8-bit dot products that add up in 32 bits (AVX-512 VNNI, or AVX VNNI).

    Older instructions add pairs of products in 16 bits, where a byte times a signed byte overflows.
    """
    return _torch_finds("_is_vnni_supported") or _linux_cpu_has("avx_vnni")


def _has_amx() -> bool:
    return _torch_finds("_is_amx_tile_supported")


def _is_intel() -> bool:
    if CPUINFO.is_file():
        return "GenuineIntel" in _cpuinfo("vendor_id")
    return "GenuineIntel" in platform.processor()  # on Linux that starts a program: 14 ms


def _torch_finds(question: str) -> bool:
    """question: a function of torch.cpu, which not every release has."""
    return bool(getattr(torch.cpu, question, lambda: False)())


def _linux_cpu_has(feature: str) -> bool:
    return feature in _cpuinfo("features", "flags")


def _cpuinfo(*starts: str) -> frozenset[str]:
    """All words of the lines that begin so, in any case."""
    if not CPUINFO.is_file():
        return frozenset()
    lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    return frozenset(word for line in lines if line.lower().startswith(starts) for word in line.split())
