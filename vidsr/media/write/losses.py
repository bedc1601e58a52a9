"""What of a source an output cannot keep, the other streams aside: a line for people about each thing.

It knows what containers hold; it opens nothing.
"""

from __future__ import annotations

from vidsr.media.containers import OutputFormat
from vidsr.media.geometry import is_turn
from vidsr.media.pixels import has_alpha
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.write.tags import lost_stream_tags, lost_tags, lost_track_facts


def losses(source: SourceInfo, output: OutputFormat, *, is_file: bool) -> list[str]:
    """One line about each thing that is not another stream and cannot be kept."""
    notes = [f"{extra} inside the video are left out" for extra in source.embedded_extras]
    if has_alpha(source.pixel_format):
        notes.append(f"transparency ({source.pixel_format}) is left out")
    elif source.has_alpha_beside:
        notes.append("transparency (coded beside the picture) is left out")
    if not is_turn(source.display_matrix) and output.muxer not in ("mp4", "mov"):
        notes.append(
            f"the distortion of the picture (display matrix) is left out: {output.label} cannot hold it"
        )
    if not output.has_times:
        rate = float(source.assumed_rate)
        notes.append(f"{output.label} has no time stamps: frames follow each other at {rate:.3f} a second")
    if lost := lost_tags(source, output):
        notes.append(f"tags left out, {output.label} cannot hold them: {', '.join(lost)}")
    if lost := lost_stream_tags(source, source.video, output):
        notes.append(f"tags of the video left out, {output.label} cannot hold them: {', '.join(lost)}")
    return notes + lost_track_facts(source.video, output, is_file=is_file)
