"""Segment files: the packets of one encoder run exactly as they came, with a checksum at the end.

Not a container of FFmpeg's: NUT and MPEG-TS keep no frame durations, Matroska rounds time stamps to
1/1000 s, MP4 and MOV refuse some codecs, and each of them wants to be probed when it is opened. Here pts
and duration are the encoder's own integers. All numbers are big-endian:

    "vidsr packets 1\\n"
    u32 length, then the head: JSON (job, encoder, time base, the encoder's stream header)
    for each packet in decoding order: u8 1 for a key frame else 0, i64 pts, i64 duration, u32 size, payload
    u8 255, i64 number of packets, i64 0, u32 length, then the tail: JSON, whatever the writer knows by then
    32 bytes: sha256 over everything before

It knows packets and bytes, never frames or what a segment is for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from av.packet import Packet

from vidsr.durable import remove_unfinished, sync, sync_folder, writing
from vidsr.errors import CHECK_THE_DISK, DamagedSegmentError, JobError

MAGIC = b"vidsr packets 1\n"
_LENGTH = struct.Struct(">I")
_PACKET = struct.Struct(">BqqI")
_KEY, _END = 1, 255
_DIGEST_BYTES = 32
_MAX_JSON_BYTES = 2**24
_CHUNK_BYTES = 2**20

WHILE_IT_STAYS_SO = f"{CHECK_THE_DISK}; if it stays so, remove that file: only it is computed again"


@dataclass(frozen=True, slots=True)
class Head:
    """What all packets of a file have in common.

    job: digest of the job they belong to. time_base: of their pts and durations. extradata: the encoder's
    stream header; two files can be joined only if theirs are equal.
    """

    job: str
    encoder: str
    time_base: Fraction
    extradata: bytes

    def to_json(self) -> dict[str, str]:
        return {
            "job": self.job,
            "encoder": self.encoder,
            "time_base": str(self.time_base),
            "extradata": base64.b64encode(self.extradata).decode("ascii"),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Head:
        return cls(
            job=str(fields["job"]),
            encoder=str(fields["encoder"]),
            time_base=Fraction(fields["time_base"]),
            extradata=base64.b64decode(fields["extradata"], validate=True),
        )


class PacketFileWriter:
    """Writes `path` under a temporary name; `finish` gives it its own, leaving without removes it."""

    def __init__(self, path: Path, head: Head) -> None:
        """Raises NoSpaceError, OutputError."""
        self._path = path
        self._temporary = path.with_name(path.name + ".part")
        self._hash = hashlib.sha256()
        self._count = 0
        with writing(path, "start a segment"):
            self._file: IO[bytes] | None = self._temporary.open("wb")
        try:
            self._write(MAGIC + _framed(head.to_json()))
        except BaseException:
            self.abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def write(self, packet: Packet[Any]) -> None:
        """Raises ValueError for a packet without time stamp, NoSpaceError, OutputError."""
        if packet.pts is None:
            raise ValueError("the encoder gave a packet without a time stamp")
        flags = _KEY * packet.is_keyframe
        payload = bytes(packet)
        self._write(_PACKET.pack(flags, packet.pts, packet.duration or 0, len(payload)))
        self._write(payload)
        self._count += 1

    def finish(self, tail: dict[str, Any]) -> tuple[str, int]:
        """Close, sync and rename. Returns (sha256 in hexadecimal, size in bytes).

        tail: JSON values to keep with the packets. Raises NoSpaceError, OutputError; the file is gone then,
        unless all that fails is the sync of its name: it is there, whole, and a later run takes it over.
        """
        assert self._file is not None
        try:
            text = json.dumps(tail).encode()
            self._write(_PACKET.pack(_END, self._count, 0, len(text)) + text)
            digest = self._hash.digest()
            with writing(self._path, "finish a segment"):
                self._file.write(digest)
                sync(self._file)
                size = self._file.tell()
                self._file.close()
                self._temporary.replace(self._path)
                sync_folder(self._path.parent)
        except BaseException:
            self.abort()
            raise
        self._file = None
        return digest.hex(), size

    def abort(self) -> None:
        """Remove the unfinished file; harmless after `finish`."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()  # flushes, which may fail again where the disk is full
        except OSError:
            pass
        finally:
            remove_unfinished(self._temporary)

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._hash.update(data)
        with writing(self._path, "write a segment"):
            self._file.write(data)


