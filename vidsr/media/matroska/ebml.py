"""EBML, the form that Matroska and WebM are written in (RFC 8794): elements with an id, a size and a content.

It reads and writes elements and knows the meaning of two alone: Void, which is empty space, and CRC-32. A
torn file raises EbmlError and nothing else; every step of reading goes forward.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import SEEK_END
from typing import BinaryIO

from vidsr.media.matroska.ids import CRC32, VOID

_LONGEST_ID, _LONGEST_SIZE = 4, 8
_LONGEST_HEAD = _LONGEST_ID + _LONGEST_SIZE
_LONG_VOID_HEAD = 1 + _LONGEST_SIZE
"""Empty space whose size takes all 8 bytes, as FFmpeg writes it, can be of any length from here on."""


_MOST_IN_ONE = 100_000
"""Elements that lie in another, one behind the other; as objects in memory they take fifty times as much."""


class EbmlError(ValueError):
    """What was read is no EBML, is cut off, or is larger than anything sound."""


@dataclass(frozen=True, slots=True)
class Element:
    """id, and where its content lies in the bytes or the file it was found in; its head begins at `begin`.

    end: None where the size is unknown, as in live recordings.
    """

    id: int
    begin: int
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """An element in memory: its id and what is in it."""

    id: int
    content: bytes

    @property
    def unsigned(self) -> int:
        if len(self.content) > 8:
            raise EbmlError("a number of more than 8 bytes")
        return int.from_bytes(self.content, "big")

    @property
    def text(self) -> str:
        return self.content.split(b"\0", 1)[0].decode(errors="replace")

    @property
    def fields(self) -> list[Field]:
        """What is in it, empty space and checksums aside. Raises EbmlError."""
        return [field for field in split(self.content) if field.id not in (VOID, CRC32)]


def read_head(file: BinaryIO, place: int) -> Element | None:
    """The head of the element at a place in a file; None at the end of the file.

    Raises EbmlError, OSError.
    """
    file.seek(place)
    head = file.read(_LONGEST_HEAD)
    return _head(head, 0, place) if head else None


def read_content(file: BinaryIO, element: Element, limit: int) -> bytes:
    """What is in an element of a file. Raises EbmlError if it is cut off or longer than `limit`, OSError."""
    if element.end is None or element.end - element.start > limit:
        raise EbmlError("an element too large to be sound")
    if element.end > file.seek(0, SEEK_END):
        raise EbmlError("an element is cut off")
    file.seek(element.start)
    content = file.read(element.end - element.start)
    if len(content) < element.end - element.start:  # the file was shortened meanwhile
        raise EbmlError("an element is cut off")
    return content


def split(data: bytes) -> Iterator[Field]:
    """The elements that some bytes consist of. Raises EbmlError, for more than anything sound has too."""
    place = count = 0
    while place < len(data):
        count += 1
        if count > _MOST_IN_ONE:
            raise EbmlError("more elements in one than anything sound has")
        element = _head(data, place, 0)
        if element.end is None or element.end > len(data):
            raise EbmlError("an element is larger than what it lies in")
        yield Field(element.id, data[element.start : element.end])
        place = element.end


def _head(data: bytes, place: int, offset: int) -> Element:
    """The head that lies at a place in the data; positions in it are moved by `offset`."""
    number_length = _vint_length(data, place, _LONGEST_ID)
    size_place = place + number_length
    size_length = _vint_length(data, size_place, _LONGEST_SIZE)
    start = size_place + size_length
    number = int.from_bytes(data[place:size_place], "big")
    unknown = (1 << 7 * size_length) - 1
    size = int.from_bytes(data[size_place:start], "big") & unknown
    end = None if size == unknown else offset + start + size
    return Element(number, offset + place, offset + start, end)


def _vint_length(data: bytes, place: int, longest: int) -> int:
    """How many bytes a number takes: one more than its first byte has leading zeros."""
    if place >= len(data):
        raise EbmlError("the head of an element is cut off")
    length = 9 - data[place].bit_length()
    if length > longest:
        raise EbmlError("no EBML")
    if place + length > len(data):
        raise EbmlError("the head of an element is cut off")
    return length


def id_bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def element(number: int, content: bytes, size_bytes: int = 1) -> bytes:
    """size_bytes: for the length, at least. All ones would mean an unknown length."""
    while len(content) >= (1 << 7 * size_bytes) - 1:
        size_bytes += 1
    size = len(content) | 1 << 7 * size_bytes
    return id_bytes(number) + size.to_bytes(size_bytes, "big") + content


def joined(fields: Iterable[Field]) -> bytes:
    return b"".join(element(field.id, field.content) for field in fields)


def unsigned(number: int, value: int) -> Field:
    return Field(number, value.to_bytes(max((value.bit_length() + 7) // 8, 1), "big"))


def text(number: int, value: str) -> Field:
    return Field(number, value.encode())


def master(number: int, fields: Iterable[Field]) -> Field:
    return Field(number, joined(fields))


def checked(fields: Iterable[Field]) -> bytes:
    """Content that begins with its checksum."""
    content = joined(field for field in fields if field.id != CRC32)
    return element(CRC32, zlib.crc32(content).to_bytes(4, "little")) + content


def void(length: int) -> bytes:
    """Empty space of so many bytes, its head included: none, or 2 and more."""
    if length == 0:
        return b""
    if length < _LONG_VOID_HEAD:
        return element(VOID, bytes(length - 2))
    return element(VOID, bytes(length - _LONG_VOID_HEAD), _LONGEST_SIZE)
