"""Proof that an output holds what its source holds: `verify` demuxes and decodes both anew and compares.

What may differ is what was planned to: the same functions that decide for the writer which streams are
copied, converted or left out decide here what is expected. Nothing the reader or the writer noted while
they worked is used, except the damage that is known already.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from vidsr.damage import Damage
from vidsr.errors import SourceError
from vidsr.frames import Color
from vidsr.job import Segment
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.layouts import held_in
from vidsr.media.read.probe import probe
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.time_code import follow_time_codes
from vidsr.media.timeline import Timeline
from vidsr.media.verify.appearance import (
    check_color,
    check_hdr,
    check_rotation,
    check_shape,
    expected_color,
)
from vidsr.media.verify.contents import Contents, read_contents
from vidsr.media.verify.frames import FrameMatch, match_frames, match_written
from vidsr.media.verify.intent import Intent, check_not_blank, check_size
from vidsr.media.verify.payloads import check_payloads
from vidsr.media.verify.pictures import PictureCheck
from vidsr.media.verify.report import Check, Report
from vidsr.media.verify.streams import (
    check_chapters,
    check_identity,
    check_layers,
    check_names,
    check_streams,
    check_tags,
    pair_streams,
)
from vidsr.media.write.matroska_extras import matroska_extras
from vidsr.media.write.plan import Fate, plan_streams, with_tags_of
from vidsr.media.write.unsaid import filled

__all__ = ["Check", "Intent", "Report", "verify"]


def verify(
    source: Path,
    output: Path,
    *,
    segment: Segment | None = None,
    audio: str = "all",
    subtitles: str = "all",
    color: Color | None = None,
    damage: Sequence[Damage] = (),
    notes: Sequence[str] = (),
    container: OutputFormat | None = None,
    intent: Intent | None = None,
    full: bool = False,
    allow_network: bool = False,
    checkpoint: Callable[[], None] = lambda: None,
) -> Report:
    """Compare an output with the source it was made of.

    segment, audio, subtitles: what was asked for. color: what the output's samples were meant to be; None
    = what the source's are. damage: what of the source is known not to be readable, which is not
    held against the output. notes: the writer's announcements. container: of the output, None = by
    its suffix. intent: what a job with filters or of a gray output wrote; None = the pictures should be the
    source's own. full: look at every picture instead of some. allow_network: whether the source may be an
    address, and a playlist that leads elsewhere. checkpoint: called on the way; what it raises ends it.

    Raises SourceError if the source cannot be read, UsageError for a selection it does not have or a
    suffix of no known container. An output that cannot be read is no exception but a failed check.
    """
    begun = time.perf_counter()
    info = probe(source, allow_network=allow_network)
    try:
        made = probe(output)
    except SourceError as error:
        checks = [Check("file", False, "a video", error.message, error.message)]
        return Report(source, output, tuple(checks), full, time.perf_counter() - begun)
    container = container or OutputFormat.of_path(output)
    timed = info if intent is None else intent.info
    timeline = timed.timeline(segment, holds_negative=container.holds_negative)
    plans = plan_streams(info, container, audio=audio, subtitles=subtitles, cut=timeline.is_cut)
    followed = _with_its_labels(info, timed, timeline, container)
    carried, surplus = pair_streams(with_tags_of(followed, plans), made)

    packets = (Fate.COPY, Fate.CONVERT, Fate.COVER)
    theirs = read_contents(info, {c.plan.stream.index for c in carried if c.plan.fate in packets}, checkpoint)
    wanted_part = segment or Segment()
    gaps = tuple(gap for gap in theirs.gaps if gap.pts is None or gap.pts in wanted_part)

    def compare() -> Iterator[Check]:
        ours = read_contents(made, {c.found.index for c in carried if c.found is not None}, checkpoint)
        trouble = "; ".join(ours.troubles)
        yield Check("file", not trouble, "readable", trouble or "readable", trouble or made.format_name)
        clock = _moved(timeline, theirs, ours, segment) if container.muxer == "nut" else timeline
        match: FrameMatch | None = None
        if intent is None or intent.keeps_times:
            match = match_frames(theirs, ours, wanted_part, clock, damage)
            yield from match.checks
        if intent is not None:
            yield from match_written(intent.info, intent.times, ours, clock)
        yield check_streams(carried, surplus)
        yield from check_payloads(theirs, ours, carried, clock, container)
        extras = matroska_extras(timed, timeline, container, is_file=True)
        if extras.holds:
            yield check_layers(extras.chapters, made)
        else:
            yield check_chapters(info, made, container, timeline)
        if extras.is_linked:
            yield check_identity(extras, made)
        yield check_tags(followed, made, container)
        yield from check_names(followed, made, carried, container)
        wanted = color or (
            held_in(made.codec, expected_color(info, made)) if intent is None else intent.color
        )
        seen = filled(made, container, wanted, _aspect(info, made, intent))
        yield check_color(info, seen, wanted, is_gray=intent is not None and intent.is_gray)
        yield from check_hdr(info, made, wanted, notes)
        yield check_shape(info, seen) if intent is None else check_size(intent, seen)
        yield check_rotation(info, made)
        if intent is not None or match is None:
            assert intent is not None
            yield from check_not_blank(theirs, ours, intent, clock)
            return
        pictures = PictureCheck(
            theirs,
            ours,
            match,
            color=source_color(info),
            target=wanted,
            damage=damage,
            full=full,
            checkpoint=checkpoint,
        )
        yield from pictures.checks()

    return Report(source, output, tuple(compare()), full, time.perf_counter() - begun, gaps)


def _with_its_labels(
    source: SourceInfo, filtered: SourceInfo, timeline: Timeline, container: OutputFormat
) -> SourceInfo:
    """The source with the time codes that the output should have."""
    followed, _ = follow_time_codes(filtered, timeline, container)
    return replace(source, streams=followed.streams, metadata=followed.metadata)


def _aspect(source: SourceInfo, output: SourceInfo, intent: Intent | None) -> Fraction:
    """The sample aspect ratio that the output should have."""
    if intent is not None:
        return intent.aspect or Fraction(1)
    shown = Fraction(source.width, source.height) * (source.sample_aspect_ratio or 1)
    return shown / Fraction(output.width, output.height)


def _moved(timeline: Timeline, source: Contents, output: Contents, segment: Segment | None) -> Timeline:
    """The timeline with the origin that the output has: NUT moves all streams until none begins before 0."""
    first = next((pts for pts in source.frame_times if pts in (segment or Segment())), None)
    if first is None or not output.frame_times:
        return timeline
    shown = output.frame_times[0] * output.info.time_base
    return replace(timeline, origin=first * source.info.time_base - shown)
