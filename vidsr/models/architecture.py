"""Which network, as data: its family and its constructor's arguments, small enough for a job file.

It knows names and numbers; `build` turns them into a network with untrained weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Self

from vidsr.errors import ArchitectureError
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import OFFICIAL_UNSHUFFLE, RRDBNet

Kind = Literal["srvgg", "rrdb"]

_FAMILIES: dict[str, type[Network]] = {"srvgg": SRVGGNetCompact, "rrdb": RRDBNet}
_FAMILY_NAMES = {"srvgg": "SRVGGNetCompact", "rrdb": "RRDBNet"}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network's description; two that describe the same network are equal and hash alike.

    kind: "srvgg" or "rrdb". arguments: the constructor's; what is left out is filled in with its
    default. Plain strings and integers, so `dataclasses.asdict` gives JSON.

    Raises ArchitectureError for an unknown family, argument or value.
    """

    kind: str
    arguments: Mapping[str, int | str]

    def __post_init__(self) -> None:
        family = _FAMILIES.get(self.kind)
        if family is None:
            raise ArchitectureError(
                f"unknown network family {self.kind!r}", f"known families: {', '.join(_FAMILIES)}"
            )
        filled: dict[str, int | str | None] = {
            name: parameter.default for name, parameter in inspect.signature(family).parameters.items()
        }
        for name, value in self.arguments.items():
            if name not in filled:
                raise ArchitectureError(
                    f"{_FAMILY_NAMES[self.kind]} has no argument {name!r}",
                    f"its arguments: {', '.join(filled)}",
                )
            wanted = str if name == "act_type" else int
            if type(value) is not wanted:
                raise ArchitectureError(
                    f"{_FAMILY_NAMES[self.kind]}: {name} = {value!r} is not of type {wanted.__name__}"
                )
            filled[name] = value
        if "unshuffle" in filled and filled["unshuffle"] is None:
            scale = filled["scale"]
            filled["unshuffle"] = OFFICIAL_UNSHUFFLE.get(scale, 1) if isinstance(scale, int) else 1
        object.__setattr__(self, "arguments", dict(sorted(filled.items())))

    @classmethod
    def srvgg(cls, **arguments: int | str) -> Self:
        return cls("srvgg", arguments)

    @classmethod
    def rrdb(cls, **arguments: int | str) -> Self:
        return cls("rrdb", arguments)

    def __hash__(self) -> int:
        return hash((self.kind, tuple(self.arguments.items())))

    @property
    def scale(self) -> int:
        """Native factor."""
        return int(self.arguments["upscale" if self.kind == "srvgg" else "scale"])

    def build(self) -> Network:
        """The network with untrained weights, on torch's current default device.

        Raises ArchitectureError where no such network can exist.
        """
        try:
            return _FAMILIES[self.kind](**self.arguments)
        except ValueError as error:
            raise ArchitectureError(f"{_FAMILY_NAMES[self.kind]}: {error}") from error

    def __str__(self) -> str:
        a = self.arguments
        if self.kind == "srvgg":
            layers = f"{a['num_conv']} conv, {a['num_feat']} channels, {a['act_type']}"
            return f"SRVGGNetCompact x{self.scale}, {layers}"
        folded = f", input unshuffled by {a['unshuffle']}" if a["unshuffle"] != 1 else ""
        return (
            f"RRDBNet x{self.scale}, {a['num_block']} blocks, {a['num_feat']} channels "
            f"growing by {a['num_grow_ch']}{folded}"
        )
