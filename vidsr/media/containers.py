"""Output containers: which suffix means which muxer, and what each one can hold.

The tables follow the formats' registrations (Matroska codec IDs, MP4RA, QuickTime, WebM guidelines)
narrowed to what FFmpeg's muxers write. It knows names only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vidsr.errors import UnknownNameError

_MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "vvc"})
_MP4_AUDIO = frozenset(
    {"aac", "mp3", "mp2", "ac3", "eac3", "alac", "opus", "flac", "dts", "vorbis", "truehd"}
)
_MOV_VIDEO = _MP4_VIDEO - {"av1", "vp9", "vvc"} | {
    "prores",
    "dnxhd",
    "mjpeg",
    "png",
    "qtrle",
    "utvideo",
    "dvvideo",
}
_MOV_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "alac"})
_WEBM_AUDIO = frozenset({"opus", "vorbis"})
TEXT_SUBTITLES = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text", "microdvd", "subviewer",
                            "subviewer1", "sami", "realtext", "mpl2", "jacosub", "stl", "pjs", "vplayer"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """A container to write.

    label: its name in sentences. video, audio, subtitles: codecs that can be copied; None = all.
    text_subtitles_as: what other text subtitles are converted to, None = they cannot be held.
    """

    muxer: str
    label: str
    video: frozenset[str] | None
    audio: frozenset[str] | None
    subtitles: frozenset[str] | None
    text_subtitles_as: str | None
    audio_as: str
    attachments: bool
    cover_art: bool
    chapters: bool = True

    @classmethod
    def of_path(cls, path: Path) -> Self:
        """Chosen by the file's suffix.

        Raises UnknownNameError for a suffix that is not in the list.
        """
        suffix = path.suffix.lower().removeprefix(".")
        if suffix not in _SUFFIXES:
            raise UnknownNameError("container suffix", path.suffix or path.name, _SUFFIXES, "the README")
        return cls.named(_SUFFIXES[suffix])

    @classmethod
    def named(cls, muxer: str) -> Self:
        """Chosen by FFmpeg's name of the muxer, or by a suffix.

        Raises UnknownNameError.
        """
        muxer = _SUFFIXES.get(muxer.removeprefix("."), muxer)
        for known in _FORMATS:
            if known.muxer == muxer:
                return known  # type: ignore[return-value]
        raise UnknownNameError("container", muxer, [f.muxer for f in _FORMATS], "the README")

    @classmethod
    def suffixes_for(cls, codec: str, encoder: str) -> tuple[str, ...]:
        """All suffixes whose container holds the codec."""
        return tuple(s for s, muxer in _SUFFIXES.items() if cls.named(muxer).holds_video(codec, encoder))

    def holds_video(self, codec: str, encoder: str) -> bool:
        if encoder == "libx264rgb" and self.muxer in ("mp4", "webm"):
            return self.muxer == "mp4"
        return self.video is None or codec in self.video

    def holds_audio(self, codec: str) -> bool:
        return self.audio is None or codec in self.audio or (self.muxer == "mov" and codec.startswith("pcm_"))

    def holds_subtitle(self, codec: str) -> bool:
        return self.subtitles is None or codec in self.subtitles


_MATROSKA_SUBTITLES = frozenset(
    {"subrip", "srt", "ass", "ssa", "webvtt", "text", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle",
     "hdmv_text_subtitle", "arib_caption"}
)  # fmt: skip
_FORMATS = (
    OutputFormat("matroska", "Matroska", None, None, _MATROSKA_SUBTITLES, "subrip", "aac", True, True),
    OutputFormat("mp4", "MP4", _MP4_VIDEO, _MP4_AUDIO, frozenset({"mov_text"}), "mov_text", "aac", False, True),
    OutputFormat("mov", "QuickTime", _MOV_VIDEO, _MOV_AUDIO, frozenset({"mov_text"}), "mov_text", "aac", False, False),
    OutputFormat("webm", "WebM", frozenset({"vp8", "vp9", "av1"}), _WEBM_AUDIO, frozenset({"webvtt"}), "webvtt",
                 "libopus", False, False),
    OutputFormat("nut", "NUT", None, None, frozenset(), None, "aac", False, False),
)  # fmt: skip
_SUFFIXES = {"mkv": "matroska", "mp4": "mp4", "m4v": "mp4", "mov": "mov", "webm": "webm", "nut": "nut"}
