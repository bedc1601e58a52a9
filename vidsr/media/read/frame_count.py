"""How many frames a video has, as far as its container tells without being read through.

It knows headers and counts of packets, and decodes nothing.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from vidsr.media.matroska.counting import count_blocks
from vidsr.media.read.ledger import ONE_FRAME_A_PACKET

SAMPLED_WITHIN = Fraction(1, 50)
"""Where parts of a film give so nearly what its rate gives, the rate is constant, and nearer to the truth."""


def count_frames(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    duration: Fraction | None,
    rate: Fraction | None,
    track: int | None,
) -> tuple[int | None, str | None]:
    """track: the stream's number in a Matroska file, where it is known.

    There the rate says little of a film of variable rate: FFmpeg has it from the header or the first frames.
    """
    counted = next((v for k, v in stream.metadata.items() if k.startswith("NUMBER_OF_FRAMES")), "")
    if counted.isdecimal():  # Matroska's statistics tag
        return int(counted), "header"
    if stream.frames and container.format.name != "avi":  # AVI counts the gaps between frames too
        return stream.frames, "header"
    by_rate = round(duration * rate) if duration is not None and rate else None
    there = None if track is None else count_blocks(path, track)
    if there is not None and there.blocks:
        if there.is_exact and stream.codec_context.codec.canonical_name in ONE_FRAME_A_PACKET:
            return there.blocks, "counted"
        if by_rate is None or abs(there.blocks - by_rate) > SAMPLED_WITHIN * by_rate:
            return there.blocks, "sampled"
    return by_rate, None if by_rate is None else "duration x rate"
