"""`vidsr info FILE`: what is in a video, as vidsr understands it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidsr.progress.words import one_line

if TYPE_CHECKING:
    from vidsr.media.read.source_info import SourceInfo, StreamInfo

# H.273 tables 2 and 3, in the words FFmpeg has for them and, of the transfers that are curves of HDR, people
_PRIMARIES = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
_TRANSFERS = {
    1: "bt709",
    4: "gamma22",
    5: "gamma28",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1 (sRGB)",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084 (PQ, HDR)",
    17: "smpte428",
    18: "arib-std-b67 (HLG, HDR)",
}


@click.command(short_help="Show what is in a video file.")
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--allow-network", is_flag=True, help="FILE may be an address, or a playlist.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def info(source: Path, allow_network: bool, as_json: bool) -> None:
    """Show the streams, colours, time stamps and chapters of FILE."""
    from vidsr.media.read.probe import probe

    found = probe(source, allow_network=allow_network)
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, indent=2))
        return
    for line in describe(found):
        click.echo(one_line(line))


def describe(info: SourceInfo) -> Iterator[str]:
    """Lines for people; what of them the file says may hold anything."""
    from vidsr.media.read.source_info import TIME_CODE_KEY
    from vidsr.media.tag_pairs import tag_value

    length = "" if info.duration is None else f", {_clock(info.duration)}"
    yield f"{info.path} ({info.format_name}{length})"
    yield f"  Picture     {_picture(info)}"
    yield f"  Frames      {_frames(info)}"
    yield f"  Colour      {_color(info)}"
    if info.hdr is not None:
        yield "  HDR         mastering display or content light metadata"
    label = tag_value((*info.video.metadata, *info.metadata), TIME_CODE_KEY)
    if label:
        yield f"  Time code   {label}"
    for stream in info.streams:
        if stream.index != info.video_index:
            yield f"  {_stream(stream)}"
    yield from _chapters(info)


def _chapters(info: SourceInfo) -> Iterator[str]:
    in_full = None if info.matroska is None else info.matroska.chapters
    if in_full is not None and in_full.beyond_a_list:
        yield "  Chapters"
        yield from (f"    {line}" for line in in_full.describe())
        return
    for chapter in info.chapters:
        yield f"  Chapter     {_clock(chapter.start)} {chapter.title or ''}".rstrip()


def _picture(info: SourceInfo) -> str:
    words = [f"{info.width}x{info.height}", info.pixel_format, info.codec]
    if info.sample_aspect_ratio not in {None, Fraction(1)}:
        words.append(f"sample aspect ratio {info.sample_aspect_ratio}")
    if info.rotation:
        words.append(f"rotated by {info.rotation} degrees")
    if info.interlaced_frames or info.field_order not in {"unknown", "progressive"}:
        words.append("interlaced")
    return ", ".join(words)


def _frames(info: SourceInfo) -> str:
    count = "unknown number" if info.frame_count_estimate is None else str(info.frame_count_estimate)
    about = "" if info.frame_count_estimate is None or info.is_frame_count_exact else "about "
    average = info.frames_a_second if info.frame_count_origin in ("counted", "sampled") else info.average_rate
    rate = "" if average is None else f", {float(average):.3f} a second on average"
    return f"{about}{count}{rate}, time base {info.time_base}"


def _color(info: SourceInfo) -> str:
    from vidsr.frames import is_hd

    color = info.color
    if color.matrix.name == "UNSPECIFIED":
        assumed = "BT.709" if is_hd(info.width, info.height) else "BT.601"
        matrix = f"untagged, taken as {assumed}"
    else:
        matrix = color.matrix.name.lower()
    words = [matrix]
    if color.primaries in _PRIMARIES:
        words.append(f"primaries {_PRIMARIES[color.primaries]}")
    if color.transfer in _TRANSFERS:
        words.append(f"transfer {_TRANSFERS[color.transfer]}")
    if color.range.name != "UNSPECIFIED":
        words.append(f"{color.range.name.lower()} range")
    if color.chroma_location.name != "UNSPECIFIED":
        words.append(f"chroma {color.chroma_location.name.lower()}")
    return ", ".join(words)


def _stream(stream: StreamInfo) -> str:
    words = [stream.codec or "unknown coding"]
    if stream.type == "attachment":
        words = [value for key, value in stream.metadata if key == "filename"] + words
    if stream.sample_rate:
        words.append(f"{stream.sample_rate} Hz")
    if stream.channels:
        words.append(f"{stream.channels} channel{'s' if stream.channels > 1 else ''}")
    words += [word for word in (stream.language_tag or stream.language, stream.title) if word]
    words += [name.lower().replace("_", " ") for name in stream.dispositions if name != "attached_pic"]
    words += [] if stream.is_enabled else ["not enabled"]
    kind = "Cover" if stream.is_picture else stream.type.capitalize()
    return f"{kind:<11} {', '.join(words)}"


def _clock(seconds: Fraction) -> str:
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
