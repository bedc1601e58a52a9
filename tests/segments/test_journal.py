"""A journal gives back what was written, whatever happens to some of its bytes."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from vidsr.segments.journal import Journal

RECORDS = [{"n": number, "name": "ünïcode \n line", "list": [1, None, 2.5]} for number in range(4)]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    made = Journal(tmp_path / "journal.jsonl")
    for record in RECORDS:
        made.append(record)
    return made


def test_records_come_back_in_order(journal: Journal) -> None:
    assert journal.read() == (RECORDS, 0)
    assert Journal(journal.path.with_name("none")).read() == ([], 0)


def test_a_line_is_json_with_the_checksum_of_its_record(journal: Journal) -> None:
    """Checked with a formulation of its own: the text of the record as it stands in the line."""
    for line in journal.path.read_text().splitlines():
        text = line.partition('"record": ')[2].removesuffix("}")
        assert int(json.loads(line)["crc32"], 16) == zlib.crc32(text.encode())


def test_a_cut_anywhere_loses_only_the_last_line_and_not_the_next(journal: Journal) -> None:
    whole = journal.path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1  # of the last line
    for length in range(start, len(whole) - 1):
        journal.path.write_bytes(whole[:length])
        assert journal.read() == (RECORDS[:3], int(length > start))
        journal.append({"after": "the crash"})
        assert journal.read() == ([*RECORDS[:3], {"after": "the crash"}], int(length > start))


def test_a_last_line_without_its_line_end_is_whole(journal: Journal) -> None:
    journal.path.write_bytes(journal.path.read_bytes()[:-1])
    journal.append({"n": 4})
    assert journal.read() == ([*RECORDS, {"n": 4}], 0)


def test_a_wrong_bit_anywhere_spoils_only_its_own_line(journal: Journal) -> None:
    whole = journal.path.read_bytes()
    second = whole.index(b"\n") + 1
    third = whole.index(b"\n", second) + 1
    for place in range(second, third - 1):
        for bit in range(8):
            spoiled = bytearray(whole)
            spoiled[place] ^= 1 << bit
            journal.path.write_bytes(spoiled)
            records, damaged = journal.read()
            # a change that JSON does not notice (upper case in an escape, in the checksum) changes nothing
            if (records, damaged) != (RECORDS, 0):
                assert records == [RECORDS[0], *RECORDS[2:]], (place, bit)
                assert damaged in {1, 2}, (place, bit)


@pytest.mark.parametrize(
    "junk", [b"[]", b"3", b'{"crc32": 5, "record": {}}', b'{"record": {}}', b"\xff\xfe\x00"]
)
def test_foreign_lines_are_counted_and_passed_over(journal: Journal, junk: bytes) -> None:
    with journal.path.open("ab") as file:
        file.write(junk + b"\n")
    assert journal.read() == (RECORDS, 1)


def test_rewriting_leaves_only_what_is_given(journal: Journal) -> None:
    journal.rewrite(RECORDS[2:])
    assert journal.read() == (RECORDS[2:], 0)
    assert [path.name for path in journal.path.parent.iterdir()] == ["journal.jsonl"]
