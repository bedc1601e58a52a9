"""Copied sound whose time stamps repeat or go back: what must move moves as little as it can, and is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.copies import copy
from tests.media.remake import remake
from vidsr.media.clock import PacketClock
from vidsr.media.read.demux import read_packets
from vidsr.media.timeline import Timeline
from vidsr.media.verify import verify
from vidsr.media.write import passthrough
from vidsr.media.write.lanes import CopyLane

SAMPLE = Fraction(1, 44100)
MILLISECOND = Fraction(1, 1000)


def sound(path: Path) -> list[Fraction]:
    return [row.pts for row in reference.packets(path)[1]]


def with_sound_times(source: Path, output: Path, change: Callable[[int, int], int]) -> Path:
    """A Matroska file with other time stamps on its sound: change(number of the packet, its pts in ms)."""
    with av.open(source) as old, av.open(output, "w", options={"avoid_negative_ts": "disabled"}) as new:
        targets = [new.add_stream_from_template(stream) for stream in old.streams]
        number = 0
        for packet in old.demux():
            if packet.pts is None:
                continue
            if packet.stream.type == "audio":
                packet.pts = change(number, packet.pts)
                packet.dts = number - 100_000  # Matroska keeps pts only; the muxer asks for dts that grow
                number += 1
            packet.stream = targets[packet.stream.index]
            new.mux(packet)
    return output


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_where_times_must_grow_a_repeated_one_moves_by_one_sample_and_nothing_behind_it(
    clips: ClipShelf, tmp_path: Path, suffix: str
) -> None:
    """An AVI counts sound in frames of 1152 samples; the outputs count samples."""
    source, output = clips("torn_sound.avi"), tmp_path / f"out.{suffix}"
    remake(source, output, encoder="libx264")
    frames = [round(time / (1152 * SAMPLE)) for time in sound(source)]
    repeated = [number for number, (one, other) in enumerate(pairwise(frames), 1) if one == other]
    assert len(repeated) == 1
    expected = [(frame * 1152 + (number in repeated)) * SAMPLE for number, frame in enumerate(frames)]
    assert sound(output) == expected
    after, before = reference.packets(output)[1], reference.packets(source)[1]
    assert [row.md5 for row in after] == [row.md5 for row in before]


def test_where_times_may_repeat_they_do(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("torn_sound.avi"), tmp_path / "out.mkv"
    remake(source, output)
    for old, new in zip(sound(source), sound(output), strict=True):
        assert abs(new - old) <= MILLISECOND / 2


@pytest.mark.parametrize(("suffix", "tick"), [("mp4", Fraction(1, 48000)), ("mkv", Fraction(0))])
def test_sound_that_steps_back_waits_and_keeps_its_times_again_once_they_are_ahead(
    clips: ClipShelf, tmp_path: Path, suffix: str, tick: Fraction
) -> None:
    """From packet 30 on all is 300 ms earlier: some crowd behind packet 29, the others are in time."""
    source = with_sound_times(
        clips("late_video.mkv"), tmp_path / "in.mkv", lambda n, pts: pts - 300 * (n >= 30)
    )
    output = tmp_path / f"out.{suffix}"
    remade = remake(source, output, encoder="libx264")
    with av.open(source) as file:
        own = [packet.pts * MILLISECOND for packet in file.demux(audio=0) if packet.pts is not None]
    assert own[30] < own[29]
    expected: list[Fraction] = []
    for time in own:
        expected.append(max(time, expected[-1] + tick) if expected else time)
    crowded = sum(1 for wanted, time in zip(expected, own, strict=True) if wanted != time)
    assert 8 <= crowded <= 10  # of 32 ms in 300 ms
    assert expected[-1] == own[-1]
    got = sound(output)
    assert len(got) == len(own)
    for wanted, found in zip(expected, got, strict=True):
        assert abs(found - wanted) <= tick
    assert [(damage.kind, damage.stream) for damage in remade.damage] == [("backward", 1)]
    assert remade.damage[0].time == own[30]
    assert abs(remade.damage[0].packets - crowded) <= 1


def test_the_report_says_what_was_moved(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("torn_sound.avi"), tmp_path / "out.mp4"
    copy(source, output)
    report = verify(source, output)
    assert report.ok
    timing = next(check for check in report.checks if check.name == "audio 1 timing")
    assert isinstance(timing.found, dict)
    assert timing.found["packets_moved"] == 1
    assert "1 moved behind the one before" in timing.detail
    assert "by 0.0227 ms at most" in timing.detail  # 1 / 44100 s


def test_the_report_says_from_where_on_times_are_not_compared(clips: ClipShelf, tmp_path: Path) -> None:
    source = with_sound_times(
        clips("late_video.mkv"), tmp_path / "in.mkv", lambda n, pts: pts - 300 * (n >= 30)
    )
    output = tmp_path / "out.mp4"
    copy(source, output)
    timing = next(c for c in verify(source, output).checks if c.name == "audio 1 timing")
    assert timing.ok
    assert timing.detail.endswith("not compared from 0.655 s on, its clock steps back there")


def test_sound_a_frame_too_late_behind_a_repeated_time_is_found(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("torn_sound.avi"), tmp_path / "out.mkv"
    copy(source, output)
    late = with_sound_times(output, tmp_path / "late.mkv", lambda n, pts: pts + 30 * (n >= 12))
    assert "audio 1 timing" in [check.name for check in verify(source, late).failures]


@pytest.mark.parametrize(("suffix", "encoder"), [("mkv", "ffv1"), ("webm", "libvpx-vp9")])
def test_sound_goes_on_where_the_clock_begins_anew_and_channels_change(
    clips: ClipShelf, tmp_path: Path, suffix: str, encoder: str
) -> None:
    """Two recordings of 0.8 s: both are in the output, one after the other, copied or converted."""
    output = tmp_path / f"out.{suffix}"
    remade = remake(clips("spliced_sound.ts"), output, encoder=encoder, options={})
    got = sound(output)
    assert got[-1] - got[0] == pytest.approx(1.6, abs=0.06)
    assert max(later - earlier for earlier, later in pairwise(got)) < Fraction(1, 10)
    assert [(damage.kind, damage.stream) for damage in remade.damage] == [("backward", 0)]
    heard = reference.sound_samples(output, 0)
    for begin in (0.3, 1.1):  # in the middle of each recording
        part = heard[int(begin * 48000) : int((begin + 0.2) * 48000)]
        assert float(abs(part).max()) > 0.05


def test_the_last_packet_is_kept_where_none_says_how_long_it_lasts(clips: ClipShelf, tmp_path: Path) -> None:
    """AAC in Matroska without a default duration, and noise in front, so that FFmpeg learns none either.

    It reads nothing of an MP4 file behind the end of its last packet.
    """
    source, output = tmp_path / "in.mkv", tmp_path / "out.mp4"
    data = clips("b_frames.mkv").read_bytes().replace(b"\x23\xe3\x83", b"\x23\xe3\x84")
    with av.open(clips("b_frames.mkv")) as file:
        first = next(bytes(packet) for packet in file.demux(audio=0))
    source.write_bytes(data.replace(first, b"\xaa" * len(first)))
    with av.open(source) as old, av.open(output, "w") as new:
        lane = CopyLane(old.streams[1], new, Timeline(None, None, Fraction(0)), hides_sound=True)
        new.start_encoding()
        for packet in old.demux(old.streams[1]):
            packet.duration = 0  # the last one says it all the same
            new.mux(list(lane.forward(packet)))
    before, after = reference.packets(source)[1], reference.packets(output)[0]
    assert [row.md5 for row in after] == [row.md5 for row in before]
    assert after[-1].duration == Fraction(21, 1000)  # 1024 samples of 48 kHz in whole milliseconds


def test_times_that_step_back_by_more_than_a_second_are_a_new_clock() -> None:
    """Packets of 20 ms: one before the latest by 0.4 s is told so, one by 5 s goes on behind the latest."""
    clock = PacketClock(MILLISECOND)
    assert [clock.follow(time, 20) for time in (5000, 5020, 4620, 5040)] == [0, 0, 400, 0]
    assert clock.offset == 0
    assert clock.follow(40, 20) == 5000
    assert 40 + clock.offset == 5060
    assert clock.follow(60, 20) == 0
    assert clock.length == 20


def test_sound_without_a_time_stamp_cannot_be_placed_and_is_named(
    clips: ClipShelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg nearly always finds a stamp; here three of a file's are taken away behind it."""

    def forgetful(
        container: InputContainer, streams: Sequence[Stream], on_error: Callable[[str], None]
    ) -> Iterator[Packet[Stream]]:
        sounds = 0
        for packet in read_packets(container, streams, on_error):
            sounds += packet.stream.type == "audio"
            if packet.stream.type == "audio" and 10 <= sounds < 13:
                packet.pts = packet.dts = None
            yield packet

    source, output = clips("late_video.mkv"), tmp_path / "out.mkv"
    monkeypatch.setattr(passthrough, "read_packets", forgetful)
    remade = remake(source, output)
    before, after = reference.packets(source)[1], reference.packets(output)[1]
    assert [row.md5 for row in after] == [row.md5 for row in before[:9] + before[12:]]
    (entry,) = remade.damage
    assert (entry.kind, entry.stream, entry.packets) == ("undecodable", 1, 3)
    assert "without a time stamp" in entry.detail
