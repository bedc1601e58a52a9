"""The clip that is measured on, as an independent ffmpeg sees it."""

from __future__ import annotations

from pathlib import Path

from tests.reference_ffmpeg import frame_lines, video_line
from vidsr.bench.clip import write_clip


def test_the_clip_moves_and_has_the_asked_size_and_length(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", width=96, height=72, frames=30)
    lines = frame_lines(clip)
    assert len(lines) == 30
    assert len({md5 for _, _, md5 in lines}) == 30  # no frame is like another one
    words = video_line(clip)
    assert "h264" in words
    assert "96x72" in words
    assert "yuv420p(tv, bt709" in words
    assert "24 fps" in words
