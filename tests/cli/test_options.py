"""What people type becomes exact values, or one clear complaint."""

from __future__ import annotations

from fractions import Fraction

import click
import pytest

from vidsr.cli.main import run
from vidsr.cli.options import FRAME_RANGE, KEY_VALUE, SCALE, TIME


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("83.5", Fraction(167, 2)),
        ("1:23.5", Fraction(167, 2)),
        ("0:01:23.5", Fraction(167, 2)),
        ("2:00:00", Fraction(7200)),
        (".25", Fraction(1, 4)),
        ("90", Fraction(90)),
        ("0.1", Fraction(1, 10)),
    ],
)
def test_times_are_exact(text: str, seconds: Fraction) -> None:
    assert TIME.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "abc", "1:2:3:4", "1:99", "-5", "1e3", "5s"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"1:23\.5|after the minutes"):
        TIME.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "pair"), [("0:48", (0, 48)), ("100:", (100, None)), (":48", (None, 48)), (" 3:4 ", (3, 4))]
)
def test_frame_ranges(text: str, pair: tuple[int | None, int | None]) -> None:
    assert FRAME_RANGE.convert(text, None, None) == pair


@pytest.mark.parametrize("text", [":", "5", "a:b", "-1:5", "1:2:3"])
def test_what_is_no_frame_range_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="0:48"):
        FRAME_RANGE.convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "factor"),
    [("2", Fraction(2)), ("1.5", Fraction(3, 2)), ("3/2", Fraction(3, 2)), ("4x", Fraction(4))],
)
def test_factors(text: str, factor: Fraction) -> None:
    assert SCALE.convert(text, None, None) == factor


@pytest.mark.parametrize("text", ["1" + "0" * 20, f"{10**9}.5", "99999999:00:00"])
def test_times_beyond_all_videos_are_refused(text: str) -> None:
    """FFmpeg counts them in 64 bits."""
    with pytest.raises(click.BadParameter, match="longer than any video"):
        TIME.convert(text, None, None)


@pytest.mark.parametrize(
    "text",
    ["0", "-2", "1000", "two", "1/0", "nan", "inf", "1e9999999999", "1E-9999999999", "1e9_999_999_999"],
)
def test_what_is_no_factor_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SCALE.convert(text, None, None)


def test_encoder_options_keep_everything_after_the_first_equals_sign() -> None:
    assert KEY_VALUE.convert("x264-params=keyint=48:scenecut=0", None, None) == (
        "x264-params",
        "keyint=48:scenecut=0",
    )
    with pytest.raises(click.BadParameter, match="KEY=VALUE"):
        KEY_VALUE.convert("tune", None, None)


@pytest.mark.parametrize(
    "words", [["--help"], ["upscale", "--help"], ["preview", "--help"], ["info", "--help"]]
)
def test_help_names_itself_and_the_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert shown.count("  -h, --help ") == 1
    assert shown.count("--version") == (words == ["--help"])
    assert max(map(len, shown.splitlines())) <= 100
