"""What is finished of a long job, as a file that plays: without the command line, from the journal alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vidsr.channel import StopSignal
from vidsr.errors import JobChangedError, JobError, UsageError
from vidsr.execute.identity import changes_of_source
from vidsr.execute.prepare import Prepared
from vidsr.execute.proof import publish
from vidsr.frames import Color
from vidsr.job import Segment, SegmentReceipt
from vidsr.media.encode.encoders import EncoderSettings
from vidsr.media.filters import FilterStep, parse_chain
from vidsr.media.read.filtered_reader import Filtering
from vidsr.media.read.probe import probe
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.views import behind_filters
from vidsr.media.write.join import join
from vidsr.media.write.writer import Writer, Written
from vidsr.progress.events import Show
from vidsr.segments.contents import Contents, folder_of, read_contents


def plan_to_json(prepared: Prepared) -> dict[str, Any]:
    """What putting the segments together needs to know, as JSON values."""
    settings, target, job = prepared.settings, prepared.target, prepared.job
    return {
        "encoder": settings.to_json(),
        "width": target.width,
        "height": target.height,
        "color": target.color.to_json(),
        "filtering": None if prepared.filtering is None else _filtering_to_json(prepared.filtering),
        "audio": job.audio,
        "subtitles": job.subtitles,
        "allow_network": job.allow_network,
    }


def export_finished(
    output: Path, target: Path, *, show: Show, overwrite: bool = False
) -> tuple[Written, int]:
    """Join what is finished of the beginning of an unfinished job, with sound and all, into `target`.

    output: the file the job will make. A job that is running may be exported too. show: called with notes.
    Returns what was written, and how many finished frames lie behind a gap and are not in it.

    Raises UsageError if `target` is the output itself, JobError if there is no such job, nothing of it is
    finished or its source has changed, and as Writer does.
    """
    if target.resolve() == output.resolve():
        raise UsageError(
            f"{target} is the job's own output, which has its name only when it is whole",
            "give TARGET another name",
        )
    contents = read_contents(folder_of(output))
    if contents.record is None:
        raise JobError(f"there is no unfinished job of {output}", "vidsr jobs lists the unfinished jobs")
    receipts = leading(contents)
    if not receipts:
        raise JobError(f"the beginning of {output} is not finished yet", "wait for its first segment")
    plan, record = contents.record.plan, contents.record
    segment = Segment(record.segment.start_pts, receipts[-1].segment.end_pts)
    source = _source(Path(record.source), plan)
    if changed := changes_of_source(record.identity, source):
        raise JobChangedError(
            f"{source.path}: {'; '.join(changed)}", "put the file back that the job was begun with"
        )
    settings = EncoderSettings.from_json(plan["encoder"])
    with Writer(
        target,
        behind_filters(source, parse_chain(settings.post_filters)),
        settings,
        width=plan["width"],
        height=plan["height"],
        color=Color.from_json(plan["color"]),
        segment=segment,
        audio=plan["audio"],
        subtitles=plan["subtitles"],
        overwrite=overwrite,
    ) as writer:
        files = [folder_of(output) / receipt.file for receipt in receipts if receipt.file]
        join(writer, files, reorder=max(r.reorder for r in receipts), stop=StopSignal())
        writer.complete()
        publish(writer, show)
    assert writer.written is not None
    return writer.written, contents.frames - sum(receipt.frames for receipt in receipts)


def leading(contents: Contents) -> list[SegmentReceipt]:
    """The finished segments from the beginning up to the first gap."""
    assert contents.record is not None
    found: list[SegmentReceipt] = []
    begin = contents.record.segment.start_pts
    for receipt in contents.receipts:
        if receipt.segment.start_pts != begin or (found and begin is None):
            break
        found.append(receipt)
        begin = receipt.segment.end_pts
    return found


def _filtering_to_json(filtering: Filtering) -> dict[str, Any]:
    segment = filtering.segment
    return {
        "steps": [[step.name, step.arguments] for step in filtering.steps],
        "start_pts": segment.start_pts,
        "end_pts": segment.end_pts,
    }


def _source(path: Path, plan: dict[str, Any]) -> SourceInfo:
    """The source as the job saw it."""
    info, filtering = probe(path, allow_network=bool(plan.get("allow_network"))), plan["filtering"]
    if filtering is None:
        return info
    steps = tuple(FilterStep(name, arguments) for name, arguments in filtering["steps"])
    return Filtering.of(info, Segment(filtering["start_pts"], filtering["end_pts"]), steps).info
