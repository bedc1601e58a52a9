"""What people and programs read while a run works."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console

from vidsr.progress import json_lines, plain_lines
from vidsr.progress.events import (
    Event,
    Finished,
    Made,
    NextInQueue,
    Note,
    Rendering,
    Reused,
    Started,
    Stopping,
    Verifying,
    Working,
)
from vidsr.progress.json_lines import JsonRenderer
from vidsr.progress.live import RichRenderer
from vidsr.progress.plain_lines import PlainRenderer
from vidsr.progress.renderer import Renderer
from vidsr.progress.speed import Speedometer
from vidsr.progress.words import duration_words, position, size_words

STARTED = Started(
    source="in.mkv",
    output="out.mkv",
    model="realesr-animevideov3",
    source_picture="640x480 yuv420p",
    output_picture="2560x1920 yuv420p",
    engine="OpenVINO bf16 on cpu",
    encoder="libx264 crf 18 veryfast",
    frames_total=100,
    frames_total_is_exact=True,
    source_fps=24.0,
)
FINISHED = Finished(
    output="out.mkv",
    frames=100,
    elapsed_seconds=50.0,
    size_bytes=1_234_567,
    bottleneck="upscale",
    advice="a GPU would help",
)


def working(done: int, elapsed: float) -> Working:
    return Working(
        frames_done=done,
        frames_decoded=done + 3,
        elapsed_seconds=elapsed,
        decoded_queue=(3, 4),
        upscaled_queue=(1, 12),
        stages=(("decode", 0.01), ("upscale", 0.98), ("encode", 0.2)),
        bottleneck="upscale",
    )


def test_speed_is_that_of_the_recent_window() -> None:
    meter = Speedometer()
    assert meter.update(0.0, 0) is None
    # 2 fps for 60 s, then 10 fps for 40 s: a 20 s window has forgotten the slow part
    for second in range(1, 61):
        slow = meter.update(float(second), 2 * second)
    for second in range(61, 101):
        fast = meter.update(float(second), 120 + 10 * (second - 60))
    assert slow == pytest.approx(2.0)
    assert fast == pytest.approx(10.0)


def test_time_left_is_unknown_without_a_total_or_a_speed() -> None:
    def left(done: int, started: Started | None) -> float | None:
        meter = Speedometer()
        meter.pace(working(0, 0.0), started)
        return meter.pace(working(done, done / 2), started).seconds_left

    assert left(50, STARTED) == 25.0
    assert left(50, replace(STARTED, frames_total=None)) is None
    assert left(50, None) is None
    assert left(0, STARTED) is None
    assert left(120, STARTED) == 0.0  # the total was an estimate


def test_the_time_left_holds_what_the_encoder_has_still_to_do() -> None:
    """2 frames a second, of each of which the encoder is at work for a fifth: 0.1 s for each it holds."""
    meter = Speedometer()
    meter.pace(working(0, 0.0), STARTED)
    assert meter.pace(replace(working(50, 25.0), frames_held=40), STARTED).seconds_left == pytest.approx(29.0)
    # a segment is closed, and the next one will be held as this one was: nothing jumps
    assert meter.pace(replace(working(60, 30.0), frames_held=0), STARTED).seconds_left == pytest.approx(24.0)


def finishing(held: int, elapsed: float = 60.0) -> Working:
    return replace(working(100, elapsed), frames_held=held, is_finishing=True)


def test_the_last_frames_in_the_encoder_are_no_end_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_lines, "PLAIN_SECONDS", 0.0)
    plain, terminal = io.StringIO(), io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=100, color_system=None)
    renderers: list[Renderer] = [PlainRenderer(plain), RichRenderer(console)]
    for renderer in renderers:
        with renderer:
            for event in (NextInQueue(2, 2, "in.mkv", 100, 200, 0), STARTED, working(0, 1.0)):
                renderer.show(event)
            for held in (37, 1, 0):
                renderer.show(finishing(held))
    for shown in (plain.getvalue(), terminal.getvalue()):
        assert "100 frames computed" in shown
        assert "encoding the last 37 frames" in shown
        assert "encoding the last frame" in shown
        assert "closing the file" in shown
        assert "99% of all frames" in shown
        assert "100%" not in shown
        assert " left" not in shown


def test_programs_are_told_of_the_frames_in_the_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "JSON_SECONDS", 0.0)
    stream = io.StringIO()
    with JsonRenderer(stream) as renderer:
        for event in (STARTED, working(0, 1.0), replace(working(50, 26.0), frames_held=12), finishing(37)):
            renderer.show(event)
    under_way, last = map(json.loads, stream.getvalue().splitlines()[-2:])
    told = ("frames_done", "frames_held", "finishing", "fps", "seconds_left", "realtime_factor")
    assert [under_way[name] for name in told] == [50, 12, False, 2.0, 26.2, 0.083]
    assert [last[name] for name in told] == [100, 37, True, None, None, None]


def test_a_share_is_not_100_before_everything_is_done() -> None:
    long = replace(STARTED, frames_total=1000)
    assert position(working(999, 1.0), long) == "999/1000 frames 99%"
    assert position(working(1000, 1.0), long) == "1000/1000 frames 100%"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3.04, "3.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1:00 min"),
        (65, "1:05 min"),
        (3599.6, "1:00:00 h"),
        (7445, "2:04:05 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (999, "999 B"),
        (1500, "1.5 kB"),
        (999_960, "1.0 MB"),
        (1_234_567, "1.2 MB"),
        (999_999_999, "1.00 GB"),
        (5_600_000_000, "5.60 GB"),
    ],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words


def test_json_is_one_object_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "JSON_SECONDS", 0.0)
    stream = io.StringIO()
    with JsonRenderer(stream) as renderer:
        for event in (STARTED, Note("audio 2 is converted"), working(0, 1.0), working(10, 6.0), FINISHED):
            renderer.show(event)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["started", "note", "working", "working", "finished"]
    assert events[3]["fps"] == 2.0
    assert events[3]["seconds_left"] == 45.0
    assert events[3]["realtime_factor"] == pytest.approx(2 / 24, abs=1e-3)
    assert events[3]["bottleneck"] == "upscale"
    assert events[4]["frames"] == 100


def test_plain_lines_are_rare_and_the_summary_is_one_line() -> None:
    stream = io.StringIO()
    with PlainRenderer(stream) as renderer:
        renderer.show(STARTED)
        for tick in range(100):
            renderer.show(working(tick, tick / 10 + 0.1))
        renderer.show(FINISHED)
    lines = stream.getvalue().splitlines()
    assert lines[-1] == (
        "out.mkv: 100 frames, 1.2 MB, not verified, in 50.0 s (2.00 fps, 0.0833x real time); "
        "limited by upscale (a GPU would help)"
    )
    assert len(lines) == 3  # all within the first five seconds of the clock on the wall


def test_what_was_reused_is_said_before_the_summary() -> None:
    stream = io.StringIO()
    with PlainRenderer(stream) as renderer:
        renderer.show(STARTED)
        # three quarters of the work saved leave a quarter: 4x less
        renderer.show(replace(FINISHED, reused=Reused(area_share=0.8, frames=30, work_share=0.75)))
        renderer.show(replace(FINISHED, reused=Reused(area_share=0.01, frames=0, work_share=0.004)))
        renderer.show(replace(FINISHED, reused=Reused(area_share=0.0, frames=0, work_share=0.0)))
    assert [line for line in stream.getvalue().splitlines() if line.startswith("Reused")] == [
        "Reused: 80% of the area, 30 of 100 frames as a whole; 4x less for the network to compute",
        "Reused: 1% of the area, 0 of 100 frames as a whole",  # 1.004x is no saving to speak of
    ]


def test_json_tells_what_was_reused() -> None:
    stream = io.StringIO()
    with JsonRenderer(stream) as renderer:
        renderer.show(STARTED)
        renderer.show(replace(FINISHED, reused=Reused(area_share=0.8, frames=30, work_share=0.75)))
        renderer.show(FINISHED)
    *_, with_reuse, without = map(json.loads, stream.getvalue().splitlines())
    assert with_reuse["reused"] == {"area_share": 0.8, "frames": 30, "work_share": 0.75}
    assert without["reused"] is None


def test_damage_is_said_before_the_summary() -> None:
    stream = io.StringIO()
    with PlainRenderer(stream) as renderer:
        renderer.show(STARTED)
        renderer.show(
            Finished("o", 9, 1.0, 10, "decode", None, damage=("2 packets at 0:03 cannot be decoded",))
        )
    assert stream.getvalue().splitlines()[-2] == "Damaged: 2 packets at 0:03 cannot be decoded"


@pytest.mark.parametrize("places", [13, 14, 40])
def test_many_damaged_places_do_not_fill_the_terminal(places: int) -> None:
    damage = tuple(f"place {number}" for number in range(1, places + 1))
    stream = io.StringIO()
    with PlainRenderer(stream) as renderer:
        renderer.show(replace(FINISHED, damage=damage))
    said = [line for line in stream.getvalue().splitlines() if line.startswith("Damaged: ")]
    if places == 13:  # one line more says no less than "1 more place"
        assert said == [f"Damaged: {text}" for text in damage]
    else:
        assert said[:12] == [f"Damaged: place {number}" for number in range(1, 13)]
        assert said[12:] == [
            f"Damaged: {places - 12} more places, the last: place {places} (--progress json names all)"
        ]


def test_the_terminal_shows_names_of_files_as_they_are() -> None:
    """Releases of anime are named like that; rich would take [x265] for a style, and [/x] for its end."""
    name = "[Group] Show - 01 [bd][x265] :fire: [/x].mkv"
    stream = io.StringIO()
    with RichRenderer(Console(file=stream, force_terminal=True, width=200, color_system=None)) as renderer:
        renderer.show(NextInQueue(1, 2, name, 0, 200, 0))
        renderer.show(replace(STARTED, source=name, output=f"big/{name}"))
        renderer.show(Note(name))
        renderer.show(working(50, 26.0))
        renderer.show(Verifying(name))
        renderer.show(replace(FINISHED, output=name, damage=(name,)))
        renderer.show(Made(name, "1 moment"))
        renderer.show(Stopping(name))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    lines = [line.strip() for line in text.splitlines() if "Show" in line]
    for expected in (
        f"[1/2] {name}",
        f"{name} (640x480 yuv420p) -> big/{name} (2560x1920 yuv420p)",
        f"Note: {name}",
        f"comparing {name} with its source",
        f"Damaged: {name}",
        f"{name}: 1 moment",
        name,
    ):
        assert expected in lines


def test_the_terminal_shows_bar_speed_queues_and_bottleneck() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, color_system=None)
    with RichRenderer(console) as renderer:
        renderer.show(STARTED)
        renderer.show(working(0, 1.0))
        renderer.show(working(50, 26.0))
        renderer.show(FINISHED)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "50/100 frames 50%" in text
    assert "2.00 fps (0.0833x real time), 25.0 s left" in text
    assert "3/4" in text
    assert "1/12" in text
    assert "limited by upscale" in text
    assert "out.mkv: 100 frames" in text


def test_a_terminal_without_such_signs_is_shown_others() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    with RichRenderer(Console(file=stream, force_terminal=True, width=100, color_system=None)) as renderer:
        renderer.show(STARTED)
        renderer.show(working(50, 26.0))
    stream.flush()
    assert b"decode [####..] 3/4 upscale [......] 1/12 encode" in raw.getvalue()
    assert b"\\u" not in raw.getvalue()


@pytest.mark.parametrize("name", ["[horriblesubs] film.mkv", "x[/y].mkv", "a:cat:b.mkv", "第1話　夜.mkv"])
def test_names_of_files_are_shown_as_they_are(name: str) -> None:
    """Not taken for the display's own markup."""
    stream = io.StringIO()
    with RichRenderer(Console(file=stream, width=100)) as renderer:
        renderer.show(replace(STARTED, source=name))
        renderer.show(replace(FINISHED, output=name))
        renderer.show(Made(name, "2 moments"))
    shown = stream.getvalue()
    assert f"{name} (640x480 yuv420p)" in shown
    assert f"{name}: 100 frames" in shown
    assert f"{name}: 2 moments" in shown


