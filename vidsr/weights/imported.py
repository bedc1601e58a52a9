"""Make a stranger's file a model that runs by name: its tensors as .safetensors, and a preset for it.

It knows presets' text and the folders of imported weights; formats and architectures are others'.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save

from vidsr.durable import sync
from vidsr.errors import UsageError, WeightsError
from vidsr.presets import Preset, list_presets, preset_folders, read_preset
from vidsr.weights.download import sha256_of
from vidsr.weights.folders import imported_folder
from vidsr.weights.formats import ARCHITECTURE_NOTE, read_checkpoint

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def import_weights(
    path: Path, *, name: str | None = None, summary: str | None = None
) -> tuple[Preset, tuple[str, ...]]:
    """Read a weight file of any format, keep its tensors in the data folder and write a preset for it.

    name: the model's new name; the file's own without suffix by default.
    Gives the preset as it can now be found, and notes about what had to be inferred.

    Raises WeightsFormatError and ArchitectureError as reading does, UsageError for a name that is
    taken or cannot be one, WeightsError where the folders cannot be written.
    """
    name = path.stem if name is None else name
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a model's name", "use letters, digits, dots and dashes: --name my-model"
        )
    taken = {known.lower() for known in list_presets()}
    if name.lower() in taken:
        raise UsageError(f"there is a model named {name} already", "choose another with --name")
    checkpoint = read_checkpoint(path)
    architecture = checkpoint.architecture
    notes = checkpoint.notes
    if checkpoint.requested_scale is not None:
        notes += (
            f"the file asks for x{checkpoint.requested_scale}; pass --scale {checkpoint.requested_scale}",
        )
    weights = imported_folder() / f"{name}.safetensors"
    preset = preset_folders()[-1] / f"{name}.toml"
    content = save(
        {key: tensor.contiguous() for key, tensor in checkpoint.state.items()},
        metadata={ARCHITECTURE_NOTE: json.dumps(asdict(architecture)), "vidsr.imported_from": path.name},
    )
    try:
        _write(weights, content)
        arguments = "\n".join(f"{key} = {_toml(value)}" for key, value in architecture.arguments.items())
        text = f"""\
name = {_toml(name)}
summary = {_toml(summary or f"imported from {path.name}: {architecture}")}
scale = {architecture.scale}

[architecture]
kind = {_toml(architecture.kind)}
{arguments}

[[weights.source]]
files = [
  {{ path = {_toml(str(weights))}, size_bytes = {len(content)}, sha256 = "{sha256_of(weights)}" }},
]
"""
        _write(preset, text.encode())
    except OSError as error:
        raise WeightsError(f"{error.filename or weights} cannot be written: {error.strerror}") from error
    return read_preset(preset), notes


def _toml(value: int | str) -> str:
    """A TOML integer or basic string; JSON's are the same but for escaped surrogates, so none are escaped."""
    return json.dumps(value, ensure_ascii=False)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a temporary name beside it, then a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            sync(file)
            file.close()
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
