"""What continuous integration is told where a process that ran tests died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DIED_EXIT_CODE
from tests.paths import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals"),
]

DYING = """
import os, time
def test_that_its_process_dies_of():
    time.sleep(0.3)
    os.kill(os.getpid(), 9)
"""
FAILING = "def test_that_fails(): assert False"


@pytest.mark.parametrize(("tests", "has_verdict"), [((DYING,), False), ((FAILING, DYING), True)])
def test_only_where_no_test_failed_there_is_no_verdict(
    tmp_path: Path, tests: tuple[str, ...], has_verdict: bool
) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.conftest import pytest_sessionfinish, pytest_testnodedown\n"
    )
    for number, program in enumerate(tests):
        (tmp_path / f"test_{number}.py").write_text(program)
    words = ["-m", "pytest", "-q", "-n", "1", "--max-worker-restart", "0", "-p", "no:cacheprovider", tmp_path]
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert (done.returncode != DIED_EXIT_CODE) == has_verdict, done.stdout
