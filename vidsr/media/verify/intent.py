"""What is checked where an output's pictures are not meant to be the source's: behind filters, or gray.

The frames must be those that the job says it wrote, in the size, shape and colours that it meant, and not
blank where the source is not. It knows nothing of what the filters do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from vidsr.frames import Color
from vidsr.media.geometry import ROUNDED_STRETCH
from vidsr.media.pixels import PlaneReader
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.timeline import Timeline
from vidsr.media.verify.contents import Contents
from vidsr.media.verify.pictures import BLACK, BLANK_CONTRAST, BLANK_SOURCE_CONTRAST, SAMPLES
from vidsr.media.verify.report import Check, passed
from vidsr.media.verify.sampling import Picker, choose, within_budget
from vidsr.media.verify.signatures import Grid, Signature, contrast, grid_shape


@dataclass(frozen=True, slots=True)
class Intent:
    """What a job with filters, or one that leaves the colours out, says it has written.

    info: the source as it looks behind the filters before the network; the times are in its time base, on the
    source's clock, increasing. width, height, aspect, color: of the pictures as encoded. keeps_times: whether
    the frames are the source's own, each at its time. keeps_place: whether what is to be seen in each of them
    is what the source shows at that time (no part was cut out, nothing painted over). is_gray: whether they
    are encoded without chroma, which decoders of some codings hide.
    """

    info: SourceInfo
    times: Sequence[int]
    width: int
    height: int
    aspect: Fraction | None
    color: Color
    keeps_times: bool
    keeps_place: bool
    is_gray: bool


def check_size(intent: Intent, output: SourceInfo) -> Check:
    """Size in samples, and the sample aspect ratio to the rounding that Matroska does."""
    size, wanted = f"{output.width}x{output.height}", f"{intent.width}x{intent.height}"
    found, meant = output.sample_aspect_ratio or Fraction(1), intent.aspect or Fraction(1)
    ok = size == wanted and abs(found / meant - 1) <= ROUNDED_STRETCH
    words = f"{size}, sample aspect ratio {found}"
    if not ok:
        words += f" instead of {wanted}, {meant}"
    return Check("shape", ok, f"{wanted} {meant}", f"{size} {found}", words)


def check_not_blank(
    source: Contents, output: Contents, intent: Intent, timeline: Timeline
) -> Iterator[Check]:
    """Some pictures of the output, spread over it: they can be decoded, and are not of one colour where the
    source shows more. Filters that cut a part out may leave little of some, so then most must be blank to
    count."""
    times = output.frame_times
    evenly = choose(len(times), SAMPLES)
    chosen = within_budget(evenly, times, output.video, output.info.width * output.info.height)
    wanted = [times[k] for k in chosen]
    partners = {pts: _partner(pts, source, output, timeline) for pts in wanted}
    seen, troubles = _grids(output, wanted, intent.color)
    theirs, _ = _grids(
        source, sorted({p for p in partners.values() if p is not None}), source_color(source.info)
    )
    if len(seen) < len(wanted) or troubles:
        words = troubles[0] if troubles else f"{len(wanted) - len(seen)} of {len(wanted)} cannot be decoded"
        yield Check("decoding", False, len(wanted), len(seen), words)
    else:
        yield passed("decoding", len(wanted), f"{len(wanted)} of {len(times)} frames looked at")
    pairs = [(pts, grid, theirs.get(partners[pts] or 0)) for pts, grid in seen.items()]
    compared = [
        (pts, grid)
        for pts, grid, other in pairs
        if other is not None and contrast(other) > BLANK_SOURCE_CONTRAST
    ]
    blank = [(pts, grid) for pts, grid in compared if contrast(grid) < BLANK_CONTRAST]
    enough = len(blank) > 0 if intent.keeps_place else 2 * len(blank) > len(compared)
    if not enough:
        yield passed("blank pictures", 0, "none" if not blank else f"{len(blank)}, as filters may make them")
        return
    pts, grid = blank[0]
    kind = "black" if grid.mean() < BLACK else "of one colour"
    detail = (
        f"the picture at {float(pts * output.info.time_base):.3f} s is {kind}, its source is not; "
        f"{len(blank)} of {len(compared)} looked at are like that"
    )
    yield Check("blank pictures", False, 0, len(blank), detail)


def _partner(pts: int, source: Contents, output: Contents, timeline: Timeline) -> int | None:
    """The source's frame that is shown nearest to an output's."""
    if not source.frame_times:
        return None
    moment = (pts * output.info.time_base + timeline.origin) / source.info.time_base
    place = bisect_left(source.frame_times, moment)
    near = source.frame_times[max(place - 1, 0) : place + 1]
    return min(near, key=lambda other: abs(other - moment))


def _grids(contents: Contents, wanted: Sequence[int], color: Color) -> tuple[dict[int, Grid], list[str]]:
    """Block means of frames by pts, and what the decoder complained of."""
    shape = grid_shape(contents.info.height, contents.info.width)
    planes = PlaneReader()
    with Picker(contents, may_seek=False) as picker:
        found = {
            picked.pts: Signature.of(*planes.planes(picked.frame), shape).rgb(color)
            for picked in picker.pick(wanted)
        }
        return found, picker.failures
