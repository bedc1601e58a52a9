"""Which reader a file needs, told by its name and its first bytes.

It knows the readers, never where files come from.
"""

from __future__ import annotations

from pathlib import Path

from vidsr.errors import WeightsFormatError
from vidsr.weights.checkpoint import Checkpoint
from vidsr.weights.ncnn_topology import read_ncnn


def read_checkpoint(path: Path) -> Checkpoint:
    """Read weights of any known format; an ncnn pair is given by either of its files.

    Raises WeightsFormatError for damaged or unknown files, ArchitectureError for unknown networks.
    """
    suffix = path.suffix.lower()
    if suffix in (".param", ".bin"):
        param, binary = _ncnn_pair(path)
        return read_ncnn(param, binary)
    raise WeightsFormatError(f"{path} is of no known format", "known: ncnn .param with .bin")


def _ncnn_pair(path: Path) -> tuple[Path, Path]:
    param, binary = path.with_suffix(".param"), path.with_suffix(".bin")
    for one, other in ((param, binary), (binary, param)):
        if not one.is_file():
            raise WeightsFormatError(
                f"{one} is missing beside {other.name}", "an ncnn model is the pair of both"
            )
    return param, binary
