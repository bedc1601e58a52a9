"""The last act of a job: its output is compared with its source before it gets its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidsr.errors import OutputError
from vidsr.execute.prepare import Prepared, Show
from vidsr.media.damage import Damage
from vidsr.media.verify import verify
from vidsr.media.writer import Writer
from vidsr.progress import Verifying


def prove(prepared: Prepared, writer: Writer, damage: Sequence[Damage], show: Show) -> bool | None:
    """Verify a job's complete output: True if it is whole, False if more differs than damage explains.

    None if that was not wanted or cannot be: filters make other pictures, and what went to standard output
    is gone.

    damage: what of the source could not be read.

    Raises OutputError if something is lost. The file is kept under a name that says so, because it
    must not be taken for a good one.
    """
    job = prepared.job
    if not job.verify or job.output == Path("-") or prepared.filtering is not None or job.post_filters:
        return None
    show(Verifying(job.output.name))
    report = verify(
        job.source,
        writer.temporary,
        segment=prepared.segment,
        audio=job.audio,
        subtitles=job.subtitles,
        color=prepared.target.color,
        damage=damage,
        notes=writer.notes,
        container=writer.container,
    )
    if report.ok:
        return True
    if damage:  # reported already, and nobody can say what else a damaged source should have given
        return False
    aside = unverified_name(job.output)
    writer.set_aside(aside)
    first = report.failures[0]
    more = f" ({len(report.failures) - 1} more)" if len(report.failures) > 1 else ""
    raise OutputError(
        f"{job.output.name} is not whole: {first.name}: {first.detail}{more}",
        f"it is kept as {aside.name}; vidsr verify tells all, --no-verify accepts it",
    )


def unverified_name(output: Path) -> Path:
    """The name beside an output that a file with losses gets."""
    return output.with_name(f"{output.stem}.unverified{output.suffix}")
