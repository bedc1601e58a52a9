"""A source is known again, a changed one is not, and differences are said in words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from vidsr.errors import SourceMissingError
from vidsr.segments.identity import SAMPLED_BYTES, changes, digest, source_identity


def write(path: Path, data: bytes, time: int = 1_700_000_000_000_000_000) -> Path:
    path.write_bytes(data)
    os.utime(path, ns=(time, time))
    return path


@pytest.mark.parametrize("size", [0, 1, 1000, 2 * SAMPLED_BYTES + 17])
def test_a_file_is_known_again_under_another_name(tmp_path: Path, size: int) -> None:
    data = bytes(size)
    assert source_identity(write(tmp_path / "a", data)) == source_identity(write(tmp_path / "b", data))


@pytest.mark.parametrize("place", [0, SAMPLED_BYTES - 1, -1, -SAMPLED_BYTES])
def test_one_changed_byte_at_either_end_is_another_file(tmp_path: Path, place: int) -> None:
    data = bytearray(3 * SAMPLED_BYTES)
    before = source_identity(write(tmp_path / "a", bytes(data)))
    data[place] = 1
    after = source_identity(write(tmp_path / "a", bytes(data)))
    assert changes(before, after) == ["the source is another file"]


def test_a_change_in_the_middle_is_told_by_its_time(tmp_path: Path) -> None:
    before = source_identity(write(tmp_path / "a", bytes(100), 1_700_049_600_000_000_000))
    after = source_identity(write(tmp_path / "a", bytes(100), 1_600_000_000_000_000_000))
    (words,) = changes(before, after)
    # the day depends on the time zone
    assert re.fullmatch(
        r"the source was changed: its time was 2023-11-1[4-6] [\d:]+ and is 2020-09-1[2-4] [\d:]+", words
    )


def test_times_that_no_calendar_holds_are_said_in_seconds() -> None:
    """Beyond the year 9999, where Btrfs and ZFS keep them."""
    (words,) = changes({"source time": 300_000_000_000 * 10**9}, {"source time": 0})
    assert "its time was 300000000000 s after 1970 and is " in words


def test_a_missing_source_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError, match="No such file"):
        source_identity(tmp_path / "none")


def test_every_difference_is_named_with_both_values() -> None:
    before = {"encoder option crf": "18", "tile": None, "weights": "0" * 64, "same": 1, "gone": "x"}
    now = {"encoder option crf": "20", "tile": 64, "weights": "1" * 64, "same": 1}
    assert changes(before, now) == [
        "encoder option crf was 18 and is 20",
        "tile was not given and is 64",
        "not the same weights as before",
        "gone was x and is not given",
    ]
    assert changes(before, dict(reversed(before.items()))) == []


def test_the_digest_is_of_the_content_not_of_the_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
