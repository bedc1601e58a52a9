"""A torch module of another family as a Network: its layers are not known, its geometry is measured."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor, nn

from vidsr.errors import ArchitectureError
from vidsr.models.base import Network, Step
from vidsr.models.measured import measure


class ForeignNetwork(Network):
    """Any module that enlarges R'G'B' pictures.

    dtypes: the number formats that it is known to compute in well.
    """

    def __init__(self, module: nn.Module, dtypes: Collection[torch.dtype], words: str) -> None:
        """words: its name for people. Raises ArchitectureError where it makes no larger pictures."""
        super().__init__()
        self.module = module.eval().requires_grad_(requires_grad=False)
        self.dtypes = frozenset(dtypes)
        self.words = words
        geometry = measure(self._tried)
        self.scale = geometry.scale
        self.input_multiple = geometry.input_multiple
        self._halo = geometry.halo

    @property
    def halo(self) -> int:
        """As measured; EVERYWHERE where the whole picture counts."""
        return self._halo

    def steps(self) -> list[Step]:
        raise TypeError(f"the layers of {self.words} are not known")

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.module(x)
        return result

    @torch.inference_mode()
    def _tried(self, picture: Tensor) -> Tensor:
        try:
            result = self.module(picture)
        except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ArchitectureError(f"{self.words} cannot take {tuple(picture.shape)}: {reason}") from error
        if not isinstance(result, Tensor) or result.ndim != 4 or result.shape[1] != 3:
            raise ArchitectureError(f"{self.words} gives no RGB picture")
        return result
