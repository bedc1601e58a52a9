"""Verification: good outputs pass, and each way of damaging one is found by the check that is for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media.clips import ClipShelf
from tests.media.copies import copy
from tests.media.reference import ffmpeg
from vidsr.damage import Damage
from vidsr.errors import SourceMissingError
from vidsr.frames import Frame
from vidsr.media.read.locate import locate_frames
from vidsr.media.read.probe import probe
from vidsr.media.verify import Report, verify
from vidsr.media.verify.captions import Caption, first_difference, plain_lines
from vidsr.media.verify.frames import are_known

Frames = Iterator[Frame]


@pytest.fixture(scope="module")
def good(clips: ClipShelf, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(a source with every kind of stream, its output at twice the size)."""
    output = tmp_path_factory.mktemp("verify") / "good.mkv"
    copy(clips("everything.mkv"), output, factor=2)
    return clips("everything.mkv"), output


@pytest.fixture(scope="module")
def coverless(good: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same without the cover, which ffmpeg turns into a second video when it copies Matroska."""
    folder = tmp_path_factory.mktemp("coverless")
    source = remux(good[0], folder / "source.mkv", "-map", "-0:v:1")
    copy(source, folder / "good.mkv", factor=2)
    return source, folder / "good.mkv"


def failed(report: Report) -> list[str]:
    return [check.name for check in report.failures]


def remux(good: Path, output: Path, *options: str | Path) -> Path:
    """A copy by ffmpeg, with options before the output's name."""
    ffmpeg("-v", "error", "-y", "-i", good, "-map", "0", "-c", "copy", *options, output)
    return output


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize(
    "name", ["everything.mkv", "vfr.mkv", "late.ts", "negative.ts", "edit_list.mp4", "extras.mp4", "gray.mkv",
             "interlaced.mpg", "h264.avi", "hdr10.mkv", "rotated.mp4", "anamorphic.mp4", "yuv422p10le.mkv"]
)  # fmt: skip
def test_what_the_writer_makes_passes(clips: ClipShelf, tmp_path: Path, name: str, suffix: str) -> None:
    output = tmp_path / f"out.{suffix}"
    damage = copy(clips(name), output, factor=2)
    report = verify(clips(name), output, damage=damage)
    assert failed(report) == []
    assert {"frames", "time stamps", "streams", "colour tags", "pictures"} <= {c.name for c in report.checks}


@pytest.mark.parametrize(("first", "last"), [(3, 17), (None, 9), (13, None)])
def test_a_range_passes_as_that_range_only(
    clips: ClipShelf, tmp_path: Path, first: int | None, last: int | None
) -> None:
    source, output = clips("everything.mkv"), tmp_path / "part.mkv"
    segment = locate_frames(probe(source), first, last)
    copy(source, output, segment=segment, audio="jpn")
    assert failed(verify(source, output, segment=segment, audio="jpn")) == []
    names = failed(verify(source, output))
    assert names[:1] == ["frames"]
    assert "streams" in names


def test_a_faithful_remux_by_another_program_passes(coverless: tuple[Path, Path], tmp_path: Path) -> None:
    source, output = coverless
    assert failed(verify(source, remux(output, tmp_path / "again.mkv"))) == []


@pytest.mark.parametrize(
    ("options", "check", "words"),
    [
        (["-bsf:a:0", "noise=drop=eq(n\\,10)"], "audio 1", "93 packets instead of 94"),
        (["-bsf:a:0", "noise=amount=eq(n\\,10)"], "audio 1", "packet 10"),
        (["-map", "-0:s:1"], "streams", "subtitle ass deu is missing"),
        (["-map", "-0:a:1"], "streams", "audio pcm_s16le eng is missing"),
        (["-map", "-0:t"], "streams", "Sample.ttf"),
        (["-map_chapters", "-1"], "chapters", "0 of 2"),
        (["-metadata", "title=Another"], "tags", "Another"),
        (["-metadata:s:a:0", "language=kor"], "languages", "audio 1: 'kor' instead of 'jpn'"),
        (["-metadata:s:a:1", "title=Else"], "titles", "Else"),
        (["-disposition:s:0", "default"], "dispositions", "subtitle 4"),
        (["-bsf:v:0", "h264_metadata=matrix_coefficients=1"], "colour tags", "matrix is bt709"),
        (["-bsf:v:0", "h264_metadata=transfer_characteristics=2"], "colour tags", "transfer is not tagged"),
        (["-aspect:v:0", "2"], "shape", "shown 2:1 instead of 1.5:1"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_each_loss_in_the_container_fails_its_own_check(
    coverless: tuple[Path, Path], tmp_path: Path, options: list[str], check: str, words: str
) -> None:
    source, output = coverless
    report = verify(source, remux(output, tmp_path / "worse.mkv", *options))
    assert failed(report) == [check]
    assert words in report.failures[0].detail


def test_another_font_under_the_same_name_is_found(good: tuple[Path, Path], tmp_path: Path) -> None:
    source, output = good
    data, font = output.read_bytes(), bytes(range(256)) * 20
    assert data.count(font) == 1
    worse = tmp_path / "worse.mkv"
    worse.write_bytes(data.replace(font, b"\xff" + font[1:]))
    assert failed(verify(source, worse)) == ["attachment 6"]


def test_a_cover_that_is_another_picture_is_found(good: tuple[Path, Path], tmp_path: Path) -> None:
    source, output = good
    data = output.read_bytes()
    at = data.index(b"IDAT") + 8
    worse = tmp_path / "worse.mkv"
    worse.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    assert failed(verify(source, worse)) == ["cover picture 7"]


def test_a_missing_cover_is_found(good: tuple[Path, Path], tmp_path: Path) -> None:
    source, output = good
    report = verify(source, remux(output, tmp_path / "worse.mkv", "-map", "-0:v:1"))
    assert failed(report) == ["streams"]
    assert "cover picture cover.png is missing" in report.failures[0].detail


@pytest.mark.parametrize(("first", "last"), [(None, None), (3, 17)])
def test_uncompressed_sound_may_be_cut_into_other_packets(
    clips: ClipShelf, tmp_path: Path, first: int | None, last: int | None
) -> None:
    source, output = clips("everything.mkv"), tmp_path / "out.mov"
    segment = locate_frames(probe(source), first, last)
    copy(source, output, segment=segment)
    report = verify(source, output, segment=segment)
    assert failed(report) == []
    assert {c.name for c in report.checks} >= {"audio 2", "audio 2 timing"}


def test_sound_that_comes_late_is_found(clips: ClipShelf, tmp_path: Path) -> None:
    source, output, late = clips("late_video.mkv"), tmp_path / "out.mkv", tmp_path / "late.mkv"
    copy(source, output)
    ffmpeg("-v", "error", "-i", output, "-itsoffset", "0.1", "-i", output, "-map", "0:v", "-map", "1:a",
           "-c", "copy", "-copyts", late)  # fmt: skip
    report = verify(source, late)
    assert failed(report) == ["audio 1 timing"]
    assert "0.100 s too late" in report.failures[0].detail


def test_a_lost_rotation_is_found(clips: ClipShelf, tmp_path: Path) -> None:
    source, output, flat = clips("rotated.mp4"), tmp_path / "out.mp4", tmp_path / "flat.mp4"
    copy(source, output)
    ffmpeg("-v", "error", "-display_rotation", "0", "-i", output, "-c", "copy", flat)
    assert failed(verify(source, flat)) == ["rotation"]


def drop(frames: Frames) -> Iterator[Frame]:
    yield from (frame for frame in frames if frame.index != 20)


def add(frames: Frames) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        if frame.index == 20:
            yield replace(frame, pts=frame.pts + 20)


def move_one(frames: Frames) -> Iterator[Frame]:
    yield from (replace(frame, pts=frame.pts + 13 * (frame.index == 20)) for frame in frames)


def move_all(frames: Frames) -> Iterator[Frame]:
    yield from (replace(frame, pts=frame.pts + 40) for frame in frames)


def paint(*values: int) -> Callable[[Frames], Iterator[Frame]]:
    """Frame 20 in one colour."""

    def painted(frames: Frames) -> Iterator[Frame]:
        for frame in frames:
            planes = tuple(np.full_like(p, v) for p, v in zip(frame.planes, values, strict=True))
            yield replace(frame, planes=planes) if frame.index == 20 else frame

    return painted


def swap_chroma(frames: Frames) -> Iterator[Frame]:
    yield from (replace(f, planes=(f.planes[0], f.planes[2], f.planes[1])) for f in frames)


def stretch_range(frames: Frames) -> Iterator[Frame]:
    """Limited range taken for full: 16..235 spread over 0..255."""

    def stretched(plane: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], zero: int, span: int) -> object:
        return np.clip((plane.astype(float) - zero) * 255 / span + (zero if zero == 128 else 0), 0, 255)

    for f in frames:
        luma, *chroma = f.planes
        planes = [stretched(luma.astype(np.uint8), 16, 219)]
        planes += [stretched(plane.astype(np.uint8), 128, 224) for plane in chroma]
        yield replace(f, planes=tuple(np.asarray(p).astype(np.uint8) for p in planes))


def blacken_a_tile(frames: Frames) -> Iterator[Frame]:
    for frame in frames:
        luma = frame.planes[0].copy()
        luma[16:48, 32:64] = 0
        yield replace(frame, planes=(luma, *frame.planes[1:])) if frame.index == 20 else frame


def swap_neighbours(frames: Frames) -> Iterator[Frame]:
    held = list(frames)
    for number, frame in enumerate(held):
        other = held[{20: 21, 21: 20}.get(number, number)]
        yield replace(frame, planes=other.planes)


def freeze(frames: Frames) -> Iterator[Frame]:
    """From frame 20 on every frame shows the one three before it."""
    held = list(frames)
    for number, frame in enumerate(held):
        yield replace(frame, planes=held[number - 3 if number >= 20 else number].planes)


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (drop, "frames", "1 of 50 missing, the first at 0.800 s"),
        (add, "frames", "1 too many, the first at 0.820 s"),
        (move_one, "time stamps", "frame 20 is shown at 0.813000 s instead of 0.800000 s"),
        (move_all, "time stamps", "all others as much off"),
        (paint(16, 128, 128), "blank pictures", "frame 20 (0.800 s) is black, its source is not"),
        (paint(0, 0, 0), "blank pictures", "frame 20"),
        (paint(120, 128, 128), "blank pictures", "frame 20 (0.800 s) is of one colour"),
        (swap_chroma, "colours", "the chroma planes are swapped"),
        (stretch_range, "colours", "full range"),
        (blacken_a_tile, "pictures", "frame 20 (0.800 s)"),
        (swap_neighbours, "pictures", "frame 20 (0.800 s) looks like frame 21 of the source; 1 more"),
        (freeze, "pictures", "frame 20 (0.800 s) looks like frame 17 of the source"),
    ],
    ids=["drop", "add", "move_one", "move_all", "black", "below_black", "grey", "swap_chroma", "range",
         "tile", "swap_neighbours", "freeze"],
)  # fmt: skip
def test_each_fault_in_the_frames_fails_its_own_check(
    clips: ClipShelf,
    tmp_path: Path,
    change: Callable[[Frames], Iterable[Frame]],
    check: str,
    words: str,
) -> None:
    source, output = clips("everything.mkv"), tmp_path / "worse.mkv"
    copy(source, output, change=change)
    report = verify(source, output, full=True)
    assert failed(report) == [check]
    assert words in report.failures[0].detail


def test_a_matrix_mistake_is_named(clips: ClipShelf, tmp_path: Path) -> None:
    """The whole picture converted to BT.709 by ffmpeg, and tagged BT.601 all the same."""
    source, output = clips("late_video.mkv"), tmp_path / "wrong.mkv"
    ffmpeg(
        "-v", "error", "-i", source, "-map", "0", "-vf", "colormatrix=bt601:bt709", "-c:v", "libx264",
        "-qp", "0", "-bf", "0", "-preset", "ultrafast", "-c:a", "copy", "-fps_mode", "passthrough", "-copyts",
        "-color_range", "tv",
        "-bsf:v", "h264_metadata=matrix_coefficients=6:colour_primaries=1:transfer_characteristics=6", output,
    )  # fmt: skip
    report = verify(source, output)
    assert failed(report) == ["colours"]
    assert "BT.709" in report.failures[0].detail


def test_samples_find_a_file_that_is_black_from_the_middle_on(clips: ClipShelf, tmp_path: Path) -> None:
    def darken(frames: Frames) -> Iterator[Frame]:
        for f in frames:
            yield (
                replace(f, planes=(f.planes[0] * 0 + 16, f.planes[1] * 0 + 128, f.planes[2] * 0 + 128))
                if (f.index >= 25)
                else f
            )

    source, output = clips("everything.mkv"), tmp_path / "dark.mkv"
    copy(source, output, change=darken)
    report = verify(source, output)
    assert failed(report) == ["blank pictures"]
    assert report.failures[0].found == 8  # half of the 16 that are looked at


def test_a_cut_matroska_file_lacks_frames_and_packets(good: tuple[Path, Path], tmp_path: Path) -> None:
    source, output = good
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(output.read_bytes()[: output.stat().st_size * 6 // 10])
    names = failed(verify(source, cut))
    assert {"frames", "audio 1"} <= set(names)


def test_a_cut_mp4_file_cannot_be_opened(clips: ClipShelf, tmp_path: Path) -> None:
    source, output, cut = clips("b_frames.mp4"), tmp_path / "out.mp4", tmp_path / "cut.mp4"
    copy(source, output)
    cut.write_bytes(output.read_bytes()[: output.stat().st_size // 2])
    report = verify(source, cut)
    assert failed(report) == ["file"]
    assert "index" in report.failures[0].detail


def test_sound_without_video_is_no_output(clips: ClipShelf) -> None:
    report = verify(clips("b_frames.mp4"), clips("sound_only.m4a"))
    assert failed(report) == ["file"]
    assert "only sound" in report.failures[0].detail


def test_a_missing_source_is_an_error_not_a_report(good: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(SourceMissingError):
        verify(tmp_path / "nothing.mkv", good[1])


def test_frames_that_the_source_cannot_give_are_not_demanded(clips: ClipShelf, tmp_path: Path) -> None:
    """Noise in packets 12 to 14, a key frame among them: the output is right, told so or not."""
    source, output = tmp_path / "damaged.mkv", tmp_path / "out.mkv"
    noise = "noise=amount=between(n\\,12\\,14)"
    ffmpeg("-v", "error", "-i", clips("b_frames.mkv"), "-map", "0", "-c", "copy", "-bsf:v", noise, source)
    damage = copy(source, output)
    assert damage
    assert failed(verify(source, output, damage=damage)) == []
    report = verify(source, output)
    assert {"frames", "time stamps"}.isdisjoint(failed(report))


def test_known_damage_explains_as_many_frames_as_it_says() -> None:
    entry = Damage("undecodable", 0, 100, Fraction(4), 2, "")
    assert are_known([100, 140], [entry])
    assert not are_known([100, 140, 180], [entry])
    assert not are_known([60], [entry])
    assert are_known([60], [replace(entry, pts=None)])


def test_captions_are_equal_however_they_are_cut() -> None:
    def at(start: float, end: float, *lines: str) -> Caption:
        return Caption(Fraction(start), Fraction(end), lines)

    overlapping = [at(1, 3, "one"), at(2, 4, "two")]
    in_pieces = [at(1, 2, "one"), at(2, 3, "two", "one"), at(3, 4, "two")]
    assert first_difference(overlapping, in_pieces) is None
    assert first_difference(overlapping, in_pieces[:2]) == "'two' is not shown at 3.000 s"
    assert (
        first_difference(overlapping, [at(1, 3, "one"), at(2.5, 4, "two")]) == "'two' is not shown at 2.000 s"
    )
    assert first_difference([], [at(5, 6, "extra")]) == "'extra' should not be shown at 5.000 s"


def test_words_of_a_dialogue_are_what_is_read_on_the_screen() -> None:
    assert plain_lines(r"{\an8\i1}Upper{\i0}  line\Nlower\hline") == ["Upper line", "lower line"]
    assert plain_lines(r"{\p1}m 0 0 l 100 0 100 100{\p0}") == []


def test_the_report_is_json(good: tuple[Path, Path]) -> None:
    report = verify(*good)
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["ok"] is True
    by_name = {check["name"]: check for check in plain["checks"]}
    assert by_name["frames"]["found"] == {"frames": 50}
    assert by_name["chapters"]["found"][2] == "  0.800 to 2.000 s 'Part two' [und]"
