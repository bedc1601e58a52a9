"""Opening files for reading: which kinds are let in, and what each failure is called.

Whoever opens an input does it here, so that no playlist reaches the network or another file, unless this
opening was allowed to, and no exception of PyAV gets out. It knows containers, never frames.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vidsr.errors import (
    DamagedSourceError,
    DeviceError,
    NotAVideoError,
    NoVideoStreamError,
    SourceError,
    SourceMissingError,
    UsageError,
)
from vidsr.media.read.continuation import JOINABLE_FORMATS, Continuation, OnNewClock

ALLOWED_FORMATS = (
    # containers of video
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,asf,ogg,nut,rm,mxf,gxf,dv,wtv,nsv,nuv,ivf,"
    "obu,h264,hevc,vvc,h261,h263,m4v,mjpeg,vc1,av1,yuv4mpegpipe,gif,apng,amv,swf,bink,smk,roq,thp,flic,"
    "dhav,mpegtsraw,vob,pva,ty,film_cpk,rpl,dirac,dnxhd,"
    # known so that they can be named in the refusal: sound
    "mp3,flac,wav,aac,ac3,eac3,dts,w64,aiff,caf,amr,ape,tta,wv,tak,au,opus,truehd,mlp,loas,"
    # ... and pictures
    "png_pipe,jpeg_pipe,webp_pipe,webp,bmp_pipe,tiff_pipe,gif_pipe,psd_pipe,exr_pipe,jpegxl_pipe,avif"
)
"""Demuxers that read one local file and nothing else; hls, dash, concat, image2 and the like are left out."""

StreamT = TypeVar("StreamT", bound=Stream)

MAX_READ_FAILURES = 16
"""Failed attempts in a row before a container counts as ended; some demuxers skip ahead, some stay put."""

INPUT_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ALLOWED_FORMATS}

PATIENT_OPTIONS = INPUT_OPTIONS | {
    "probesize": str(64 * 1024 * 1024),
    "analyzeduration": "120000000",
    "scan_all_pmts": "1",
}
"""For files whose sound begins late, or with a second program: to know what the streams of a file are, FFmpeg
looks at 5 MB of it, or 5 s, and at one program."""

NETWORK_OPTIONS = {
    "protocol_whitelist": "file,http,https,httpproxy,tcp,udp,tls,rtp,rtmp,rtmps,rtmpt,rtsp,ftp,crypto,data,"
    "concat,concatf,subfile,cache,async,hls,srt,mmsh,mmst",
    "safe": "0",
    "allowed_extensions": "ALL",
    "extension_picky": "0",
}
"""With these, playlists (HLS, DASH, ffconcat) may name whatever they like."""

NETWORK_SECONDS = 30
"""How long nothing may come before a connection counts as broken."""

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(:|,,|,)(/*)(.*)", re.DOTALL)
"""A word of at least two letters and a colon, as no path begins that is not meant so; subfile has commas."""
_SCHEMES_WITHOUT_SLASHES = frozenset({"concat", "concatf", "subfile", "data", "crypto", "cache", "async"})
_NEEDS_PERMISSION = "--allow-network lets it reach other files and the network"

_IMAGE_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"RIFF": "WebP",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_FOR_PICTURES = "from Python, vidsr.Upscaler enlarges pictures"
_CONTAINER_SIGNATURES = {
    b"\x1a\x45\xdf\xa3": "Matroska",
    b"RIFF": "RIFF (AVI)",
    b"FLV": "Flash",
    b"OggS": "Ogg",
}
_PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"<?xml", b"<MPD", b"<SmoothStreaming")
_SNIFFED_BYTES = 64 * 1024


def is_address(path: Path) -> bool:
    """Whether an input is an address (http://, concat:, subfile:, ...) and no local file."""
    return _scheme_of(path) is not None


def _scheme_of(path: Path) -> str | None:
    found = _ADDRESS.fullmatch(path.as_posix())
    if found is None or path.exists():
        return None
    scheme = found[1].lower()
    return scheme if (found[2] == ":" and found[3]) or scheme in _SCHEMES_WITHOUT_SLASHES else None


def location_of(path: Path) -> str:
    """What FFmpeg is told to open: an address as it was typed (a Path loses a slash of it), or a file."""
    scheme = _scheme_of(path)
    if scheme is None:
        return f"file:{path}"
    text = path.as_posix()
    if scheme in _SCHEMES_WITHOUT_SLASHES:
        return text
    return f"{scheme}://{text.partition(':')[2].lstrip('/')}"


@contextmanager
def reading(path: Path, doing: str) -> Iterator[None]:
    """Name every failure of PyAV on the way as a SourceError; `doing` ends "cannot ..."."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise DamagedSourceError(f"{path.name}: cannot {doing}: {reason(error)}") from error


def reason(error: av.error.FFmpegError) -> str:
    """FFmpeg's own words, without error number and file name."""
    return error.strerror or type(error).__name__


def open_source(path: Path, *, allow_network: bool = False) -> InputContainer:
    """Open a media file for reading: a local one, or what an address leads to if that is allowed.

    allow_network: whether it may be an address, and a playlist that leads anywhere. What was probed knows it
    for itself: see `SourceInfo.open`.

    Raises SourceMissingError, NotAVideoError or another SourceError; the message says what the file is
    instead, as far as its first bytes tell.
    """
    if is_address(path) and not allow_network:
        raise SourceMissingError(
            f"{location_of(path)} is an address, not a local file",
            "pass --allow-network to open it, or download it first",
        )
    try:
        if not allow_network:
            container = _open_file(path, INPUT_OPTIONS)
            is_joinable = container.format.name in JOINABLE_FORMATS
            if is_joinable and _has_unknown_streams(container) and path.is_file():  # pipes open once
                container.close()
                container = _open_file(path, PATIENT_OPTIONS)
            return container
        return av.open(
            location_of(path),
            mode="r",
            options=dict(NETWORK_OPTIONS),
            metadata_errors="replace",
            timeout=NETWORK_SECONDS if is_address(path) else None,
        )
    except av.error.FileNotFoundError as error:
        raise SourceMissingError(f"{path}: no such file", "check the path") from error
    except av.error.IsADirectoryError as error:
        raise NotAVideoError(f"{path} is a folder, not a video", "name one file in it") from error
    except av.error.PermissionError as error:
        raise SourceMissingError(f"{path}: no permission to read it", "check the file's owner") from error
    except (av.error.FFmpegError, ValueError) as error:
        if is_address(path):
            words = reason(error) if isinstance(error, av.error.FFmpegError) else str(error)
            raise SourceMissingError(
                f"{location_of(path)} cannot be opened: {words}", "check the address and the connection"
            ) from error
        raise _diagnosis(path, error, allow_network=allow_network) from error


def _open_file(path: Path, options: dict[str, str]) -> InputContainer:
    return av.open(f"file:{path}", mode="r", options=dict(options), metadata_errors="replace")


def _has_unknown_streams(container: InputContainer) -> bool:
    """Whether there are pictures or sound of which nothing was met yet, but at the end of the file."""
    contexts = [stream.codec_context for stream in container.streams]
    return any(
        (isinstance(context, AudioCodecContext) and not context.sample_rate)
        or (isinstance(context, VideoCodecContext) and not context.width)
        for context in contexts
    )


def open_accelerated(path: Path, hwaccel: str, *, allow_network: bool = False) -> InputContainer:
    """Like `open_source`, with decoders on hardware where it has them for the stream's coding.

    hwaccel: FFmpeg's name for the kind, with a number where it is one of several ("cuda:1").

    Pictures come back into ordinary memory, in layouts of the hardware's own (see `hardware`). What the
    hardware cannot decode, FFmpeg decodes on the processor.

    Raises UsageError for a name that this FFmpeg does not have, DeviceError where the machine has no such
    hardware, and what `open_source` raises.
    """
    name, _, number = hwaccel.partition(":")
    known = hwdevices_available()
    if name not in known:
        raise UsageError(
            f"FFmpeg has no decoding hardware {hwaccel!r} here", f"it knows {', '.join(known) or 'none'}"
        )
    # so that what is wrong with the file is not taken for the hardware's fault
    open_source(path, allow_network=allow_network).close()
    options = dict(NETWORK_OPTIONS if allow_network else INPUT_OPTIONS)
    try:
        accelerator = HWAccel(name, device=number or None, allow_software_fallback=True)
    except ValueError as error:  # PyAV makes a number of what follows "cuda:"
        raise UsageError(
            f"{number!r} is no number of a device", "write --hwaccel cuda:1, for example"
        ) from error
    try:
        return av.open(
            location_of(path), mode="r", options=options, metadata_errors="replace", hwaccel=accelerator
        )
    except (av.error.FFmpegError, RuntimeError) as error:
        words = reason(error) if isinstance(error, av.error.FFmpegError) else str(error)
        raise DeviceError(
            f"{hwaccel} does not decode here: {words}", "leave out --hwaccel to decode on the processor"
        ) from error


def read_packets(
    container: InputContainer,
    streams: Sequence[StreamT],
    on_error: Callable[[str], None],
    on_new_clock: OnNewClock | None = None,
) -> Iterator[Packet[StreamT]]:
    """All packets of some streams; reading goes on behind damage as long as the demuxer finds something.

    Where a local file's clock begins anew, time goes on (see `continuation`), counted from where reading
    began. That is known from the pictures, so they are read even if they are not wanted.

    on_error: told of each place where the container could not be read, in FFmpeg's words. on_new_clock: told
    of each such beginning. The empty packets that PyAV ends a stream with are left out.
    """
    path = local_path(container)
    guide = container.streams.best("video") if container.format.name in JOINABLE_FORMATS else None
    if path is None or guide is None or not streams:
        yield from _packets(container, streams, on_error)
        return
    wanted = {stream.index for stream in streams}
    guide.discard = Discard.default
    read: list[Stream] = [*streams] if guide.index in wanted else [guide, *streams]
    following = Continuation(path, container.format.name, guide.index, on_new_clock)
    for packet in following.continued(_packets(container, read, on_error)):
        if packet.stream_index in wanted:
            yield packet


def local_path(container: InputContainer) -> Path | None:
    """The file that was opened, if it is one."""
    scheme, _, rest = container.name.partition(":")
    return Path(rest) if scheme == "file" else None


def _packets(
    container: InputContainer, streams: Sequence[Stream], on_error: Callable[[str], None]
) -> Iterator[Packet[Any]]:
    failures = 0
    while streams and failures < MAX_READ_FAILURES:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    failures = 0
                    yield packet
        except av.error.FFmpegError as error:
            failures += 1
            if failures == 1:
                on_error(reason(error))
        except IndexError:
            return  # PyAV, at the end of a file in which more streams appeared on the way
        else:
            return


def main_video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream a player would show: FFmpeg's choice among those that are not cover pictures.

    Raises NoVideoStreamError.
    """
    if container.format.name.endswith("_pipe") or container.format.name == "avif":
        raise NoVideoStreamError(f"{path.name} is a picture, not a video", _FOR_PICTURES)
    moving = [s for s in container.streams.video if not _is_picture(s)]
    if not moving:
        what = "only sound" if container.streams.audio else "no video stream"
        raise NoVideoStreamError(f"{path.name} holds {what}")
    best = container.streams.best("video")
    for stream in moving:
        if best is not None and stream.index == best.index:
            return stream
    return moving[0]


def _is_picture(stream: VideoStream) -> bool:
    return bool(stream.disposition & stream.disposition.attached_pic)


def _diagnosis(path: Path, error: Exception, *, allow_network: bool) -> SourceError:
    """What is wrong with a file that FFmpeg would not open."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_SNIFFED_BYTES)
    except OSError as os_error:
        return SourceMissingError(f"{path}: {os_error.strerror}")
    if size == 0:
        return NotAVideoError(f"{path} is empty")
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t")
    if start.startswith(_PLAYLIST_STARTS) and not allow_network:
        return NotAVideoError(
            f"{path} is a playlist, which could lead to other files or the network",
            f"name the video file itself; {_NEEDS_PERMISSION}",
        )
    for signature, kind in _IMAGE_SIGNATURES.items():
        if head.startswith(signature) and (kind != "WebP" or head[8:12] == b"WEBP"):
            return NoVideoStreamError(f"{path} is a {kind} picture, not a video", _FOR_PICTURES)
    for signature, kind in _CONTAINER_SIGNATURES.items():
        if head.startswith(signature):
            return DamagedSourceError(
                f"{path} is a {kind} file too damaged to be opened", "record or download it again"
            )
    if head[4:8] in (b"ftyp", b"mdat", b"wide", b"free"):
        return NotAVideoError(
            f"{path} has no index (moov atom): it was cut off or is still being written",
            "record or download it again; only its maker can still hold the index",
        )
    if all(byte in _TEXT_BYTES for byte in head) or _is_utf8_text(head):
        return NotAVideoError(f"{path} is a text file, not a video")
    if isinstance(error, av.error.DecoderNotFoundError):
        return NotAVideoError(f"{path} needs a decoder this FFmpeg does not have")
    return NotAVideoError(f"{path} is not a video that can be read", "ffprobe may tell what it is")


_TEXT_BYTES = frozenset(string.printable.encode())


def _is_utf8_text(head: bytes) -> bool:
    try:
        text = head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return bool(text) and all(character.isprintable() or character.isspace() for character in text)
