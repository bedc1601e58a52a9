"""Which tags of the source go into the output: titles and names do, descriptions of the old coding do not.

It knows tag names of Matroska and MP4 only.
"""

from __future__ import annotations

from vidsr.media.containers import OutputFormat
from vidsr.media.probe import DEFAULT_HANDLERS, SourceInfo, StreamInfo

_CONTAINER_TAGS = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder"})
_CODING_TAGS = frozenset({"encoder", "duration", "bps", "number_of_frames", "number_of_bytes", "vendor_id"})
_STATISTICS_PREFIXES = ("_statistics_", "bps-", "duration-", "number_of_")

_BIBLIOGRAPHIC = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "fas": "per"}

_MP4_TAGS = frozenset(
    {"title", "artist", "album_artist", "author", "composer", "album", "date", "encoder", "comment", "genre"}
    | {"copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id", "network"}
    | {"keywords", "episode_sort", "season_number", "media_type", "hd_video", "gapless_playback", "year"}
    | {"compilation", "sort_name", "sort_artist", "sort_album_artist", "sort_album", "sort_composer"}
    | {"sort_show", "rating", "tmpo", "disc", "track", "location", "creation_time", "performer"}
)
"""What FFmpeg's MP4 muxer writes (its mov_write_ilst_tag and mov_write_udta_tag)."""


def global_tags(source: SourceInfo) -> dict[str, str]:
    """The file's own tags."""
    return {key: value for key, value in source.metadata if key.lower() not in _CONTAINER_TAGS}


def stream_tags(stream: StreamInfo, output: OutputFormat, *, copied: bool) -> dict[str, str]:
    """A stream's tags; those about its coding only if that is copied. Statistics are never kept.

    The muxer writes its own duration, and after a cut the others would be wrong. A track's title is
    called "name" in QuickTime; in MP4 FFmpeg keeps none but the handler's name, so it goes there.
    """
    kept = {}
    for key, value in stream.metadata:
        name = key.lower()
        if name.startswith(_STATISTICS_PREFIXES) or name in _CODING_TAGS - {"encoder"}:
            continue
        if (name == "encoder" and not copied) or (name == "handler_name" and value in DEFAULT_HANDLERS):
            continue
        kept["title" if name == "name" else key] = _language(value, output) if name == "language" else value
    if output.muxer == "mp4" and stream.title is not None:
        kept["handler_name"] = stream.title
    return kept


def _language(code: str, output: OutputFormat) -> str:
    """QuickTime knows some languages by the bibliographic code of ISO 639-2 only."""
    return _BIBLIOGRAPHIC.get(code, code) if output.muxer == "mov" else code


def lost_tags(source: SourceInfo, output: OutputFormat) -> list[str]:
    """Names of the file's tags that the container does not keep."""
    if output.muxer not in ("mp4", "mov"):
        return []
    return [key for key in global_tags(source) if key.lower() not in _MP4_TAGS]
