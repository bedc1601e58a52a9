"""Whether sound, subtitles and attached files of the output are the source's own, and when they come.

Copied packets are compared by fingerprint and time. Converted sound is compared by its extent, converted
subtitles by the words that are on the screen at each moment.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt

from vidsr.media.containers import OutputFormat
from vidsr.media.read.source_info import StreamInfo
from vidsr.media.timeline import HIDDEN_LEAD_SECONDS, Timeline
from vidsr.media.verify.captions import first_difference, read_captions
from vidsr.media.verify.contents import (
    DISCARDED,
    NO_STAMP,
    Contents,
    PacketLog,
    payload_digest,
    read_beside_video,
)
from vidsr.media.verify.report import Check, Json, passed
from vidsr.media.verify.streams import Carried, kind_of
from vidsr.media.write.passthrough import SUBTITLE_LOOKBACK_SECONDS
from vidsr.media.write.plan import Fate

Times = npt.NDArray[np.float64]

CLOCK_STEP_SECONDS = 0.0011
"""Matroska's clock, and what is lost in adding up numbers of it."""

UNKNOWN_SECONDS = 1e12
"""No time stamp is that far off; a missing one is (NO_STAMP)."""

USUAL_AUDIO_FRAME_SECONDS = 1024 / 48000
"""An AAC frame, where packets do not say how long they are."""


def check_payloads(
    source: Contents, output: Contents, carried: list[Carried], timeline: Timeline, container: OutputFormat
) -> Iterator[Check]:
    """One or two checks for each stream that is in both files.

    A damaged source may give more when it is read as the job read it (`read_beside_video`); only where the
    plain reading does not explain the output, that one is asked too.
    """
    beside_video = cache(lambda: read_beside_video(source))
    for stream in carried:
        if stream.found is None:
            continue
        if stream.plan.fate is Fate.ATTACH:
            yield _attachment(source, output, stream)
            continue
        checks = list(_of_packets(source, output, stream, stream.found, timeline, container))
        if not all(check.ok for check in checks):
            again = list(_of_packets(beside_video(), output, stream, stream.found, timeline, container))
            checks = again if all(check.ok for check in again) else checks
        yield from (replace(check, stream=stream.plan.stream.index) for check in checks)


def _of_packets(
    source: Contents,
    output: Contents,
    stream: Carried,
    found: StreamInfo,
    timeline: Timeline,
    container: OutputFormat,
) -> Iterator[Check]:
    kind, index = kind_of(stream.plan.stream), stream.plan.stream.index
    theirs, ours = source.packets[index], output.packets[found.index]
    if stream.plan.fate is Fate.COVER:
        yield _cover(stream.name, theirs, ours)
    elif stream.plan.fate is Fate.CONVERT and kind == "audio":
        yield _converted_sound(stream.name, theirs, ours, _heard(theirs, stream.plan.stream, timeline))
    elif stream.plan.fate is Fate.CONVERT:
        yield _converted_subtitles(source, output, stream, timeline)
    elif kind == "subtitle":
        yield from _copied(stream.name, _clipped(theirs, timeline), _whole(ours), is_recut=False)
    else:
        if kind == "audio" and not container.hides_sound:
            timeline = _heard(theirs, stream.plan.stream, timeline, lead=HIDDEN_LEAD_SECONDS)
        recut = kind == "audio" and _is_recut(source, index, timeline, ours)
        yield from _copied(stream.name, _kept(theirs, timeline), _whole(ours), is_recut=recut)


@dataclass(frozen=True, slots=True)
class _Packets:
    """Packets on the output's clock. tick: of the file's own clock, in seconds."""

    starts: Times
    lengths: Times
    marks: npt.NDArray[np.uint64]
    tick: float

    def steps_back_at(self, limit: float = CLOCK_STEP_SECONDS) -> int | None:
        """Where the clock first steps back by more seconds than that."""
        back = np.flatnonzero(self._lead > limit)
        return int(back[0]) if back.size else None

    @property
    def is_crowded(self) -> npt.NDArray[np.bool_]:
        """Which packets do not begin later than all before them; some containers must move these."""
        return self._lead > -self.tick / 2

    @property
    def _lead(self) -> Times:
        """By how many seconds the latest packet before each is ahead of it."""
        before = np.concatenate(([-np.inf], np.maximum.accumulate(self.starts)))
        return before[:-1] - self.starts


def _whole(log: PacketLog) -> _Packets:
    return _Packets(log.seconds(), log.lengths(), log.marks(), float(log.time_base))


def _bounds(log: PacketLog, timeline: Timeline) -> tuple[int, int]:
    """[low, high) of the time stamps of what is kept."""
    low = NO_STAMP + 1 if timeline.start is None else math.ceil(timeline.start / log.time_base)
    return low, 2**63 - 1 if timeline.end is None else math.ceil(timeline.end / log.time_base)


