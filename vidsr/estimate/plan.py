"""Which frames to try: a few stretches spread over all of them. Pure numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass

COUNTED_FRAMES = 12
"""Of a stretch, behind its lead. More stretches say more than longer ones do; but what begins anew with each
(seeking, a first frame that is not counted) must not cost too much, and encoders code frames in groups."""
COUNTED_LEAST = 8
"""Two such groups of H.264 (three B-frames and a P-frame). Of 2 frames the sizes come out three times too
small."""
STRETCHES = (4, 32)
LONGEST = 48
WHOLE_SHARE = 0.6
"""If so much of the frames would be tried, all of them are: the answer is exact then."""
SEED = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """Stretches as half-open ranges of frame numbers, in order. is_whole: one stretch, of everything.

    lead: the first frames of each stretch that do not count. Nothing can be reused for them and the encoder
    begins anew, which is rare in the real run. 0 if is_whole.
    """

    stretches: tuple[tuple[int, int], ...]
    lead: int
    is_whole: bool

    @property
    def frames(self) -> int:
        return sum(last - first for first, last in self.stretches)


def plan_stretches(total: int, frames: int, *, lead: int, seed: int = SEED) -> Plan:
    """Stretches of about `frames` frames of `total`: one at a random place in each of as many equal parts.

    lead: see Plan; at least 1. Behind it each stretch has COUNTED_LEAST frames or more.
    """
    fewest, most = STRETCHES
    shortest = lead + -(-COUNTED_LEAST // lead) * lead  # whole batches
    if total <= fewest * shortest or frames >= WHOLE_SHARE * total:
        return Plan(((0, total),), 0, is_whole=True)
    count = min(max(frames // (lead + COUNTED_FRAMES), fewest), most, total // shortest)
    length = min(max(frames // count, shortest), max(LONGEST, shortest), total // count)
    length -= length % lead
    return Plan(_spread(total, count, length, seed), lead, is_whole=False)


PIECE_FRAMES = 240
"""Of a piece of the small video: longer than any look-ahead, and mostly than a scene."""
PIECES = (3, 24)


def plan_pieces(total: int, frames: int, *, seed: int = SEED) -> tuple[tuple[tuple[int, int], ...], bool]:
    """(long pieces of about `frames` of `total` frames, whether they are all of it)."""
    fewest, most = PIECES
    if total <= fewest * PIECE_FRAMES or frames >= total:
        return ((0, total),), True
    count = min(max(frames // PIECE_FRAMES, fewest), most, total // PIECE_FRAMES)
    return _spread(total, count, PIECE_FRAMES, seed), False


def _spread(total: int, count: int, length: int, seed: int) -> tuple[tuple[int, int], ...]:
    """One stretch at a random place in each of `count` equal parts."""
    chance = random.Random(seed)
    ranges = []
    for number in range(count):
        begin, end = total * number // count, total * (number + 1) // count
        first = chance.randint(begin, max(end - length, begin))
        ranges.append((first, min(first + length, total)))
    return tuple(ranges)
