"""NUT and Y4M say neither colours nor shape: what the coding does not say either is named, and is no loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference_ffmpeg import ffmpeg
from tests.straight import run_job
from vidsr.errors import StreamRefusedError
from vidsr.job import EncoderRequest, Job
from vidsr.progress.events import Event, Finished, Note

FFV1 = EncoderRequest("ffv1")  # its own stream says neither colours nor shape


def notes_of(source: Path, output: Path, weights: Path, **more: object) -> list[str]:
    """The notes of a verified run."""
    events: list[Event] = []
    run_job(Job(source, output, weights=weights, precision="fp32", **more), show=events.append)  # type: ignore[arg-type]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.verified is True
    return [event.text for event in events if isinstance(event, Note)]


def clip(path: Path, size: str, *, primaries: str, filters: str = "null") -> Path:
    """H.264 with the matrix and transfer of BT.601, and these primaries."""
    tags = ["-colorspace", "smpte170m", "-color_primaries", primaries, "-color_trc", "smpte170m"]
    picture = ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.2", "-vf", filters]
    ffmpeg("-v", "error", *picture, *tags, "-c:v", "libx264", path)
    return path


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pixels of 10:11, BT.601."""
    folder = tmp_path_factory.mktemp("disc")
    return clip(folder / "disc.mkv", "72x48", primaries="smpte170m", filters="setsar=10/11")


def test_a_shape_that_nothing_says_is_named(disc: Path, tmp_path: Path, repeat_2x: Path) -> None:
    notes = notes_of(disc, tmp_path / "out.nut", repeat_2x, encoder=FFV1)
    assert [note for note in notes if "aspect" in note] == [
        "the sample aspect ratio 10:11 is left out: NUT does not hold it for ffv1"
    ]
    assert notes_of(disc, tmp_path / "coded.nut", repeat_2x) == []  # H.264 says all of it itself
    assert notes_of(disc, tmp_path / "out.mkv", repeat_2x, encoder=FFV1) == []
    with pytest.raises(StreamRefusedError, match="sample aspect ratio"):
        notes_of(disc, tmp_path / "strict.nut", repeat_2x, encoder=FFV1, strict=True)


def test_colours_that_would_be_guessed_wrongly_are_named(tmp_path: Path, repeat_2x: Path) -> None:
    source = clip(tmp_path / "source.mkv", "640x360", primaries="bt709")
    (note,) = notes_of(source, tmp_path / "out.nut", repeat_2x, encoder=FFV1)
    # from 720 lines on players take what says nothing for BT.709, whose numbers in H.273 are 1 and 1
    assert note.startswith(
        "NUT does not say that colours are smpte170m, limited range, primaries 1, transfer 6:"
    )
    assert "take them for bt709, limited range, primaries 1, transfer 1;" in note
    converted = notes_of(source, tmp_path / "bt709.nut", repeat_2x, encoder=FFV1, colorspace="bt709")
    assert converted == []


def test_small_pictures_are_guessed_rightly(tmp_path: Path, repeat_2x: Path) -> None:
    source = clip(tmp_path / "source.mkv", "96x64", primaries="bt709")
    assert notes_of(source, tmp_path / "out.nut", repeat_2x, encoder=FFV1) == []
