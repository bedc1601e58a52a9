"""Whether every frame of the source is in the output, each at its own time.

It compares lists of time stamps, exactly, in fractions of a second; pictures are none of its business.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, pairwise

import av.error

from vidsr.damage import Damage
from vidsr.job import Segment
from vidsr.media.clock import Clock
from vidsr.media.read.demux import main_video_stream, read_packets
from vidsr.media.read.locate import presentation_times
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.timeline import Timeline
from vidsr.media.verify.contents import Contents
from vidsr.media.verify.report import Check, Json, passed

SAME_FRAME = Fraction(1, 4)
"""When frames are missing, an output frame belongs to the source's frame that is nearer than this part of
the usual distance of two frames; more would confuse neighbours where the frame rate varies."""

START_ROUNDING = Fraction(1, 2000)
"""MP4 and QuickTime put a late start into an edit list, which counts in milliseconds where nobody asks for
more (`containers` does): then all frames of a file are off by the same part of one."""

WITH_EDIT_LISTS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2"})

SHOWN = 20
"""How many of the missing or surplus frames a report lists."""


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """Which output frame shows which source frame.

    pairs: (pts in the source, pts in the output), both increasing. source_times: pts of the source's
    frames that should be in the output. checks: "frames" and "time stamps".
    """

    pairs: list[tuple[int, int]]
    source_times: list[int]
    has_decoded: bool
    checks: tuple[Check, Check]


def match_frames(
    source: Contents, output: Contents, segment: Segment, timeline: Timeline, damage: Sequence[Damage]
) -> FrameMatch:
    """Compare the frames' time stamps.

    damage: what of the source is known not to be decodable. Where the lists differ by more than that, the
    source is decoded to see which frames it really gives; that takes its time.
    """
    packets = [pts for pts in source.frame_times if pts in segment]
    clocks = _Clocks.of(source.info, output.info, timeline)
    comparison = _Comparison.of(packets, output.frame_times, clocks)
    lost = [packets[i] for i in comparison.missing]
    if not comparison.surplus and not comparison.late and are_known(lost, damage):
        return comparison.judged(known=len(lost))
    decoded = [pts for pts in decodable_times(source.info) if pts in segment]
    # Behind damage it depends on the number of threads and on which streams are read what comes out: a
    # frame that is anywhere in the source may be there, and one that a decoder surely gives must be.
    alone = presentation_times(source.info)
    anywhere = sorted({*packets, *decoded, *(pts for pts in alone if pts in segment)})
    comparison = _Comparison.of(anywhere, output.frame_times, clocks)
    lost = [anywhere[i] for i in comparison.missing]
    if not comparison.surplus and not comparison.late and set(decoded).isdisjoint(lost):
        return comparison.judged(known=len(lost), has_decoded=True)
    comparison = _Comparison.of(decoded, output.frame_times, clocks)
    return comparison.judged(undecodable=max(len(packets) - len(decoded), 0), has_decoded=decoded != packets)


def match_written(
    info: SourceInfo, times: Sequence[int], output: Contents, timeline: Timeline
) -> tuple[Check, Check]:
    """Compare the output's frames with those that a job says it has written.

    info: of the frames' clock. times: their pts, increasing.
    """
    clocks = _Clocks.of(info, output.info, timeline)
    frames, stamps = _Comparison.of(list(times), output.frame_times, clocks).judged().checks
    return replace(frames, name="frames written"), replace(stamps, name="time stamps written")


def are_known(lost: Sequence[int], damage: Sequence[Damage]) -> bool:
    """Whether the damage on record explains every lost frame: as many of them, at or behind its place.

    lost: pts, increasing.
    """
    rest = list(lost)
    for entry in damage:
        start = 0 if entry.pts is None else bisect_left(rest, entry.pts)
        del rest[start : start + entry.packets]
    return not rest


def decodable_times(info: SourceInfo) -> list[int]:
    """The pts of all frames that the decoder gives, in order, strictly increasing.

    One thread decodes: with several, an error at the end takes good frames with it.
    """
    times: list[int] = []
    with info.open() as container:
        stream = main_video_stream(container, info.path)
        stream.codec_context.thread_count = 1
        clock = Clock(info.format_name, info.time_base)
        for packet in chain(read_packets(container, [stream], on_error=lambda _: None), [None]):
            try:
                times += [clock.stamp(frame) for frame in stream.decode(packet)]
            except av.error.FFmpegError:
                continue
    return times


@dataclass(frozen=True, slots=True)
class _Clocks:
    """Both files' time stamps in one unit, small enough that all of them are whole numbers.

    slack: by how many units an output time may differ because its container counts in coarser steps.
    shift: by how many all of them together may.
    """

    unit: Fraction
    source_step: int
    output_step: int
    origin: int
    slack: int
    shift: int

    @classmethod
    def of(cls, source: SourceInfo, output: SourceInfo, timeline: Timeline) -> _Clocks:
        parts = (source.time_base, output.time_base, timeline.origin)
        unit = Fraction(1, 2 * math.lcm(*(part.denominator for part in parts)))
        is_exact = all(
            (part / output.time_base).denominator == 1 for part in (source.time_base, timeline.origin)
        )
        output_step = int(output.time_base / unit)
        return cls(
            unit,
            int(source.time_base / unit),
            output_step,
            int(timeline.origin / unit),
            0 if is_exact else output_step // 2,
            int(START_ROUNDING / unit) if output.format_name in WITH_EDIT_LISTS else 0,
        )

    def seconds(self, units: int) -> float:
        return float(units * self.unit)


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two lists of time stamps beside each other.

    pairs: (index in expected, index in found). missing, surplus: indices that have no partner.
    """

    source_pts: list[int]
    output_pts: list[int]
    expected: list[int]
    found: list[int]
    clocks: _Clocks
    pairs: list[tuple[int, int]]
    missing: list[int]
    surplus: list[int]

    @classmethod
    def of(cls, source_pts: list[int], output_pts: list[int], clocks: _Clocks) -> _Comparison:
        expected = [pts * clocks.source_step - clocks.origin for pts in source_pts]
        found = [pts * clocks.output_step for pts in output_pts]
        if len(expected) == len(found):
            pairs, missing, surplus = _in_order(len(found))
        else:
            pairs, missing, surplus = _nearest(expected, found, clocks.slack)
        return cls(source_pts, output_pts, expected, found, clocks, pairs, missing, surplus)

    @property
    def late(self) -> list[tuple[int, int]]:
        """Pairs whose times differ by more than rounding."""
        slack = self.clocks.slack
        late = [(i, k) for i, k in self.pairs if abs(self.found[k] - self.expected[i]) > slack]
        if late and self._is_shift(late):
            i, k = late[0]
            if abs(self.found[k] - self.expected[i]) <= slack + self.clocks.shift:
                return []
        return late

    def judged(self, *, known: int = 0, undecodable: int = 0, has_decoded: bool = False) -> FrameMatch:
        """known: how many of the missing are excused. undecodable: how many are not even expected."""
        late = self.late
        moved = set() if self._is_shift(late) else {k for _, k in late}
        pairs = [(self.source_pts[i], self.output_pts[k]) for i, k in self.pairs if k not in moved]
        checks = self._frames(known + undecodable, known), self._times(late)
        return FrameMatch(pairs, self.source_pts, has_decoded, checks)

    def _is_shift(self, late: list[tuple[int, int]]) -> bool:
        """Whether all frames are off by the same time."""
        if not late or len(late) < len(self.pairs):
            return False
        shifts = {self.found[k] - self.expected[i] for i, k in late}
        return max(shifts) - min(shifts) <= 2 * self.clocks.slack

    def _frames(self, lost: int, known: int) -> Check:
        expected: dict[str, Json] = {"frames": len(self.expected) - known}
        found: dict[str, Json] = {"frames": len(self.found)}
        words = [f"{len(self.found)} frames"]
        if lost > 0:
            words.append(f"{lost} more of the source cannot be decoded")
        ok = len(self.missing) <= known and not self.surplus
        if not ok and self.missing:
            times = [self.clocks.seconds(self.expected[i]) for i in self.missing]
            expected["missing_at_seconds"] = [round(t, 6) for t in times[:SHOWN]]
            words.append(f"{len(times)} of {len(self.expected)} missing, the first at {times[0]:.3f} s")
        if self.surplus:
            times = [self.clocks.seconds(self.found[k]) for k in self.surplus]
            found["surplus_at_seconds"] = [round(t, 6) for t in times[:SHOWN]]
            words.append(f"{len(times)} too many, the first at {times[0]:.3f} s")
        return Check("frames", ok, expected, found, "; ".join(words))

    def _times(self, late: list[tuple[int, int]]) -> Check:
        clocks = self.clocks
        half = 1000 * clocks.seconds(clocks.slack)
        rule = "exact" if half == 0 else f"within {half:.3g} ms, half a step of the container's clock"
        if not late:
            i, k = self.pairs[0] if self.pairs else (0, 0)
            shift = 1000 * clocks.seconds(self.found[k] - self.expected[i]) if self.pairs else 0.0
            if abs(shift) > half:
                rule = f"exact but for a start that is {shift:+.3g} ms off, as the container counts"
            return passed("time stamps", rule, rule)
        i, k = late[0]
        there, wanted = clocks.seconds(self.found[k]), clocks.seconds(self.expected[i])
        detail = f"frame {i} is shown at {there:.6f} s instead of {wanted:.6f} s"
        if len(late) > 1 and self._is_shift(late):
            detail += ", and all others as much off"
        elif len(late) > 1:
            detail += f", the first of {len(late)} that differ"
        return Check(
            "time stamps",
            False,
            {"frame": i, "seconds": round(wanted, 9)},
            {"frame": k, "seconds": round(there, 9), "differing": len(late)},
            detail,
        )


_Pairing = tuple[list[tuple[int, int]], list[int], list[int]]
"""Pairs (index in expected, index in found), what is missing, what is surplus."""


def _in_order(count: int) -> _Pairing:
    return [(i, i) for i in range(count)], [], []


def _nearest(expected: list[int], found: list[int], slack: int) -> _Pairing:
    """Both lists walked side by side; partners are close to each other."""
    gaps = sorted(b - a for a, b in pairwise(expected))
    reach = max(slack, int(gaps[len(gaps) // 2] * SAME_FRAME) if gaps else 0)
    pairs: list[tuple[int, int]] = []
    missing: list[int] = []
    surplus: list[int] = []
    i = k = 0
    while i < len(expected) and k < len(found):
        if abs(found[k] - expected[i]) <= reach:
            pairs.append((i, k))
            i, k = i + 1, k + 1
        elif found[k] < expected[i]:
            surplus.append(k)
            k += 1
        else:
            missing.append(i)
            i += 1
    return pairs, missing + list(range(i, len(expected))), surplus + list(range(k, len(found)))
