"""Frames in, larger frames out: upload, colour, network, resize, colour, download.

It owns batching on the device and what happens when memory runs out; the network is a `Backend`, the
copies are a `Transfer`, what becomes of pixels is a `Renderer`'s, and what need not be computed again
is found by `Reuse`. Time stamps pass through untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidsr.backends.base import Backend
from vidsr.errors import DeviceMemoryError, FrameSizeError
from vidsr.frames import Frame
from vidsr.infer.picture import Picture
from vidsr.infer.render import Renderer
from vidsr.infer.reuse import Reuse, ReuseCounts
from vidsr.infer.tiles import TiledBackend, smallest_window
from vidsr.infer.transfer import Download, Transfer, open_transfer
from vidsr.job import REUSE_TOLERANCE, ReuseMode
from vidsr.media.color import planes_to_rgb
from vidsr.models.base import EVERYWHERE


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

    def __init__(self, parts: Sequence[tuple[Batch, Download]], picture: Picture) -> None:
        self._parts = parts
        self._picture = picture

    def result(self) -> list[Frame]:
        return [
            frame.with_planes(planes, self._picture.format, self._picture.color)
            for batch, download in self._parts
            for frame, planes in zip(batch.frames, download(), strict=True)
        ]


GROW_AFTER_BATCHES = 50
"""After so many batches without trouble a batch that was halved is doubled again: what filled the
device (another program, often) may have gone."""


class Upscaler:
    """A backend wrapped so that frames of `source` become frames of `target`.

    batch_size: frames handed to the backend at once. When the device runs out of memory it is halved;
    when not even one frame fits, pictures are computed in tiles. The same frames are computed again
    each time, and the batch grows back later.
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
        self.batch_size = batch_size
        # One batch computing while the one before it is downloaded and handed on. A CPU computes in
        # submit() itself, so that nothing would be gained by holding frames back.
        self.in_flight = 1 if backend.device.type == "cuda" else 0
        self._most_at_once = batch_size
        self._good_batches = 0
        self._whole = backend
        self._source = source
        self._target = target
        self._transfer: Transfer = open_transfer(backend.device)
        self._renderer = Renderer(
            backend if tile is None or backend.halo >= EVERYWHERE else TiledBackend(backend, tile),
            source,
            target,
            dither=dither,
            most_pixels=batch_size * source.width * source.height,
        )
        self._reuse = None
        if reuse != "off":
            self._reuse = Reuse(self._renderer, self._transfer, reuse, reuse_tolerance)

    @property
    def reuse_counts(self) -> ReuseCounts | None:
        """What was saved so far; None where nothing is reused."""
        return None if self._reuse is None else self._reuse.counts

    def forget(self) -> None:
        """Begin anew: what comes next does not follow what came before."""
        if self._reuse is not None:
            self._reuse.forget()

    def submit(self, frames: Sequence[Frame]) -> PendingFrames:
        """Start computing frames of the source picture.

        Raises FrameSizeError for a frame of another size or layout, DeviceMemoryError when not even
        a small tile of one frame fits.
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
        parts = self._compute(frames)
        self._good_batches += 1
        if self._good_batches >= GROW_AFTER_BATCHES and self.batch_size < self._most_at_once:
            self.batch_size = min(2 * self.batch_size, self._most_at_once)
            self._good_batches = 0
        return PendingFrames(parts, self._target)

    @torch.inference_mode()
    def _compute(self, frames: Sequence[Frame]) -> list[tuple[Batch, Download]]:
        try:
            if self._reuse is not None:
                return self._compute_changes(frames, self._reuse)
            batch = self._to_batch(frames)
            with self._transfer.computing():
                planes = self._renderer.whole(self._renderer.pad(batch.pixels))
            return [(batch, self._transfer.download(planes))]
        except (DeviceMemoryError, torch.OutOfMemoryError) as error:
            self._good_batches = 0
            if len(frames) == 1:
                self._use_smaller_tiles(error)
        # Outside the except block: the exception's traceback holds the tensors that did not fit.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(frames) == 1:
            return self._compute(frames)
        half = len(frames) // 2
        self.batch_size = min(self.batch_size, half)
        return self._compute(frames[:half]) + self._compute(frames[half:])

    def _use_smaller_tiles(self, error: DeviceMemoryError | torch.OutOfMemoryError) -> None:
        """Halve the window; raise DeviceMemoryError where a smaller one would only waste work."""
        present = self._renderer.backend.window if isinstance(self._renderer.backend, TiledBackend) else None
        window = (present or max(self._source.width, self._source.height)) // 2
        if window < smallest_window(self._whole.halo, self._whole.input_multiple):
            raise DeviceMemoryError(
                f"the device has too little memory for one frame of {self._source}"
                + (f", even in tiles of {present}" if present else ""),
                "close other programs that use the device, or pass --device cpu",
            ) from error
        self._renderer.backend = TiledBackend(self._whole, window)

    def _compute_changes(self, frames: Sequence[Frame], reuse: Reuse) -> list[tuple[Batch, Download]]:
        planes = self._transfer.upload(frames)
        with self._transfer.preparing():
            batch = self._batch_of(planes, frames)
        return [(batch, reuse.submit(batch.pixels))]

    def _to_batch(self, frames: Sequence[Frame]) -> Batch:
        planes = self._transfer.upload(frames)
        with self._transfer.computing():
            return self._batch_of(planes, frames)

    def _batch_of(self, planes: Sequence[Tensor], frames: Sequence[Frame]) -> Batch:
        source = self._source
        pixels = planes_to_rgb(planes, source.format, source.color, dtype=self._whole.dtype)
        return Batch(pixels, tuple(frames))
