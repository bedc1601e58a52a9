"""Estimates from few stretches, on films whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsr.estimate.plan import COUNTED_LEAST, plan_pieces, plan_stretches
from vidsr.estimate.predict import TIME_UNCERTAINTY, predict
from vidsr.estimate.sampling import Sample, Tried
from vidsr.estimate.small import Bytes, Piece, SmallVideo
from vidsr.estimate.statistics import Cluster, Estimate, student, total_of


def test_a_total_worked_out_by_hand() -> None:
    """Amounts 10, 14, 12 of weights 2 each: 6 a unit; errors -2, 2, 0; s = 2; 4.303 * 2/sqrt(3) / 2 * 100."""
    found = total_of([Cluster(10, 2), Cluster(14, 2), Cluster(12, 2)], 100)
    assert found.value == 600
    assert found.margin == pytest.approx(4.303 * (2 / math.sqrt(3)) / 2 * 100)
    half = total_of([Cluster(10, 2), Cluster(14, 2), Cluster(12, 2)], 100, sampled_share=0.75)
    assert half.margin == pytest.approx(found.margin / 2)


def test_what_was_seen_wholly_has_no_margin_and_one_stretch_has_all_of_it() -> None:
    assert total_of([Cluster(3, 1), Cluster(5, 1)], 2, sampled_share=1) == Estimate(8, 0)
    assert total_of([Cluster(3, 1)], 10) == Estimate(30, 30)
    with pytest.raises(ValueError, match="weight"):
        total_of([], 1)


@pytest.mark.parametrize("count", [2, 3, 5, 12, 31, 60])
def test_student_s_factor_covers_95_percent_of_normal_samples(count: int) -> None:
    draws = np.random.default_rng(count).normal(size=(40_000, count))
    error = draws.std(axis=1, ddof=1) / math.sqrt(count)
    covered = np.mean(np.abs(draws.mean(axis=1)) <= student(count - 1) * error)
    assert covered == pytest.approx(0.95, abs=0.006)


@given(
    total=st.integers(1, 200_000), frames=st.integers(0, 5000), lead=st.integers(1, 16), seed=st.integers()
)
def test_stretches_lie_in_order_within_the_film(total: int, frames: int, lead: int, seed: int) -> None:
    plan = plan_stretches(total, frames, lead=lead, seed=seed)
    assert plan.stretches[0][0] >= 0
    assert plan.stretches[-1][1] <= total
    assert all(a[1] <= b[0] for a, b in zip(plan.stretches, plan.stretches[1:], strict=False))
    if plan.is_whole:
        assert plan.stretches == ((0, total),)
    else:
        assert len(plan.stretches) >= 4
        assert all(last - first - lead >= COUNTED_LEAST for first, last in plan.stretches)
        assert all((last - first) % lead == 0 for first, last in plan.stretches)
    pieces, is_whole = plan_pieces(total, frames, seed=seed)
    assert all(0 <= first < last <= total for first, last in pieces)
    assert is_whole == (pieces == ((0, total),))


def film(frames: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(what each frame costs, whether a scene begins with it): scenes of 100 frames on average, some of them
    ten times as costly as others, and a first frame that costs as much as twelve.
    """
    chance = np.random.default_rng(seed)
    starts = np.zeros(frames, bool)
    starts[np.unique(chance.integers(0, frames, frames // 100))] = True
    starts[0] = True
    levels = chance.lognormal(0, 0.7, frames)[np.cumsum(starts) - 1]
    costs = levels * chance.lognormal(0, 0.3, frames)
    costs[starts] *= 12
    return costs, starts


def tried(
    costs: npt.NDArray[np.float64], plan_seed: int, frames: int, *, seconds: npt.NDArray[np.float64]
) -> Sample:
    """What a sample would be if each frame took just its seconds and its bytes. The small video takes a
    fifth of the bytes, give or take."""
    plan = plan_stretches(len(costs), frames, lead=1, seed=plan_seed)
    small = costs / 5 * np.random.default_rng(plan_seed).lognormal(0, 0.2, len(costs))
    _, starts = film(len(costs), 11)
    ranges, is_whole = plan_pieces(len(costs), 3000, seed=plan_seed)
    pieces = []
    for first, last in ranges:
        part, keys = small[first + 1 : last], starts[first + 1 : last]
        pieces.append(Piece(len(part), round(1000 * part[keys].sum()), round(1000 * part[~keys].sum())))
    return Sample(
        plan,
        tuple(
            Tried(
                b - a - 1, seconds[a + 1 : b].sum(), 0.0, round(1000 * costs[a + 1 : b].sum()),
                round(1000 * costs[a] * (1 if starts[a] else 12)),
            )
            for a, b in plan.stretches
        ),
        frames=plan.frames,
        seconds=1.0,
        opening_seconds=3.0,
        cpu_seconds=10.0,
        busy=(("decode", 0.1), ("upscale", 0.9), ("encode", 0.3)),
        bottleneck="upscale",
        reused=None,
        small=SmallVideo(
            tuple(
                Bytes(
                    round(1000 * small[a] * (1 if starts[a] else 12)), round(1000 * small[a + 1 : b].sum())
                )
                for a, b in plan.stretches
            ),
            tuple(pieces),
            is_whole,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("frames", "useful"), [(60, 1.2), (200, 0.6), (900, 0.3)])
def test_the_truth_lies_within_the_margins_in_nine_of_ten_samples(frames: int, useful: float) -> None:
    """200 samples of one film. Time: held drawings cost a twentieth, as with reuse; the machine is steady."""
    costs, _ = film(20_000, 11)
    chance = np.random.default_rng(5)
    held = np.repeat(chance.random(2000) < 0.4, 10)
    seconds = np.where(held, 0.02, 0.4) * chance.lognormal(0, 0.05, len(costs))
    in_time = in_size = 0
    widths = []
    for seed in range(200):
        found = predict(
            tried(costs, seed, frames, seconds=seconds),
            frames=len(costs), frames_are_exact=True, bytes_beside=0, shares_cores=True, cores=2,
        )  # fmt: skip
        in_time += found.seconds.low <= seconds.sum() + 3.0 <= found.seconds.high
        in_size += found.size_bytes.low <= 1000 * costs.sum() <= found.size_bytes.high
        widths.append((found.seconds.relative_margin, found.size_bytes.relative_margin))
    assert in_time >= 180
    assert in_size >= 175
    time_width, size_width = np.median(widths, axis=0)
    assert TIME_UNCERTAINTY < time_width < useful
    assert size_width < useful


def test_more_frames_make_smaller_margins() -> None:
    costs, _ = film(20_000, 11)
    margins = [
        np.mean(
            [
                predict(
                    tried(costs, seed, frames, seconds=costs),
                    frames=len(costs), frames_are_exact=True, bytes_beside=0, shares_cores=True, cores=2,
                ).seconds.relative_margin
                for seed in range(20)
            ]
        )
        for frames in (60, 240, 900)
    ]  # fmt: skip
    assert margins[0] > margins[1] > margins[2]


def sample(*, bottleneck: str, closing: float) -> Sample:
    plan = plan_stretches(1000, 52, lead=1)
    entries = tuple(Tried(12, 6.0, closing, 1200, 500) for _ in plan.stretches)
    return Sample(
        plan, entries, 52, 30.0, 2.0, 20.0, (("decode", 0.1), ("upscale", 0.5), ("encode", 0.9)), bottleneck,
        0.25, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("bottleneck", "shares_cores", "seconds"),
    [
        ("upscale", True, 2 + 1000 * (6 + 1.2) / 12),  # the encoder's backlog takes the network's cores
        ("upscale", False, 2 + 1000 * 6 / 12 + 1.2),  # a pause at the end
        ("encode", False, 2 + 1000 * (6 + 1.2) / 12),  # the encoder sets the pace
    ],
)
def test_what_the_encoder_holds_back_is_counted_where_it_costs_time(
    bottleneck: str, shares_cores: bool, seconds: float
) -> None:
    found = predict(
        sample(bottleneck=bottleneck, closing=1.2),
        frames=1000, frames_are_exact=True, bytes_beside=77, shares_cores=shares_cores, cores=2,
    )  # fmt: skip
    assert found.seconds.value == pytest.approx(seconds)
    assert found.cpu_seconds == pytest.approx(20 / 52 * 1000)
    assert found.size_bytes.value == pytest.approx(1000 * 100 + 500 + 77)
