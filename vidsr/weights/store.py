"""From a preset, or a bare file, to a network that is ready to run.

Looked for in this order: the file given by name; VIDSR_WEIGHTS; then each of the preset's sources
as it is on this machine (an installed package, an imported file, the download cache); then each
source's address (`locate` does the looking and fetching). It knows the order; formats, HTTP and layers
are others'. The network it gives is float32, on the CPU, in eval mode and without gradients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import torch

from vidsr.errors import ArchitectureError, UsageError
from vidsr.models.architecture import Architecture
from vidsr.models.base import Network
from vidsr.models.graph import Graph
from vidsr.presets import Preset, WeightsSource
from vidsr.weights.checkpoint import Checkpoint, content_digest
from vidsr.weights.download import ProgressCallback, sha256_of
from vidsr.weights.folders import chosen_weights
from vidsr.weights.formats import read_checkpoint
from vidsr.weights.locate import check, fetch, locate
from vidsr.weights.onnx_file import ONNX_SUFFIX
from vidsr.weights.onnx_graph import load_graph
from vidsr.weights.other_families import load_other_family


@dataclass(frozen=True, slots=True, eq=False)
class LoadedNetwork:
    """A network with its weights, and where they came from.

    architecture: None for networks of other families.
    digest: sha256 over architecture and float32 values, the same whatever the file format; of other
    families the file's own.
    origin: words for people, such as the file's path.
    requested_scale: the factor the file wants its output resized to, where not network.scale.
    notes: what had to be inferred or could not be checked, one sentence each.
    """

    network: Network
    architecture: Architecture | None
    digest: str
    origin: str
    requested_scale: Fraction | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class LoadedGraph:
    """A network of another family, as an ONNX graph.

    digest: sha256 of its file, or over those of all its files. The other fields are as LoadedNetwork's.
    """

    network: Graph
    digest: str
    origin: str
    requested_scale: None = None
    notes: tuple[str, ...] = ()


def load_network(
    preset: Preset,
    *,
    weights: Path | None = None,
    denoise: float | None = None,
    on_progress: ProgressCallback | None = None,
) -> LoadedNetwork:
    """The preset's network with its weights; fetched first where they are nowhere on this machine.

    weights: a file to use instead of the preset's own sources; it must hold the preset's architecture.
    denoise: 0 to 1, for presets with a denoise partner: 1 is the preset's own network, 0 its partner,
    which denoises less; between them every value is interpolated (Wang et al., Deep Network
    Interpolation, CVPR 2019). None is 1.

    Raises UsageError where the preset cannot denoise, IntegrityError where a file is not the pinned
    one, ArchitectureError where it holds another network, DownloadError where it cannot be fetched.
    """
    chosen = weights or _chosen_file()
    if denoise is not None:
        _check_denoise(preset, denoise, chosen)
    expected = Architecture(preset.architecture, preset.arguments)
    if chosen is not None:
        return _build(read_checkpoint(chosen, expected), str(chosen))
    checkpoint, origin = _read_source(preset.name, preset.sources, expected, on_progress)
    if denoise is None or denoise == 1.0:
        return _build(checkpoint, origin)
    partner, partner_origin = _read_source(preset.name, preset.denoise_partner, expected, on_progress)
    mixed = {
        name: denoise * value + (1 - denoise) * partner.state[name]
        for name, value in checkpoint.state.items()
    }
    return _build(
        replace(checkpoint, state=mixed, notes=checkpoint.notes + partner.notes),
        f"{denoise:g} of {origin} and {1 - denoise:g} of {partner_origin}",
    )


def load_weights_file(path: Path) -> LoadedNetwork | LoadedGraph:
    """The network that the file (or ncnn pair: either of the two) holds.

    Found from its tensors alone, with spandrel's help where it is installed and the family is another
    one; of an .onnx file it is the graph, whatever the family.

    Raises WeightsFormatError for a damaged file, ArchitectureError for an unknown network.
    """
    if path.suffix.lower() == ONNX_SUFFIX:
        graph, digest, notes = load_graph(path)
        return LoadedGraph(graph, digest, str(path), notes=notes)
    try:
        checkpoint = read_checkpoint(path)
    except ArchitectureError as unknown:
        network = load_other_family(path, unknown)
        return LoadedNetwork(network, None, sha256_of(path), f"{path} ({network.words})")
    return _build(checkpoint, str(path))


def _read_source(
    name: str,
    sources: Sequence[WeightsSource],
    expected: Architecture,
    on_progress: ProgressCallback | None,
) -> tuple[Checkpoint, str]:
    located = locate(sources) or fetch(name, sources, on_progress)
    notes = check(located)
    checkpoint = read_checkpoint(located.paths[0], expected)
    return replace(checkpoint, notes=checkpoint.notes + notes), located.origin


def _check_denoise(preset: Preset, denoise: float, chosen: Path | None) -> None:
    if not preset.denoise_partner:
        raise UsageError(
            f"{preset.name} cannot set its denoising", "leave out --denoise, or use realesr-general-x4v3"
        )
    if not (math.isfinite(denoise) and 0.0 <= denoise <= 1.0):
        raise UsageError(f"--denoise {denoise:g} is not between 0 and 1")
    if chosen is not None:
        raise UsageError(f"--denoise needs the model's own weights, not {chosen}", "leave out one of the two")


def _chosen_file() -> Path | None:
    chosen = chosen_weights()
    return chosen if chosen is not None and chosen.is_file() else None


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
