"""Planes to the device and back.

On CUDA, planes travel between pinned host memory and the device on streams of their own, so that
copies of one batch run beside the computation of another; only planes travel (1.5 bytes a pixel for
8-bit 4:2:0), never RGB. On other devices the same calls are plain copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from vidsr.frames import Frame, Plane

Download = Callable[[], list[tuple[Plane, ...]]]
"""Call it to wait for the planes of every frame of a batch."""


class Transfer(Protocol):
    """Moves batches of planes; all frames of a batch have one size and format."""

    def upload(self, frames: Sequence[Frame]) -> tuple[Tensor, ...]:
        """One tensor (N, rows, columns) per plane, on the device, ready for `computing`."""
        ...

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Within it, computation follows the upload, beside what is still being computed.

        For what the host must know before it can say what to compute. What is made there and used in
        `computing` must be handed over.
        """
        ...

    def hand_over(self, tensor: Tensor) -> None:
        """The tensor, made while preparing, will be used while computing."""
        ...

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Within it, computation is queued behind the last upload and what was prepared."""
        ...

    def download(self, planes: Sequence[Tensor]) -> Download:
        """Start bringing (N, rows, columns) tensors back; the frames are had by calling the result."""
        ...


def open_transfer(device: torch.device) -> Transfer:
    return CudaTransfer(device) if device.type == "cuda" else HostTransfer(device)


class HostTransfer:
    """For the CPU, and for devices whose memory torch copies to synchronously."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def upload(self, frames: Sequence[Frame]) -> tuple[Tensor, ...]:
        stacks = (np.stack(same_plane) for same_plane in zip(*(f.planes for f in frames), strict=True))
        return tuple(torch.from_numpy(stack).to(self._device) for stack in stacks)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        yield

    def hand_over(self, tensor: Tensor) -> None:
        pass

    @contextmanager
    def computing(self) -> Iterator[None]:
        yield

    def download(self, planes: Sequence[Tensor]) -> Download:
        host = [plane.cpu() for plane in planes]
        return lambda: _frames_of(host)


class CudaTransfer:
    """Three streams and the events between them; two or more batches can be under way.

    Host memory comes from torch's caching pinned allocator, which gives a block out again only after
    the copies that use it are done: so no ring of buffers is kept here, and a finished frame's planes
    are views of pinned memory that live as long as the frame.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # Of a higher priority: what is prepared there is many short kernels whose result the host waits for,
        # and each would else stand behind a kernel of the network that fills the device
        self._up = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]
        self._compute = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._down = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # What was made before, the weights above all, may still be on its way: streams do not wait for the
        # one that all else is queued on
        for stream in (self._up, self._compute):
            stream.wait_stream(torch.cuda.current_stream(device))

    @contextmanager
    def _on(self, stream: torch.cuda.Stream) -> Iterator[None]:
        # The device too: who leaves a stream goes back to the one before, and where that is another device's,
        # torch begins a context there, which takes some hundred MB of a GPU that has nothing to do here
        with torch.cuda.device(self._device), torch.cuda.stream(stream):
            yield

    def upload(self, frames: Sequence[Frame]) -> tuple[Tensor, ...]:
        planes = []
        with self._on(self._up):
            for same_plane in zip(*(f.planes for f in frames), strict=True):
                host = torch.from_numpy(np.empty(0, same_plane[0].dtype)).new_empty(
                    (len(frames), *same_plane[0].shape), pin_memory=True
                )
                np.stack(same_plane, out=host.numpy())
                on_device = host.to(self._device, non_blocking=True)
                on_device.record_stream(self._compute)
                planes.append(on_device)
        return tuple(planes)

    @contextmanager
    def preparing(self) -> Iterator[None]:
        with self._on(self._up):
            yield

    def hand_over(self, tensor: Tensor) -> None:
        tensor.record_stream(self._compute)

    @contextmanager
    def computing(self) -> Iterator[None]:
        self._compute.wait_stream(self._up)
        with self._on(self._compute):
            yield

    def download(self, planes: Sequence[Tensor]) -> Download:
        self._down.wait_stream(self._compute)
        host = []
        with self._on(self._down):
            for plane in planes:
                target = torch.empty(plane.shape, dtype=plane.dtype, pin_memory=True)
                target.copy_(plane, non_blocking=True)
                plane.record_stream(self._down)
                host.append(target)
            # blocking: waiting else keeps a core busy, which decoder and encoder need
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record(self._down)

        def wait() -> list[tuple[Plane, ...]]:
            done.synchronize()
            return _frames_of(host)

        return wait


def _frames_of(planes: Sequence[Tensor]) -> list[tuple[Plane, ...]]:
    arrays = [plane.numpy() for plane in planes]
    return [tuple(array[i] for array in arrays) for i in range(len(arrays[0]))]
