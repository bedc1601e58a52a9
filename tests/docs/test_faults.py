"""The fault table names its proofs; each must be there."""

from __future__ import annotations

import re
from collections import defaultdict

from tests.paths import REPOSITORY


def test_every_row_names_tests_that_exist() -> None:
    known = defaultdict(set)
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            known[name].add(path)
    rows = [
        line
        for line in (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| fault ")
    ]
    assert len(rows) > 30
    for row in rows:
        proof = row.split("|")[-2]
        spans = re.findall(r"`([^`]+)`", proof)
        assert spans, row
        for span in spans:
            files = (
                list((REPOSITORY / "tests").rglob(span.rpartition("/")[2])) if span.endswith(".py") else []
            )
            assert files or span in known, (span, row)