def _heard(
    log: PacketLog, stream: StreamInfo, timeline: Timeline, *, lead: Fraction = Fraction(0)
) -> Timeline:
    """Without what the source's edit list hides before the first sound that is heard, but for a lead."""
    if stream.start is None or not any(flags & DISCARDED for flags in log.flags):
        return timeline
    start = stream.start - lead
    is_later = timeline.start is not None and timeline.start > start
    return timeline if is_later else replace(timeline, start=start)


def _kept(log: PacketLog, timeline: Timeline) -> _Packets:
    """The source's packets that begin in what is kept."""
    low, high = _bounds(log, timeline)
    keep = (log.pts() >= low) & (log.pts() < high)
    starts = log.seconds()[keep] - float(timeline.origin)
    return _Packets(starts, log.lengths()[keep], log.marks()[keep], float(log.time_base))


def _clipped(log: PacketLog, timeline: Timeline) -> _Packets:
    """Subtitles that are on the screen in what is kept, cut to it."""
    if not timeline.is_cut:
        return _kept(log, timeline)
    starts, ends = log.seconds(), log.seconds() + log.lengths()
    low = -np.inf if timeline.start is None else float(timeline.start)
    high = np.inf if timeline.end is None else float(timeline.end)
    keep = (log.pts() != NO_STAMP) & (starts < high) & ((ends > low) | (starts >= low))
    keep &= starts >= low - float(SUBTITLE_LOOKBACK_SECONDS)  # what began earlier is not looked for
    begin = np.maximum(starts[keep], low)
    lengths = np.where(log.lengths()[keep] > 0, np.minimum(ends[keep], high) - begin, 0)
    return _Packets(begin - float(timeline.origin), lengths, log.marks()[keep], float(log.time_base))


def _copied(name: str, theirs: _Packets, ours: _Packets, *, is_recut: bool) -> Iterator[Check]:
    """is_recut: the same bytes come in other packets, as uncompressed sound does in MP4."""
    same = min(len(theirs.marks), len(ours.marks))
    unlike = np.flatnonzero(theirs.marks[:same] != ours.marks[:same])
    alike = int(unlike[0]) if unlike.size else same
    expected: Json = {"packets": len(theirs.marks)}
    found: Json = {"packets": len(ours.marks), "identical_from_start": alike}
    if alike == len(theirs.marks) == len(ours.marks):
        yield passed(name, expected, f"{alike} packets, identical")
    elif is_recut:
        yield Check(name, True, expected, found, "the same bytes in other packets")
        alike = min(alike, 1)
    else:
        yield Check(name, False, expected, found, _first_loss(theirs, ours, alike))
    yield _in_time(name, theirs, ours, alike)


def _is_recut(source: Contents, index: int, timeline: Timeline, ours: PacketLog) -> bool:
    log = source.packets[index]
    low, high = _bounds(log, timeline)
    if _kept(log, timeline).marks.tobytes() == ours.marks().tobytes():
        return False
    return payload_digest(source.info, index, lambda stamp: low <= stamp < high) == ours.payload.digest()


def _first_loss(theirs: _Packets, ours: _Packets, alike: int) -> str:
    words = f"{len(ours.marks)} packets instead of {len(theirs.marks)}"
    if alike == len(theirs.marks):
        return f"{words}; the last {len(ours.marks) - alike} are not of the source"
    return f"{words}; the first that is missing or altered is packet {alike} at {theirs.starts[alike]:.3f} s"


def _in_time(name: str, theirs: _Packets, ours: _Packets, count: int) -> Check:
    """Times of the first `count` packets, which are identical, up to where the source's clock steps back.

    Sound may be off by one of its frames; no player shows less. Subtitles by a step of the coarser clock.
    """
    about = f"{name} timing"
    if not count:
        return passed(about, None, "nothing to compare")
    is_sound = name.startswith("audio")
    if is_sound and theirs.starts[:count].max() < 0:  # where FFmpeg reads no times from Matroska
        return passed(about, None, "not compared, all of it comes before the beginning")
    tolerance = _usual_length(theirs) if is_sound else 2 * CLOCK_STEP_SECONDS
    beyond, back = "", theirs.steps_back_at(tolerance / 2 if is_sound else CLOCK_STEP_SECONDS)
    if back is not None and back < count:
        beyond = f"; not compared from {theirs.starts[back]:.3f} s on, its clock steps back there"
        count = back
    off = ours.starts[:count] - theirs.starts[:count]
    if off[0] < -UNKNOWN_SECONDS:  # FFmpeg gives no time to a first packet of AAC that it cannot parse
        off[0] = 0
    moved = theirs.is_crowded[:count] & (np.abs(off) > 0.51 * ours.tick)  # half a tick is rounding
    worst = int(np.argmax(np.abs(off)))
    what, usual = "start", np.abs(off[~moved]).max(initial=0)
    if not is_sound:
        known = (theirs.lengths[:count] > 0) & np.isfinite(theirs.lengths[:count])
        ends = np.where(known, off + ours.lengths[:count] - theirs.lengths[:count], 0)
        if np.abs(ends).max() > max(abs(off[worst]), tolerance):
            off, worst, what = ends, int(np.argmax(np.abs(ends))), "end"
    error = float(off[worst])
    ok = abs(error) <= tolerance
    allowed: Json = {"seconds_off_at_most": round(tolerance, 6)}
    found: Json = {"seconds_off": round(error, 6), "packet": worst, "packets_moved": int(moved.sum())}
    if ok:
        words = f"unchanged, to {max(usual * 1000, 0.001):.3g} ms"
        if moved.any():
            first, most = theirs.starts[:count][moved][0], np.abs(off[moved]).max() * 1000
            words += f"; {moved.sum()} moved behind the one before, the first at {first:.3f} s"
            words += f", by {most:.3g} ms at most"
        return Check(about, True, allowed, found, words + beyond)
    side = "late" if error > 0 else "early"
    detail = f"packet {worst} ({what}) comes {abs(error):.3f} s too {side}, at {ours.starts[worst]:.3f} s"
    return Check(about, False, allowed, found, detail)


