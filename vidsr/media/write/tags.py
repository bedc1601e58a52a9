"""Which tags of the source go into the output: titles and names do, descriptions of the old coding do not.

It knows tag names of Matroska and MP4 only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vidsr.media.containers import OutputFormat
from vidsr.media.mp4.source import is_tag
from vidsr.media.read.source_info import SourceInfo, StreamInfo
from vidsr.media.read.stream_infos import DEFAULT_HANDLERS
from vidsr.media.stereo import STEREO_KEY
from vidsr.media.tag_pairs import tag_value

_CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "duration"})
_CODING_TAGS = frozenset({"encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "vendor_id"})
_ABOUT_PACKETS = frozenset({"encoder", "alpha_mode"})  # true while the packets are the same
_STATISTICS_PREFIXES = ("_statistics_", "bps-", "duration-", "number_of_")

_BIBLIOGRAPHIC = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "fas": "per"}

_HELD = {
    "mp4": frozenset(
        {"title", "artist", "album_artist", "composer", "album", "date", "comment", "genre", "copyright"}
        | {"grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network", "keywords"}
        | {"episode_sort", "season_number", "media_type", "hd_video", "gapless_playback", "compilation"}
        | {"disc", "track", "location", "creation_time"}
    ),
    "mov": frozenset(
        {"title", "artist", "album", "date", "comment", "genre", "copyright", "location", "creation_time"}
    ),
}
"""What comes back out of a file that FFmpeg 8.1's muxer wrote, each key tried. Its flag use_metadata_tags
would keep any key, but in place of the list that players read ("ilst"): not even the title would be shown."""

_NUMBERS = {
    **dict.fromkeys(
        ("media_type", "hd_video", "gapless_playback", "compilation"), r"1?\d?\d|2[0-4]\d|25[0-5]"
    ),
    **dict.fromkeys(("episode_sort", "season_number"), r"\d{1,9}"),
    **dict.fromkeys(("disc", "track"), r"[1-9]\d{0,3}(/[1-9]\d{0,3})?"),
    "creation_time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*",
    "location": r"[+-]\d+(\.\d+)?[+-]\d+(\.\d+)?([+-]\d+(\.\d+)?)?/?",
}
"""Tags that these containers keep as numbers, and what such a value looks like; all else would become 0."""

_OTHER_NAMES = {"year": "date", "date_released": "date", "author": "artist"}
"""Keys that MP4 and QuickTime have no place for, and the one that means the same to them."""

HELD_DISPOSITIONS: Mapping[str, frozenset[str]] = {
    "matroska": frozenset(
        {"default", "dub", "original", "comment", "forced", "hearing_impaired", "visual_impaired"}
    ),
    "webm": frozenset({"default", "forced"}),
    "mp4": frozenset({"dub", "comment", "forced", "hearing_impaired", "visual_impaired"}),
    "nut": frozenset({"default", "dub", "original", "comment", "lyrics", "karaoke"}),
}
"""What FFmpeg's muxers write and its demuxers read back (tried with FFmpeg 8.1)."""

_FOR_CHOOSING = frozenset(
    {"dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired", "visual_impaired"}
    | {"captions", "descriptions"}
)
"""Dispositions by which streams are chosen, "default" aside: where it cannot be written, the first is."""

_NOT_IN_WEBM = frozenset({"anaglyph_green_magenta", "block_lr", "block_rl"})
"""Stereoscopic pictures of which FFmpeg's muxer refuses the whole file."""

_HELD_OF_STREAMS = frozenset({"title", "language", "handler_name", "timecode"})


def main_video_marks(source: SourceInfo) -> tuple[str, ...]:
    """The dispositions of the main video in the output.

    Transport streams with several videos mark none as the one to show; in other containers, players would
    choose one by its length or bits then, and might show the one that is not upscaled.
    """
    marks = source.video.dispositions
    videos = [stream for stream in source.streams if stream.type == "video" and not stream.is_picture]
    if len(videos) == 1 or any("default" in stream.dispositions for stream in videos):
        return marks
    return (*marks, "default")


def global_tags(source: SourceInfo, output: OutputFormat) -> dict[str, str]:
    """The file's own tags that the container keeps, under the names it has for them."""
    kept = {key: value for key, value in source.metadata if key.lower() not in _CONTAINER_TAGS}
    held = _HELD.get(output.muxer)
    if held is None:
        return kept
    for other, wanted in renamed_tags(source, output).items():
        kept[wanted] = kept.pop(other)
    return {key: value for key, value in kept.items() if key.lower() in held and _is_held(key, value)}


def _is_held(key: str, value: str) -> bool:
    pattern = _NUMBERS.get(key.lower())
    return bool(value) and (pattern is None or re.fullmatch(pattern, value) is not None)


def renamed_tags(source: SourceInfo, output: OutputFormat) -> dict[str, str]:
    """Keys of the file's tags that the container keeps under another name -> that name."""
    if output.muxer not in _HELD:
        return {}
    taken = {key.lower() for key, _ in source.metadata}
    renamed: dict[str, str] = {}
    for key, _ in source.metadata:
        name = _OTHER_NAMES.get(key.lower())
        if name is not None and name not in taken:
            taken.add(name)
            renamed[key] = name
    return renamed


