"""A clip of before and after in one picture, frame by frame, with the source's sound.

"split": one picture, cut into upright strips: the source on the left, each network's beside it. "side": whole
pictures beside each other. Pictures are put together as samples, so that the networks' are not changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import torch

from vidsr.channel import StopSignal
from vidsr.execute.flow import CheckedWriter
from vidsr.execute.outcome import finished, receipt_of, working
from vidsr.execute.prepare import Engine, Prepared, open_engine
from vidsr.execute.proof import publish
from vidsr.frames import Frame, Plane
from vidsr.infer.picture import Picture
from vidsr.infer.resize import resize
from vidsr.job import Receipt, Segment
from vidsr.media.color.convert import planes_to_rgb, rgb_to_planes
from vidsr.media.read.segment_reader import Stretch
from vidsr.pipeline import Pending, Run
from vidsr.preview.display import Turn
from vidsr.progress.events import Note, Show

Layout = Literal["split", "side"]

MOST_WIDTH = 3840
"""Of pictures beside each other, where nobody asked for a size: wider ones many players cannot show."""
DIVIDER_PARTS = 480
"""The white line between strips is so many times narrower than the picture, two samples at least."""


def panel_size(picture: Picture, panels: int, layout: Layout) -> tuple[int, int]:
    """(width, height) of each panel so that all of them fit into MOST_WIDTH."""
    width, height = picture.width, picture.height
    if layout == "split" or width * panels <= MOST_WIDTH:
        return width, height
    down, across = picture.format.size_multiple
    fitted = MOST_WIDTH // panels // across * across
    return fitted, max(round(Fraction(height * fitted, width * down)), 1) * down


class Enlarger:
    """Frames of a source enlarged as a player enlarges them, in another picture's size and samples."""

    def __init__(self, source: Picture, target: Picture, device: torch.device) -> None:
        self._source, self._target, self._device = source, target, device

    @torch.inference_mode()
    def __call__(self, frame: Frame) -> tuple[Plane, ...]:
        """The planes of `target`; bicubic, dithered like a network's."""
        source, target = self._source, self._target
        planes = [torch.from_numpy(np.stack([plane])).to(self._device) for plane in frame.planes]
        rgb = resize(planes_to_rgb(planes, source.format, source.color), target.height, target.width)
        result = rgb_to_planes(rgb, target.format, target.color, dither=True)
        return tuple(plane[0].cpu().numpy() for plane in result)


class Composer:
    """Panels of one size into one picture. result: what it is then."""

    def __init__(self, panel: Picture, panels: int, layout: Layout) -> None:
        self._panel, self._panels, self._layout = panel, panels, layout
        self.result = replace(panel, width=panel.width * panels) if layout == "side" else panel
        across = panel.format.size_multiple[1]
        line = max(self.result.width // DIVIDER_PARTS // 2 * 2, 2)
        white = torch.ones(1, 3, panel.height, line)
        self._line = [plane[0].numpy() for plane in rgb_to_planes(white, panel.format, panel.color)]
        # cuts lie on whole chroma samples
        self._cuts = [self.result.width * k // panels // across * across for k in range(1, panels)]

    def __call__(self, panels: Sequence[tuple[Plane, ...]]) -> tuple[Plane, ...]:
        """panels: the planes of each, from left to right."""
        if self._layout == "side":
            return tuple(np.concatenate(same, axis=1) for same in zip(*panels, strict=True))
        composed = []
        for number, same in enumerate(zip(*panels, strict=True)):
            plane = same[0].copy()
            line = self._line[number]
            step = self._step(number)
            for cut, source in zip(self._cuts, same[1:], strict=True):
                plane[:, cut // step :] = source[:, cut // step :]
            for cut in self._cuts:
                plane[:, cut // step : cut // step + line.shape[1]] = line
            composed.append(plane)
        return tuple(composed)

    def _step(self, plane: int) -> int:
        is_chroma = plane > 0 and self._panel.format.family == "yuv"
        return self._panel.format.size_multiple[1] if is_chroma else 1


class Comparison:
    """An upscaler for the pipeline: several engines' pictures and the enlarged source in one frame."""

    def __init__(self, engines: Sequence[Engine], enlarge: Enlarger, compose: Composer) -> None:
        self._engines, self._enlarge, self._compose = engines, enlarge, compose

    @property
    def batch_size(self) -> int:
        return min(engine.upscaler.batch_size for engine in self._engines)

    @property
    def in_flight(self) -> int:
        return min(engine.upscaler.in_flight for engine in self._engines)

    def submit(self, frames: Sequence[Frame]) -> Pending:
        pending = [engine.upscaler.submit(frames) for engine in self._engines]
        return _PendingComparison(frames, pending, self._enlarge, self._compose)


@dataclass
class _PendingComparison:
    frames: Sequence[Frame]
    pending: Sequence[Pending]
    enlarge: Enlarger
    compose: Composer

    def result(self) -> list[Frame]:
        rows = zip(self.frames, *(pending.result() for pending in self.pending), strict=True)
        return [
            upscaled[0].with_planes(
                self.compose([self.enlarge(source), *(frame.planes for frame in upscaled)]),
                upscaled[0].format,
                upscaled[0].color,
            )
            for source, *upscaled in rows
        ]


def make_clip(columns: Sequence[Prepared], layout: Layout, *, show: Show, stop: StopSignal) -> Receipt:
    """Write the clip of jobs that differ in their network only, and have one target size and output.

    Raises a VidsrError for whatever cannot be done; the clip exists under its name only if this returns.
    """
    first = columns[0]
    engines = [open_engine(column, column.devices[0], stop) for column in columns]
    compose = Composer(first.target, len(columns) + 1, layout)
    comparison = Comparison(engines, Enlarger(first.source, first.target, engines[0].device), compose)
    widths = compose.result.width // first.target.width
    clip = replace(
        first,
        target=compose.result,
        info=replace(first.info, width=first.info.width * widths),  # the shape of a panel stays the source's
    )
    begun = time.perf_counter()
    with clip.open_writer() as writer:
        names = ", ".join(column.model for column in columns)
        started = clip.started("; ".join(dict.fromkeys(engine.words for engine in engines)))
        show(replace(started, model=f"source | {names.replace(', ', ' | ')}"))
        for note in writer.notes:
            show(Note(note))
        if Turn.of(first.info.display_matrix).transposed:
            show(Note("players turn this video upright, so the clip's parts lie one above the other"))
        source = first.open_source([Stretch(first.frames_segment)], length=None, stop=stop)
        sink = CheckedWriter(first.job, source, writer)
        run = Run(source, comparison, sink, stop=stop, decoded_frames=4, upscaled_frames=8)
        run.start()
        end = run.join(lambda snapshot: show(working(snapshot, engines[0])))
        publish(writer, show)
    receipt = receipt_of(
        writer,
        frames_read=end.frames_decoded,
        elapsed_seconds=time.perf_counter() - begun,
        damage=(*source.damage_in(Segment()), *writer.damage),
    )
    show(finished(receipt, end.bottleneck, engines[0]))
    return receipt
