"""Which of several predictions to take: what counts as better, and the best that is done in time.

The order of quality: of models the one with more work a pixel; of equal models the encoder's slower preset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidsr.bench.work import work_of
from vidsr.estimate.predict import Prediction
from vidsr.job import Job
from vidsr.media.encode.encoder_table import KNOWN
from vidsr.models.architecture import Architecture
from vidsr.presets import find_preset

SLOWEST_FIRST = frozenset({"libsvtav1", "libvpx-vp9"})
"""Their presets are numbers, and 0 is the slowest; all others are listed from fast to slow."""

NVENC_LEGACY = {"fast": "p1", "default": "p4", "medium": "p4", "slow": "p7", "lossless": "p7"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way of doing the job, and what it would take. engine: what computed it, in words."""

    job: Job
    model: str
    encoder: str
    encoder_preset: str | None
    engine: str
    prediction: Prediction


def order_models(names: Sequence[str]) -> list[str]:
    """Best first. Raises UnknownNameError."""

    def work(name: str) -> int:
        preset = find_preset(name)
        return work_of(Architecture(preset.architecture, preset.arguments)).flops

    return sorted(names, key=lambda name: (-work(name), name))


def order_presets(encoder: str, presets: Sequence[str]) -> list[str]:
    """Best first: the slower one makes a smaller file of the same quality. What is unknown comes last."""
    known = list(KNOWN[encoder].presets) if encoder in KNOWN else []
    if encoder not in SLOWEST_FIRST:
        known.reverse()

    def place(preset: str) -> int:
        name = NVENC_LEGACY.get(preset, preset) if encoder.endswith("_nvenc") else preset
        return known.index(name) if name in known else len(known)

    return sorted(presets, key=place)


def first_in_time(candidates: Sequence[Candidate], seconds: float) -> Candidate | None:
    """The first one, best first, that is done in so many seconds even at the far end of its margin."""
    return next((c for c in candidates if c.prediction.seconds.high <= seconds), None)
