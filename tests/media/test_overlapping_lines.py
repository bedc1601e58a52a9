"""Lines that overlap in time where samples cannot: what is on the screen at each moment stays the same."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.media import reference
from tests.media.clips import ClipShelf
from tests.media.remake import remake
from vidsr.job import Segment
from vidsr.media.verify import verify
from vidsr.media.verify.captions import Caption, first_difference
from vidsr.media.write.ass import Line, Succession, joined

EVENTS = r"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Italic, Alignment
Style: Default,Sample,12,&H00FFFFFF,0,0,2
Style: Sign,Sample,12,&H0000FFFF,-1,0,8

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.20,0:00:01.00,Default,,0,0,0,,first, with {\i1}comma{\i0}
Dialogue: 0,0:00:00.60,0:00:01.40,Sign,,0,0,0,,SIGN
Dialogue: 1,0:00:00.60,0:00:01.40,Sign,,0,0,0,,SIGN
Dialogue: 0,0:00:00.80,0:00:00.90,Default,,0,0,0,,{\p1}m 0 0 l 10 10{\p0}
Dialogue: 0,0:00:01.40,0:00:01.80,Default,,0,0,0,,after
"""
MS = Fraction(1, 1000)


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory, clips: ClipShelf) -> Path:
    folder = tmp_path_factory.mktemp("overlapping")
    (folder / "lines.ass").write_text(EVENTS, encoding="utf-8")
    source = folder / "source.mkv"
    reference.ffmpeg(
        "-v", "error", "-i", clips("b_frames.mp4"), "-i", folder / "lines.ass", "-map", "0:v", "-map", "1",
        "-c:v", "copy", "-c:s", "ass", source,
    )  # fmt: skip
    return source


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_each_moment_shows_the_lines_of_that_moment(overlapping: Path, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    remake(overlapping, output, encoder="libx264")
    assert reference.subtitle_text(output, 0) == [
        (200 * MS, 600 * MS, "first, with comma"),
        (600 * MS, 1000 * MS, "first, with comma\nSIGN"),
        (1000 * MS, 1400 * MS, "SIGN"),
        (1400 * MS, 1800 * MS, "after"),
    ]


def test_each_line_keeps_its_own_style(overlapping: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    remake(overlapping, output, encoder="libx264")
    text, _ = reference.ffmpeg("-v", "error", "-i", output, "-map", "0:s", "-f", "srt", "-")
    together = text.decode().split("\n\n")[1]
    assert "<i>comma</i>" in together
    assert '<b><font color="#ffff00">SIGN</font></b>' in together


def test_a_cut_shortens_what_overlaps(overlapping: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    # 12800 units a second; Matroska counts milliseconds
    remake(overlapping, output, encoder="libx264", segment=Segment(800, 1200))
    assert reference.subtitle_text(output, 0) == [
        (0 * MS, 200 * MS, "first, with comma\nSIGN"),
        (200 * MS, 400 * MS, "SIGN"),
    ]


def test_verification_compares_moments_not_events(overlapping: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    remake(overlapping, output, encoder="libx264")
    checks = {check.name: check for check in verify(overlapping, output).checks}
    assert checks["subtitle 1"].ok, checks["subtitle 1"].detail


def test_a_line_shown_twice_is_one_and_a_missing_one_is_found() -> None:
    def caption(start: int, end: int, *lines: str) -> Caption:
        return Caption(Fraction(start), Fraction(end), lines)

    twice, once = [caption(0, 2, "a"), caption(0, 2, "a")], [caption(0, 2, "a")]
    assert first_difference(twice, once) is None
    assert first_difference([*twice, caption(1, 2, "b")], once) == "'b' is not shown at 1.000 s"
    assert first_difference(once, [*once, caption(1, 2, "b")]) == "'b' should not be shown at 1.000 s"


def event(text: str) -> str:
    return f"0,0,Default,,0,0,0,,{text}"


def test_lines_are_joined_with_a_return_to_their_own_style() -> None:
    assert joined([event("a, b")]) == event("a, b")
    assert joined([event("a"), "1,0,Sign,,0,0,0,,b"]) == event(r"a\N{\rSign}b")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=8))
def test_successive_lines_show_the_same_at_every_moment(spans: list[tuple[int, int]]) -> None:
    lines = [
        Line(start, start + length, event(f"line {number}"))
        for number, (start, length) in enumerate(sorted(spans))
    ]
    succession = Succession()
    given_out = [out for line in lines for out in succession.add(line)] + list(succession.flush())
    assert all(a.end <= b.start for a, b in pairwise(given_out))
    for moment in range(45):
        wanted = {line.event.rsplit(",", 1)[1] for line in lines if line.start <= moment < line.end}
        now = [line for line in given_out if line.start <= moment < line.end]
        shown = (
            {text.rsplit("}", 1)[-1] for text in now[0].event.rsplit(",", 1)[1].split("\\N")}
            if now
            else set()
        )
        assert shown == wanted
