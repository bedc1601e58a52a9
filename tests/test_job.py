"""Requests mean what people mean by them, and survive JSON."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path

import pytest

from vidsr.damage import Damage
from vidsr.errors import UsageError
from vidsr.job import _RESOLVED_LATER, Job, RangeRequest, Segment, SegmentReceipt, SizeRequest

SD = (640, 480)


@pytest.mark.parametrize(
    ("request_", "source", "native", "expected"),
    [
        (SizeRequest(), SD, 4, (2560, 1920)),
        (SizeRequest(scale=Fraction(2)), SD, 4, (1280, 960)),
        (SizeRequest(scale=Fraction(3, 2)), SD, 4, (960, 720)),
        (SizeRequest(height=1080), SD, 4, (1440, 1080)),
        (SizeRequest(width=1920), SD, 4, (1920, 1440)),
        (SizeRequest(width=1000, height=500), SD, 4, (1000, 500)),
        # 853x480, the square-pixel NTSC width: 853 * 1080 / 480 = 1919.25, nearest even number
        (SizeRequest(height=1080), (853, 480), 4, (1920, 1080)),
        (SizeRequest(scale=Fraction(3)), (321, 181), 3, (964, 544)),
        (SizeRequest(), (1, 1), 1, (2, 2)),
    ],
)
def test_sizes_follow_the_wish_and_the_pixel_format(
    request_: SizeRequest, source: tuple[int, int], native: int, expected: tuple[int, int]
) -> None:
    assert request_.resolve(*source, native, (2, 2)) == expected


def test_a_size_asked_for_by_number_is_not_rounded() -> None:
    assert SizeRequest(width=1001, height=501).resolve(*SD, 4, (2, 2)) == (1001, 501)


@pytest.mark.parametrize(
    "fields",
    [
        {"start": Fraction(5), "end": Fraction(5)},
        {"start": Fraction(6), "end": Fraction(5)},
        {"first_frame": 4, "last_frame": 4},
        {"start": Fraction(1), "first_frame": 3},
    ],
    ids=str,
)
def test_an_empty_or_twofold_range_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RangeRequest(**fields)  # type: ignore[arg-type]


def test_a_segment_is_half_open() -> None:
    segment = Segment(10, 20)
    assert [pts in segment for pts in (9, 10, 19, 20)] == [False, True, True, False]
    assert 10**9 in Segment()
    assert Segment().is_whole
    assert not Segment(None, 5).is_whole


def test_a_job_is_json() -> None:
    job = Job(Path("a.mkv"), Path("b.mkv"), size=SizeRequest(Fraction(3, 2)))
    assert json.loads(json.dumps(job.to_json()))["size"] == {"scale": "3/2", "width": None, "height": None}


def test_wishes_hold_what_nothing_else_tells_about_the_pixels() -> None:
    job = Job(Path("a.mkv"), Path("b.mkv"))
    assert job.wishes() == Job(Path("elsewhere.mkv"), Path("c.mkv"), audio="none", overwrite=True).wishes()
    assert job.wishes() != Job(Path("a.mkv"), Path("b.mkv"), tile=64).wishes()


def test_what_is_no_wish_is_a_field_of_a_job() -> None:
    """A name that is misspelt there would make a wish of what is none: the job could not be continued."""
    assert {field.name for field in dataclasses.fields(Job)} >= _RESOLVED_LATER
    left_out = Job(Path("a.mkv"), Path("b.mkv")).to_json().keys() - _RESOLVED_LATER
    assert Job(Path("a.mkv"), Path("b.mkv")).wishes().keys() == left_out


def test_a_receipt_survives_json() -> None:
    receipt = SegmentReceipt(
        Segment(None, 900),
        "a.packets",
        3,
        0,
        600,
        1234,
        "00ff",
        2,
        1.25,
        (
            Damage("missing", 0, 300, Fraction(3, 10), 1, "one frame"),
            Damage("truncated", 0, None, None, 0, "cut"),
        ),
    )
    assert SegmentReceipt.from_json(json.loads(json.dumps(receipt.to_json()))) == receipt
