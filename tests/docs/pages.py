"""What README and the pages in docs/ tell people to type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.paths import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

_FENCE = re.compile(r"^\s*```(\w*)\s*$")


@dataclass(frozen=True)
class Command:
    """A line that begins with vidsr. line: in the page, from 1. text: without comment and pipe."""

    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Program:
    """A block of Python."""

    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"


def commands() -> list[Command]:
    """Every command in an indented or fenced block of any page; each text once."""
    found: dict[str, Command] = {}
    for page in PAGES:
        language: str | None = None
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            if fence := _FENCE.match(line):
                language = fence[1] if language is None else None
            elif language is None or language in {"", "sh", "bash", "console"}:
                match = re.match(
                    r"^ {4,}(?:.*&& )?(vidsr(?: .*)?)$", line if language is None else f"    {line}"
                )
                if match:
                    text = re.sub(r"\s+#.*$", "", match[1]).split(" | ")[0].strip()
                    found.setdefault(text, Command(page, number, text))
    return list(found.values())


def programs() -> list[Program]:
    """Every fenced block of Python."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            found.append(Program(page, text[: match.start()].count("\n") + 1, match[1]))
    return found


def code_spans() -> list[Command]:
    """Every `piece of code` within the text of any page; each once."""
    found: dict[str, Command] = {}
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            if not line.startswith("    "):
                for text in re.findall(r"`([^`]+)`", line):
                    found.setdefault(text, Command(page, number, text))
    return list(found.values())


def links() -> list[Command]:
    """Every link and picture that leads to a file of the repository; text: the target, without its anchor."""
    found = []
    for page in PAGES:
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            for target in re.findall(r"\]\(([^)]+)\)", line):
                if not re.match(r"\w+:", target):
                    found.append(Command(page, number, target))
    return found
