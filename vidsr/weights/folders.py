"""Where weights are kept and fetched from on this machine: the environment and the configuration say.

    VIDSR_WEIGHTS   a folder that is searched before all else, or one file
    VIDSR_MIRROR    addresses that are tried before the official one, separated by spaces
    config.toml     in the configuration folder:  [weights]  mirrors = ["https://..."]

A mirror is the address of a folder with the official file names in it, or a pattern with {url} (the
whole official address) or {file} (the file's name). It knows folders and settings, never their contents.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import platformdirs

from vidsr.errors import UsageError


def cache_folder() -> Path:
    """Where downloaded weights lie, each under its official file name. May not exist yet."""
    return Path(platformdirs.user_cache_dir("vidsr", appauthor=False)) / "weights"


def imported_folder() -> Path:
    """Where imported weights lie; they cannot be fetched again, so not the cache. May not exist yet."""
    return Path(platformdirs.user_data_dir("vidsr", appauthor=False)) / "weights"


def chosen_weights() -> Path | None:
    """The file or folder that VIDSR_WEIGHTS names. Raises UsageError where it is not there."""
    text = os.environ.get("VIDSR_WEIGHTS")
    if not text:
        return None
    path = Path(text).expanduser()
    if not path.exists():
        raise UsageError(
            f"VIDSR_WEIGHTS names {path}, which is not there", "name a file or a folder, or unset it"
        )
    return path


def mirrors() -> tuple[str, ...]:
    """Mirrors from the environment, then from the configuration. Raises UsageError for a malformed one."""
    config = Path(platformdirs.user_config_dir("vidsr", appauthor=False)) / "config.toml"
    try:
        settings = tomllib.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{config} cannot be read: {error}") from error
    section = settings.get("weights", {})
    configured = section.get("mirrors", []) if isinstance(section, dict) else None
    if not isinstance(configured, list) or not all(isinstance(mirror, str) for mirror in configured):
        raise UsageError(f"{config}: mirrors under [weights] is not a list of addresses")
    found = (*os.environ.get("VIDSR_MIRROR", "").split(), *configured)
    for mirror in found:
        if not mirror.startswith(("http://", "https://")):
            raise UsageError(f"the mirror {mirror!r} is not an http or https address")
    return found


def addresses(url: str) -> list[str]:
    """Where a file may be fetched: from each mirror, then from its official address."""
    name = url.rsplit("/", 1)[-1]
    listed = [
        mirror.replace("{url}", url).replace("{file}", name)
        if "{url}" in mirror or "{file}" in mirror
        else f"{mirror.rstrip('/')}/{name}"
        for mirror in mirrors()
    ]
    return [*listed, url]
