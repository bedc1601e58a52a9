"""Sound that the source's edit list hides is heard in no output; how it is left out depends on the container.

Files cut without encoding (LosslessCut, ffmpeg -c copy) hold it before the cut, back to the key frame.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.copies import copy
from vidsr.media.verify import verify

RATE = 48000
AAC_FRAME = Fraction(1024, RATE)


def test_the_clip_hides_a_second_of_sound(clips: ClipShelf) -> None:
    assert reference.packets(clips("hidden_sound.mp4"))[1][0].pts < -1


def test_without_an_edit_list_no_more_is_kept_than_a_decoder_needs(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("hidden_sound.mp4"), tmp_path / "out.mkv"
    copy(source, output)
    kept, there = reference.packets(output)[1], reference.packets(source)[1]
    expected = [row for row in there if row.pts >= Fraction(-1, 10)]
    assert [row.md5 for row in kept] == [row.md5 for row in expected]
    for row, original in zip(kept, expected, strict=True):
        assert abs(row.pts - original.pts) <= Fraction(1, 1000)
    assert verify(source, output).ok


def test_with_an_edit_list_it_stays_hidden(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("hidden_sound.mp4"), tmp_path / "out.mp4"
    copy(source, output)
    assert [r.md5 for r in reference.packets(output)[1]] == [r.md5 for r in reference.packets(source)[1]]
    before, after = heard(source), heard(output)
    assert np.array_equal(after[: len(before)], before)
    assert len(after) - len(before) < AAC_FRAME * RATE  # what the edit list cuts off the last frame
    assert verify(source, output).ok


def test_converted_sound_has_none_of_it(clips: ClipShelf, tmp_path: Path) -> None:
    source, output = clips("hidden_sound.mp4"), tmp_path / "out.webm"
    copy(source, output, encoder="libvpx-vp9")
    assert reference.packets(output)[1][0].pts > -AAC_FRAME
    assert abs(len(heard(output)) - len(heard(source))) <= AAC_FRAME * RATE
    assert verify(source, output).ok


def test_a_verification_misses_sound_that_is_heard(clips: ClipShelf, tmp_path: Path) -> None:
    source, output, cut = clips("hidden_sound.mp4"), tmp_path / "out.mkv", tmp_path / "cut.mkv"
    copy(source, output)
    late = ["-bsf:a", "noise=drop='lt(pts,100)'"]  # ms, and the lead with it
    reference.ffmpeg("-v", "error", "-copyts", "-i", output, "-map", "0", "-c", "copy", *late, cut)
    assert [check.name for check in verify(source, cut).failures] == ["audio 1"]


def heard(path: Path) -> npt.NDArray[np.int16]:
    out, _ = reference.ffmpeg("-v", "error", "-i", path, "-map", "0:a:0", "-f", "s16le", "-ac", "1", "-")
    return np.frombuffer(out, np.int16)
