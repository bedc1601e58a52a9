"""Output containers: which suffix means which muxer, and what each one can hold.

The tables follow the formats' registrations (MP4RA, QuickTime, WebM guidelines), narrowed to what players
play; what FFmpeg's muxers themselves take decides where there is no table. It opens no files.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import av
from av.codec.codec import UnknownCodecError

from vidsr.errors import UnknownNameError, UsageError

_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "vvc"})
_MOV_VIDEO = frozenset(
    {
        "h264",
        "hevc",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "prores",
        "dnxhd",
        "mjpeg",
        "png",
        "qtrle",
    }
)
_MP4_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts"})
_MOV_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac"})
_WEBM_AUDIO = frozenset({"opus", "vorbis"})
_MATROSKA_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "webvtt", "text", "arib_caption"}
    | {"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "hdmv_text_subtitle"}
)
TEXT_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "subviewer", "subviewer1"}
    | {"sami", "realtext", "mpl2", "jacosub", "stl", "pjs", "vplayer"}
)
"""Codings that FFmpeg decodes to lines of text."""

COVER_TYPES = {
    "png": ("png", "image/png"),
    "mjpeg": ("jpg", "image/jpeg"),
    "bmp": ("bmp", "image/bmp"),
    "gif": ("gif", "image/gif"),
    "webp": ("webp", "image/webp"),
    "tiff": ("tif", "image/tiff"),
}
"""Codec of a cover picture -> (file suffix, MIME type) as an attachment."""


_EDIT_CLOCK = {"movie_timescale": "90000"}
"""Units of a second in which MP4 and QuickTime say how late a stream begins: FFmpeg's own 1000 would round a
start of 41.708 ms, one frame of film, down to 41. 32 bits of 90 kHz are 13 hours; longer files get 64."""


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A container to write.

    label: its name in sentences. video, audio, subtitles: codecs that can be copied; None = all that
        FFmpeg's muxer takes.
    text_subtitles_as: what other text subtitles are converted to, None = they cannot be held.
    audio_as: the encoder for other sound. attachments: whether it holds files (fonts).
    holds_negative: whether sound may begin before 0. hides_sound: whether it has edit lists, so that sound
        which the source's hides stays unheard. has_times: whether frames have time stamps; if not,
        they follow each other at a fixed rate. says_appearance: whether it says what samples mean and in what
        shape pictures are shown (see `unsaid`). options: of the muxer.
    """

    muxer: str
    label: str
    video: frozenset[str] | None
    audio: frozenset[str] | None
    subtitles: frozenset[str] | None
    text_subtitles_as: str | None
    audio_as: str = "aac"
    attachments: bool = False
    holds_negative: bool = True
    hides_sound: bool = False
    has_times: bool = True
    says_appearance: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_path(cls, path: Path) -> OutputFormat:
        """Chosen by the file's suffix.

        Raises UnknownNameError for a suffix that is not in the list, UsageError where there is none.
        """
        suffix = path.suffix.lower().removeprefix(".")
        if not suffix:
            raise UsageError(
                f"the output {str(path)!r} has no suffix, which would choose the container",
                f"name a file, such as {path.name or 'out'}.mkv; known are {', '.join(_SUFFIXES)}",
            )
        if suffix not in _SUFFIXES:
            raise UnknownNameError("container suffix", path.suffix, _SUFFIXES, None)
        return cls.named(_SUFFIXES[suffix])

    @classmethod
    def named(cls, muxer: str) -> OutputFormat:
        """Chosen by FFmpeg's name of the muxer, or by a suffix.

        Raises UnknownNameError.
        """
        muxer = _SUFFIXES.get(muxer.removeprefix("."), muxer)
        for known in _FORMATS:
            if known.muxer == muxer:
                return known
        raise UnknownNameError("container", muxer, [f.muxer for f in _FORMATS], None)

    @classmethod
    def suffixes_for(cls, codec: str) -> tuple[str, ...]:
        """All suffixes whose container holds the codec."""
        return tuple(s for s, muxer in _SUFFIXES.items() if cls.named(muxer).holds_video(codec))

    def holds_video(self, codec: str) -> bool:
        return codec in (_muxed_codecs(self.muxer) if self.video is None else self.video)

    def holds_audio(self, codec: str | None) -> bool:
        if codec is None:
            return False
        if self.audio is None:
            return codec in _muxed_codecs(self.muxer)
        is_plain_pcm = codec.startswith("pcm_") and codec in _muxed_codecs(self.muxer)
        return codec in self.audio or (self.muxer == "mov" and is_plain_pcm)

    def holds_subtitle(self, codec: str) -> bool:
        return self.subtitles is None or codec in self.subtitles

    def holds_cover(self, codec: str | None) -> bool:
        if self.attachments:
            return codec in COVER_TYPES
        return self.muxer == "mp4" and codec in ("png", "mjpeg", "bmp")


_FORMATS = (
    OutputFormat(
        muxer="matroska",
        label="Matroska",
        video=None,
        audio=None,
        subtitles=_MATROSKA_SUBTITLES,
        text_subtitles_as="subrip",
        audio_as="flac",
        attachments=True,
        # without it the muxer would shift all streams when sound begins before 0 (AAC's priming samples)
        options={"avoid_negative_ts": "disabled"},
    ),
    OutputFormat(
        muxer="mp4",
        label="MP4",
        video=_MP4_VIDEO,
        audio=_MP4_AUDIO,
        subtitles=frozenset({"mov_text"}),
        text_subtitles_as="mov_text",
        hides_sound=True,
        options=_EDIT_CLOCK,
    ),
    OutputFormat(
        muxer="mov",
        label="QuickTime",
        video=_MOV_VIDEO,
        audio=_MOV_AUDIO,
        subtitles=frozenset({"mov_text"}),
        text_subtitles_as="mov_text",
        hides_sound=True,
        options=_EDIT_CLOCK,
    ),
    OutputFormat(
        muxer="webm",
        label="WebM",
        video=frozenset({"vp8", "vp9", "av1"}),
        audio=_WEBM_AUDIO,
        subtitles=frozenset({"webvtt"}),
        text_subtitles_as="webvtt",
        audio_as="libopus",
        options={"avoid_negative_ts": "disabled"},
    ),
    OutputFormat(
        muxer="nut",
        label="NUT",
        video=None,
        audio=None,
        subtitles=frozenset(),
        text_subtitles_as=None,
        audio_as="flac",
        holds_negative=False,
        says_appearance=False,
    ),
    OutputFormat(
        muxer="yuv4mpegpipe",
        label="Y4M",
        video=frozenset({"rawvideo"}),
        audio=frozenset(),
        subtitles=frozenset(),
        text_subtitles_as=None,
        audio_as="",
        holds_negative=False,
        has_times=False,
        says_appearance=False,
        options={"strict": "experimental"},  # for more than 8 bits a sample
    ),
)
_SUFFIXES = {"mkv": "matroska", "mp4": "mp4", "m4v": "mp4", "mov": "mov", "webm": "webm", "nut": "nut"}


@cache
def _muxed_codecs(muxer: str) -> frozenset[str]:
    """Canonical names of what a muxer of FFmpeg takes."""
    with av.open(io.BytesIO(), "w", format=muxer) as container:
        names = container.supported_codecs
    return frozenset(_canonical_name(name) for name in names)


def _canonical_name(name: str) -> str:
    try:
        return av.Codec(name, "r").canonical_name
    except UnknownCodecError:
        return av.Codec(name, "w").canonical_name
