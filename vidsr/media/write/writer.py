"""Finished frames into a container: encoder, muxer, time stamps, tags, the other streams.

One thread uses a Writer. Everything that can be refused is refused when it is made, before a frame is
computed. It never scales or converts a picture: a frame of another size or layout is an error.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import av
import av.error
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

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
from vidsr.media.encode.ffmpeg_encoder import Trial
from vidsr.media.encode.frame_encoder import FrameEncoder, encoded_size
from vidsr.media.geometry import is_turn
from vidsr.media.pixels import has_alpha
from vidsr.media.read.demux import reason
from vidsr.media.read.probe import SourceInfo
from vidsr.media.stereo import STEREO_KEY, display_size
from vidsr.media.time_code import follow_time_codes
from vidsr.media.timeline import ChapterInfo
from vidsr.media.write.header import Header, UnknownLayoutError
from vidsr.media.write.matroska_extras import matroska_extras
from vidsr.media.write.passthrough import Passthrough
from vidsr.media.write.tags import (
    global_tags,
    lost_stream_tags,
    lost_tags,
    lost_track_facts,
    renamed_tags,
    stream_tags,
)
from vidsr.media.write.target import Target
from vidsr.media.write.unsaid import unsaid_words

if TYPE_CHECKING:
    from av.container.core import Chapter  # exists in the stubs only


@dataclass(frozen=True, slots=True)
class Written:
    """What came out.

    first_pts, last_pts: of the frames, on the source's clock. offset: seconds subtracted from all times.
    unsafe_name: a line for people where the disk does not say that the name outlives a power cut.
    """

    path: Path
    frames: int
    first_pts: int | None
    last_pts: int | None
    size_bytes: int
    offset: Fraction
    unsafe_name: str | None = None


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
        self._source, self._settings = source, settings
        self._width, self._height = width, height
        self.container = container or OutputFormat.of_path(output)
        self._target = Target(output, source.path, overwrite=overwrite, pipe=pipe)
        check_size(settings, *encoded_size(settings, source, width, height, color))
        self._encoder: FrameEncoder | None = None
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
        self._notes += _losses(self._source, self.container, is_file=pipe is None)
        self._extras = matroska_extras(source, self._timeline, self.container, is_file=pipe is None)
        self._notes += self._extras.lost
        self._times = array("q")
        self._count = self._muxed_frames = self._muxed_bytes = 0
        self._takes_packets = self._is_complete = False
        self._first_pts: int | None = None
        self._last_pts: int | None = None
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
                self._stream = self._add_video(self._muxer, color)
                if strict:
                    self._refuse_losses()
                self._passthrough.add_streams(self._muxer, before_video=False)
                self._add_tags(self._muxer)
                self._muxer.set_chapters(_chapter_dicts(self._listed_chapters()))
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
        return (*self._shape, self._coded_color)

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
        self._track = sum(stream.index < video.index for stream in tracks)
        tracks.insert(self._track, video)
        width, height, aspect = self._shape
        views = next((value for key, value in video.metadata if key.lower() == STEREO_KEY), None)
        self._header = Header.planned(
            self.container,
            tracks,
            is_file=self._target.pipe is None,
            video=self._track,
            display_size=display_size(width, height, aspect, views) if aspect and aspect != 1 else None,
            extras=self._extras,
            tags=tags,
        )
        muxer.metadata.update(self._header.with_room(tags))

    def _listed_chapters(self) -> list[ChapterInfo]:
        """What FFmpeg's muxer is given: one list, which Matroska's own take the place of later."""
        listed = self._timeline.clip_chapters(self._source.chapters)
        if not self._extras.holds:
            return listed
        if self._extras.chapters is None:
            return []
        return listed or [ChapterInfo(1, Fraction(0), Fraction(0), None)]

    def _add_video(self, container: OutputContainer, color: Color) -> VideoStream:
        source = self._source
        rate = source.average_rate or Fraction(25)
        if self._settings.program:
            stream, note = self._add_program_stream(container, color)
        else:
            stream, note = self._add_encoder(container, color)
        if note:
            self._notes.append(note)
        context = stream.codec_context
        stream.time_base = source.time_base if self.container.has_times else 1 / rate
        if context.codec.canonical_name == "hevc" and self.container.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # FFmpeg's own choice, hev1, does not play on Apple's devices
        if source.display_matrix is not None:
            stream.set_display_matrix(
                _scaled_matrix(source.display_matrix, Fraction(self._width, source.width))
            )
        self._shape = context.width, context.height, context.sample_aspect_ratio
        self._notes += unsaid_words(
            self.container, context.codec.canonical_name, self._coded_color, *self._shape
        )
        info = source.video
        lost = lost_stream_tags(source, info, self.container)
        tags = stream_tags(info, self.container, copied=False)
        stream.metadata.update({key: value for key, value in tags.items() if key not in lost})
        stream.disposition = container_disposition(info.dispositions)
        return stream

    def _add_encoder(self, container: OutputContainer, color: Color) -> tuple[VideoStream, str | None]:
        rate = self._source.average_rate or Fraction(25)
        stream = container.add_stream(self._settings.name, rate=rate)
        assert isinstance(stream, VideoStream)
        self._encoder = FrameEncoder(
            stream.codec_context,
            self._source,
            self._settings,
            width=self._width,
            height=self._height,
            color=color,
            offset_pts=self._offset_pts,
        )
        self._coded_color = self._encoder.color
        return stream, self._encoder.note

    def _add_program_stream(self, container: OutputContainer, color: Color) -> tuple[VideoStream, str | None]:
        """A stream for packets of the user's own ffmpeg; only `write_packet` fills it."""
        trial = Trial.of(self._source, self._settings, width=self._width, height=self._height, color=color)
        stream = container.add_stream_from_template(trial.stream, opaque=True)
        context = stream.codec_context
        context.colorspace, context.color_range = trial.color.matrix, trial.color.range
        context.color_primaries, context.color_trc = trial.color.primaries, trial.color.transfer
        if trial.aspect is not None:
            context.sample_aspect_ratio = trial.aspect
        self._program_header, self._coded_color = trial.header, trial.color
        return stream, trial.note

    def _refuse_losses(self) -> None:
        if self._notes:
            raise StreamRefusedError("; ".join(self._notes), "leave out --strict to go without")

    def write(self, frame: Frame) -> None:
        """Encode a frame, and everything else of the source up to its time.

        Raises FrameSizeError or FrameFormatError for a frame that is not what was announced, FrameError for
        a time stamp that is not behind the last one, EncoderError, NoSpaceError, OutputError.
        """
        assert self._encoder is not None
        self._mux_video(self._encoder.encode(frame))
        self._mux_beside(frame.time)
        self._count += 1
        self._times.append(frame.pts)
        self._last_pts = frame.pts
        if self._first_pts is None:
            self._first_pts = frame.pts

    @property
    def frames_held(self) -> int:
        """How many frames the encoder has taken and not given back; any thread may ask."""
        return max(self._count - self._muxed_frames, 0)

    def write_packet(self, packet: Packet[Any]) -> None:
        """Take a packet of another FrameEncoder with the same settings, instead of frames; in decoding order.

        Its time stamps are on the source's clock. Raises NoSpaceError, OutputError.
        """
        assert packet.pts is not None
        assert packet.dts is not None
        self._takes_packets = True
        self._first_pts = packet.pts if self._first_pts is None else min(self._first_pts, packet.pts)
        self._last_pts = packet.pts if self._last_pts is None else max(self._last_pts, packet.pts)
        self._count += 1
        self._times.append(packet.pts)
        time = packet.pts * packet.time_base
        packet.pts -= self._offset_pts
        packet.dts -= self._offset_pts
        self._mux_video([packet])
        self._mux_beside(time)

    @property
    def stream_header(self) -> bytes:
        """What the encoder puts before all packets (extradata); packets made with another do not fit."""
        return self._program_header if self._encoder is None else self._encoder.stream_header

    def _mux_video(self, packets: Iterable[Packet[Any]]) -> None:
        for packet in packets:
            packet.stream = self._stream
            if not self.container.has_times:
                assert self._stream.time_base is not None
                packet.time_base = self._stream.time_base
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
        """`complete` and `publish`, for whoever has nothing to check in between."""
        self.complete()
        self.publish()

    def complete(self) -> None:
        """Write what the encoder and the other streams still hold; the file is whole and on the disk then.

        Raises NoSpaceError, OutputError, or DamagedSourceError if there was no frame to write; the
        unfinished file is gone then.
        """
        assert self._muxer is not None
        if not self._count:
            self.abort()
            raise DamagedSourceError(f"{self._source.path.name}: not one frame of it could be decoded")
        try:
            if not self._takes_packets and self._encoder is not None:
                self._mux_video(self._encoder.flush())
            self._check_count()
            self._mux_beside(None)
            with self._target.muxing("finish the output"):
                self._muxer.close()
            self._passthrough.close()
            if self._target.pipe is None:
                self._complete_header()
                self._target.sync()
        except BaseException:
            self.abort()
            raise
        self._is_complete = True

    def _check_count(self) -> None:
        """What goes into a pipe cannot be read again, but counted."""
        if self._target.pipe is not None and self._muxed_frames != self._count:
            raise EncoderError(
                f"{self._settings.name} gave {self._muxed_frames} packets for {self._count} frames"
            )

    def _complete_header(self) -> None:
        """Say in the header what the muxers have no word for."""
        indices = sorted([self._stream.index, *self._passthrough.track_indices])
        try:
            with self._target.naming():
                self._header.complete(self.temporary, indices)
        except UnknownLayoutError as error:
            raise OutputError(
                f"{self._target.output.name}: its header cannot be completed: {error}"
            ) from error

    def publish(self) -> None:
        """Give the complete file its name.

        Raises OutputExistsError (somebody else made the file meanwhile), NoSpaceError, OutputError.
        """
        assert self._is_complete
        if self._target.pipe is not None:
            self._set_written(self._target.output, self._muxed_bytes)
            return
        self._set_written(self._target.output, *self._target.publish())

    def set_aside(self, name: Path) -> None:
        """Give the complete file another name, and never its own; replaces what is there."""
        assert self._is_complete
        self._set_written(name, self._target.set_aside(name))

    def _set_written(self, path: Path, size: int, unsafe_name: str | None = None) -> None:
        first, last, origin = self._first_pts, self._last_pts, self._timeline.origin
        self.written = Written(path, self._count, first, last, size, origin, unsafe_name)

    def abort(self) -> None:
        """Close everything and remove the unfinished file; harmless when there is none."""
        if self.written is not None:
            return
        self._passthrough.close()
        if self._muxer is not None:
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._muxer.close()
        self._target.remove()


