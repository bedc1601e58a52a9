"""Pictures and tensors through a network: no files, no time stamps, no codecs.

R'G'B' goes in and comes out as it is: whatever primaries and transfer a picture has, it keeps.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidsr.api.arguments import check_paths, check_texts, real, whole
from vidsr.api.options import FilePath, check_network_options
from vidsr.backends.choose import choose_device
from vidsr.backends.device_faults import faults_named
from vidsr.execute.network import chosen_preset, load_model, open_network, usual_batch
from vidsr.frames import Color, Matrix, PixelFormat, Range
from vidsr.infer.healing import Healing
from vidsr.infer.picture import Picture
from vidsr.infer.render import Renderer
from vidsr.infer.tiles import in_tiles
from vidsr.job import BackendName, Precision, SizeRequest
from vidsr.progress.events import Show

RGB = PixelFormat.parse("gbrp")
"""The samples of a picture are named after a layout in messages only; they are computed as R'G'B' floats."""
RGB_COLOR = Color(Matrix.RGB, Range.FULL, 1, 13)

Array = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Part = TypeVar("Part")


class Upscaler:
    """A network ready for pictures: call it with an array or a tensor.

        with vidsr.Upscaler("RealESRGAN_x4plus_anime_6B") as upscaler:
            larger = upscaler(picture)

    scale: how many times larger pictures become. words: what computes them, such as "torch fp16 on ...".
    notes: what had to be inferred about the weights, one sentence each.

    One thread at a time may use it. Memory on the device is given back by `close`, or the end of `with`.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        weights: FilePath | None = None,
        denoise: float | None = None,
        device: str = "auto",
        backend: BackendName = "auto",
        precision: Precision = "auto",
        batch: int | None = None,
        tile: int | None = None,
        on_event: Show | None = None,
    ) -> None:
        """Load the network; its weights are downloaded first where they are nowhere on this machine.

        model, weights, denoise, device, backend, precision: as `vidsr.api.options.Options`, one device.
        batch: pictures computed at once at most; None = by device and model.
        tile: side of windows to compute in, in input pixels; None = whole pictures, if they fit.
        on_event: told how a download goes on.

        Raises a VidsrError for a model, a file, a device or a backend that cannot be had, TypeError for
        arguments of a wrong type.
        """
        check_texts(device=device)
        check_texts(or_none=True, model=model)
        check_paths(weights=weights)
        denoise, batch, tile = real("denoise", denoise), whole("batch", batch), whole("tile", tile)
        check_network_options(backend, precision, batch, tile)
        file = None if weights is None else Path(weights)
        preset = chosen_preset(model, file)
        chosen = choose_device(device)
        loaded = load_model(preset, file, denoise, on_event or (lambda _: None))
        self._backend = open_network(loaded, chosen, name=backend, precision=precision)
        self._batch, self._preset, self._loaded = batch, preset, loaded
        self._tile = tile
        self._fitting: _Fitting | None = None
        self._is_closed = False
        self.scale = loaded.requested_scale or Fraction(loaded.network.scale)
        self.words = self._backend.words
        self.notes = loaded.notes

    @overload
    def __call__(self, pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]: ...
    @overload
    def __call__(self, pictures: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]: ...
    @overload
    def __call__(self, pictures: Tensor) -> Tensor: ...

    def __call__(self, pictures: Any) -> Any:
        """Pictures enlarged `scale` times, of the same kind as they came.

        pictures: an array (H, W, 3) of uint8 or uint16, R'G'B' over the type's whole range, rounded to the
        nearest value on the way back; or a tensor (N, 3, H, W) of floats in [0, 1] on any device, which
        comes back on that device in its own dtype, clamped to [0, 1] and without a gradient.

        When the device runs out of memory, fewer pictures or parts of one are computed at once. Raises
        TypeError or ValueError for anything else than such pictures, DeviceMemoryError when not even a small
        part of one fits, DeviceError when the device fails, and ValueError when the Upscaler was closed.
        """
        if self._is_closed:
            raise ValueError("this Upscaler was closed")
        if isinstance(pictures, Tensor):
            return self._enlarge_tensor(pictures)
        if isinstance(pictures, np.ndarray):
            return self._enlarge_array(pictures)
        raise TypeError(f"pictures are numpy arrays or torch tensors, not {type(pictures).__name__}")

    def close(self) -> None:
        """Give the network's memory back."""
        if self._is_closed:
            return
        self._is_closed = True
        is_cuda = self._backend.device.type == "cuda"
        self._fitting = None
        del self._backend
        if is_cuda:
            gc.collect()  # a failure on the way may have left some of it in a cycle
            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Upscaler({float(self.scale):g}x, {self.words}{', closed' if self._is_closed else ''})"

    def _enlarge_tensor(self, pictures: Tensor) -> Tensor:
        if not pictures.is_floating_point():
            raise TypeError(f"a tensor of floats in [0, 1] is needed, not of {pictures.dtype}")
        if pictures.ndim != 4 or pictures.shape[1] != 3 or 0 in pictures.shape:
            raise ValueError(f"a tensor (N, 3, H, W) is needed, not {tuple(pictures.shape)}")

        def work(part: Sequence[Tensor]) -> Tensor:
            return self._render(torch.stack(list(part))).to(pictures.device, pictures.dtype)

        with torch.no_grad():
            parts = self._fit(*pictures.shape[2:]).all(list(pictures.detach()), work)
            return torch.cat(parts)

    def _enlarge_array(self, picture: npt.NDArray[Any]) -> Array:
        if picture.dtype not in (np.uint8, np.uint16):
            raise TypeError(f"an array of uint8 or uint16 is needed, not of {picture.dtype}")
        if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise ValueError(f"an array (H, W, 3) is needed, not {picture.shape}")
        peak = np.iinfo(picture.dtype).max
        dtype = torch.uint8 if picture.dtype == np.uint8 else torch.uint16

        def work(part: Sequence[npt.NDArray[Any]]) -> Array:
            codes = torch.from_numpy(np.stack(part)).to(self._backend.device)  # (1, H, W, 3)
            larger = self._render(codes.permute(0, 3, 1, 2).float() / peak)
            result: Array = (larger.float() * peak).round().to(dtype).permute(0, 2, 3, 1).cpu().numpy()
            return result

        with torch.no_grad():
            (larger,) = self._fit(*picture.shape[:2]).all([picture], work)
        return np.ascontiguousarray(larger[0])

    def _render(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) of one portion, from wherever it is, to (N, 3, H', W') in [0, 1] on the device."""
        assert self._fitting is not None
        renderer = self._fitting.renderer
        pixels = pixels.to(self._backend.device, self._backend.dtype)
        return renderer.upscale(renderer.pad(pixels)).clamp(0, 1)

    def _fit(self, height: int, width: int) -> _Fitting:
        """What pictures of one size are computed with; what was learned of memory is kept with it."""
        if self._fitting is None or self._fitting.size != (height, width):
            source = Picture(width, height, RGB, RGB_COLOR)
            larger = SizeRequest().resolve(width, height, self.scale, RGB.size_multiple)
            backend = self._backend
            batch = self._batch or usual_batch(self._preset, self._loaded, backend, width * height)
            renderer = Renderer(
                in_tiles(backend, self._tile),
                source,
                Picture(*larger, RGB, RGB_COLOR),
                dither=False,
                most_pixels=batch * width * height,
            )
            self._fitting = _Fitting(source, renderer, Healing(renderer, batch))
        return self._fitting


class _Fitting:
    """The parts that depend on the pictures' size."""

    def __init__(self, source: Picture, renderer: Renderer, healing: Healing) -> None:
        self.size = source.height, source.width
        self.renderer = renderer
        self._healing = healing
        self._device = renderer.backend.device

    def all(self, pictures: Sequence[Part], work: Callable[[Sequence[Part]], Any]) -> list[Any]:
        """What `work` gives for all pictures, in order, as many at once as fit."""
        results: list[Any] = []
        begun = 0
        with faults_named(self._device):
            while begun < len(pictures):
                end = begun + self._healing.batch_size
                results += self._healing.compute(pictures[begun:end], work)
                begun = end
        return results
