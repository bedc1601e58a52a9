"""An encoder that is a process: the user's own ffmpeg, fed with pictures and giving back packets.

Both go through pipes in containers that keep time stamps; one thread of ours reads what comes back, and the
program's messages go into a file, so that no side waits for another. In the pipes frames are numbered, at the
source's average rate: a program that had to guess the rate from uneven times would write another stream
header for each piece of a job. A packet's number tells whose it is, and so its time of the source, exactly.
Packets are muxed by `Writer` like those of any encoder.

It knows one process; which encoders a build has is told by `ffmpeg_program`.
"""

from __future__ import annotations

import contextlib
import io
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import IO, Any, cast

import av
import av.error
import ffmpeg
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vidsr.errors import EncoderError
from vidsr.frames import ChromaLocation, Color, Frame
from vidsr.media.encode.encoders import EncoderSettings
from vidsr.media.encode.frame_encoder import FrameEncoder, hdr_settings
from vidsr.media.encode.layouts import RAW
from vidsr.media.read.demux import reason
from vidsr.media.read.source_info import UNKNOWN_RATE, SourceInfo

TRIAL_FRAMES = 2
"""Enough for every encoder to show its stream header."""

CARRIERS = ("nut", "matroska")
"""In which packets come back; the second for codings that the first has no name for (VVC)."""

TRIAL_SECONDS = 300
"""For a trial; two pictures of 7680x4320 take libaom's slowest preset one minute on two cores."""

END_SECONDS = 10
"""How long a program that closed its input is given to end."""

_BUFFER_BYTES = 2**20
_SHOWN_WORDS = 200


class _Inlet:
    """Where the muxer writes; it can be given its place later."""

    def __init__(self) -> None:
        self.target: IO[bytes] | None = None

    def write(self, data: bytes) -> int:
        assert self.target is not None
        return self.target.write(data)


class _Outlet:
    """A pipe that gives what there is, not only full buffers."""

    def __init__(self, pipe: io.BufferedReader) -> None:
        self._pipe = pipe

    def read(self, size: int) -> bytes:
        return self._pipe.read1(size)


class _Feed:
    """Frames on their way into the program: filtered, packed, numbered.

    width, height, color, aspect: of the pictures that the program gets. sent: (pts, duration) of each.
    """

    def __init__(
        self, source: SourceInfo, settings: EncoderSettings, width: int, height: int, color: Color
    ) -> None:
        self._inlet = _Inlet()
        self._container: OutputContainer = av.open(
            cast("Any", self._inlet), "w", format="nut", buffer_size=_BUFFER_BYTES
        )
        stream = self._container.add_stream(RAW, rate=_rate(source))
        assert isinstance(stream, VideoStream)
        self._stream = stream
        plain = EncoderSettings(RAW, None, None, settings.pixel_format, post_filters=settings.post_filters)
        self._encoder = FrameEncoder(
            stream.codec_context, source, plain, width=width, height=height, color=color
        )
        self._unit = stream.time_base = 1 / _rate(source)
        context = stream.codec_context
        self.width, self.height = context.width, context.height
        self.color, self.aspect = self._encoder.color, context.sample_aspect_ratio or None
        self.sent: list[tuple[int, int]] = []

    def start(self, target: IO[bytes]) -> None:
        self._inlet.target = target
        self._container.start_encoding()

    def send(self, frame: Frame | None) -> None:
        """A frame, or None for what the filters still hold. Raises OSError if the program is gone."""
        for packet in self._encoder.flush() if frame is None else self._encoder.encode(frame):
            assert packet.pts is not None
            self.sent.append((packet.pts, packet.duration or 0))
            packet.stream, packet.time_base = self._stream, self._unit
            packet.pts = packet.dts = len(self.sent) - 1
            packet.duration = 1
            self._container.mux_one(packet)

    def close(self) -> None:
        self._container.close()


def _rate(source: SourceInfo) -> Fraction:
    """Of the frames in the pipes; the denominator of 24000/1001 is the largest in use."""
    return source.assumed_rate.limit_denominator(1001) or UNKNOWN_RATE


