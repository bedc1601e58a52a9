"""Presets: one TOML file per model, its architecture, where its weights come from, how it likes to run.

The packaged ones lie in `presets/` at the top of the repository (`vidsr/presets` in the wheel); a
user's own, in `presets/` of the configuration folder, win over packaged ones of the same name. It
knows files and names, never tensors: `weights.store` turns a preset into a network.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Literal, get_args

import platformdirs

from vidsr.errors import UnknownNameError, UsageError

Content = Literal["anime", "general", "any"]


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """One file that holds weights: where it is, and what it must be.

    With package (an installed Python package), path is relative to its folder; with url, path is
    the file's name in the download cache; with neither, path is a file on this machine. sha256 (64
    hexadecimal digits) and size_bytes are None only where nobody published them.

    Raises ValueError for a source or a sum that cannot be.
    """

    path: str
    package: str | None = None
    url: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.package is not None and self.url is not None:
            raise ValueError(f"{self.path} has both a package and a url")
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"{self.url!r} is not an http or https address")
        if self.url is not None and (not self.path or PurePath(self.path).name != self.path):
            raise ValueError(f"{self.path!r} is not the plain name of a file in the cache")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.sha256!r} is not a sha256")
        if self.size_bytes is not None and not (isinstance(self.size_bytes, int) and self.size_bytes > 0):
            raise ValueError(f"{self.size_bytes!r} is not a size in bytes")


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


KEYS = {
    "name", "summary", "content", "scale", "architecture", "weights", "denoise_partner", "run", "encoder"
}  # fmt: skip

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
        return _preset(data, path)
    except KeyError as error:
        raise UsageError(f"preset {path} lacks the key {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(f"preset {path} has a value of the wrong kind: {error}") from error


def _preset(data: Mapping[str, Any], path: Path) -> Preset:
    _refuse_unknown(data, KEYS, "")
    run = data.get("run", {})
    _refuse_unknown(run, {"batch"}, "run.")
    architecture = dict(data["architecture"])
    kind = architecture.pop("kind")
    scale, batch = int(data["scale"]), int(run.get("batch", 4))
    native = architecture.get("upscale" if kind == "srvgg" else "scale", scale)
    if native != scale:
        raise ValueError(f"scale is {scale}, its architecture's {native}")
    content = data.get("content", "any")
    if batch < 1 or scale < 1 or content not in get_args(Content):
        raise ValueError(f"batch {batch}, scale {scale} or content {content!r}")
    return Preset(
        name=str(data.get("name", path.stem)),
        summary=str(data["summary"]),
        content=content,
        architecture=str(kind),
        arguments=architecture,
        scale=scale,
        sources=_sources(data["weights"]["source"], path.parent),
        denoise_partner=_sources(data.get("denoise_partner", {}).get("source", []), path.parent),
        batch=batch,
        encoder=EncoderDefaults(**data.get("encoder", {})),
        origin=path,
    )


def _refuse_unknown(table: Mapping[str, Any], known: set[str], where: str) -> None:
    """A misspelt key would otherwise be ignored in silence."""
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {where}{key}")


def _sources(entries: list[Mapping[str, Any]], folder: Path) -> tuple[WeightsSource, ...]:
    return tuple(WeightsSource(tuple(_file(f, folder) for f in entry["files"])) for entry in entries)


def _file(entry: Mapping[str, Any], folder: Path) -> WeightsFile:
    file = WeightsFile(**entry)
    if file.package is None and file.url is None:  # a file of the user's, relative to the preset
        return replace(file, path=str(folder / file.path))
    return file
