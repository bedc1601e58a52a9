"""Which device and which number format a run uses, from what was asked and what the machine has."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from vidsr.errors import DeviceError, UsageError
from vidsr.job import Precision

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(wish: str) -> torch.device:
    """The device for "auto", "cpu", "cuda", "cuda:1", "mps" ...

    Raises UsageError for a word that names no device, DeviceError for one this machine lacks.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("cpu")
    try:
        device = torch.device(wish)
    except RuntimeError as error:
        raise UsageError(f"{wish!r} names no device", "use cpu, cuda, cuda:0, ... or auto") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                "no CUDA device can be used here",
                "use --device cpu, or install a CUDA build of torch and a driver that matches it",
            )
        count = torch.cuda.device_count()
        index = torch.cuda.current_device() if device.index is None else device.index
        if index >= count:
            raise DeviceError(
                f"there is no device cuda:{index}", f"this machine has cuda:0 to cuda:{count - 1}"
            )
        return torch.device("cuda", index)
    if device.type == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    raise DeviceError(f"the device {wish!r} cannot be used here", "use cpu, cuda or auto")


def choose_precision(wish: Precision, device: torch.device) -> Precision:
    """The number format to compute in; never "auto".

    "auto" is fp16 on CUDA, bf16 on CPUs that multiply it in hardware, fp32 elsewhere. fp16 on a CPU
    is far slower than fp32 in torch, so it is refused there instead of crawling. int8 is for CPUs with
    VNNI. Raises UsageError for what is refused.
    """
    if wish == "auto":
        if device.type == "cuda":
            return "fp16"
        if device.type == "cpu" and cpu_multiplies_bf16():
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
    return wish


def cpu_multiplies_bf16() -> bool:
    """Whether the CPU has bf16 dot products (AVX-512 BF16, AMX, or Arm's BF16 extension).

    oneDNN runs bf16 on every AVX-512 machine, by converting to fp32 and back where the instruction is
    missing, which is slower than fp32 itself: so the instruction is what counts.
    """
    if platform.machine().lower() in {"arm64", "aarch64"}:
        return _linux_cpu_has("bf16")
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in names)


def cpu_multiplies_int8() -> bool:
    """Whether the CPU has 8-bit dot products that add up in 32 bits (AVX-512 VNNI, or AVX VNNI).

    Older instructions add pairs of products in 16 bits, where a byte times a signed byte overflows.
    """
    return bool(getattr(torch.cpu, "_is_vnni_supported", lambda: False)()) or _linux_cpu_has("avx_vnni")


def _linux_cpu_has(feature: str) -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return False
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(feature in line.split() for line in lines if line.lower().startswith(("features", "flags")))
