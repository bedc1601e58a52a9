"""Pictures that OpenVINO computes beside each other, and beside whoever wants them later.

It owns requests and the memory that they read and write, since OpenVINO works in place and keeps neither
alive. It knows tensors, never graphs, number formats or frames.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vidsr.backends.base import Checkpoint, LostResultError, Result

if TYPE_CHECKING:
    import openvino

LOOK_UP_MILLISECONDS = 50
"""How often a running computation asks whether it is still wanted."""


class Begun:
    """So many requests of one graph for one picture, taken in turn. Used by one thread."""

    def __init__(
        self,
        graph: openvino.CompiledModel,
        shape: tuple[int, ...],
        scale: int,
        count: int,
        checkpoint: Checkpoint,
    ) -> None:
        """shape: (1, 3, H, W) of what goes in. count: of requests."""
        self.shape = shape
        larger = (*shape[:2], shape[2] * scale, shape[3] * scale)
        self._turns = [_Turn(graph.create_infer_request(), torch.empty(larger)) for _ in range(count)]
        self._so_far = 0
        self._checkpoint = checkpoint
        # a thread still at work when the process ends aborts it, and one whose pixels are gone crashes it
        weakref.finalize(self, _give_up, self._turns)

    def begin(self, picture: Tensor) -> Result:
        """See `Overlapping`: the result is lost when as many more have begun as there are requests."""
        number = self._so_far
        turn = self._turns[number % len(self._turns)]
        self._finish(turn)  # its result was not asked for, and now is lost
        turn.pixels = picture.contiguous()
        start(turn.request, turn.pixels, turn.larger)
        turn.number, turn.is_running = number, True
        self._so_far += 1

        def result() -> Tensor:
            if turn.number != number:
                raise LostResultError
            self._finish(turn)
            return turn.larger

        return result

    def give_up(self) -> None:
        """Afterwards nothing is at work, and every result is lost."""
        _give_up(self._turns)

    def _finish(self, turn: _Turn) -> None:
        if turn.is_running:
            try:
                wait(turn.request, self._checkpoint)
            except BaseException:
                self.give_up()
                raise
            turn.is_running = False


@dataclass(slots=True)
class _Turn:
    """number: of the beginning whose result it has or will have, -1 = none."""

    request: openvino.InferRequest
    larger: Tensor
    pixels: Tensor = field(default_factory=lambda: torch.empty(0))
    number: int = -1
    is_running: bool = False


def _give_up(turns: Sequence[_Turn]) -> None:
    abandon([turn.request for turn in turns if turn.is_running])
    for turn in turns:
        turn.number, turn.is_running = -1, False


def start(request: openvino.InferRequest, pixels: Tensor, larger: Tensor) -> None:
    """Begin to compute `larger` of `pixels`, in place; whoever calls keeps both alive until it is done."""
    request.set_input_tensor(as_openvino(pixels))
    request.set_output_tensor(as_openvino(larger))
    request.start_async()


def wait(request: openvino.InferRequest, checkpoint: Checkpoint) -> None:
    """For one that was started, asking the checkpoint all the while."""
    while not request.wait_for(LOOK_UP_MILLISECONDS):
        checkpoint()


def abandon(requests: Sequence[openvino.InferRequest]) -> None:
    """Cancel requests that were started. Afterwards none of them is at work."""
    for request in requests:
        request.cancel()
    for request in requests:
        with contextlib.suppress(RuntimeError):  # "Infer Request was canceled"
            request.wait()


def as_openvino(batch: Tensor) -> openvino.Tensor:
    """The same memory, contiguous on the CPU, which it does not keep alive."""
    from vidsr.backends.openvino_alone import ov

    return ov.Tensor(batch.numpy(), shared_memory=True)
