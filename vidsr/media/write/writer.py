"""Finished frames into a container: encoder, muxer, time stamps, the other streams, until it has its name.

One thread uses a Writer. Everything that can be refused is refused when it is made, before a frame is
computed. It never scales or converts a picture: a frame of another size or layout is an error. What of the
source's tags, chapters and other streams goes into the output is decided beside it.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet

from vidsr.damage import Damage
from vidsr.errors import (
    DamagedSourceError,
    EncoderError,
    OutputError,
    StreamRefusedError,
)
from vidsr.frames import Color, Frame
from vidsr.job import Segment
from vidsr.media.containers import OutputFormat
from vidsr.media.encode.encoders import EncoderSettings, check_size
from vidsr.media.encode.frame_encoder import encoded_size
from vidsr.media.read.demux import reason
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.stereo import STEREO_KEY, display_size
from vidsr.media.tag_pairs import tag_value
from vidsr.media.time_code import follow_time_codes
from vidsr.media.write.chapters import listed_chapters
from vidsr.media.write.header import Header, UnknownLayoutError
from vidsr.media.write.losses import losses
from vidsr.media.write.matroska_extras import matroska_extras
from vidsr.media.write.passthrough import Passthrough
from vidsr.media.write.tags import global_tags, renamed_tags
from vidsr.media.write.target import Target
from vidsr.media.write.video_track import add_video


@dataclass(frozen=True, slots=True)
class Written:
    """What came out.

    first_pts, last_pts: of the frames, on the source's clock. offset: seconds subtracted from all times.
    """

    path: Path
    frames: int
    first_pts: int
    last_pts: int
    size_bytes: int
    offset: Fraction


class Writer:
    """An output file in the making: `write` frames, `complete`, then `publish`; leaving earlier removes it.

    notes: one line for people about each thing of the source that is not kept as it is. container: the
    format. written: what came out, once it has its name.
    """

    def __init__(
        self,
        output: Path,
        source: SourceInfo,
        settings: EncoderSettings,
        *,
        width: int,
        height: int,
        color: Color,
        segment: Segment | None = None,
        audio: str = "all",
        subtitles: str = "all",
        strict: bool = False,
        overwrite: bool = False,
        pipe: int | None = None,
        container: OutputFormat | None = None,
    ) -> None:
        """width, height: of the frames to come, in samples. color: what their samples mean, all specified.

        audio, subtitles: "all", "none", "first" or a language. strict: refuse what would have to be
        converted or left out.

        pipe: a file descriptor to write into instead of a file, as it goes; `output` is its name for people.
        container: None = by the output's suffix.

        Raises UsageError (unknown suffix), OutputExistsError, OutputError (folder, permission, same file),
        EncoderError, StreamRefusedError.
        """
        self._settings = settings
        self.container = container or OutputFormat.of_path(output)
        self._target = Target(output, source.path, overwrite=overwrite, pipe=pipe)
        check_size(settings, *encoded_size(settings, source, width, height, color))
        self._timeline = source.timeline(segment, holds_negative=self.container.holds_negative)
        self._offset_pts = self._timeline.offset_in(source.time_base)
        self._source, self._notes = follow_time_codes(source, self._timeline, self.container)
        self._passthrough = Passthrough(
            source,
            self._source,
            self.container,
            self._timeline,
            audio=audio,
            subtitles=subtitles,
            strict=strict,
            is_file=pipe is None,
        )
        self._notes += losses(self._source, self.container, is_file=pipe is None)
        self._extras = matroska_extras(source, self._timeline, self.container, is_file=pipe is None)
        self._notes += self._extras.lost
        self._times = array("q")
        self._muxed_frames = self._muxed_bytes = self._size_bytes = 0
        self._takes_packets = self._is_complete = False
        self.written: Written | None = None
        self._muxer: OutputContainer | None = None
        try:
            with self._target.muxing("start the output"):
                options = dict(self.container.options)
                if pipe is not None:
                    options["flush_packets"] = "1"  # whoever watches need not wait for a full buffer
                self._muxer = av.open(
                    self._target.address,
                    mode="w",
                    format=self.container.muxer,
                    container_options=options,
                )
                self._passthrough.add_streams(self._muxer, before_video=True)
                self._video = add_video(
                    self._muxer,
                    self._source,
                    settings,
                    self.container,
                    width=width,
                    height=height,
                    color=color,
                    offset_pts=self._offset_pts,
                )
                self._notes += self._video.notes
                if strict:
                    self._refuse_losses()
                self._passthrough.add_streams(self._muxer, before_video=False)
                self._add_tags(self._muxer)
                self._muxer.set_chapters(listed_chapters(self._source.chapters, self._timeline, self._extras))
                self._muxer.start_encoding()
            self._mux(self._passthrough.start())
        except BaseException:
            self.abort()
            raise

    @property
    def temporary(self) -> Path:
        """The file until it has its name."""
        return self._target.temporary

    @property
    def notes(self) -> list[str]:
        renamed = renamed_tags(self._source, self.container)
        changes = [f"tag {old} is written as {new}" for old, new in renamed.items()]
        return [*self._passthrough.notes, *changes, *self._notes, *self._extras.notes]

    @property
    def frame_times(self) -> list[int]:
        """pts of the frames written, on the source's clock, increasing."""
        return sorted(self._times)

    @property
    def coded_picture(self) -> tuple[int, int, Fraction | None, Color]:
        """Width, height, sample aspect ratio and colours of what is encoded, behind filters."""
        video = self._video
        return video.width, video.height, video.aspect, video.color

    @property
    def damage(self) -> list[Damage]:
        """What of the other streams could not be read; complete after `finish`."""
        return self._passthrough.damage

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.written is None:
            self.abort()

    def _add_tags(self, muxer: OutputContainer) -> None:
        tags = global_tags(self._source, self.container)
        video = self._source.video
        tracks = self._passthrough.carried
        place = sum(stream.index < video.index for stream in tracks)
        tracks.insert(place, video)
        width, height, aspect, _ = self.coded_picture
        views = tag_value(video.metadata, STEREO_KEY)
        self._header = Header.planned(
            self.container,
            tracks,
            is_file=self._target.pipe is None,
            video=place,
            display_size=display_size(width, height, aspect, views) if aspect and aspect != 1 else None,
            extras=self._extras,
            tags=tags,
        )
        muxer.metadata.update(self._header.with_room(tags))

    def _refuse_losses(self) -> None:
        if self._notes:
            raise StreamRefusedError("; ".join(self._notes), "leave out --strict to go without")

    def write(self, frame: Frame) -> None:
        """Encode a frame, and everything else of the source up to its time.

        Raises FrameSizeError or FrameFormatError for a frame that is not what was announced, FrameError for
        a time stamp that is not behind the last one, EncoderError, NoSpaceError, OutputError.
        """
        assert self._video.encoder is not None
        self._mux_video(self._video.encoder.encode(frame))
        self._mux_beside(frame.time)
        self._times.append(frame.pts)

    @property
    def frames_held(self) -> int:
        """How many frames the encoder has taken and not given back; any thread may ask."""
        return max(len(self._times) - self._muxed_frames, 0)

    def write_packet(self, packet: Packet[Any]) -> None:
        """Take a packet of another FrameEncoder with the same settings, instead of frames; in decoding order.

        Its time stamps are on the source's clock. Raises NoSpaceError, OutputError.
        """
        assert packet.pts is not None
        assert packet.dts is not None
        self._takes_packets = True
        self._times.append(packet.pts)
        time = packet.pts * packet.time_base
        packet.pts -= self._offset_pts
        packet.dts -= self._offset_pts
        self._mux_video([packet])
        self._mux_beside(time)

    @property
    def stream_header(self) -> bytes:
        """What the encoder puts before all packets (extradata); packets made with another do not fit."""
        return self._video.stream_header

    def _mux_video(self, packets: Iterable[Packet[Any]]) -> None:
        stream = self._video.stream
        for packet in packets:
            packet.stream = stream
            if not self.container.has_times:
                assert stream.time_base is not None
                packet.time_base = stream.time_base
                packet.pts = packet.dts = self._muxed_frames
                packet.duration = 1
            self._muxed_frames += 1
            self._mux([packet])

    def _mux_beside(self, time: Fraction | None) -> None:
        """The other streams' packets up to a moment; one that the muxer cannot read is left out and noted."""
        for packet in self._passthrough.packets_until(time):
            try:
                self._mux([packet])
            except OutputError as error:
                cause = error.__cause__
                if not isinstance(cause, av.error.InvalidDataError | av.error.PatchWelcomeError):
                    raise
                self._passthrough.note_unmuxed(packet, reason(cause))

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        assert self._muxer is not None
        for packet in packets:
            with self._target.muxing("write"):
                self._muxed_bytes += packet.size
                self._muxer.mux_one(packet)

    def finish(self) -> None:
        """`complete` and `publish`, for whoever has nothing to check in between and nobody to tell."""
        self.complete()
        self.publish()

    def complete(self) -> None:
        """Write what the encoder and the other streams still hold; the file is whole and on the disk then.

        Raises NoSpaceError, OutputError, or DamagedSourceError if there was no frame to write; the
        unfinished file is gone then.
        """
        assert self._muxer is not None
        if not self._times:
            self.abort()
            raise DamagedSourceError(f"{self._source.path.name}: not one frame of it could be decoded")
        try:
            if not self._takes_packets and self._video.encoder is not None:
                self._mux_video(self._video.encoder.flush())
            self._check_count()
            self._mux_beside(None)
            with self._target.muxing("finish the output"):
                self._muxer.close()
            self._passthrough.close()
            self._size_bytes = self._muxed_bytes
            if self._target.pipe is None:
                self._complete_header()
                self._size_bytes = self._target.sync()
        except BaseException:
            self.abort()
            raise
        self._is_complete = True

    def _check_count(self) -> None:
        """What goes into a pipe cannot be read again, but counted."""
        count = len(self._times)
        if self._target.pipe is not None and self._muxed_frames != count:
            raise EncoderError(f"{self._settings.name} gave {self._muxed_frames} packets for {count} frames")

    def _complete_header(self) -> None:
        """Say in the header what the muxers have no word for."""
        indices = sorted([self._video.stream.index, *self._passthrough.track_indices])
        try:
            with self._target.naming():
                self._header.complete(self.temporary, indices)
        except UnknownLayoutError as error:
            raise OutputError(
                f"{self._target.output.name}: its header cannot be completed: {error}"
            ) from error

    def publish(self) -> str | None:
        """Give the complete file its name; a line for people where a power cut may take it.

        Raises OutputExistsError (somebody else made the file meanwhile), NoSpaceError, OutputError.
        """
        assert self._is_complete
        unsafe = self._target.publish() if self._target.pipe is None else None
        self._set_written(self._target.output)
        return unsafe

    def set_aside(self, name: Path) -> None:
        """Give the complete file another name, and never its own; replaces what is there."""
        assert self._is_complete
        self._target.set_aside(name)
        self._set_written(name)

    def _set_written(self, path: Path) -> None:
        times, origin = self._times, self._timeline.origin
        self.written = Written(path, len(times), min(times), max(times), self._size_bytes, origin)

    def abort(self) -> None:
        """Close everything and remove the unfinished file; harmless when there is none."""
        if self.written is not None:
            return
        self._passthrough.close()
        if self._muxer is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._muxer.close()
        self._target.remove()