def _usual_length(packets: _Packets) -> float:
    known = packets.lengths[packets.lengths > 0]
    frame = float(np.median(known)) if known.size else USUAL_AUDIO_FRAME_SECONDS
    return max(frame, CLOCK_STEP_SECONDS)


def _converted_sound(name: str, log: PacketLog, converted: PacketLog, timeline: Timeline) -> Check:
    """From its first moment to its last, to one frame of each coding: both may begin or end within one."""
    theirs, ours = _kept(log, timeline), _whole(converted)
    if not theirs.starts.size or not ours.starts.size:
        ok = theirs.starts.size == ours.starts.size
        return Check(name, ok, {"packets": theirs.starts.size}, {"packets": ours.starts.size}, "no sound")
    tolerance = _usual_length(theirs) + _usual_length(ours) + 2 * CLOCK_STEP_SECONDS
    (begin, end), (our_begin, our_end) = _extent(theirs), _extent(ours)
    if (back := theirs.steps_back_at()) is not None:
        return passed(
            name, None, f"converted; not compared, its clock steps back at {theirs.starts[back]:.3f} s"
        )
    expected: Json = {
        "start": round(begin, 6),
        "end": round(end, 6),
        "seconds_off_at_most": round(tolerance, 6),
    }
    found: Json = {"start": round(our_begin, 6), "end": round(our_end, 6)}
    for word, wanted, there in (("begins", begin, our_begin), ("ends", end, our_end)):
        if abs(there - wanted) > tolerance:
            return Check(
                name, False, expected, found, f"converted; {word} at {there:.3f} s, not {wanted:.3f} s"
            )
    return Check(name, True, expected, found, f"converted; {our_end - our_begin:.3f} s, in place")


def _extent(packets: _Packets) -> tuple[float, float]:
    last = int(np.argmax(packets.starts))
    length = packets.lengths[last] if packets.lengths[last] > 0 else _usual_length(packets)
    return float(packets.starts.min()), float(packets.starts[last] + length)


def _converted_subtitles(source: Contents, output: Contents, stream: Carried, timeline: Timeline) -> Check:
    assert stream.found is not None
    theirs = read_captions(source.info, stream.plan.stream.index, timeline)
    ours = read_captions(output.info, stream.found.index, None)
    expected, found = {"captions": len(theirs)}, {"captions": len(ours)}
    fault = first_difference(theirs, ours)
    detail = (
        f"converted; {fault}" if fault else f"converted; the same words at the same times ({len(theirs)})"
    )
    return Check(stream.name, fault is None, dict(expected), dict(found), detail)


def _attachment(source: Contents, output: Contents, stream: Carried) -> Check:
    assert stream.found is not None
    theirs, ours = dict(stream.plan.stream.metadata), dict(stream.found.metadata)
    data, our_data = source.attachments[stream.plan.stream.index], output.attachments[stream.found.index]
    expected: Json = {"filename": theirs.get("filename"), "bytes": len(data)}
    found: Json = {"filename": ours.get("filename"), "bytes": len(our_data)}
    detail = f"{theirs.get('filename', 'unnamed')}, {len(data)} bytes, identical"
    if data != our_data:
        detail = f"{theirs.get('filename', 'unnamed')} has other contents"
    elif expected != found:
        detail = f"is named {ours.get('filename')!r} instead of {theirs.get('filename')!r}"
    return Check(stream.name, data == our_data and expected == found, expected, found, detail)


def _cover(name: str, theirs: PacketLog, ours: PacketLog) -> Check:
    """A picture is one packet, or the bytes of an attached file."""
    ok = bool(len(theirs)) and bool(len(ours)) and theirs.fingerprints[0] == ours.fingerprints[0]
    return Check(name, ok, len(theirs), len(ours), "identical" if ok else "is another picture")
