"""Moments and lengths of time as people say them: 07:00, 3h, 1h30m."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Any

import click

LONGEST = timedelta(days=365)


class TimeOfDayType(click.ParamType[time]):
    """H:MM or H:MM:SS on a 24-hour clock."""

    name = "HH:MM"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> time:
        if isinstance(value, time):
            return value
        match = re.fullmatch(r"(\d{1,2}):([0-5]\d)(?::([0-5]\d))?", value.strip())
        if match is None or int(match[1]) > 23:
            self.fail(f"{value!r} is not a time of day; write 07:00 or 23:30", param, ctx)
        return time(int(match[1]), int(match[2]), int(match[3] or 0))


class LengthType(click.ParamType[timedelta]):
    """3h, 90m, 45s, 1h30m or H:MM:SS."""

    name = "LENGTH"
    _units = re.compile(r"(?:(\d+(?:\.\d+)?)h)?\s*(?:(\d+(?:\.\d+)?)m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)s)?")
    _clock = re.compile(r"(\d+):(\d{2}):(\d{2})")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        text = value.strip().lower()
        match = self._clock.fullmatch(text) or self._units.fullmatch(text)
        if match is None or not any(match.groups()):
            self.fail(f"{value!r} is not a length of time; write 3h, 90m or 1h30m", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        if hours * 3600 + minutes * 60 + seconds > LONGEST.total_seconds():
            self.fail(f"{value!r} is longer than a year", param, ctx)
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def next_time(wanted: time, now: datetime) -> datetime:
    """When the clock shows it next: today, or tomorrow if it is past."""
    today = datetime.combine(now.date(), wanted, tzinfo=now.tzinfo)
    return today if today > now else today + timedelta(days=1)
