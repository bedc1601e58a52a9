"""The index of an MP4 or QuickTime file, completed after FFmpeg's muxer has closed it: languages in full.

The muxer has no word for them. The index lies last in its files and may grow there: nothing that it points to
moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vidsr.media.mp4.boxes import Box, BoxError, BoxFile


def complete(path: Path, languages: Mapping[int, str]) -> None:
    """Write language tags of tracks, by their numbers, into a finished file.

    A track that is not there had no packets, and the muxer left it out. Raises BoxError if the file was made
    by another program, OSError.
    """
    with path.open("rb+") as file:
        begin, index = _rewritten(BoxFile(file), languages)
        file.seek(begin)
        file.write(index)


def _rewritten(file: BoxFile, languages: Mapping[int, str]) -> tuple[int, bytes]:
    """(where the index begins, the index as it is to be)."""
    movie = list(file.boxes(file.whole))[-1:]
    if not movie or movie[0].kind != b"moov":
        raise BoxError("the index does not lie last")
    begin, end = movie[0].begin, movie[0].end
    index = bytearray(file.content(Box(b"", begin, begin, end), end - begin))
    tracks = [box for box in file.boxes(movie[0]) if box.kind == b"trak"]
    for track in reversed(tracks):  # from the end, so that places stay
        tag = languages.get(file.track_number(track))
        if tag is None:
            continue
        media = _only(file, track, b"mdia")
        if file.first(media, b"elng") is not None:
            raise BoxError("a language in full is there")
        header = _only(file, media, b"mdhd")
        added = _box(b"elng", bytes(4) + tag.encode("ascii") + b"\0")
        index[header.end - begin : header.end - begin] = added
        for outer in (media, track, movie[0]):
            _grow(index, outer.begin - begin, len(added))
    return begin, bytes(index)


def _only(file: BoxFile, parent: Box, kind: bytes) -> Box:
    box = file.first(parent, kind)
    if box is None:
        raise BoxError(f"a track without {kind.decode()}")
    return box


def _grow(index: bytearray, place: int, added: int) -> None:
    """A box's size, in the 4 bytes that it begins with."""
    size = int.from_bytes(index[place : place + 4], "big")
    if size < 8 or size + added >= 2**32:
        raise BoxError("an index of more than 4 GB")
    index[place : place + 4] = (size + added).to_bytes(4, "big")


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content
