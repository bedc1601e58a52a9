"""The same job without its network: the source's own pictures through the same encoder.

That is quick, so that long pieces of the source can be encoded, and it behaves much as the large pictures
do: where scenes change, where much moves. What the large ones take is then told from few of them, by how many
times more bytes they take than the small ones of the same frames (see docs/estimate.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from vidsr.channel import StopSignal
from vidsr.errors import EncoderError, FrameError
from vidsr.estimate.counting import CountingSink
from vidsr.estimate.plan import Plan, plan_pieces
from vidsr.estimate.stretches import Range, open_stretches
from vidsr.execute.prepare import Prepared
from vidsr.media.write.segment_writer import SegmentCoding


@dataclass(frozen=True, slots=True)
class Bytes:
    """Of a stretch. first: of the frame it begins with. counted: of the frames behind its lead."""

    first: int
    counted: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A long piece of the small video. keys, others: bytes of its key frames and of the rest; the frame that
    had to be a key frame because the piece begins there is left out, except where the video begins with it.
    """

    frames: int
    keys: int
    others: int


@dataclass(frozen=True, slots=True)
class SmallVideo:
    """stretches: the plan's. pieces: spread over the source, or one that is all of it."""

    stretches: tuple[Bytes, ...]
    pieces: tuple[Piece, ...]
    is_whole: bool


def encode_small(
    prepared: Prepared, stamps: Sequence[int], plan: Plan, *, seconds: float, stop: StopSignal
) -> SmallVideo | None:
    """seconds: about how long the pieces may take. None where the encoder cannot take the source's pictures
    as they are: another sample layout than the output's, filters behind the network, a size it refuses.
    """
    if prepared.source.format != prepared.target.format or prepared.job.post_filters:
        return None
    try:
        sink = _encode(prepared, stamps, plan.stretches, stop)
        stretches = tuple(
            Bytes(sink.bytes_of(group.stamps[:1]), sink.bytes_of(group.stamps[plan.lead :]))
            for group in sink.groups
        )
        taken = sum(len(group.entries) for group in sink.groups)
        pace = max(sink.finished_at - sink.begun_at, 1e-6) / max(taken, 1)
        ranges, is_whole = plan_pieces(len(stamps), round(seconds / pace))
        sink = _encode(prepared, stamps, ranges, stop)
    except (EncoderError, FrameError):
        return None
    pieces = []
    for group in sink.groups:
        shown = group.stamps if is_whole else group.stamps[1:]
        keys = sink.bytes_of(sink.keys_among(shown))
        pieces.append(Piece(len(shown), keys, sink.bytes_of(shown) - keys))
    return SmallVideo(stretches, tuple(pieces), is_whole)


def _encode(
    prepared: Prepared, stamps: Sequence[int], ranges: Sequence[Range], stop: StopSignal
) -> CountingSink:
    source, info = open_stretches(prepared, stamps, ranges, stop)
    small = prepared.source
    sink = CountingSink(
        SegmentCoding(info, prepared.settings, small.width, small.height, small.color, job="")
    )
    with closing(source.frames()) as frames:
        for frame in frames:
            sink.write(frame)
    sink.finish()
    return sink