class PacketFileReader:
    """Reads the packets of a finished file once, and checks it on the way.

    Raises DamagedSegmentError, and JobError where it cannot be read that may well be whole.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hash = hashlib.sha256()
        self.tail: dict[str, Any] | None = None
        with reading(path):
            self._file = path.open("rb")
        try:
            self.head = self._read_head()
        except (KeyError, ValueError) as error:
            self.close()
            raise self._damaged("its head cannot be read") from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def _read_head(self) -> Head:
        if self._read(len(MAGIC)) != MAGIC:
            raise self._damaged("it is no segment file")
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        return Head.from_json(self._json(length))

    def packets(self) -> Iterator[Packet[Any]]:
        """In decoding order, without dts. Damage may show only at the end: what came before is void then."""
        count = 0
        while True:
            flags, pts, duration, size = _PACKET.unpack(self._read(_PACKET.size))
            if flags == _END:
                break
            packet: Packet[Any] = Packet(self._read(size))
            packet.time_base = self.head.time_base
            packet.pts, packet.duration = pts, duration
            packet.is_keyframe = flags == _KEY
            count += 1
            yield packet
        self.tail = self._json(size)
        digest = self._hash.digest()
        with reading(self._path):
            at_the_end = self._file.read(_DIGEST_BYTES + 1)
        if pts != count or at_the_end != digest:
            raise self._damaged("its checksum does not fit")

    def _read(self, size: int) -> bytes:
        with reading(self._path):
            data = self._file.read(size)
        if len(data) != size:
            raise self._damaged("it is cut short")
        self._hash.update(data)
        return data

    def _json(self, size: int) -> dict[str, Any]:
        if size > _MAX_JSON_BYTES:
            raise self._damaged("it holds an impossible length")
        try:
            fields = json.loads(self._read(size))
        except ValueError as error:
            raise self._damaged("its words cannot be read") from error
        if not isinstance(fields, dict):
            raise self._damaged("its words cannot be read")
        return fields

    def _damaged(self, what: str) -> DamagedSegmentError:
        return DamagedSegmentError(f"segment {self._path} is damaged: {what}")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name what goes wrong while a segment is read.

    Raises DamagedSegmentError if there is no such file. Any other answer (permission, too many open files, a
    server that is away, which says EIO too) is a JobError: the file may well be whole, and is never removed.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedSegmentError(f"segment {path} is gone: {error.strerror}") from error
    except OSError as error:
        raise JobError(f"segment {path} cannot be read: {error.strerror}", WHILE_IT_STAYS_SO) from error


def checked_digest(path: Path) -> str | None:
    """The sha256 (hexadecimal) that a segment file ends with, if it is also that of its content.

    None too if there is no such file. Raises JobError where it cannot be read for another reason.
    """
    try:
        with reading(path), path.open("rb") as file:
            left = path.stat().st_size - _DIGEST_BYTES
            content = hashlib.sha256()
            while left > 0:
                chunk = file.read(min(_CHUNK_BYTES, left))
                if not chunk:
                    return None
                content.update(chunk)
                left -= len(chunk)
            digest = file.read(_DIGEST_BYTES)
    except DamagedSegmentError:
        return None
    return digest.hex() if left == 0 and digest == content.digest() else None


def _framed(fields: dict[str, Any]) -> bytes:
    text = json.dumps(fields).encode()
    return _LENGTH.pack(len(text)) + text
