"""What FFmpeg's muxers have no word for and is put into the header of a finished file.

How it is put there is known to `matroska.output` and `mp4.output`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsr.media.containers import OutputFormat
from vidsr.media.matroska import output as matroska_output
from vidsr.media.matroska.output import HeaderChanges, TrackChange, UnknownLayoutError
from vidsr.media.mp4 import output as mp4_output
from vidsr.media.mp4.boxes import BoxError
from vidsr.media.read.source_info import StreamInfo
from vidsr.media.tag_pairs import tag_value, without_tag
from vidsr.media.write.matroska_extras import MatroskaExtras
from vidsr.media.write.tags import holds_language_tag, holds_marks_of_use

__all__ = ["Header", "UnknownLayoutError"]


@dataclass(frozen=True, slots=True)
class Header:
    """container: the format. changes: to its tracks and, in Matroska, to all else."""

    container: OutputFormat
    changes: HeaderChanges

    @classmethod
    def planned(
        cls,
        container: OutputFormat,
        tracks: Sequence[StreamInfo],
        *,
        is_file: bool,
        video: int,
        display_size: tuple[int, int] | None,
        extras: MatroskaExtras,
        tags: dict[str, str],
    ) -> Header:
        """tracks: the source's streams that become tracks, in order. video: the place of the main one.

        is_file: whether the output is no pipe. display_size: of the video, None = as its samples are.
        tags: the file's own.
        """
        has_marks = holds_marks_of_use(container, is_file=is_file)
        changes: dict[int, TrackChange] = {}
        for number, stream in enumerate(tracks):
            change = TrackChange(
                display_size=display_size if number == video and has_marks else None,
                language_tag=stream.language_tag
                if holds_language_tag(stream, container, is_file=is_file)
                else None,
                is_enabled=stream.is_enabled or not has_marks,
            )
            if change != TrackChange():
                changes[number] = change
        name = tag_value(tags.items(), "encoding_tool")
        chapters = None if extras.chapters is None else extras.chapters.content
        return cls(container, HeaderChanges(changes, name, chapters, extras.identity))

    def with_room(self, tags: dict[str, str]) -> dict[str, str]:
        """The file's own tags as the muxer is to be given them, so that there is room for the changes."""
        if not self._is_matroska or not self.changes.padding:
            return tags
        return dict(without_tag(tags.items(), "encoding_tool")) | {"encoding_tool": self.changes.padding}

    def complete(self, path: Path, indices: Sequence[int]) -> None:
        """Change the finished file. indices: of the muxer's streams that became the tracks, in order.

        Raises UnknownLayoutError, OSError.
        """
        if self.changes.is_empty:
            return
        if self._is_matroska:
            matroska_output.complete(path, self.changes)
            return
        tags = {place: change.language_tag for place, change in self.changes.tracks.items()}
        try:  # FFmpeg's muxer numbers tracks like its streams, from 1
            mp4_output.complete(path, {indices[n] + 1: tag for n, tag in tags.items() if tag is not None})
        except BoxError as error:
            raise UnknownLayoutError(str(error)) from error

    @property
    def _is_matroska(self) -> bool:
        return self.container.muxer in ("matroska", "webm")