def _command(settings: EncoderSettings, feed: _Feed, rate: Fraction, carrier: str) -> list[str]:
    """The program's words. Colour is said twice: filters tell it to newer versions, options of the encoder to
    older ones. The filter fps changes no frame here, but tells the encoder the rate."""
    color = feed.color
    tags = {
        "color_primaries": color.primaries,
        "color_trc": color.transfer,
        "colorspace": int(color.matrix),
    }
    picture = ffmpeg.input("pipe:0", format="nut").video
    picture = picture.filter("setparams", range=int(color.range), **tags)
    picture = picture.filter("fps", _words(rate))
    if feed.aspect is not None:
        picture = picture.filter("setsar", _words(feed.aspect))
    words: dict[str, Any] = {f"{name}:v": value for name, value in settings.options.items()}
    words |= {f"{name}:v": value for name, value in tags.items()} | {"color_range:v": int(color.range)}
    if color.chroma_location is not ChromaLocation.UNSPECIFIED:
        words["chroma_sample_location:v"] = color.chroma_location.name.lower()
    if settings.threads:
        words["threads:v"] = settings.threads
    out = ffmpeg.output(
        picture,
        "pipe:1",
        format=carrier,
        vcodec=settings.name,
        pix_fmt=settings.coded_format or settings.pixel_format,
        fps_mode="passthrough",
        enc_time_base=f"{rate.denominator}:{rate.numerator}",
        avoid_negative_ts="disabled",
        **words,
    ).global_args("-hide_banner", "-nostdin", "-nostats", "-loglevel", "level+warning", "-copyts")
    return [str(word) for word in ffmpeg.compile(out, cmd=settings.program)]


def _words(ratio: Fraction) -> str:
    return f"{ratio.numerator}/{ratio.denominator}"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What a program makes of such pictures, tried with a few empty ones.

    command: the words with which it makes packets. carrier: the container they come back in. stream: a
    template for the output's. header: what comes before all packets. note: as FrameEncoder's.
    color, aspect: of the pictures that are encoded.
    """

    command: list[str]
    carrier: str
    container: InputContainer
    stream: VideoStream
    header: bytes
    color: Color
    aspect: Fraction | None
    note: str | None

    @classmethod
    def of(
        cls, source: SourceInfo, settings: EncoderSettings, *, width: int, height: int, color: Color
    ) -> Trial:
        """Raises EncoderError if the program refuses its settings or such pictures."""
        settings, note = hdr_settings(settings, source, color)
        feed = _Feed(source, settings, width, height, color)
        rate = _rate(source)
        size = feed.width, feed.height
        for carrier in CARRIERS:
            command = _command(settings, feed, rate, carrier)
            outcome = _tried(tuple(command), settings.pixel_format, size, rate)
            if outcome.problem is None:
                break
        else:
            raise EncoderError(
                f"{settings.program} refuses its settings: {outcome.problem}",
                "change -x, --encoder-preset, --crf or --pix-fmt",
            )
        container = av.open(io.BytesIO(outcome.made), "r", format=carrier)
        stream = container.streams.video[0]
        header = stream.codec_context.extradata or b""
        return cls(command, carrier, container, stream, header, feed.color, feed.aspect, note)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came back, and what the program complained of."""

    made: bytes
    problem: str | None


