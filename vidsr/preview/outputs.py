"""The files of a preview: refused before work begins, whole when they appear, gone if it fails.

It knows paths and bytes, nothing of what is in the pictures.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from vidsr.durable import rename_without_replacing, sync, sync_name, temporary_name, writing
from vidsr.errors import OutputExistsError, UsageError

PAGE_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Targets:
    """Where a preview goes. pictures: a folder for PNG files; clip: a video; None = not wanted."""

    page: Path
    pictures: Path | None = None
    clip: Path | None = None

    @classmethod
    def beside(cls, page: Path, *, pictures: bool, clip: bool) -> Targets:
        """A folder and a clip named after the page. Raises UsageError if that is no name of a page."""
        if page.suffix.lower() not in PAGE_SUFFIXES:
            raise UsageError(f"{page} is not the name of a page", "give it the suffix .html")
        return cls(
            page, page.with_suffix("") if pictures else None, page.with_suffix(".mp4") if clip else None
        )


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder for pictures that cannot be made. Raises UsageError, OutputExistsError."""
    if folder.is_dir():
        if any(folder.iterdir()) and not overwrite:
            raise OutputExistsError(
                f"the folder {folder} is there already", "pass --overwrite to write into it"
            )
    elif folder.exists():
        raise UsageError(f"{folder} is a file, not a folder for pictures", "give the page another name")


def write_page(page: Path, text: str, *, overwrite: bool) -> tuple[int, str | None]:
    """Write the page under its name, whole or not at all.

    Returns its size in bytes, and a line for people where a power cut may take the name.

    Raises OutputExistsError (somebody made it meanwhile), NoSpaceError, OutputError.
    """
    temporary = temporary_name(page)
    try:
        with writing(page, "write the page"):
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                sync(file)
            size = temporary.stat().st_size
            if overwrite:
                temporary.replace(page)
            else:
                try:
                    rename_without_replacing(temporary, page)
                except FileExistsError as error:
                    raise OutputExistsError(
                        f"{page} is there already", "pass --overwrite to replace it"
                    ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return size, sync_name(page)


class PictureFolder:
    """Picture files in the making; leaving without `finish` removes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._temporary = temporary_name(folder)
        self.size_bytes = self.count = 0

    def __enter__(self) -> Self:
        with writing(self._folder, "make the folder"):
            self._temporary.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    def add(self, name: str, image: bytes) -> None:
        """Raises NoSpaceError, OutputError."""
        with writing(self._folder / name, "write the picture"), (self._temporary / name).open("wb") as file:
            file.write(image)
            sync(file)
        self.size_bytes += len(image)
        self.count += 1

    def finish(self) -> str | None:
        """Give the folder its name; where there is one, put the pictures into it.

        Returns a line for people where a power cut may take the name. Raises OutputError.
        """
        with writing(self._folder, "finish the pictures"):
            if not self._folder.exists():
                self._temporary.rename(self._folder)
            else:
                for image in sorted(self._temporary.iterdir()):
                    image.replace(self._folder / image.name)
        return sync_name(self._folder)
