"""Loading what a command needs, as fast as Python can.

It knows the interpreter's collector and nothing of what is loaded.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from vidsr.cli.interrupts import ending_at_once


@contextmanager
def loading() -> Iterator[None]:
    """Around the import of torch and of what is built on it: no search for garbage, now or in it later.

    torch is half a million objects that stay to the end. Looking through them again and again while they
    are made took 0.2 of 1.7 s on a 2-core machine, and every full collection of a run would take 70 ms more.
    Ctrl+C ends the process.
    """
    if "torch" in sys.modules:
        yield
        return
    collecting = gc.isenabled()
    gc.disable()
    try:
        with ending_at_once():
            yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
