"""Makes a preview: moments, their pictures by each network in a page, PNG files, a clip.

Everything that can be refused is refused before the first picture is computed. It knows the order of things;
each is done elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from vidsr.channel import StopSignal
from vidsr.execute.prepare import Prepared, prepare
from vidsr.job import Job, SizeRequest
from vidsr.media.color.hdr import HDR_TRANSFERS
from vidsr.media.read.locate import locate_times
from vidsr.media.write.target import check_target
from vidsr.presets import find_preset
from vidsr.preview import moments
from vidsr.preview.album import Album
from vidsr.preview.clip import Layout, make_clip, panel_size
from vidsr.preview.moments import Moment
from vidsr.preview.outputs import Targets, check_folder
from vidsr.preview.stills import restricted, undecorated
from vidsr.progress.events import Note, Rendering, Show, heeding

CLIP_SECONDS = 4
"""How long a clip is whose range nobody named; it lies around the most detailed moment."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A request. job: everything but the network and the output; its range is where moments are chosen.

    networks: (model, weights) of each column, as in Job. times: of the moments, in seconds; none = `count`
    of them are chosen. lossless: of the pictures within the page.
    """

    job: Job
    networks: tuple[tuple[str | None, Path | None], ...]
    targets: Targets
    times: tuple[Fraction, ...] = ()
    count: int = 5
    lossless: bool = False
    layout: Layout = "split"


def make_preview(preview: Preview, *, show: Show, stop: StopSignal | None = None) -> None:
    """Do everything that is asked for.

    show: called in this thread with every event. Raises a VidsrError for whatever cannot be done.
    """
    stop = stop or StopSignal()
    show = heeding(show, stop.raise_reason)
    for model, _ in preview.networks:
        if model is not None:
            find_preset(model)  # a wrong name is told before anything is downloaded
    _check_targets(preview)
    columns = [prepare(job, show) for job in _jobs(preview)]
    for note in dict.fromkeys(note for c in columns for note in (*c.notes, *c.loaded.notes, *_warnings(c))):
        show(Note(note))
    chosen = _moments(preview, columns[0], show)
    album = Album(
        columns,
        chosen,
        preview.targets,
        overwrite=preview.job.overwrite,
        lossless=preview.lossless,
        show=show,
    )
    album.make(stop)
    if preview.targets.clip is not None:
        make_clip(_clip_columns(preview, columns, chosen), preview.layout, show=show, stop=stop)


def _check_targets(preview: Preview) -> None:
    targets, job = preview.targets, preview.job
    for target in (targets.page, targets.clip):
        if target is not None:
            check_target(target, job.source, overwrite=job.overwrite)
    if targets.pictures is not None:
        check_folder(targets.pictures, overwrite=job.overwrite)


def _jobs(preview: Preview) -> list[Job]:
    """A job for each column; only a clip's output is ever written."""
    output = preview.targets.clip or preview.targets.page.with_suffix(".mkv")
    return [
        replace(preview.job, model=model, weights=weights, output=output, subtitles="none")
        for model, weights in preview.networks
    ]


def _warnings(prepared: Prepared) -> list[str]:
    color = prepared.source.color
    if color.transfer in HDR_TRANSFERS:
        return ["the page shows high dynamic range as flat as the file holds it; players brighten it"]
    return []


def _moments(preview: Preview, prepared: Prepared, show: Show) -> list[Moment]:
    source, wanted = undecorated(prepared)
    if preview.times:
        return moments.at(source, preview.times)
    return moments.choose(
        source,
        wanted,
        preview.count,
        rules=preview.job.rules,
        on_frame=lambda share: show(Rendering("looking for detailed moments", share, 1)),
    )


def _clip_columns(preview: Preview, columns: Sequence[Prepared], chosen: Sequence[Moment]) -> list[Prepared]:
    """The columns over the clip's range, with one size of picture."""
    job = preview.job
    if job.range.is_whole:
        source, _ = undecorated(columns[0])
        middle = max(chosen, key=lambda moment: moment.detail).seconds
        start = max(middle - Fraction(CLIP_SECONDS, 2), Fraction(0))
        segment = locate_times(source, start, start + CLIP_SECONDS)
        columns = [restricted(column, segment) for column in columns]
    largest = max((column.target for column in columns), key=lambda target: target.width * target.height)
    width, height = largest.width, largest.height
    if job.size == SizeRequest():
        width, height = panel_size(largest, len(columns) + 1, preview.layout)
    return [replace(c, target=replace(c.target, width=width, height=height)) for c in columns]
