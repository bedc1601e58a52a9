"""A total told from a few clusters, with the margin that their spread gives. Pure numbers.

A stretch of frames is one observation, however many frames it has: neighbours resemble each other, so it is
the spread between stretches that tells how far off their mean may be. docs/estimate.md derives the margin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""97.5% quantiles of Student's t for 1 to 30 degrees of freedom; any table of it has them."""
_NORMAL = 1.960


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and how far off it may be: mostly the truth lies in [low, high]."""

    value: float
    margin: float

    @property
    def low(self) -> float:
        return max(self.value - self.margin, 0.0)

    @property
    def high(self) -> float:
        return self.value + self.margin

    @property
    def relative_margin(self) -> float:
        return self.margin / self.value if self.value else 0.0

    def plus(self, constant: float) -> Estimate:
        """The same with a known part added."""
        return Estimate(self.value + constant, self.margin)

    def no_surer_than(self, share: float) -> Estimate:
        """The margin joined with an error, independent of it, of a share of the value."""
        return Estimate(self.value, math.hypot(self.margin, share * self.value))


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one stretch gave. amount: of what is wanted. weight: its size, in the unit of the whole's."""

    amount: float
    weight: float


def total_of(clusters: Sequence[Cluster], whole: float, *, sampled_share: float = 0.0) -> Estimate:
    """The amount in a whole of a known weight, by the ratio of the sums.

    sampled_share: how much of the whole the clusters are, 0 to 1; of what was seen nothing is uncertain.
    One cluster alone shows no spread: the margin is as large as the value then.

    Raises ValueError without clusters or weight.
    """
    weight = sum(cluster.weight for cluster in clusters)
    if not clusters or weight <= 0:
        raise ValueError("an estimate needs clusters of some weight")
    ratio = sum(cluster.amount for cluster in clusters) / weight
    count = len(clusters)
    unseen = math.sqrt(max(1 - sampled_share, 0.0))
    if count == 1:
        return Estimate(ratio * whole, unseen * ratio * whole)
    squares = sum((cluster.amount - ratio * cluster.weight) ** 2 for cluster in clusters)
    error = math.sqrt(squares / (count * (count - 1))) / (weight / count)
    return Estimate(ratio * whole, student(count - 1) * error * unseen * whole)


def student(degrees: int) -> float:
    """The factor between a standard error and the margin: enough for 19 of 20 normal variables."""
    if degrees <= len(_STUDENT):
        return _STUDENT[degrees - 1]
    return _NORMAL + 2.42 / degrees  # the first term of its expansion
