"""Stereoscopic pictures behind filters: whether two views still lie where the source says they do.

It knows filters by name, and which of them leave every part of a picture in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidsr.media.filters import FilterStep
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.stereo import STEREO_KEY
from vidsr.media.tag_pairs import without_tag

MOVED_VIEWS = "marks of stereoscopic pictures, of which filters may have left one view,"

_IN_PLACE = frozenset(
    {"null", "format", "noformat", "scale", "zscale", "setparams", "setsar", "setdar", "setfield"}
    | {"settb", "setpts", "fps", "framestep", "trim", "select", "decimate", "mpdecimate", "dejudder"}
    | {"bwdif", "yadif", "w3fdif", "estdif", "kerndeint", "nnedi", "fieldmatch", "pullup"}
    | {"colorspace", "colormatrix", "tonemap", "eq", "curves", "colorbalance", "colorlevels", "hue"}
    | {"lut", "lutyuv", "lutrgb", "lut3d", "hqdn3d", "nlmeans", "atadenoise", "bm3d", "owdenoise"}
    | {"dctdnoiz", "fftdnoiz", "vaguedenoiser", "deband", "gradfun", "deblock", "unsharp", "cas", "noise"}
)
"""Of all others it is not known; what they leave of two views may be one."""


def behind_filters(source: SourceInfo, steps: Sequence[FilterStep]) -> SourceInfo:
    """The source with nothing said of two views, where the filters may have moved them."""
    if all(step.name in _IN_PLACE for step in steps):
        return source
    video = source.video
    kept = without_tag(video.metadata, STEREO_KEY)
    if kept == video.metadata:
        return source
    streams = list(source.streams)
    streams[source.video_index] = replace(video, metadata=kept)
    extras = (*source.embedded_extras, MOVED_VIEWS)
    return replace(source, streams=tuple(streams), embedded_extras=extras)
