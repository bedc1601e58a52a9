"""What a verification found: one record for each thing that was looked at, in words and in JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidsr.damage import Damage

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared.

    name: what it is about ("time stamps", "audio 1"). expected, found: plain JSON values, short enough
    for a report. detail: a sentence for people, without a full stop. stream: index of the source's stream
    whose packets it is about, None = of none, or of the video as a whole.
    """

    name: str
    ok: bool
    expected: Json
    found: Json
    detail: str
    stream: int | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "ok": self.ok,
            "expected": self.expected,
            "found": self.found,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was compared, in the order in which it is shown.

    full: whether every picture was looked at, or some of them. gaps: where the source's container was
    damaged and read on behind, in what was to be kept.
    """

    source: Path
    output: Path
    checks: tuple[Check, ...]
    full: bool
    elapsed_seconds: float
    gaps: tuple[Damage, ...] = ()

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def failures(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "source": str(self.source),
            "output": str(self.output),
            "ok": self.ok,
            "full": self.full,
            "elapsed_seconds": round(self.elapsed_seconds, 3),
            "checks": [check.to_json() for check in self.checks],
            "gaps": [str(gap) for gap in self.gaps],
        }


def passed(name: str, value: Json, detail: str) -> Check:
    """A check whose two sides are the same."""
    return Check(name, True, value, value, detail)
