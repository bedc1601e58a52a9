"""One video encoder: frames in, packets out, with the tags that say what the samples mean.

It is the same whether its packets go straight into a container or into a segment file first. It never
scales or converts a picture, and knows neither files nor the source's other streams.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av.error
from av.codec.context import Flags
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from vidsr.errors import EncoderError, FrameError, FrameFormatError, FrameSizeError
from vidsr.frames import ChromaLocation, Color, Frame
from vidsr.media.color.hdr import HDR_TRANSFERS
from vidsr.media.encode.encoders import EncoderSettings, configure, with_hdr
from vidsr.media.encode.post_filters import PostFilters
from vidsr.media.geometry import output_aspect
from vidsr.media.pixels import fill
from vidsr.media.read.demux import reason
from vidsr.media.read.source_info import SourceInfo


class FrameEncoder:
    """An encoder over a codec context that is not open yet; opening it is left to whoever made it.

    note: a line for people where the encoder cannot write something of the source, else None. color: of the
    pictures that are encoded.
    """

    def __init__(
        self,
        context: VideoCodecContext,
        source: SourceInfo,
        settings: EncoderSettings,
        *,
        width: int,
        height: int,
        color: Color,
        offset_pts: int = 0,
    ) -> None:
        """width, height, color: of the frames to come. offset_pts: subtracted from their time stamps."""
        settings, self.note = hdr_settings(settings, source, color)
        self.context, self._settings = context, settings
        self._width, self._height = width, height
        self._offset_pts = offset_pts
        self._last_pts: int | None = None
        self._packer = VideoReformatter()
        self._post = PostFilters(settings, source, width, height, color) if settings.post_filters else None
        aspect = output_aspect(source, width, height)
        if self._post is not None:
            result = self._post.result
            width, height = result.width, result.height
            color, aspect = result.color, result.sample_aspect_ratio
        self.color = color
        configure(context, settings, width, height)
        context.time_base = source.time_base
        context.framerate = source.assumed_rate
        context.colorspace, context.color_range = color.matrix, color.range
        context.color_primaries, context.color_trc = color.primaries, color.transfer
        if color.chroma_location is not ChromaLocation.UNSPECIFIED:
            options = dict(context.options)
            options["chroma_sample_location"] = color.chroma_location.name.lower()
            context.options = options
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        context.flags |= Flags.frame_duration

    @property
    def stream_header(self) -> bytes:
        """What comes before all packets (extradata); there once the encoder is open."""
        return self.context.extradata or b""

    @property
    def time_base(self) -> Fraction:
        """Of the packets' time stamps."""
        assert self.context.time_base is not None
        return self.context.time_base

    def close(self) -> None:
        """Take no more frames and drop what is held back."""

    def encode(self, frame: Frame) -> list[Packet[Any]]:
        """The packets that are ready now, in decoding order.

        Raises FrameSizeError or FrameFormatError for a frame that is not what was announced, FrameError for
        a time stamp that is not behind the last one (encoders take some of those in silence), EncoderError.
        """
        if (frame.width, frame.height) != (self._width, self._height):
            raise FrameSizeError(
                f"frame {frame.index} is {frame.width}x{frame.height}, "
                f"the output {self._width}x{self._height}"
            )
        if frame.format.name != self._settings.pixel_format:
            raise FrameFormatError(
                f"frame {frame.index} is {frame.format.name}, the output {self._settings.pixel_format}"
            )
        if self._last_pts is not None and frame.pts <= self._last_pts:
            last = float(self._last_pts * frame.time_base)
            raise FrameError(
                f"frame {frame.index} ({float(frame.time):.3f} s) is not behind the one at {last:.3f} s"
            )
        self._last_pts = frame.pts
        picture = VideoFrame(self._width, self._height, frame.format.name)
        fill(picture, frame.planes)
        picture.pts, picture.time_base, picture.duration = frame.pts, frame.time_base, frame.duration
        ready = [picture] if self._post is None else self._post.push(picture, frame.pts, frame.duration)
        what = f"frame {frame.index} ({float(frame.time):.3f} s)"
        return [packet for shown in ready for packet in self._encode_picture(shown, what)]

    def flush(self) -> Iterator[Packet[Any]]:
        """What the encoder still held back, each packet when it is ready; it takes no more frames.

        With an encoder that looks far ahead that may take minutes. Raises EncoderError on the way.
        """
        for picture in () if self._post is None else self._post.flush():
            yield from self._encode_picture(picture, "to finish")
        yield from self._encoded(None, "to finish")

    def _encode_picture(self, picture: VideoFrame, what: str) -> list[Packet[Any]]:
        coded = self._packed(picture)
        assert picture.pts is not None
        coded.pts, coded.duration = picture.pts - self._offset_pts, picture.duration
        coded.time_base = picture.time_base
        # ProRes takes its tags from here and not from the context
        coded.colorspace, coded.color_range = self.color.matrix, self.color.range
        coded.color_primaries, coded.color_trc = self.color.primaries, self.color.transfer
        return self._encode(coded, what)

    def _packed(self, picture: VideoFrame) -> VideoFrame:
        coded = self._settings.coded_format
        if coded in ("", picture.format.name):
            return picture
        return self._packer.reformat(picture, format=coded)

    def _encode(self, picture: VideoFrame, what: str) -> list[Packet[Any]]:
        return list(self._encoded(picture, what))

    def _encoded(self, picture: VideoFrame | None, what: str) -> Iterator[Packet[Any]]:
        try:
            yield from self.context.encode_lazy(picture)
        except av.error.FFmpegError as error:
            raise EncoderError(f"{self._settings.name} refused {what}: {reason(error)}") from error


def hdr_settings(
    settings: EncoderSettings, source: SourceInfo, color: Color
) -> tuple[EncoderSettings, str | None]:
    """The settings with the source's HDR10 metadata where the output is HDR too, or a line about its loss."""
    if source.hdr is None or color.transfer not in HDR_TRANSFERS:
        return settings, None
    carried = with_hdr(settings, source.hdr)
    if carried is None:
        return settings, f"HDR10 metadata is left out: {settings.name} cannot write it"
    return carried, None


def encoded_size(
    settings: EncoderSettings, source: SourceInfo, width: int, height: int, color: Color
) -> tuple[int, int]:
    """(width, height) of the pictures that are encoded, for frames of a size.

    Raises UsageError as PostFilters does.
    """
    if not settings.post_filters:
        return width, height
    filters = PostFilters(settings, source, width, height, color)
    filters.try_out()
    return filters.result.width, filters.result.height
