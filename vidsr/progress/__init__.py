"""What a run says while it works: events, words for them, and the ways of showing them."""

from vidsr.progress.events import (
    Event,
    Failed,
    Fetching,
    Finished,
    Joining,
    Made,
    NextInQueue,
    Note,
    Rendering,
    Reused,
    Show,
    Started,
    Stopping,
    Verifying,
    Working,
)

__all__ = [
    "Event",
    "Failed",
    "Fetching",
    "Finished",
    "Joining",
    "Made",
    "NextInQueue",
    "Note",
    "Rendering",
    "Reused",
    "Show",
    "Started",
    "Stopping",
    "Verifying",
    "Working",
]
