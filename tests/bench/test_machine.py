"""What the machine tells of itself."""

from __future__ import annotations

import subprocess
import sys

from vidsr.bench.machine import this_machine


def peak_after(allocation: str) -> int:
    code = f"{allocation}; from vidsr.bench.machine import peak_memory_bytes; print(peak_memory_bytes())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_peak_memory_counts_what_was_there_and_is_gone() -> None:
    plain = peak_after("pass")
    grown = peak_after("block = bytearray(b'1') * 200_000_000; del block")
    assert 190e6 < grown - plain < 230e6


def test_peak_memory_is_not_that_of_the_process_that_started_it() -> None:
    """Linux's getrusage would say 400 MB and more here."""
    block = bytearray(b"1") * 400_000_000
    assert peak_after("pass") < 300e6
    del block


def test_the_machine_is_described_with_versions() -> None:
    machine = this_machine()
    assert machine.cpu
    assert machine.cores >= 1
    assert machine.memory_bytes is None or machine.memory_bytes > 2**28
    import torch

    assert machine.packages["torch"] == torch.__version__
    assert machine.cpu in str(machine)
