"""The main video's track in an output: what its stream is told of the pictures, and whose packets fill it.

Those of an encoder that is made here, or of the user's own ffmpeg. It adds a stream to a muxer and writes
nothing; it knows neither the other streams nor when a packet comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidsr.frames import Color
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import EncoderSettings
from vidsr.media.encode.ffmpeg_encoder import Trial
from vidsr.media.encode.frame_encoder import FrameEncoder
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.write.tags import lost_stream_tags, main_video_marks, stream_tags
from vidsr.media.write.unsaid import unsaid_words


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """stream: the muxer's. encoder: None where packets come from the user's own ffmpeg.

    program_header: what that ffmpeg puts before all packets. width, height, color: of the pictures that are
    encoded, behind filters; aspect: of their samples. notes: a line for people about each thing that is not
    kept.
    """

    stream: VideoStream
    encoder: FrameEncoder | None
    program_header: bytes
    width: int
    height: int
    aspect: Fraction | None
    color: Color
    notes: tuple[str, ...]

    @property
    def stream_header(self) -> bytes:
        """What the encoder puts before all packets (extradata); there once the muxer has started."""
        return self.program_header if self.encoder is None else self.encoder.stream_header


def add_video(
    muxer: OutputContainer,
    source: SourceInfo,
    settings: EncoderSettings,
    output: OutputFormat,
    *,
    width: int,
    height: int,
    color: Color,
    offset_pts: int,
) -> VideoTrack:
    """width, height, color: of the frames to come. offset_pts: subtracted from their time stamps.

    Raises EncoderError, and what PyAV does.
    """
    rate = source.assumed_rate
    encoder: FrameEncoder | None = None
    header = b""
    if settings.program:
        trial = Trial.of(source, settings, width=width, height=height, color=color)
        stream = _like(trial, muxer)
        header, coded_color, note = trial.header, trial.color, trial.note
    else:
        added = muxer.add_stream(settings.name, rate=rate)
        assert isinstance(added, VideoStream)
        stream = added
        encoder = FrameEncoder(
            stream.codec_context,
            source,
            settings,
            width=width,
            height=height,
            color=color,
            offset_pts=offset_pts,
        )
        coded_color, note = encoder.color, encoder.note
    context = stream.codec_context
    codec = context.codec.canonical_name
    stream.time_base = source.time_base if output.has_times else 1 / rate
    if codec == "hevc" and output.muxer in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # FFmpeg's own choice, hev1, does not play on Apple's devices
    if source.display_matrix is not None:
        stream.set_display_matrix(_scaled_matrix(source.display_matrix, Fraction(width, source.width)))
    shape = context.width, context.height, context.sample_aspect_ratio
    unsaid = unsaid_words(output, codec, coded_color, *shape)
    _add_tags(stream, source, output)
    notes = (*([note] if note else []), *unsaid)
    return VideoTrack(stream, encoder, header, *shape, coded_color, notes)


def _like(trial: Trial, muxer: OutputContainer) -> VideoStream:
    """A stream for what the user's own ffmpeg makes, with the tags that it gave away in its trial."""
    stream = muxer.add_stream_from_template(trial.stream, opaque=True)
    context = stream.codec_context
    context.colorspace, context.color_range = trial.color.matrix, trial.color.range
    context.color_primaries, context.color_trc = trial.color.primaries, trial.color.transfer
    if trial.aspect is not None:
        context.sample_aspect_ratio = trial.aspect
    return stream


def _add_tags(stream: VideoStream, source: SourceInfo, output: OutputFormat) -> None:
    info = source.video
    lost = lost_stream_tags(source, info, output)
    tags = stream_tags(info, output, copied=False)
    stream.metadata.update({key: value for key, value in tags.items() if key not in lost})
    disposition = Disposition(0)
    for name in main_video_marks(source):
        disposition |= Disposition[name]
    stream.disposition = disposition


def _scaled_matrix(matrix: tuple[int, ...], factor: Fraction) -> tuple[int, ...]:
    """Rotation and mirroring stay; the shift (the 7th and 8th number), in pixels, grows with the picture.

    It ends at 32767 pixels, where the format does; only torn files go beyond.
    """
    end = 2**31 - 1
    return tuple(
        min(max(round(value * factor), -end), end) if i in (6, 7) else value for i, value in enumerate(matrix)
    )
