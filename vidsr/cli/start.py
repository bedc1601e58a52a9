"""Where the `vidsr` command begins: Ctrl+C is looked after before anything else is loaded.

It knows that there is a command, and nothing of its words.
"""

from __future__ import annotations

from typing import NoReturn

from vidsr.cli.interrupts import ending_at_once


def main() -> NoReturn:
    """Entry point of the command: never returns."""
    with ending_at_once():
        from vidsr.cli.main import main as command
    command()
