"""Frames in, larger frames out: upload, colour, network, resize, colour, download.

The network is a `Backend`, the copies are a `Transfer`, what becomes of pixels is a `Renderer`'s, what is
done when memory runs out is `Healing`'s, and what need not be computed again is found by `Reuse`. Time
stamps pass through untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.backends.base import Backend
from vidsr.backends.device_faults import faults_named
from vidsr.errors import FrameSizeError
from vidsr.frames import Frame
from vidsr.infer.healing import Healing
from vidsr.infer.picture import Picture
from vidsr.infer.render import Renderer, Rendering
from vidsr.infer.reuse import Reuse, ReuseCounts
from vidsr.infer.tiles import in_tiles
from vidsr.infer.transfer import Download, Transfer, open_transfer
from vidsr.job import REUSE_TOLERANCE, ReuseMode
from vidsr.media.color.convert import planes_to_rgb


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive frames of one size on the device.

    pixels: (N, 3, H, W) R'G'B' in [0, 1], the backend's dtype. frames: the N frames they came from, for
    their time stamps. The last batch of a stream may hold fewer than the others.
    """

    pixels: Tensor
    frames: tuple[Frame, ...]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[:2] != (len(self.frames), 3):
            raise ValueError(f"{len(self.frames)} frames need ({len(self.frames)}, 3, H, W), "
                             f"not {tuple(self.pixels.shape)}")  # fmt: skip

    def __repr__(self) -> str:
        return f"Batch({tuple(self.pixels.shape)} {self.pixels.dtype} {self.pixels.device})"


class PendingFrames:
    """Upscaled frames on their way back to the host."""

    def __init__(
        self, parts: Sequence[tuple[Batch, Download]], picture: Picture, device: torch.device
    ) -> None:
        self._parts = parts
        self._picture = picture
        self._device = device

    def result(self) -> list[Frame]:
        """Wait for them. Raises DeviceError where the device failed while it computed them."""
        with faults_named(self._device):
            return [
                frame.with_planes(planes, self._picture.format, self._picture.color)
                for batch, download in self._parts
                for frame, planes in zip(batch.frames, download(), strict=True)
            ]


class Upscaler:
    """A backend wrapped so that frames of `source` become frames of `target`.

    When the device runs out of memory, fewer frames or parts of one are computed at once: see `Healing`.
    """

    def __init__(
        self,
        backend: Backend,
        source: Picture,
        target: Picture,
        *,
        batch_size: int,
        tile: int | None = None,
        dither: bool = True,
        reuse: ReuseMode = "off",
        reuse_tolerance: float = REUSE_TOLERANCE,
    ) -> None:
        """tile: side of the windows in input pixels to compute in; None = whole pictures, if they fit.

        reuse: "off" computes every frame whole; "exact" gives the same without computing what did not
        change; "near" takes differences within reuse_tolerance for no change, see NearInput.
        """
        self._device, self._dtype = backend.device, backend.dtype
        self._source = source
        self._target = target
        self._transfer: Transfer = open_transfer(backend.device)
        self._renderer = Renderer(
            in_tiles(backend, tile),
            source,
            target,
            dither=dither,
            most_pixels=batch_size * source.width * source.height,
        )
        self._healing = Healing(self._renderer, batch_size)
        self._reuse = None
        self._forgets = reuse == "near"
        if reuse != "off":
            self._reuse = Reuse(self._renderer, self._transfer, reuse, reuse_tolerance)

    @property
    def batch_size(self) -> int:
        """Frames handed to the backend at once; see `Healing`."""
        return self._healing.batch_size

    @property
    def in_flight(self) -> int:
        """One batch is computed while the one before it is brought back and handed on.

        Not where submit() itself computes: nothing would be gained by holding finished frames back.
        """
        return 1 if self._device.type == "cuda" or self._renderer.overlaps(self.batch_size) else 0

    @property
    def reuse_counts(self) -> ReuseCounts | None:
        """What was saved so far; None where nothing is reused."""
        return None if self._reuse is None else self._reuse.counts

    def forget(self) -> None:
        """Begin anew: what comes next does not follow what came before."""
        if self._reuse is not None:
            self._reuse.forget()

    def submit(self, frames: Sequence[Frame]) -> PendingFrames:
        """Start computing frames of the source picture; a segment begins with the first of them or none.

        Where it does, near reuse begins anew, so that a run continued there shows the same. Exact reuse need
        not: what it shows does not depend on what it remembers.

        Raises FrameSizeError for a frame of another size or layout, DeviceMemoryError when not even
        a small tile of one frame fits, DeviceError where the device fails.
        """
        for frame in frames:
            if (frame.width, frame.height, frame.format) != (
                self._source.width,
                self._source.height,
                self._source.format,
            ):
                raise FrameSizeError(
                    f"frame {frame.index} ({float(frame.time):.3f} s) is {frame.width}x{frame.height} "
                    f"{frame.format.name}; the stream began as {self._source}"
                )
        if self._forgets and frames[0].starts_segment:
            self.forget()
        with faults_named(self._device):
            parts = self._healing.compute(frames, self._compute)
        return PendingFrames(parts, self._target, self._device)

    @torch.inference_mode()
    def _compute(self, frames: Sequence[Frame]) -> tuple[Batch, Download]:
        if self._reuse is not None:
            return self._compute_changes(frames, self._reuse)
        batch = self._to_batch(frames)
        with self._transfer.computing():
            pixels = self._renderer.pad(batch.pixels)
            if self._renderer.overlaps(len(frames)):
                return batch, self._later(self._renderer.begin(pixels))
            planes = self._renderer.whole(pixels)
        return batch, self._transfer.download(planes)

    def _later(self, renderings: Sequence[Rendering]) -> Download:
        """Their planes when they are wanted."""
        return lambda: [self._transfer.download(rendering.planes())()[0] for rendering in renderings]

    def _compute_changes(self, frames: Sequence[Frame], reuse: Reuse) -> tuple[Batch, Download]:
        planes = self._transfer.upload(frames)
        with self._transfer.preparing():
            batch = self._batch_of(planes, frames)
        return batch, reuse.submit(batch.pixels)

    def _to_batch(self, frames: Sequence[Frame]) -> Batch:
        planes = self._transfer.upload(frames)
        with self._transfer.computing():
            return self._batch_of(planes, frames)

    def _batch_of(self, planes: Sequence[Tensor], frames: Sequence[Frame]) -> Batch:
        source = self._source
        pixels = planes_to_rgb(planes, source.format, source.color, dtype=self._dtype)
        return Batch(pixels, tuple(frames))
