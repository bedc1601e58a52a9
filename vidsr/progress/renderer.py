"""What shows events, the one that shows none, and the one that may fail to."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol, Self

from vidsr.progress.events import Event


class Renderer(Protocol):
    """Shows events. A context manager, so that a live display is put away whatever happens."""

    def __enter__(self) -> Renderer: ...
    def __exit__(self, *exc_info: object) -> None: ...
    def show(self, event: Event) -> None: ...


class SilentRenderer:
    """Shows nothing."""

    def __enter__(self) -> SilentRenderer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return

    def show(self, event: Event) -> None:
        return


class UnheardRenderer:
    """Another one, until what it writes to cannot be written: a run goes on without words.

    A full disk behind a log or a terminal that was closed is no reason to throw hours of work away. Whoever
    read a pipe and closed it had enough, though: that ends the run.
    """

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def __enter__(self) -> Self:
        try:
            self._renderer.__enter__()
        except BrokenPipeError:
            raise
        except OSError:
            self._renderer = SilentRenderer()
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):
            self._renderer.__exit__(*exc_info)

    def show(self, event: Event) -> None:
        try:
            self._renderer.show(event)
        except BrokenPipeError:
            raise
        except OSError:
            with suppress(OSError):
                self._renderer.__exit__(None, None, None)
            self._renderer = SilentRenderer()