@lru_cache(maxsize=4)
def _tried(command: tuple[str, ...], pixel_format: str, size: tuple[int, int], rate: Fraction) -> _Outcome:
    """Give the program a few black pictures."""
    given = io.BytesIO()
    width, height = size
    with av.open(given, "w", format="nut") as container:
        stream = container.add_stream(RAW, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.time_base = stream.time_base = 1 / rate
        for number in range(TRIAL_FRAMES):
            picture = av.VideoFrame(width, height, pixel_format)
            for plane in picture.planes:
                plane.update(bytes(plane.buffer_size))
            picture.pts, picture.time_base = number, 1 / rate
            for packet in stream.encode(picture):
                container.mux_one(packet)
    code, made, said = _run(command, given.getvalue())
    lines = said.decode(errors="replace").splitlines()
    doubts = [line for line in lines if _is_doubt(line)]
    if code or doubts or not made:
        return _Outcome(made, _first_words(lines if code else doubts) or "nothing came back")
    return _Outcome(made, None)


def _run(command: tuple[str, ...], given: bytes) -> tuple[int, bytes, bytes]:
    """(exit code, output, messages). Whatever happens, nothing of the program is left."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True)
    except OSError as error:
        raise EncoderError(f"{command[0]} cannot be run: {error.strerror}") from error
    with process:
        try:
            made, said = process.communicate(given, TRIAL_SECONDS)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            words = _first_words((error.stderr or b"").decode(errors="replace").splitlines())
            raise EncoderError(
                f"{command[0]} has not encoded {TRIAL_FRAMES} pictures in {TRIAL_SECONDS} s"
                + (f": {words}" if words else ""),
                "choose a faster --encoder-preset, or leave --ffmpeg out",
            ) from error
        except BaseException:
            _kill(process)
            raise
    return process.returncode, made, said


def _kill(process: subprocess.Popen[bytes]) -> None:
    """A program that runs, and what it has started: a script's ffmpeg would go on, and hold our pipes."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)  # it has a session, and so a group, of its own
    else:
        process.kill()


def _is_doubt(line: str) -> bool:
    """Encoders speak of unknown names in x264-params and the like in warnings only."""
    lower = line.lower()
    return "option" in lower and "deprecated" not in lower


class FfmpegEncoder:
    """Frames in, packets out, as FrameEncoder does it, by one run of the program.

    Packets come without dts; `join` makes them. After `flush` or `close` there is no process left.
    """

    def __init__(
        self, source: SourceInfo, settings: EncoderSettings, *, width: int, height: int, color: Color
    ) -> None:
        """Raises EncoderError if the program refuses its settings."""
        trial = Trial.of(source, settings, width=width, height=height, color=color)
        self.stream_header, self._carrier = trial.header, trial.carrier
        self.time_base, self._rate = source.time_base, _rate(source)
        self._program = settings.program
        self._feed = _Feed(source, settings, width, height, color)
        self._packets: queue.SimpleQueue[Packet[Any]] = queue.SimpleQueue()
        self._given: set[int] = set()
        self._header: bytes | None = None
        self._trouble: str | None = None
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the program)
        try:
            # a session of its own: Ctrl+C in a terminal is for vidsr, which ends the program in good order
            self._process = subprocess.Popen(
                trial.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                start_new_session=True,
            )
        except OSError as error:
            self._words.close()
            raise EncoderError(f"{settings.program} cannot be run: {error.strerror}") from error
        assert self._process.stdin is not None
        self._reading = threading.Thread(target=self._read, name="vidsr-ffmpeg", daemon=True)
        self._reading.start()
        with _Ending(self):
            self._feed.start(self._process.stdin)

    def encode(self, frame: Frame) -> list[Packet[Any]]:
        """The packets that are ready now. Raises as FrameEncoder.encode does."""
        with _Ending(self):
            self._feed.send(frame)
            return self._ready()

    def flush(self) -> list[Packet[Any]]:
        """All that is left, after which the program has ended. Raises EncoderError."""
        with _Ending(self):
            self._feed.send(None)
            self._feed.close()
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._reading.join()
            code = self.ended()
            if code != 0 or self._trouble:
                raise self.failure(code)
            if self._header != self.stream_header:
                raise EncoderError(
                    f"{self._program} gives every piece another stream header", "choose another --encoder"
                )
            packets = self._ready()
        self.close()
        return packets

    def close(self) -> None:
        """End the program if it still runs; harmless when called again."""
        if self._process.poll() is None:
            _kill(self._process)
        self._process.wait()
        self._reading.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written has nowhere to go
                    continue
        self._words.close()

    def failure(self, code: int | None) -> EncoderError:
        """What is to be said when the program has ended or is not needed any more. code: as of `ended`."""
        self._words.seek(0)
        words = _first_words(self._words.read().decode(errors="replace").splitlines())
        if code is None:
            how = f"does not end within {END_SECONDS} s"
        else:
            how = f"was ended by signal {-code}" if code < 0 else "failed"
        trouble = f": {words or self._trouble}" if words or self._trouble else ""
        return EncoderError(f"{self._program} {how}{trouble}", "leave --ffmpeg out to encode without it")

    def ended(self) -> int | None:
        """The exit code of a program that has no reason to go on; None if it does so all the same."""
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def _ready(self) -> list[Packet[Any]]:
        packets: list[Packet[Any]] = []
        while True:
            try:
                packet = self._packets.get_nowait()
            except queue.Empty:
                return packets
            assert packet.pts is not None
            number = round(packet.pts * packet.time_base * self._rate)
            if number in self._given or not 0 <= number < len(self._feed.sent):
                raise EncoderError(f"{self._program} gave a packet that belongs to no frame")
            self._given.add(number)
            packet.time_base = self.time_base
            packet.pts, packet.duration = self._feed.sent[number]
            packet.dts = None
            packets.append(packet)

    def _read(self) -> None:
        """The reading thread: everything the program writes, to its end."""
        pipe = cast("io.BufferedReader", self._process.stdout)
        try:
            with av.open(cast("Any", _Outlet(pipe)), "r", format=self._carrier) as container:
                stream = container.streams.video[0]
                for packet in container.demux(stream):
                    if packet.size:
                        self._packets.put(packet)
                self._header = stream.codec_context.extradata or b""
        except (av.error.FFmpegError, IndexError) as error:
            self._trouble = reason(error) if isinstance(error, av.error.FFmpegError) else "no video came back"
            if self._process.poll() is None and not isinstance(error, av.error.EOFError | IndexError):
                _kill(self._process)  # nobody reads any more: it must not wait for that


class _Ending:
    """Whatever goes wrong within, the program ends; if it was its own end, that is what is reported."""

    def __init__(self, encoder: FfmpegEncoder) -> None:
        self._encoder = encoder

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        gone = isinstance(error, OSError | av.error.FFmpegError)
        failure = self._encoder.failure(self._encoder.ended()) if gone else None
        self._encoder.close()
        if failure is not None:
            raise failure from error


def _first_words(lines: Iterable[str]) -> str:
    """The first thing the program complains of, without who says it."""
    complaints = [line for line in lines if "[error]" in line or "[fatal]" in line] or list(lines)
    if not complaints:
        return ""
    return complaints[0].rpartition("] ")[2][:_SHOWN_WORDS].strip()
