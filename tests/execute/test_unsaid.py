"""NUT and Y4M say neither colours nor shape: what the coding does not say either is named, and is no loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference_ffmpeg import ffmpeg
from vidsr.errors import StreamRefusedError
from vidsr.execute.local import run_job
from vidsr.job import EncoderRequest, Job
from vidsr.progress.events import Event, Finished, Note


def notes_of(source: Path, output: Path, weights: Path, **more: object) -> list[str]:
    """The notes of a verified run."""
    events: list[Event] = []
    run_job(Job(source, output, weights=weights, precision="fp32", **more), show=events.append)  # type: ignore[arg-type]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.verified is True
    return [event.text for event in events if isinstance(event, Note)]


def clip(path: Path, size: str, *options: str) -> Path:
    ffmpeg("-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.2", *options, path)
    return path


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pixels of 10:11, BT.601."""
    options = ("-vf", "setsar=10/11", "-colorspace", "smpte170m", "-color_primaries", "smpte170m")
    folder = tmp_path_factory.mktemp("disc")
    return clip(folder / "disc.mkv", "72x48", *options, "-color_trc", "smpte170m", "-c:v", "libx264")


def test_a_shape_that_nothing_says_is_named(disc: Path, tmp_path: Path, repeat_2x: Path) -> None:
    notes = notes_of(disc, tmp_path / "out.nut", repeat_2x, encoder=EncoderRequest("ffv1"))
    assert [note for note in notes if "aspect" in note] == [
        "the sample aspect ratio 10:11 is left out: NUT does not hold it for ffv1"
    ]
    assert notes_of(disc, tmp_path / "coded.nut", repeat_2x) == []  # H.264 says all of it itself
    assert notes_of(disc, tmp_path / "out.mkv", repeat_2x, encoder=EncoderRequest("ffv1")) == []
    with pytest.raises(StreamRefusedError, match="sample aspect ratio"):
        notes_of(disc, tmp_path / "strict.nut", repeat_2x, encoder=EncoderRequest("ffv1"), strict=True)


def test_colours_that_would_be_guessed_wrongly_are_named(tmp_path: Path, repeat_2x: Path) -> None:
    tags = ("-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "smpte170m")
    source = clip(tmp_path / "source.mkv", "640x360", *tags, "-c:v", "libx264")
    (note,) = notes_of(source, tmp_path / "out.nut", repeat_2x, encoder=EncoderRequest("ffv1"))
    # from 720 lines on players take what says nothing for BT.709, whose numbers in H.273 are 1 and 1
    assert note.startswith(
        "NUT does not say that colours are smpte170m, limited range, primaries 1, transfer 6:"
    )
    assert "take them for bt709, limited range, primaries 1, transfer 1;" in note
    half = EncoderRequest("ffv1")
    assert notes_of(source, tmp_path / "half.nut", repeat_2x, encoder=half, colorspace="bt709") == []


def test_small_pictures_are_guessed_rightly(tmp_path: Path, repeat_2x: Path) -> None:
    tags = ("-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "smpte170m")
    source = clip(tmp_path / "source.mkv", "96x64", *tags, "-c:v", "libx264")
    assert notes_of(source, tmp_path / "out.nut", repeat_2x, encoder=EncoderRequest("ffv1")) == []