def _scaled_matrix(matrix: tuple[int, ...], factor: Fraction) -> tuple[int, ...]:
    """Rotation and mirroring stay; the shift (the 7th and 8th number), in pixels, grows with the picture.

    It ends at 32767 pixels, where the format does; only torn files go beyond.
    """
    end = 2**31 - 1
    return tuple(
        min(max(round(value * factor), -end), end) if i in (6, 7) else value for i, value in enumerate(matrix)
    )


def _losses(source: SourceInfo, output: OutputFormat, *, is_file: bool) -> list[str]:
    """One line about each thing that is not a stream and cannot be kept."""
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
        rate = float(source.average_rate or 25)
        notes.append(f"{output.label} has no time stamps: frames follow each other at {rate:.3f} a second")
    if lost := lost_tags(source, output):
        notes.append(f"tags left out, {output.label} cannot hold them: {', '.join(lost)}")
    if lost := lost_stream_tags(source, source.video, output):
        notes.append(f"tags of the video left out, {output.label} cannot hold them: {', '.join(lost)}")
    return notes + lost_track_facts(source.video, output, is_file=is_file)


def _chapter_dicts(chapters: list[ChapterInfo]) -> list[Chapter]:
    """In PyAV's form, in nanoseconds, the finest unit a container counts chapters in (Matroska)."""
    unit = Fraction(1, 10**9)
    return [
        {
            "id": chapter.id,
            "start": round(chapter.start / unit),
            "end": round(chapter.end / unit),
            "time_base": unit,
            "metadata": dict(chapter.metadata),
        }
        for chapter in chapters
    ]


def container_disposition(names: tuple[str, ...]) -> av.stream.Disposition:
    disposition = av.stream.Disposition(0)
    for name in names:
        disposition |= av.stream.Disposition[name]
    return disposition
