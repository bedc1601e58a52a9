"""Time codes by hand and by a list of all labels; those of outputs, as another program reads them."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from tests.media import reference
from tests.media.remake import BT601, remake
from vidsr.cli.info import describe
from vidsr.errors import StreamRefusedError
from vidsr.job import Segment
from vidsr.media.containers import OutputFormat
from vidsr.media.filters import FilterGraph, PictureStream, parse_chain
from vidsr.media.read.filtered_reader import Filtering
from vidsr.media.read.locate import locate_frames
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.time_code import NoTimeCodeError, TimeCode, follow_time_codes, label_after
from vidsr.media.timeline import Timeline
from vidsr.media.verify import verify

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("label", "rate", "frames", "later"),
    [
        ("00:00:59;29", NTSC, 1, "00:01:00;02"),
        ("00:09:59;29", NTSC, 1, "00:10:00;00"),
        ("00:00:00;00", NTSC, 1800, "00:01:00;02"),
        ("00:00:00;00", NTSC, 17982, "00:10:00;00"),  # 10 x 1800 - 9 x 2
        ("00:00:00;00", NTSC, 107892, "01:00:00;00"),
        ("00:00:00;00", NTSC, 2589407, "23:59:59;29"),  # 24 x 107892 - 1
        ("23:59:59;29", NTSC, 1, "00:00:00;00"),
        ("01:00:59.29", NTSC, 2, "01:01:00;03"),
        ("00:00:59:29", NTSC, 1, "00:01:00:00"),
        ("00:00:59;59", 2 * NTSC, 1, "00:01:00;04"),
        ("00:00:00;00", 2 * NTSC, 35964, "00:10:00;00"),
        ("23:59:59;59", 2 * NTSC, 1, "00:00:00;00"),
        ("23:59:59:24", Fraction(25), 1, "00:00:00:00"),
        ("01:00:00:00", Fraction(24000, 1001), 24 * 60, "01:01:00:00"),
        ("10:00:00:23", Fraction(24), 25, "10:00:02:00"),
        ("00:59:59:49", Fraction(50), 1, "01:00:00:00"),
        ("00:00:00:59", Fraction(60), 61, "00:00:02:00"),
        ("00:00:00:29", Fraction(30), 1, "00:00:01:00"),
    ],
)
def test_labels_counted_by_hand(label: str, rate: Fraction, frames: int, later: str) -> None:
    assert label_after(label, rate, frames / rate) == later
    # as Matroska rounds, and as a rate measured in a file is a little off
    assert (
        label_after(label, rate * Fraction(10001, 10000), Fraction(round(frames / rate * 1000), 1000))
        == later
    )


@pytest.mark.parametrize("nominal", [30, 60])
def test_drop_frame_counts_through_all_labels_but_those_passed_over(nominal: int) -> None:
    skipped = {30: (0, 1), 60: (0, 1, 2, 3)}[nominal]
    labels = [
        f"00:{minute:02}:{second:02};{frame:02}"
        for minute in range(31)
        for second in range(60)
        for frame in range(nominal)
        if not (second == 0 and minute not in (0, 10, 20, 30) and frame in skipped)
    ]
    for before, after in pairwise(labels):
        assert str(TimeCode.parse(before, nominal).after(1)) == after
    assert [str(TimeCode.parse(labels[0], nominal).after(n)) for n in range(len(labels))] == labels


@pytest.mark.parametrize(
    ("label", "rate", "seconds"),
    [
        ("hello", Fraction(25), Fraction(1)),
        ("01:00:00", Fraction(25), Fraction(1)),
        ("24:00:00:00", Fraction(25), Fraction(1)),
        ("00:60:00:00", Fraction(25), Fraction(1)),
        ("00:00:00:25", Fraction(25), Fraction(1)),
        ("00:01:00;01", NTSC, 30 / NTSC),  # passed over
        ("00:00:00;00", Fraction(25), Fraction(1)),
        ("00:00:00;00", Fraction(24000, 1001), Fraction(1001, 1000)),
        ("00:00:00;00", Fraction(30), Fraction(1)),
        ("00:00:00:00", Fraction(25), Fraction(50, 1000)),  # between two frames
        ("00:00:00:00", Fraction(825, 94), Fraction(1)),  # variable
        ("00:00:00:00", None, Fraction(1)),
    ],
)
def test_what_cannot_be_counted_is_no_label(label: str, rate: Fraction | None, seconds: Fraction) -> None:
    with pytest.raises(NoTimeCodeError):
        label_after(label, rate, seconds)


def clip(path: Path, rate: str, *arguments: str, size: str = "96x64") -> Path:
    video = () if path.suffix == ".mxf" else ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2")
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration=0.8", *video,
        *arguments, path,
    )  # fmt: skip
    return path


def labels(path: Path) -> set[str]:
    """All that ffmpeg finds in the file: of the video, of its track, of the file itself."""
    return set(re.findall(r"timecode *: (\S+)", reference.side_data(path), re.IGNORECASE))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(
    ("rate", "arguments", "name"),
    [
        ("30000/1001", ("-timecode", "00:00:59;20"), "in.mov"),
        ("30000/1001", ("-timecode", "00:00:59;20"), "in.mkv"),
        ("30000/1001", ("-metadata:s:v", "timecode=00:00:59;20"), "in.mkv"),
    ],
)
def test_a_cut_begins_at_the_label_of_its_first_frame(
    tmp_path: Path, rate: str, arguments: tuple[str, ...], name: str, suffix: str
) -> None:
    source, output = clip(tmp_path / name, rate, *arguments), tmp_path / f"out.{suffix}"
    assert labels(source) == {"00:00:59;20"}
    assert "  Time code   00:00:59;20" in describe(probe(source))
    segment = locate_frames(probe(source), 12, 20)
    assert remake(source, output, encoder="libx264", color=BT601, segment=segment, strict=True).notes == []
    assert labels(output) == {"00:01:00;04"}  # ten frames to the minute, which begins with ;02
    assert verify(source, output, segment=segment, color=BT601).failures == ()


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_cut_of_mxf(tmp_path: Path, suffix: str) -> None:
    source = clip(tmp_path / "in.mxf", "25", "-timecode", "09:59:59:20", size="720x576")
    output, segment = tmp_path / f"out.{suffix}", locate_frames(probe(source), 7, 9)
    remake(source, output, encoder="libx264", color=BT601, segment=segment)
    assert labels(output) == {"10:00:00:02"}
    assert verify(source, output, segment=segment, color=BT601).failures == ()


@pytest.mark.parametrize("suffix", ["mov", "mkv"])
def test_a_label_that_counts_pairs_of_frames_counts_frames_in_the_output(tmp_path: Path, suffix: str) -> None:
    """Frame 20 of 25 a second is frame 40 of 50; ten frames later begins the next second."""
    source, output = clip(tmp_path / "in.mov", "50", "-timecode", "00:30:00:20"), tmp_path / f"out.{suffix}"
    data = bytearray(source.read_bytes())  # the number of the first frame is 90020
    entry = data.rindex(b"tmcd", 0, data.index(b"stts", data.rindex(b"stsd")))
    assert data[entry + 28] == 50
    data[entry + 20 : entry + 29] = (25).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([25])
    source.write_bytes(data)
    assert labels(source) == {"01:00:00:20"}
    assert probe(source).time_code_rate == 25
    remake(source, output, encoder="libx264", color=BT601)
    assert labels(output) == {"01:00:00:40"}
    assert verify(source, output, color=BT601).failures == ()
    segment = locate_frames(probe(source), 10, 14)
    remake(source, output, encoder="libx264", color=BT601, segment=segment, overwrite=True)
    assert labels(output) == {"01:00:01:00"}
    assert verify(source, output, segment=segment, color=BT601).failures == ()


def test_labels_of_another_rate_are_named() -> None:
    assert label_after("01:00:00;29", 2 * NTSC, Fraction(0), NTSC) == "01:00:00;58"
    assert label_after("00:09:59;29", 2 * NTSC, 2 / (2 * NTSC), NTSC) == "00:10:00;00"
    assert label_after("00:09:59:29", NTSC, 1 / NTSC, Fraction(30)) == "00:10:00:00"
    with pytest.raises(NoTimeCodeError, match="it counts 24 frames a second and the video has 25"):
        label_after("01:00:00:00", Fraction(25), Fraction(0), Fraction(24))


def test_an_end_alone_changes_no_label(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mov", "25", "-timecode", "10:00:00:00")
    segment = locate_frames(probe(source), None, 3)
    remake(source, tmp_path / "out.mov", encoder="libx264", color=BT601, segment=segment)
    assert labels(tmp_path / "out.mov") == {"10:00:00:00"}


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_what_has_no_label_is_left_out_and_named_once(tmp_path: Path, suffix: str) -> None:
    whole, source = clip(tmp_path / "whole.mkv", "25"), tmp_path / "in.mov"
    reference.ffmpeg(  # frames 3 to 7 are not there: 15 in 0.8 s
        "-v", "error", "-i", whole, "-vf", "select='not(between(n,3,7))'", "-fps_mode", "passthrough",
        "-timecode", "10:00:00:00", source,
    )  # fmt: skip
    output, segment = tmp_path / f"out.{suffix}", locate_frames(probe(source), 4, 8)
    notes = remake(source, output, encoder="libx264", color=BT601, segment=segment).notes
    assert notes == [
        "time code '10:00:00:00' is left out: "
        "the frames do not follow each other at a rate that time codes count"
    ]
    assert labels(output) == set()
    assert verify(source, output, segment=segment, color=BT601).failures == ()
    with pytest.raises(StreamRefusedError, match="time code '10:00:00:00'"):
        remake(source, tmp_path / "s.mkv", segment=segment, color=BT601, strict=True)


def test_in_matroska_frames_are_counted_that_the_rate_of_the_header_does_not_tell_of(tmp_path: Path) -> None:
    """A header that says 25 a second, of frames of which 3 to 7 were left out."""
    whole, source = clip(tmp_path / "whole.mkv", "25"), tmp_path / "in.mkv"
    reference.ffmpeg(
        "-v", "error", "-i", whole, "-vf", "select='not(between(n,3,7))'", "-fps_mode", "passthrough",
        "-timecode", "10:00:00:00", source,
    )  # fmt: skip
    assert probe(source).average_rate == 25
    before, behind = Segment(80, None), Segment(400, None)
    notes = remake(source, tmp_path / "out.mkv", color=BT601, segment=behind).notes
    assert notes == [
        "time code '10:00:00:00' is left out: 5 frames lie before the cut, which is not what it counts"
    ]
    assert labels(tmp_path / "out.mkv") == set()
    assert verify(source, tmp_path / "out.mkv", segment=behind, color=BT601).failures == ()
    assert remake(source, tmp_path / "early.mkv", color=BT601, segment=before).notes == []
    assert labels(tmp_path / "early.mkv") == {"10:00:00:02"}


def test_of_a_whole_source_matroska_keeps_any_text_and_mp4_names_what_is_no_label(tmp_path: Path) -> None:
    for text, why in (
        ("hello", "it cannot be read"),
        ("01:00:00;00", "no labels are passed over at 25 a second"),
    ):
        source = clip(tmp_path / "in.mkv", "25", "-metadata:s:v", f"timecode={text}", "-y")
        assert remake(source, tmp_path / "out.mkv", color=BT601, overwrite=True).notes == []
        assert labels(tmp_path / "out.mkv") == {text}
        remade = remake(source, tmp_path / "out.mp4", encoder="libx264", color=BT601, overwrite=True)
        assert remade.notes == [f"time code {text!r} is left out: {why}"]
        assert verify(source, tmp_path / "out.mp4", color=BT601).failures == ()


@pytest.mark.parametrize(("rate", "is_kept"), [("120000/1001", False), ("120", False), ("100", True)])
def test_labels_of_more_than_two_digits_are_named(tmp_path: Path, rate: str, is_kept: bool) -> None:
    """ffmpeg writes them into MP4 as a number, and reads three digits back above 100 a second."""
    source, output = (
        clip(tmp_path / "in.mkv", rate, "-metadata:s:v", "timecode=01:00:00:10"),
        tmp_path / "o.mp4",
    )
    notes = remake(source, output, encoder="libx264", color=BT601).notes
    words = "its labels have two digits for the frames, and there are 120 a second"
    assert notes == ([] if is_kept else [f"time code '01:00:00:10' is left out: {words}"])
    assert labels(output) == ({"01:00:00:10"} if is_kept else set())
    assert verify(source, output, color=BT601).failures == ()


@pytest.mark.parametrize(
    ("chain", "is_kept"),
    [
        ("hflip", True),
        ("bwdif=mode=send_frame", True),
        ("trim=end_frame=100", True),
        ("fps=24000/1001", False),
        ("trim=start_frame=10,setpts=PTS-STARTPTS", False),
        ("trim=start_frame=10", False),
        ("select='not(eq(n,5))'", False),
        ("setpts=PTS+2/TB", False),
        # what a trial with pictures of one colour lets through, and others not
        ("entropy,metadata=mode=select:key=lavfi.entropy.entropy.normal.Y:value=0.1:function=less", False),
        ("select='gt(scene,0.4)+eq(n,0)'", False),
    ],
)
def test_filters_that_change_times_end_it(tmp_path: Path, chain: str, is_kept: bool) -> None:
    source = probe(clip(tmp_path / "in.mov", "30000/1001", "-timecode", "10:00:00;00"))
    info = Filtering.of(source, Segment(), parse_chain(chain)).info
    followed, notes = follow_time_codes(info, info.timeline(None), OutputFormat.named("mp4"))
    kept = {v for s in followed.streams for k, v in s.metadata if k == "timecode"}
    assert kept == ({"10:00:00;00"} if is_kept else set())
    why = "filters give other frames than those it counts"
    assert notes == ([] if is_kept else [f"time code '10:00:00;00' is left out: {why}"])


def test_a_cut_whose_first_frames_a_filter_leaves_out_has_no_label(tmp_path: Path) -> None:
    """Frames 5 to 9 are kept of a cut that begins at frame 3: its label would be that of frame 3."""
    source = tmp_path / "in.mov"
    reference.ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.2", "-f", "lavfi", "-i",
        "color=gray:size=96x64:rate=25:duration=0.2", "-filter_complex", "[0][1]concat", "-c:v", "libx264",
        "-qp", "0", "-timecode", "10:00:00:00", source,
    )  # fmt: skip
    info = probe(source)
    segment = locate_frames(info, 3, 10)
    chain = "entropy,metadata=mode=select:key=lavfi.entropy.entropy.normal.Y:value=0.1:function=less"
    pictures = PictureStream(96, 64, info.pixel_format, BT601, info.time_base, info.average_rate)
    graph = FilterGraph(parse_chain(chain), pictures)
    with Reader(info, segment) as reader:
        kept = [result.pts for picture, pts in reader.pictures() for result in graph.push(picture, pts)]
    assert [pts * info.time_base * 25 for pts in kept if pts is not None] == [5, 6, 7, 8, 9]
    filtered = Filtering.of(info, segment, parse_chain(chain)).info
    followed, notes = follow_time_codes(filtered, info.timeline(segment), OutputFormat.named("mkv"))
    assert not any(stream.has_time_code for stream in followed.streams)
    why = "filters give other frames than those it counts"
    assert notes == [f"time code '10:00:00:00' is left out: {why}"]


def test_a_source_that_begins_late_counts_from_its_own_beginning(tmp_path: Path) -> None:
    source = probe(clip(tmp_path / "in.mov", "25", "-timecode", "10:00:00:00"))
    late = replace(source, start_pts=round(2 / source.time_base))
    timeline = Timeline(Fraction(54, 25), None, Fraction(54, 25))
    followed, _ = follow_time_codes(late, timeline, OutputFormat.named("mov"))
    assert dict(followed.streams[0].metadata)["timecode"] == "10:00:00:04"
