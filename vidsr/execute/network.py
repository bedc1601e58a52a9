"""A job's network: which one is meant, its weights, and what computes it on a device.

What jobs, single pictures and measurements have in common. It knows presets and devices, never videos.
"""

from __future__ import annotations

from pathlib import Path

import torch

from vidsr.backends.base import Backend, Checkpoint, never_stop
from vidsr.backends.open import open_backend
from vidsr.errors import UsageError
from vidsr.infer.memory import batch_of_small_ones, batch_that_fits, free_memory, picture_bytes
from vidsr.job import BackendName, Precision
from vidsr.presets import DEFAULT_MODEL, Preset, find_preset
from vidsr.progress.events import Fetching, Show
from vidsr.weights.int8 import constants_for
from vidsr.weights.store import LoadedGraph, LoadedNetwork, load_network, load_weights_file


def chosen_preset(model: str | None, weights: Path | None) -> Preset | None:
    """The preset of that name, or the default one; None where only a file of weights is named.

    Raises UnknownNameError.
    """
    if model is None and weights is not None:
        return None
    return find_preset(model or DEFAULT_MODEL)


def load_model(
    preset: Preset | None, weights: Path | None, denoise: float | None, show: Show
) -> LoadedNetwork | LoadedGraph:
    """A preset's network, or whatever network a file of weights holds; one of the two must be given.

    Raises as load_network and load_weights_file do, and UsageError for a denoise without effect.
    """
    if preset is None and denoise is not None:
        raise UsageError(f"--denoise needs a model's own weights, not {weights}", "leave out one of the two")
    if preset is not None:
        return load_network(
            preset,
            weights=weights,
            denoise=denoise,
            on_progress=lambda progress: show(Fetching.of(progress)),
        )
    assert weights is not None
    return load_weights_file(weights)


def open_network(
    loaded: LoadedNetwork | LoadedGraph,
    device: torch.device,
    *,
    name: BackendName,
    precision: Precision,
    checkpoint: Checkpoint = never_stop,
) -> Backend:
    """The network on a device, with the constants of its weights where int8 needs them.

    Raises as constants_for and open_backend do.
    """
    return open_backend(
        loaded.network,
        device,
        name=name,
        precision=precision,
        checkpoint=checkpoint,
        constants=constants_for(precision, loaded.digest),
    )


def usual_batch(
    preset: Preset | None, loaded: LoadedNetwork | LoadedGraph, backend: Backend, pixels: int
) -> int:
    """How many frames of so many pixels are computed at once where nobody says it.

    A CPU takes as many as its backend computes at the same time, if they are small; a GPU the preset's,
    as far as its free memory holds it.
    """
    is_gpu = backend.device.type == "cuda"
    if isinstance(loaded, LoadedGraph) or loaded.architecture is None:
        return preset.batch if preset is not None and is_gpu else 1
    picture = picture_bytes(loaded.network, pixels, backend.dtype.itemsize)
    if not is_gpu:
        return batch_of_small_ones(picture, backend.streams)
    if preset is None:
        return 1
    free = free_memory(backend.device)
    return preset.batch if free is None else batch_that_fits(picture, free, preset.batch)
