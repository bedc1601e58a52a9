"""Matroska headers, read and made by a program of a few lines that knows nothing of vidsr's own."""

from __future__ import annotations

from pathlib import Path

SEGMENT, TRACKS, TRACK, INFO = "18538067", "1654ae6b", "ae", "1549a966"
BCP47, ENABLED, LANGUAGE, WRITING_APP, MUXING_APP = "22b59d", "b9", "22b59c", "5741", "4d80"
CLUSTER = "1f43b675"
CHAPTERS, EDITION, ATOM, DISPLAY = "1043a770", "45b9", "b6", "80"
_IDENTIFYING = ("73a4", "3cb923", "3eb923", "4444")  # SegmentUUID, PrevUUID, NextUUID, SegmentFamily
_TABLES = ("114d9b74", "1c53bb6b", "ec")  # SeekHead, Cues, Void


def children(data: bytes) -> list[tuple[str, bytes]]:
    """(id in hexadecimal, content) of each element."""
    found, place = [], 0
    while place < len(data):
        size_place = place + _length(data[place])
        start = size_place + _length(data[size_place])
        bits = 7 * (start - size_place)
        size = int.from_bytes(data[size_place:start], "big") & (2**bits - 1)
        end = len(data) if size == 2**bits - 1 else start + size
        found.append((data[place:size_place].hex(), data[start:end]))
        place = end
    return found


def _length(first: int) -> int:
    return next(n + 1 for n in range(8) if first & 0x80 >> n)


def made(number: str, content: bytes) -> bytes:
    return bytes.fromhex(number) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def segment(path: Path) -> list[tuple[str, bytes]]:
    """The parts of a whole file."""
    return children(dict(children(path.read_bytes()))[SEGMENT])


def tracks(path: Path) -> list[dict[str, bytes]]:
    return [dict(children(content)) for key, content in children(dict(segment(path))[TRACKS]) if key == TRACK]


def with_tracks(source: Path, target: Path, changes: dict[int, dict[str, bytes | None]]) -> None:
    """A copy of a file whose tracks have other elements; None takes one away. Tables of contents go."""
    head, *_ = children(source.read_bytes())
    parts = []
    for key, content in segment(source):
        if key == TRACKS:
            entries = [entry for entry in children(content) if entry[0] == TRACK]
            changed = []
            for number, (name, entry) in enumerate(entries):
                fields = changes.get(number, {})
                kept = [made(k, v) for k, v in children(entry) if k not in fields]
                new = [made(k, v) for k, v in fields.items() if v is not None]
                changed.append(made(name, b"".join(kept + new)))
            parts.append(made(key, b"".join(changed)))
        elif key not in _TABLES:
            parts.append(made(key, content))
    target.write_bytes(made(*head) + made(SEGMENT, b"".join(parts)))


Tree = list[tuple[str, "bytes | Tree"]]


def made_tree(tree: Tree) -> bytes:
    """Elements with others in them."""
    return b"".join(made(k, v if isinstance(v, bytes) else made_tree(v)) for k, v in tree)


def read_tree(data: bytes, masters: tuple[str, ...]) -> Tree:
    """The other way round, checksums and empty space aside."""
    parts = [part for part in children(data) if part[0] not in ("bf", "ec")]
    return [(key, read_tree(content, masters) if key in masters else content) for key, content in parts]


def with_parts(
    source: Path,
    target: Path,
    parts: dict[str, bytes],
    more_info: bytes = b"",
    numbers: dict[str, bytes] | None = None,
) -> None:
    """A copy of a file with other parts before its first cluster. Tables of contents go.

    more_info: put behind the description. numbers: what that has in place of all that identifies the file.
    """
    head, *_ = children(source.read_bytes())
    kept = [part for part in segment(source) if part[0] not in (*_TABLES, *parts)]
    place = next(n for n, (key, _) in enumerate(kept) if key == CLUSTER)
    kept[place:place] = parts.items()

    def info(content: bytes) -> bytes:
        if numbers is not None:
            others = [field for field in read_tree(content, ()) if field[0] not in _IDENTIFYING]
            content = made_tree([*others, *numbers.items()])
        return content + more_info

    body = b"".join(made(k, info(v) if k == INFO else v) for k, v in kept)
    target.write_bytes(made(*head) + made(SEGMENT, body))
