"""Which ways of running a network this machine has: device, backend and number format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from vidsr.backends.choose import (
    choose_device,
    cpu_multiplies_bf16,
    cpu_multiplies_int8,
    gpu_multiplies_bf16,
    gpu_multiplies_fp16,
)
from vidsr.backends.openvino import openvino_is_installed

Backend = Literal["torch", "openvino"]
Format = Literal["fp32", "bf16", "fp16", "int8"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a network. device: torch's name ("cpu", "cuda:0")."""

    device: str
    backend: Backend
    precision: Format

    @property
    def shares_a_gpu(self) -> bool:
        """Whether its memory is what the processes of other ways use as well."""
        return self.device.startswith("cuda")

    def __str__(self) -> str:
        return f"{self.backend} {self.precision} on {self.device}"


def ways_here(device_wish: str = "all") -> list[Way]:
    """Every way worth measuring, those that a run would choose by itself first.

    device_wish: "all" (the CPU, and one GPU if there is any) or a device by name. int8 is among them where
    the machine has it, whether or not a model does.

    Raises UsageError or DeviceError for a device that does not exist.
    """
    if device_wish != "all":
        return _ways(choose_device(device_wish))
    devices = [torch.device("cpu")]
    if (best := choose_device("auto")).type != "cpu":
        devices.insert(0, best)
    return [way for device in devices for way in _ways(device)]


def _ways(device: torch.device) -> list[Way]:
    name = str(device)
    match device.type:
        case "cpu":
            formats: tuple[Format, ...] = ("bf16", "fp32") if cpu_multiplies_bf16() else ("fp32",)
            backends: tuple[Backend, ...] = ("openvino", "torch") if openvino_is_installed() else ("torch",)
            ways = [Way(name, backend, precision) for backend in backends for precision in formats]
            if "openvino" in backends and cpu_multiplies_int8():
                ways.append(Way(name, "openvino", "int8"))
            return ways
        case "cuda":
            formats = (
                *(("fp16",) if gpu_multiplies_fp16(device) else ()),
                *(("bf16",) if gpu_multiplies_bf16(device) else ()),
                "fp32",
            )
            return [Way(name, "torch", precision) for precision in formats]
        case _:
            return [Way(name, "torch", "fp32")]
