"""Boxes of MP4 and QuickTime files, read and made by a few lines that know nothing of vidsr's own."""

from __future__ import annotations

from pathlib import Path

PARENTS = (b"moov", b"trak", b"mdia")

Boxes = list[tuple[bytes, "bytes | Boxes"]]


def read(data: bytes) -> Boxes:
    found: Boxes = []
    place = 0
    while place < len(data):
        size, kind, start = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if size == 1:
            size, start = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        content = data[place + start : place + size]
        found.append((kind, read(content) if kind in PARENTS else content))
        place += size
    return found


def made(boxes: Boxes) -> bytes:
    parts = []
    for kind, content in boxes:
        inside = content if isinstance(content, bytes) else made(content)
        parts.append((8 + len(inside)).to_bytes(4, "big") + kind + inside)
    return b"".join(parts)


def child(boxes: Boxes, kind: bytes) -> Boxes:
    return next(content for name, content in boxes if name == kind and isinstance(content, list))


def tracks(boxes: Boxes) -> list[Boxes]:
    return [c for k, c in child(boxes, b"moov") if k == b"trak" and isinstance(c, list)]


def with_languages(source: Path, target: Path, tags: dict[int, bytes | None], **plain: bytes) -> None:
    """A copy whose tracks, counted from 0, have extended languages; None takes it away. The index lies last.

    plain: the packed older language of track_0, track_1, ...
    """
    boxes = read(source.read_bytes())
    assert boxes[-1][0] == b"moov"
    for number, track in enumerate(tracks(boxes)):
        media = child(track, b"mdia")
        for place, (kind, content) in enumerate(media):
            if kind == b"mdhd" and f"track_{number}" in plain:
                assert isinstance(content, bytes)
                media[place] = kind, content[:-4] + plain[f"track_{number}"] + content[-2:]
        if number in tags:
            media[:] = [box for box in media if box[0] != b"elng"]
            if (tag := tags[number]) is not None:
                media.insert(1, (b"elng", bytes(4) + tag + b"\0"))
    target.write_bytes(made(boxes))


def packed(language: str) -> bytes:
    """ISO 14496-12: three letters of five bits."""
    a, b, c = (ord(letter) - 0x60 for letter in language)
    return (a << 10 | b << 5 | c).to_bytes(2, "big")
