"""What `vidsr models` lists, fetches and verifies: every preset and the state of its weights here.

It knows presets and files, never tensors, so that listing needs no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vidsr.errors import IntegrityError
from vidsr.presets import Preset, WeightsSource, list_presets
from vidsr.weights.download import ProgressCallback
from vidsr.weights.locate import Located, check, fetch, locate

Role = Literal["weights", "denoise partner"]


@dataclass(frozen=True, slots=True)
class Holding:
    """One network's weights: where they are (None: not on this machine), or what would be fetched."""

    role: Role
    located: Located | None
    sources: tuple[WeightsSource, ...]

    @property
    def source(self) -> WeightsSource:
        """The source in use, or the one that would be."""
        if self.located is not None:
            return self.located.source
        return next((s for s in self.sources if all(file.url for file in s.files)), self.sources[0])

    @property
    def size_bytes(self) -> int | None:
        """On disk, or to be fetched; None where the size is not published."""
        if self.located is not None:
            return sum(path.stat().st_size for path in self.located.paths)
        sizes = [file.size_bytes for file in self.source.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)


@dataclass(frozen=True, slots=True)
class Entry:
    """A preset and its weights' state: the network's, and its denoise partner's where it has one."""

    preset: Preset
    holdings: tuple[Holding, ...]

    @property
    def is_present(self) -> bool:
        """Whether the model runs without fetching anything; the partner is only for --denoise."""
        return self.holdings[0].located is not None


@dataclass(frozen=True, slots=True)
class FileCheck:
    """One file's verdict. detail: one line for people, empty where there is nothing to say."""

    role: Role
    name: str
    path: Path | None
    verdict: Literal["verified", "unpinned", "absent", "wrong"]
    detail: str = ""


def entry(preset: Preset) -> Entry:
    """The state of one preset's weights; contents are not read."""
    holdings = [Holding("weights", locate(preset.sources), preset.sources)]
    if preset.denoise_partner:
        partner = preset.denoise_partner
        holdings.append(Holding("denoise partner", locate(partner), partner))
    return Entry(preset, tuple(holdings))


def catalogue() -> list[Entry]:
    """All presets, in alphabetical order."""
    return [entry(preset) for preset in list_presets().values()]


def pull(preset: Preset, on_progress: ProgressCallback | None = None) -> tuple[Entry, tuple[str, ...]]:
    """Fetch what is not here, the partner included, and check it: (the new state, notes for people).

    Raises DownloadError, IntegrityError.
    """
    notes: list[str] = []
    for holding in entry(preset).holdings:
        located = holding.located or fetch(preset.name, holding.sources, on_progress)
        notes += check(located)
    return entry(preset), tuple(notes)


def verify(preset: Preset) -> list[FileCheck]:
    """Compare every file that is here with its pin; wrong ones are verdicts, not errors."""
    return [verdict for holding in entry(preset).holdings for verdict in _verify_holding(holding)]


def _verify_holding(holding: Holding) -> list[FileCheck]:
    located = holding.located
    if located is None:
        return [
            FileCheck(holding.role, Path(file.path).name, None, "absent") for file in holding.source.files
        ]
    verdicts: list[FileCheck] = []
    for file, path in zip(located.source.files, located.paths, strict=True):
        try:
            notes = check(Located(WeightsSource((file,)), (path,), located.place))
        except IntegrityError as error:
            verdicts.append(FileCheck(holding.role, path.name, path, "wrong", error.message))
        else:
            pinned = file.sha256 is not None
            verdict: Literal["verified", "unpinned"] = "verified" if pinned else "unpinned"
            verdicts.append(FileCheck(holding.role, path.name, path, verdict, "; ".join(notes)))
    return verdicts
