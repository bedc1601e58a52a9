"""What a file holds, read packet by packet: time stamps and fingerprints of every stream.

It demuxes a file once and decodes nothing. Both sides of a verification are read by it, independently
of what the reader and the writer noted down while they worked.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.packet import Packet
from av.stream import AttachmentStream, Discard, Stream

from vidsr.damage import Damage
from vidsr.media.clock import WITHOUT_PRESENTATION_TIMES
from vidsr.media.ffmpeg_log import ERROR, Heard, listening
from vidsr.media.read.demux import read_packets
from vidsr.media.read.locate import presentation_times
from vidsr.media.read.source_info import SourceInfo

NO_STAMP = -(2**63)
"""Stands for a missing time stamp, as FFmpeg's own constant does."""

KEY_FRAME, DISCARDED = 1, 2


@dataclass(slots=True)
class PacketLog:
    """The packets of one stream in the file's order: 25 bytes a packet, whatever their size.

    stamps: pts, or dts where there is none, in time_base. fingerprints: 64 bits of each payload.
    payload: a hash of all payloads in one piece, for containers that cut the same bytes otherwise.
    """

    time_base: Fraction
    stamps: array[int] = field(default_factory=lambda: array("q"))
    durations: array[int] = field(default_factory=lambda: array("q"))
    fingerprints: array[int] = field(default_factory=lambda: array("Q"))
    flags: bytearray = field(default_factory=bytearray)
    payload: hashlib.blake2b = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    all_have_pts: bool = True

    def __len__(self) -> int:
        return len(self.stamps)

    def add(self, packet: Packet[Stream], payload: memoryview | None) -> None:
        """payload: what to take the fingerprint of; None = none is wanted."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        self.all_have_pts &= packet.pts is not None
        self.stamps.append(NO_STAMP if stamp is None else stamp)
        self.durations.append(packet.duration or 0)
        self.flags.append(KEY_FRAME * packet.is_keyframe | DISCARDED * packet.is_discard)
        if payload is not None:
            own = hashlib.blake2b(payload, digest_size=8).digest()
            self.fingerprints.append(int.from_bytes(own, "little"))
            self.payload.update(payload)

    def pts(self) -> npt.NDArray[np.int64]:
        return np.frombuffer(self.stamps, np.int64)

    def seconds(self) -> npt.NDArray[np.float64]:
        """When each packet begins."""
        return np.multiply(self.pts(), float(self.time_base), dtype=np.float64)

    def lengths(self) -> npt.NDArray[np.float64]:
        """How long each packet lasts in seconds; 0 = unknown."""
        return np.multiply(np.frombuffer(self.durations, np.int64), float(self.time_base), dtype=np.float64)

    def marks(self) -> npt.NDArray[np.uint64]:
        return np.frombuffer(self.fingerprints, np.uint64)


@dataclass(frozen=True, slots=True)
class Contents:
    """A file, demuxed.

    packets: by stream index. frame_times: pts of the main video's frames in presentation order.
    attachments: bytes of each attached file by stream index. troubles: where the container could not be
    read, in FFmpeg's words. gaps: where FFmpeg complained of the container and read on behind, so that
    packets may be missing of which nothing else tells.
    """

    info: SourceInfo
    packets: dict[int, PacketLog]
    frame_times: list[int]
    attachments: dict[int, bytes]
    troubles: tuple[str, ...]
    gaps: tuple[Damage, ...]

    @property
    def video(self) -> PacketLog:
        return self.packets[self.info.video_index]


def read_contents(
    info: SourceInfo, streams: Collection[int], checkpoint: Callable[[], None] = lambda: None
) -> Contents:
    """Demux a file once.

    streams: indices of those whose payloads matter beside the main video's time stamps; others are skipped.
    checkpoint: called with every packet.

    Raises SourceError if the file can no longer be opened.
    """
    troubles: list[str] = []
    with info.open() as container:
        attachments = {
            stream.index: bytes(stream.data or b"")
            for stream in container.streams
            if isinstance(stream, AttachmentStream)
        }
        logs, gaps = _read_logs(container, info, {info.video_index, *streams}, troubles.append, checkpoint)
    times = _frame_times(info, logs[info.video_index])
    return Contents(info, logs, times, attachments, tuple(troubles), tuple(gaps))


def read_beside_video(contents: Contents) -> Contents:
    """The same file read once more with the main video passed over, as `passthrough` reads it.

    Behind damage that makes a difference: FFmpeg's Matroska demuxer, say, looks for the next cluster when
    a video packet is torn, and loses what lies before it; where it need not look into video packets, it
    gets the sound there. Raises SourceError.
    """
    info = contents.info
    with info.open() as container:
        beside, _ = _read_logs(container, info, contents.packets.keys() - {info.video_index})
    return replace(contents, packets=contents.packets | beside)


def _read_logs(
    container: InputContainer,
    info: SourceInfo,
    streams: Collection[int],
    on_error: Callable[[str], None] = lambda _: None,
    checkpoint: Callable[[], None] = lambda: None,
) -> tuple[dict[int, PacketLog], list[Damage]]:
    """What of some streams is in the container, all others passed over, and what FFmpeg said of it."""
    codecs = {stream.index: stream.codec for stream in info.streams}
    wanted = [stream for stream in container.streams if stream.index in streams]
    wanted = [stream for stream in wanted if not isinstance(stream, AttachmentStream)]
    for stream in container.streams:
        if stream not in wanted:
            stream.discard = Discard.all
    logs = {stream.index: PacketLog(stream.time_base or Fraction(1, 1000)) for stream in wanted}
    unfinished: dict[int, tuple[Packet[Stream], bytearray]] = {}
    gaps: list[Damage] = []
    last_pts: int | None = None
    with listening(ERROR) as heard:
        for packet in read_packets(container, wanted, on_error):
            checkpoint()
            index = packet.stream.index
            is_video = index == info.video_index
            payload = None if is_video else essential(memoryview(packet), codecs.get(index))
            if payload is not None and codecs.get(index) == "hdmv_pgs_subtitle":
                first, segments = unfinished.setdefault(index, (packet, bytearray()))
                segments += payload
                if _is_whole(segments):
                    logs[index].add(first, memoryview(segments))
                    del unfinished[index]
            elif payload is None or len(payload):
                logs[index].add(packet, payload)
            if heard:
                gaps += _gaps(heard, info, last_pts)
            last_pts = packet.pts if is_video else last_pts
        gaps += _gaps(heard, info, last_pts)
    for index, (first, segments) in unfinished.items():
        logs[index].add(first, memoryview(segments))
    return logs, gaps


def _is_whole(segments: bytes | bytearray) -> bool:
    """Whether subtitles of Blu-ray (PGS) end with the segment that ends each of them (type 0x80).

    Transport streams have a packet for every segment, Matroska one for all that is shown at once.
    """
    place, kind = 0, 0
    while place + 3 <= len(segments):
        kind = segments[place]
        place += 3 + int.from_bytes(segments[place + 1 : place + 3], "big")
    return kind == 0x80


def _gaps(heard: Heard, info: SourceInfo, pts: int | None) -> list[Damage]:
    """One entry for what the demuxer said at one place; decoders and parsers are not listened to."""
    words = [message.text.strip(" .\n") for message in heard.take() if message.source == info.format_name]
    time = None if pts is None else pts * info.time_base
    return [Damage("unreadable", info.video_index, pts, time, 1, words[-1])] if words else []


def _frame_times(info: SourceInfo, log: PacketLog) -> list[int]:
    if not log.all_have_pts or info.format_name in WITHOUT_PRESENTATION_TIMES:
        return presentation_times(info)
    return sorted(pts for pts, flags in zip(log.stamps, log.flags, strict=True) if not flags & DISCARDED)


def essential(payload: memoryview, codec: str | None) -> memoryview:
    """The payload without what containers add to it or take away from it.

    AAC in transport streams has an ADTS header of 7 bytes, or 9 with a checksum (ISO 13818-7, 6.2), which
    no other container keeps. There, units of H.264 and H.265 stand behind start codes (annex B of each), in
    other containers behind their lengths. Pauses of mov_text are packets of a 16-bit length 0, which only MP4
    needs: nothing is left of them.
    """
    if codec in ("h264", "hevc", "vvc"):
        return memoryview(b"".join(_network_units(payload)))
    if codec == "aac" and len(payload) > 9 and payload[0] == 0xFF and payload[1] & 0xF6 == 0xF0:
        return payload[7 if payload[1] & 1 else 9 :]
    if codec == "mov_text" and len(payload) >= 2 and payload[0] == payload[1] == 0:
        return payload[:0]
    return payload


def _network_units(payload: memoryview) -> Iterator[bytes]:
    """The units of a picture, whatever stands before each; zeros behind one are none of it."""
    data, place = bytes(payload), 0
    units: list[bytes] = []
    while place + 4 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        units.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    if place != len(data):  # then these were no lengths
        units = data.split(b"\0\0\1")
    return (unit.rstrip(b"\0") for unit in units)


def payload_digest(info: SourceInfo, index: int, keep: Callable[[int], bool]) -> bytes:
    """The hash of some payloads of a stream in one piece, as PacketLog.payload is of all.

    keep: whether a packet with this time stamp belongs to them. Raises SourceError.
    """
    log = PacketLog(Fraction(1))
    codec = info.streams[index].codec
    with info.open() as container:
        stream = container.streams[index]
        for packet in read_packets(container, [stream], lambda _: None):
            stamp = packet.pts if packet.pts is not None else packet.dts
            if stamp is not None and keep(stamp):
                log.payload.update(essential(memoryview(packet), codec))
    return log.payload.digest()
