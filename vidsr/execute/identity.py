"""What of a prepared job must stay the same while it is continued, under names that people understand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from fractions import Fraction

from vidsr import __version__
from vidsr.execute.prepare import Prepared
from vidsr.media.encode.ffmpeg_program import version_of
from vidsr.media.read.demux import is_address, location_of
from vidsr.media.read.source_info import SourceInfo
from vidsr.segments.identity import Identity, changes, source_identity

_DEVICE_NUMBER = re.compile(r":\d+\b")


def identity_of(prepared: Prepared, engines: Iterable[str], stream_header: bytes) -> Identity:
    """Everything that decides the pixels, and the source by its content.

    engines: words for what computes the network on each device. Which of several equal devices it is does
    not matter; another kind, backend or number format rounds differently. stream_header: the encoder's,
    which changes with its settings and its build.

    Sound and subtitles are not part of it: they are added at the end, as that command wishes.
    """
    target, settings = prepared.target, prepared.settings
    identity: Identity = {
        **_source_identity(prepared.info),
        "vidsr": __version__,
        "model": prepared.model,
        "weights": prepared.loaded.digest,
        "computed by": ", ".join(sorted({without_number(words) for words in engines})),
        "output": str(target),
        "colour": str(target.color),
        "encoder": settings.name,
        "encoder's stream header": hashlib.sha256(stream_header).hexdigest(),
        "start": _seconds(prepared.segment.start_pts, prepared.info.time_base),
        "end": _seconds(prepared.segment.end_pts, prepared.info.time_base),
    }
    if settings.program:
        identity["ffmpeg"] = version_of(settings.program)
    identity |= {f"encoder option {name}": value for name, value in settings.options.items()}
    identity |= {name: value for name, value in prepared.job.wishes().items() if value is not None}
    return identity


def _source_identity(info: SourceInfo) -> Identity:
    """By content; by address and length where that would have to be fetched."""
    if is_address(info.path):
        return {"source": location_of(info.path), "source size": info.size_bytes}
    return source_identity(info.path)


def changes_of_source(before: Identity, info: SourceInfo) -> list[str]:
    """What has become of the source since an identity was taken, in words.

    Whoever only touches a file changes its time and nothing else. Raises SourceMissingError.
    """
    now = {name: value for name, value in _source_identity(info).items() if name != "source time"}
    return changes(before, before | now)


def without_number(words: str) -> str:
    """Words for what computes the network, whichever of several equal devices it is on."""
    return _DEVICE_NUMBER.sub("", words)


def _seconds(pts: int | None, time_base: Fraction) -> str | None:
    return None if pts is None else f"{float(pts * time_base):.6f} s"