def test_names_of_files_neither_break_lines_nor_move_the_cursor() -> None:
    name = "a\nb\x1b[2J\u2028c\x9b.mkv"
    plain, terminal = io.StringIO(), io.StringIO()
    renderers: list[Renderer] = [PlainRenderer(plain), RichRenderer(Console(file=terminal, width=100))]
    for renderer in renderers:
        with renderer:
            renderer.show(replace(STARTED, output=name))
            renderer.show(Note(f"{name} is odd"))
            renderer.show(replace(FINISHED, output=name))
    for shown in (plain.getvalue(), terminal.getvalue()):
        assert shown.count(r"a\nb\x1b[2J\u2028c\x9b.mkv") == 3
        assert not set("\x1b\u2028\x9b") & set(shown)


def test_pictures_being_made_are_told_in_all_styles() -> None:
    events: list[Event] = [Rendering("model-a, moment 1 of 2", 1, 4), Made("page.html", "2 moments, 1.2 MB")]
    plain, lines, terminal = io.StringIO(), io.StringIO(), io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=100)
    renderers: list[Renderer] = [PlainRenderer(plain), JsonRenderer(lines), RichRenderer(console)]
    for renderer in renderers:
        with renderer:
            for event in events:
                renderer.show(event)
    assert plain.getvalue() == "model-a, moment 1 of 2: 25%\npage.html: 2 moments, 1.2 MB\n"
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert first == {"event": "rendering", "text": "model-a, moment 1 of 2", "done": 1, "total": 4}
    assert second == {"event": "made", "output": "page.html", "text": "2 moments, 1.2 MB"}
    assert "model-a, moment 1 of 2" in terminal.getvalue()
    assert "page.html: 2 moments, 1.2 MB" in terminal.getvalue()