def lost_tags(source: SourceInfo, output: OutputFormat) -> list[str]:
    """Names of the file's tags that the container does not keep, those of chapters among them."""
    if output.muxer not in _HELD:
        return []
    kept = {*global_tags(source, output), *renamed_tags(source, output)}
    lost = [
        key
        for key, value in source.metadata
        if key.lower() not in _CONTAINER_TAGS and key not in kept and not _is_repeated(key, value, source)
    ]
    of_chapters = {
        key for chapter in source.chapters for key, _ in chapter.metadata if key.lower() != "title"
    }
    return lost + [f"{key} of chapters" for key in sorted(of_chapters)]


def _is_repeated(key: str, value: str, source: SourceInfo) -> bool:
    """Whether it is a tag once more by its language, as QuickTime's demuxer gives them (location-eng)."""
    name, _, language = key.rpartition("-")
    return len(language) == 3 and (name, value) in source.metadata


def stream_tags(stream: StreamInfo, output: OutputFormat, *, copied: bool) -> dict[str, str]:
    """A stream's tags; those about its coding only if that is copied. Statistics are never kept.

    The muxer writes its own duration, and after a cut the others would be wrong. A track's title is
    called "name" in QuickTime; older players of MP4 show the handler's name, so it goes there too.
    """
    kept = {}
    for key, value in stream.metadata:
        name = key.lower()
        if name.startswith(_STATISTICS_PREFIXES) or name in _CODING_TAGS - {"encoder"}:
            continue
        if (name in _ABOUT_PACKETS and not copied) or (name == "handler_name" and value in DEFAULT_HANDLERS):
            continue
        kept["title" if name == "name" else key] = _language(value, output) if name == "language" else value
    if output.muxer == "mp4" and stream.title is not None:
        kept["handler_name"] = stream.title
    return kept


def lost_stream_tags(source: SourceInfo, stream: StreamInfo, output: OutputFormat) -> list[str]:
    """Names of a stream's tags that the container does not keep.

    Left out of it are what a stream's coder is called and the time of creation that the file has as well.
    """
    created = tag_value(source.metadata, "creation_time")
    lost = []
    for key, value in stream_tags(stream, output, copied=True).items():
        name = key.lower()
        if name in _ABOUT_PACKETS or (name == "creation_time" and value == created):
            continue
        if name == "language" and holds_language_tag(stream, output, is_file=True):
            continue
        if not _holds_stream_tag(name, value, output):
            lost.append(key)
    return lost


def lost_dispositions(stream: StreamInfo, output: OutputFormat) -> list[str]:
    """What a stream is for, as far as the container has no mark for it ("forced", "comment")."""
    return sorted(_FOR_CHOOSING & set(stream.dispositions) - HELD_DISPOSITIONS.get(output.muxer, frozenset()))


def lost_track_facts(stream: StreamInfo, output: OutputFormat, *, is_file: bool) -> list[str]:
    """One line about each thing that FFmpeg's muxers have no word for and this output cannot say either."""
    name, lost = f"{stream.type} {stream.index}", []
    tag, plain = stream.language_tag, stream_tags(stream, output, copied=True).get("language")
    if tag is not None and "-" in tag and not holds_language_tag(stream, output, is_file=is_file):
        kept = plain is not None and output.has_times and _holds_stream_tag("language", plain, output)
        lost.append(f"language {tag} of {name} " + (f"becomes {plain}" if kept else "is left out"))
    if not stream.is_enabled and not holds_marks_of_use(output, is_file=is_file):
        lost.append(f"{name} is marked as not enabled in the source; that is left out")
    return lost


def holds_language_tag(stream: StreamInfo, output: OutputFormat, *, is_file: bool) -> bool:
    """Whether a language in full can be written: only in a file, whose header is completed when all is."""
    tag = stream.language_tag
    if tag is None or not is_file:
        return False
    return output.muxer in ("matroska", "webm") or (output.muxer in _HELD and is_tag(tag))


def holds_marks_of_use(output: OutputFormat, *, is_file: bool) -> bool:
    """Whether it can say that a track is not enabled."""
    return is_file and output.muxer in ("matroska", "webm")


def _holds_stream_tag(name: str, value: str, output: OutputFormat) -> bool:
    if output.muxer == "webm" and name == STEREO_KEY and value in _NOT_IN_WEBM:
        return False
    if output.muxer not in _HELD:
        return name != "creation_time" or output.muxer not in ("matroska", "webm")
    if name == "language":
        return re.fullmatch("[a-z]{3}", value) is not None
    return name in _HELD_OF_STREAMS


def _language(code: str, output: OutputFormat) -> str:
    """QuickTime knows some languages by the bibliographic code of ISO 639-2 only."""
    return _BIBLIOGRAPHIC.get(code, code) if output.muxer == "mov" else code
