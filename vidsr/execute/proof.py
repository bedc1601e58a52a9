"""The last acts of a job: its output is compared with its source, and gets its name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsr.channel import StopSignal
from vidsr.damage import Damage
from vidsr.errors import OutputError
from vidsr.execute.prepare import Prepared
from vidsr.frames import PixelFormat
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.verify import Check, Intent, verify
from vidsr.media.write.writer import Writer
from vidsr.progress.events import Note, Show, Verifying

_OF_THE_CONTAINER = frozenset({"unreadable", "truncated"})
_SPOILING = frozenset({"undecodable", "corrupt", "missing", "unreadable", "backward"})
"""Kinds of damage that change what later frames look like."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the comparison gave.

    verified: True if the output is whole, False if damage explains what is not, None if nothing was
    compared. damage: all that is known of the source's, with what only the comparison found.
    """

    verified: bool | None
    damage: tuple[Damage, ...]


def prove(
    prepared: Prepared, writer: Writer, damage: Sequence[Damage], show: Show, stop: StopSignal
) -> Proof:
    """Verify a job's complete output.

    Nothing is compared if that was not wanted, or cannot be because it went to standard output (frames are
    counted there). Behind filters, and where colours are left out, the pictures are not the source's; then
    the frames are compared with what was written.

    damage: what of the source could not be read. stop: asked on the way.

    Raises what `stop` was set for, or OutputError if something is lost that the damage does not explain. The
    file is kept then under a name that says so, because it must not be taken for a good one.
    """
    job = prepared.job
    if not job.verify or job.is_piped:
        return Proof(None, tuple(damage))
    show(Verifying(job.output.name))
    report = verify(
        job.source,
        writer.temporary,
        segment=prepared.segment,
        audio=job.audio,
        subtitles=job.subtitles,
        color=None if job.post_filters else prepared.target.color,
        damage=damage,
        notes=writer.notes,
        container=writer.container,
        intent=_intent(prepared, writer),
        allow_network=job.allow_network,
        checkpoint=stop.raise_reason,
    )
    known = tuple(damage)
    if not any(entry.kind in _OF_THE_CONTAINER for entry in damage):
        known += report.gaps  # else FFmpeg most likely complains of the same once more
    lost = [check for check in report.failures if not is_explained(check, known, prepared.info)]
    if not lost:
        return Proof(report.ok, known)
    aside = unverified_name(job.output)
    writer.set_aside(aside)
    first = lost[0]
    more = f" ({len(lost) - 1} more)" if len(lost) > 1 else ""
    raise OutputError(
        f"{job.output.name} is not whole: {first.name}: {first.detail}{more}",
        f"it is kept as {aside.name}; vidsr verify tells all, --no-verify accepts it",
    )


def publish(writer: Writer, show: Show) -> bool:
    """Give a complete output its name; whether that outlives a power cut. If not, people are told.

    Raises as Writer.publish does.
    """
    unsafe = writer.publish()
    if unsafe is not None:
        show(Note(unsafe))
    return unsafe is None


def _intent(prepared: Prepared, writer: Writer) -> Intent | None:
    job = prepared.job
    is_gray = PixelFormat.parse(prepared.settings.pixel_format).family == "gray"
    is_drained = is_gray and planar_equivalent(prepared.info.pixel_format).family != "gray"
    if prepared.filtering is None and not job.post_filters and not is_drained:
        return None
    width, height, aspect, color = writer.coded_picture
    return Intent(
        info=prepared.info,
        times=writer.frame_times,
        width=width,
        height=height,
        aspect=aspect,
        color=color,
        keeps_times=prepared.filtering is None,
        keeps_place=not job.filters and not job.post_filters,
        is_gray=is_gray,
    )


def is_explained(check: Check, damage: Iterable[Damage], source: SourceInfo) -> bool:
    """Whether damage of the source can be why a check fails.

    Damage of a stream explains what differs in that stream. A container that breaks off or cannot be read in
    a place may be read in another way the second time, so that explains missing packets of all streams. No
    damage explains other pictures unless it is in the video, nor lost streams, tags or chapters: they are
    written from the description that was read at the beginning.
    """
    return any(_touches(check, entry, source) for entry in damage)


def _touches(check: Check, entry: Damage, source: SourceInfo) -> bool:
    if check.stream is not None:
        return check.stream == entry.stream or entry.kind in _OF_THE_CONTAINER
    is_video = entry.stream == source.video_index
    if check.name in ("frames", "time stamps"):
        return is_video
    if check.name in ("pictures", "blank pictures", "colours"):
        return is_video and entry.kind in _SPOILING
    return False


def unverified_name(output: Path) -> Path:
    """The name beside an output that a file with losses gets."""
    return output.with_name(f"{output.stem}.unverified{output.suffix}")
