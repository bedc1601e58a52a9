"""The record of what could not be read or decoded: what, where, how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

Kind = Literal["undecodable", "corrupt", "missing", "unreadable", "truncated", "backward"]


@dataclass(frozen=True, slots=True)
class Damage:
    """Something of the source that is not in the output as it should be.

    kind: "undecodable" (the decoder refused a packet, or it has no time stamp), "corrupt" (a frame was
        decoded with errors and is in the output), "missing" (a packet went in and no frame came out),
        "unreadable" (the container could not be read in a place), "truncated" (the file ends before its
        announced end), "backward" (a time stamp went back and its frame was moved behind the one before it).
    stream: index in the source. pts: where, in the stream's time base; time: the same in seconds; None if
        unknown. packets: how many are concerned. detail: for people.
    """

    kind: Kind
    stream: int
    pts: int | None
    time: Fraction | None
    packets: int
    detail: str

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Damage:
        """From the fields as JSON values, `time` as "numerator/denominator".

        Raises KeyError, TypeError or ValueError for anything else.
        """
        time = fields["time"]
        return cls(**(fields | {"time": None if time is None else Fraction(time)}))

    def __str__(self) -> str:
        where = "" if self.time is None else f" at {float(self.time):.3f} s"
        return f"{self.kind}{where}: {self.detail}"


def united(entries: Iterable[Damage]) -> list[Damage]:
    """Each trouble once, in the order of its first mention, with the largest number of packets named."""
    found: dict[tuple[str, int, int | None, str], Damage] = {}
    for entry in entries:
        key = (entry.kind, entry.stream, entry.pts, entry.detail)
        if key not in found or found[key].packets < entry.packets:
            found[key] = entry
    return list(found.values())
