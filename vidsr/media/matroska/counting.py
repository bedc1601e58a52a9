"""How many blocks a track of a Matroska file has, from heads of elements alone.

It knows the clusters that blocks lie in, and reads a few bytes of each block and none of what is in it. Of
long files it looks into some clusters, spread evenly over the whole time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import BinaryIO

from vidsr.media.matroska.ebml import EbmlError, Element, read_content, read_head
from vidsr.media.matroska.ids import BLOCK, BLOCK_GROUP, CLUSTER, CLUSTER_TIME, SIMPLE_BLOCK
from vidsr.media.matroska.layout import lay_out

MOST_LOOKED_INTO = 64
"""Places; clusters of 5 s each, as mkvmerge and FFmpeg make them, are 5 minutes, and 20,000 blocks."""

FEWEST_SEEN = 50
"""Blocks at each place, in as many clusters as it takes: short ones begin with a packet of any stream (with
large pictures, every other one holds sound alone), so what a single one has by its time tells little."""

_ENOUGH_PARTS = 1000
"""Heads of elements, likewise, where there are few blocks among much sound."""

_MOST_UNUSUAL = 100
"""Times as long as the middle one of all groups: what lasts longer than that, by its clusters, is torn."""

_MOST_CLUSTERS = 50_000
"""That are walked through; of 5 s each they last for three days."""

_MOST_PARTS = 200_000
"""Heads of elements that are read in all the clusters that are looked into: a second's work."""

MOST_SECONDS = 3.0
"""Of a film of two hours 10,000 heads are read, in 0.03 s once the system knows the file; from a disk that
has to turn for each, or over a slow network, a better estimate is not worth the wait."""

_LONGEST_NUMBER = 8


@dataclass(frozen=True, slots=True)
class BlockCount:
    """is_exact: whether every block was seen, and not some clusters' for all."""

    blocks: int
    is_exact: bool


def count_blocks(path: Path, track: int, *, most_seconds: float = MOST_SECONDS) -> BlockCount | None:
    """None where clusters do not say how long they are (live recordings) or are torn, or reading is slow."""
    deadline = monotonic() + most_seconds
    try:
        with path.open("rb", buffering=0) as file:  # of each place a few bytes are wanted
            clusters = _clusters(file, deadline)
            if clusters is None:
                return None
            counting = _Counting(file, track, deadline)
            if len(clusters) <= MOST_LOOKED_INTO:
                return BlockCount(sum(map(counting.blocks, clusters)), is_exact=True)
            return BlockCount(_projected(counting, clusters), is_exact=False)
    except (EbmlError, OSError):
        return None


def _clusters(file: BinaryIO, deadline: float) -> list[Element] | None:
    layout = lay_out(file)
    place = layout.parts[-1].end if layout.parts else layout.segment.start
    clusters: list[Element] = []
    for _ in range(_MOST_CLUSTERS):
        if place is None:
            return None
        _check_time(deadline)
        part = None if place == layout.segment.end else read_head(file, place)
        if part is None:
            return clusters
        if part.id == CLUSTER:
            clusters.append(part)
        place = part.end
    return None


def _check_time(deadline: float) -> None:
    if monotonic() > deadline:
        raise TimeoutError("the file is read too slowly to count what is in it")


def _projected(counting: _Counting, clusters: list[Element]) -> int:
    """What the first clusters of equal groups have, by the time that their groups last."""
    *body, last = clusters
    total = Fraction(counting.blocks(last))
    bounds = [len(body) * k // (MOST_LOOKED_INTO - 1) for k in range(MOST_LOOKED_INTO)]
    times = [counting.time(clusters[bound]) for bound in bounds]
    lengths = [after - before for before, after in pairwise(times)]
    longest = _MOST_UNUSUAL * sorted(lengths)[len(lengths) // 2]
    for (begin, end), group_lasts in zip(pairwise(bounds), lengths, strict=True):
        seen, after, enough = counting.blocks(clusters[begin]), begin + 1, counting.parts_read + _ENOUGH_PARTS
        while after < end and seen < FEWEST_SEEN and counting.parts_read < enough:
            seen += counting.blocks(clusters[after])
            after += 1
        lasts = counting.time(clusters[after]) - counting.time(clusters[begin])
        is_timed = 0 < lasts <= group_lasts <= longest
        total += seen * (Fraction(group_lasts, lasts) if is_timed else Fraction(end - begin, after - begin))
    return round(total)


class _Counting:
    """Looks into clusters of a file. Raises EbmlError for more than anything sound has, OSError."""

    def __init__(self, file: BinaryIO, track: int, deadline: float) -> None:
        self._file, self._track, self._deadline = file, track, deadline
        self.parts_read = 0

    def time(self, cluster: Element) -> int:
        for part in self._parts(cluster):
            if part.id == CLUSTER_TIME:
                return int.from_bytes(read_content(self._file, part, _LONGEST_NUMBER), "big")
        raise EbmlError("a cluster without a time")

    def blocks(self, cluster: Element) -> int:
        count = 0
        for part in self._parts(cluster):
            if part.id == SIMPLE_BLOCK:
                count += self._is_wanted(part)
            elif part.id == BLOCK_GROUP:
                count += sum(self._is_wanted(inner) for inner in self._parts(part) if inner.id == BLOCK)
        return count

    def _parts(self, outer: Element) -> Iterator[Element]:
        place = outer.start
        assert outer.end is not None
        while place < outer.end:
            part = read_head(self._file, place)
            if part is None:
                return  # the file is cut off
            _check_time(self._deadline)
            self.parts_read += 1
            if part.end is None or self.parts_read > _MOST_PARTS:
                raise EbmlError("no sound cluster")
            yield part
            place = part.end

    def _is_wanted(self, block: Element) -> bool:
        """A block begins with its track's number, written as sizes are."""
        self._file.seek(block.start)
        head = self._file.read(_LONGEST_NUMBER)
        length = 9 - head[0].bit_length() if head else 0
        number = int.from_bytes(head[:length], "big") & ~(1 << 7 * length)
        return 0 < length <= _LONGEST_NUMBER and number == self._track
