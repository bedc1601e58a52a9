"""Decoding times made anew are those the encoders make, and always ones a muxer takes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from hypothesis import given
from hypothesis import strategies as st

from vidsr.media.write.join import with_dts
from vidsr.media.write.segment_writer import reorder_depth

UNIT = Fraction(1, 1000)


def stamped(stamps: list[int]) -> list[Packet[Any]]:
    packets = []
    for pts in stamps:
        packet: Packet[Any] = Packet(b"x")
        packet.pts, packet.time_base = pts, UNIT
        packets.append(packet)
    return packets


def remade(stamps: list[int], reorder: int) -> list[int | None]:
    packets = list(with_dts(stamped(stamps), reorder))
    assert [p.pts for p in packets] == stamps
    return [p.dts for p in packets]


@pytest.mark.parametrize(
    ("b_frames", "pyramid"),
    [(0, "none"), (1, "none"), (3, "none"), (3, "normal"), (8, "none"), (8, "normal")],
)
@pytest.mark.parametrize("spacing", ["even", "uneven"])
def test_they_equal_x264_s_own(b_frames: int, pyramid: str, spacing: str) -> None:
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 32, 32, "yuv420p", UNIT
    context.options = {"bf": str(b_frames), "x264-params": f"b-adapt=0:scenecut=0:b-pyramid={pyramid}"}
    packets: list[Packet[Any]] = []
    for number in range(40):
        picture = av.VideoFrame.from_ndarray(np.full((48, 32), 5 * number, np.uint8), format="yuv420p")
        picture.pts = 41 * number if spacing == "even" else 10 + 41 * number + number % 3 * 13 + number**2
        picture.time_base = UNIT
        packets += context.encode(picture)
    packets += context.encode(None)
    stamps = [p.pts or 0 for p in packets]
    depth = reorder_depth(stamps)
    assert depth == (0 if b_frames == 0 else 1 if pyramid == "none" else 2)
    assert remade(stamps, depth) == [p.dts for p in packets]


@st.composite
def reordered(draw: st.DrawFn) -> list[int]:
    """Increasing stamps of which each may be moved ahead by some places, as encoders do."""
    stamps = sorted(draw(st.sets(st.integers(-50, 500), min_size=1, max_size=30)))
    keys = [(place - draw(st.integers(0, 4)), place) for place in range(len(stamps))]
    return [stamps[place] for _, place in sorted(keys, key=lambda key: (key[0], -key[1]))]


@given(reordered(), st.integers(0, 3))
def test_they_increase_and_are_never_behind_the_pts(stamps: list[int], more: int) -> None:
    decoding = remade(stamps, reorder_depth(stamps) + more)
    assert all(dts is not None for dts in decoding)
    known = [dts for dts in decoding if dts is not None]
    assert known == sorted(set(known))
    assert all(dts <= pts for dts, pts in zip(known, stamps, strict=True))


def test_the_depth_is_how_far_a_packet_waits_for_its_turn() -> None:
    assert reorder_depth([]) == 0
    assert reorder_depth([10, 20, 30]) == 0
    assert reorder_depth([0, 3, 1, 2, 6, 4, 5]) == 1  # I P b b P b b: each b waits for one P
    assert reorder_depth([0, 4, 2, 1, 3]) == 2  # pyramid: 1 waits for 4 and 2


def test_no_packets_give_none() -> None:
    assert list(with_dts(iter(()), 2)) == []
