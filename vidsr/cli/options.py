"""Options that know which group of the help they belong to, and the values people type.

Pure words: text in, plain values out. Each type's error names what was typed and shows a good example.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click

from vidsr.api.options import LEAST_SCALE, LONGEST_SECONDS, MOST_SCALE

F = TypeVar("F", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """A click option with a heading in the help."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


def option_group(heading: str) -> Callable[..., Callable[[F], F]]:
    """`@option` bound to one heading."""

    def option(*names: str, **kwargs: Any) -> Callable[[F], F]:
        return click.option(*names, cls=GroupedOption, group=heading, **kwargs)

    return option


class GroupedCommand(click.Command):
    """A command whose help lists options under their headings, as declared; --help is the last."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, rows in self.option_rows(ctx):
            with formatter.section(heading):
                formatter.write_dl(rows)

    def option_rows(self, ctx: click.Context) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        groups: dict[str, list[tuple[str, str]]] = {}
        of_all: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is None:
                continue
            if isinstance(param, GroupedOption):
                groups.setdefault(param.group, []).append(record)
            elif isinstance(param, click.Option):
                of_all.append(record)
        yield from groups.items()
        yield "Help", of_all


class TimeType(click.ParamType[Fraction]):
    """Seconds (12.5), M:SS or H:MM:SS with a fraction, to an exact Fraction."""

    name = "TIME"
    _pattern = re.compile(r"(?:(?:(?P<h>\d+):)?(?P<m>\d{1,2}):)?(?P<s>\d+(?:\.\d+)?|\.\d+)")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        if isinstance(value, Fraction):
            return value
        match = self._pattern.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is not a time; write 83.5, 1:23.5 or 0:01:23.5", param, ctx)
        seconds = Fraction(match["s"])
        if match["m"] is not None and seconds >= 60:
            self.fail(f"{value!r} has {match['s']} seconds after the minutes", param, ctx)
        seconds += int(match["h"] or 0) * 3600 + int(match["m"] or 0) * 60
        if seconds > LONGEST_SECONDS:
            self.fail(f"{value!r} is longer than any video", param, ctx)
        return seconds


class FrameRangeType(click.ParamType[tuple[int | None, int | None]]):
    """A:B, A: or :B, half-open frame numbers, to a pair."""

    name = "A:B"
    _pattern = re.compile(r"(\d*):(\d*)")

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int | None, int | None]:
        if isinstance(value, tuple):
            return value
        match = self._pattern.fullmatch(value.strip())
        if match is None or match.groups() == ("", ""):
            self.fail(f"{value!r} is not a frame range; write 0:48, 100: or :48", param, ctx)
        first, last = match.groups()
        return int(first) if first else None, int(last) if last else None


class ScaleType(click.ParamType[Fraction]):
    """A factor as a decimal or a fraction: 2, 1.5, 3/2."""

    name = "FACTOR"
    _exponent = re.compile(r"[eE][+-]?[\d_]{3}")  # Python takes 1e9_999 too

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        if isinstance(value, Fraction):
            return value
        if self._exponent.search(value):  # a number that takes all memory to write down
            self.fail(f"{value!r} is outside {LEAST_SCALE} to {MOST_SCALE}", param, ctx)
        try:
            factor = Fraction(value.strip().removesuffix("x"))
        except (ValueError, ZeroDivisionError):
            self.fail(f"{value!r} is not a factor; write 2, 1.5 or 3/2", param, ctx)
        if not LEAST_SCALE <= factor <= MOST_SCALE:
            self.fail(f"{value!r} is outside {LEAST_SCALE} to {MOST_SCALE}", param, ctx)
        return factor


class KeyValueType(click.ParamType[tuple[str, str]]):
    """key=value, to a pair."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, equals, rest = value.partition("=")
        if not equals or not key.strip():
            self.fail(f"{value!r} is not KEY=VALUE; write tune=animation, for example", param, ctx)
        return key.strip(), rest


class ClusterType(click.ParamType[str]):
    """HOST:PORT, or "auto" for the nearest cluster."""

    name = "[ADDRESS]"
    _pattern = re.compile(r"auto|(?:\[[0-9A-Fa-f:.%]+\]|[^\s/:\\]+):\d+")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not self._pattern.fullmatch(value):
            self.fail(
                f"{value!r} is no address; write --ray HOST:PORT, or --ray alone behind the files", param, ctx
            )
        return str(value)


class ProgramType(click.ParamType[str]):
    """A program by name or path. What is a file but no program is INPUT, taken for the option's value."""

    name = "[PATH]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if Path(value).is_file() and shutil.which(value) is None:
            self.fail(f"{value} is no program; write the option behind the files", param, ctx)
        return str(value)


TIME = TimeType()
CLUSTER = ClusterType()
FRAME_RANGE = FrameRangeType()
SCALE = ScaleType()
PROGRAM = ProgramType()
KEY_VALUE = KeyValueType()
