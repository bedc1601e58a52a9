"""Presets: one TOML file per model, its architecture, where its weights come from, how it likes to run.

The packaged ones lie in `presets/` at the top of the repository (`vidsr/presets` in the wheel); a
user's own, in `presets/` of the configuration folder, win over packaged ones of the same name. It
knows files and names, never tensors: `weights.store` turns a preset into a network.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import platformdirs

from vidsr.errors import UnknownNameError, UsageError

Content = Literal["anime", "general", "any"]


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file that holds weights: where it is, and what it must be.

    Exactly one of package (an installed Python package; path is relative to its folder) and url is
    set. sha256 and size_bytes are None only where nobody published them.
    """

    path: str
    package: str | None = None
    url: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class WeightsSource:
    """One complete way to get the weights: a single file, or an ncnn .param/.bin pair."""

    files: tuple[WeightsFile, ...]


@dataclass(frozen=True, slots=True)
class EncoderDefaults:
    """What the video is encoded with when the command line does not say."""

    name: str = "libx264"
    crf: float | None = 18
    preset: str | None = "veryfast"


@dataclass(frozen=True, slots=True)
class Preset:
    """A model that can be run by name.

    architecture: "srvgg" or "rrdb", with its constructor's arguments in `arguments`.
    scale: native factor. batch: frames at once on a GPU. sources: tried in order.
    denoise_partner: sources of the network that `--denoise` interpolates with, where there is one.
    """

    name: str
    summary: str
    content: Content
    architecture: str
    arguments: Mapping[str, Any]
    scale: int
    sources: tuple[WeightsSource, ...]
    denoise_partner: tuple[WeightsSource, ...] = ()
    batch: int = 4
    encoder: EncoderDefaults = field(default_factory=EncoderDefaults)
    origin: Path | None = None


DEFAULT_MODEL = "realesr-animevideov3"


def preset_folders() -> list[Path]:
    """Folders that hold presets; a later one wins over an earlier one."""
    here = Path(__file__).resolve().parent
    packaged = here / "presets"
    if not packaged.is_dir():  # a checkout: presets/ stands at the top of the repository
        packaged = here.parent / "presets"
    return [packaged, Path(platformdirs.user_config_dir("vidsr", appauthor=False)) / "presets"]


def list_presets() -> dict[str, Preset]:
    """Every preset by name, in alphabetical order.

    Raises UsageError naming the file where one cannot be read.
    """
    found: dict[str, Preset] = {}
    for folder in preset_folders():
        for path in sorted(folder.glob("*.toml")):
            preset = read_preset(path)
            found[preset.name] = preset
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def find_preset(name: str) -> Preset:
    """The preset of this name, whatever its case. Raises UnknownNameError with the nearest name."""
    presets = list_presets()
    for known, preset in presets.items():
        if known.lower() == name.lower():
            return preset
    raise UnknownNameError("model", name, presets, "vidsr models")


def read_preset(path: Path) -> Preset:
    """Read one TOML file. Raises UsageError that names the file and the key at fault."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"preset {path} cannot be read: {error}") from error
    try:
        architecture = dict(data["architecture"])
        kind = architecture.pop("kind")
        return Preset(
            name=data.get("name", path.stem),
            summary=data["summary"],
            content=data.get("content", "any"),
            architecture=kind,
            arguments=architecture,
            scale=int(data["scale"]),
            sources=_sources(data["weights"]["source"]),
            denoise_partner=_sources(data.get("denoise_partner", {}).get("source", [])),
            batch=int(data.get("run", {}).get("batch", 4)),
            encoder=EncoderDefaults(**data.get("encoder", {})),
            origin=path,
        )
    except KeyError as error:
        raise UsageError(f"preset {path} lacks the key {error}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"preset {path} has a value of the wrong kind: {error}") from error


def _sources(entries: list[Mapping[str, Any]]) -> tuple[WeightsSource, ...]:
    return tuple(WeightsSource(tuple(WeightsFile(**f) for f in entry["files"])) for entry in entries)
