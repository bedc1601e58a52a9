"""What shows events, and the one that shows none."""

from __future__ import annotations

from typing import Protocol

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
