"""The clock that MPEG program and transport streams carry beside the time stamps of their packets.

Within one recording it only ever grows, whatever a bad muxer writes into the stamps. So where it steps back,
another recording begins. It knows bytes, never packets or frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

PROGRAM_STREAM, TRANSPORT_STREAM = "mpeg", "mpegts"
"""FFmpeg's names of the formats that have such a clock."""

_PACK = b"\0\0\1\xba"
_PACK_BYTES = 10
"""The start code and the clock behind it."""

_SYNC = 0x47
_SIZES = (188, 192, 204)
"""Of transport packets: bare, with a time of arrival in front (Blu-ray), with a checksum behind (DVB)."""
_ALIGNED_PACKETS = 5
_NEAR_BYTES = 4096
"""Looked through for a packet at once: mostly one begins right there."""

_CHUNK_BYTES = 256 * 1024
"""Read anew behind each place where a transport stream is torn, of which a bad reception has thousands."""
_HALF_RANGE = 1 << 32
"""The clock has 33 bits of 1/90000 s: it begins anew of itself after 26.5 hours."""


@dataclass(frozen=True, slots=True)
class Found:
    """step: the first byte behind which the clock is less than before; None = there is no such place.
    last: where the clock was last read; None = nowhere.
    """

    step: int | None
    last: int | None


def find_step_back(path: Path, format_name: str, begin: int, end: int) -> Found:
    """Where in the bytes [begin, end) of a file the clock first steps back. Raises OSError."""
    readings = _packs if format_name == PROGRAM_STREAM else _transport_packets
    newest: dict[int, int] = {}
    last: int | None = None
    with path.open("rb") as file:
        for position, program, ticks in readings(file, begin, end):
            before = newest.get(program)
            if before is not None and 0 < before - ticks < _HALF_RANGE:
                return Found(position, last)
            newest[program], last = ticks, position
    return Found(None, last)


def _packs(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Position, 0 and clock of each pack of a program stream, MPEG-1 (as on Video CD) or MPEG-2 (DVD)."""
    base = begin
    while base < end:
        file.seek(base)
        chunk = file.read(min(_CHUNK_BYTES, end - base) + _PACK_BYTES - 1)
        place = chunk.find(_PACK)
        while 0 <= place <= len(chunk) - _PACK_BYTES:
            ticks = _pack_clock(chunk[place + 4 : place + _PACK_BYTES])
            if ticks is not None:
                yield base + place, 0, ticks
            place = chunk.find(_PACK, place + 4)
        base += _CHUNK_BYTES


def _pack_clock(field: bytes) -> int | None:
    """ISO 11172-1, 2.4.3.2, and ISO 13818-1, 2.5.3.3; None where the bits between are not as they must be."""
    bits = int.from_bytes(field, "big")
    if field[0] >> 6 == 0b01 and bits >> 42 & bits >> 26 & bits >> 10 & 1:
        return (bits >> 43 & 7) << 30 | (bits >> 27 & 0x7FFF) << 15 | bits >> 11 & 0x7FFF
    if field[0] >> 4 == 0b0010 and bits >> 40 & bits >> 24 & bits >> 8 & 1:
        return (bits >> 41 & 7) << 30 | (bits >> 25 & 0x7FFF) << 15 | bits >> 9 & 0x7FFF
    return None


def _transport_packets(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Position, stream (PID) and clock of each packet that carries one (ISO 13818-1, 2.4.3.5)."""
    base = begin
    while base < end:
        file.seek(base)
        wanted = min(_CHUNK_BYTES, end - base + _ALIGNED_PACKETS * max(_SIZES))
        chunk = np.frombuffer(file.read(wanted), np.uint8)
        aligned = _alignment(chunk)
        if aligned is None:
            if len(chunk) < _CHUNK_BYTES:
                return
            base += _CHUNK_BYTES // 2  # rubbish, of whatever length
            continue
        first, size = aligned
        count = (len(chunk) - first - 188) // size + 1
        packets = np.lib.stride_tricks.as_strided(chunk[first:], (count, 12), (size, 1), writeable=False)
        good = packets[:, 0] == _SYNC
        torn = int(np.argmin(good)) if not good.all() else count
        has_clock = (packets[:, 3] & 0x20 != 0) & (packets[:, 4] >= 7) & (packets[:, 5] & 0x10 != 0)
        for k in np.flatnonzero(has_clock[:torn]):
            packet = packets[k]
            position = base + first + int(k) * size - (size - 188)  # as FFmpeg counts
            if position >= end:
                return
            stream = int(packet[1] & 0x1F) << 8 | int(packet[2])
            yield position, stream, int.from_bytes(packet[6:11].tobytes(), "big") >> 7
        if len(chunk) < _CHUNK_BYTES and torn == count:
            return
        base += first + max(torn, 1) * size


def _alignment(chunk: npt.NDArray[np.uint8]) -> tuple[int, int] | None:
    """Where the first of several transport packets begins, and how long each is."""
    for begin in range(0, len(chunk) - 187, _NEAR_BYTES):
        for first in begin + np.flatnonzero(chunk[begin : begin + _NEAR_BYTES] == _SYNC):
            for size in _SIZES:
                following = chunk[first : first + _ALIGNED_PACKETS * size : size]
                if first <= len(chunk) - 188 and np.all(following == _SYNC) and len(following) >= 2:
                    return int(first), size
    return None
