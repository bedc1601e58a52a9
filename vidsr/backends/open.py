"""Opens the backend a run uses: the fastest that is installed for the device, or the one asked for."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import torch

from vidsr.backends.base import Backend, Checkpoint, never_stop
from vidsr.backends.choose import DTYPES, choose_precision
from vidsr.backends.openvino import OpenVinoBackend, openvino_is_installed
from vidsr.backends.torch_eager import TorchBackend
from vidsr.errors import DeviceError
from vidsr.job import BackendName, Precision
from vidsr.models.base import Network


def open_backend(
    network: Network,
    device: torch.device,
    *,
    name: BackendName = "auto",
    precision: Precision = "auto",
    checkpoint: Checkpoint = never_stop,
) -> Backend:
    """The network, ready to run.

    "auto" is OpenVINO on CPUs where it is installed (extra `openvino`), torch everywhere else. Raises
    DeviceError where the named backend is missing or cannot use the device.
    """
    precision = choose_precision(precision, device)
    if name == "openvino":
        if device.type != "cpu":
            raise DeviceError(f"the openvino backend runs on the CPU, not on {device}", "pass --device cpu")
        if not openvino_is_installed():
            raise DeviceError("OpenVINO is not installed", "install vidsr with the extra [openvino]")
    if name == "openvino" or (name == "auto" and device.type == "cpu" and openvino_is_installed()):
        return OpenVinoBackend(network, precision, checkpoint=checkpoint, cache=compiled_graphs_folder())
    return TorchBackend(network, device, DTYPES[precision], checkpoint=checkpoint)


def compiled_graphs_folder() -> Path:
    """Where compiled graphs are kept between runs; deleting it costs a second at the next start."""
    return Path(platformdirs.user_cache_dir("vidsr", appauthor=False)) / "openvino"
