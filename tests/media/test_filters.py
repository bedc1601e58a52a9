"""Chains of filters: how they are read, what is refused, and what comes out, next to ffmpeg's own result."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media.clips import ClipShelf
from tests.media.reference import decoded, ffmpeg
from vidsr.channel import StopSignal
from vidsr.errors import UnknownNameError, UsageError
from vidsr.frames import Frame
from vidsr.job import Deinterlace, Segment
from vidsr.media.filters import FilterStep, parse_chain
from vidsr.media.read.filtered_reader import FilteredReader, Filtering
from vidsr.media.read.interlace import deinterlacing_steps, interlace_note, scan_of
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.read.segment_reader import Stretch

Clip = tuple[list[Fraction], list[str]]

INNER = slice(1, -1)
"""All but the first and the last frame, in which bwdif has only the picture itself to go by: FFmpeg 8.1 (in
PyAV) fills the second row of such a frame otherwise than 5.1 and 9.0 do."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lossless clips: interlaced, film, the same film telecined, and one whose middle is interlaced."""
    folder = tmp_path_factory.mktemp("scans")
    fields = "testsrc2=size=96x64:rate=50:duration=1,tinterlace=interleave_top,setfield=tff"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", fields, "-c:v", "ffv1", folder / "interlaced.mkv")
    film = "testsrc2=size=96x64:rate=24000/1001:duration=2"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", film, "-c:v", "ffv1", folder / "film.mkv")
    ffmpeg(
        "-v", "error", "-i", folder / "film.mkv", "-vf", "telecine", "-c:v", "ffv1", folder / "telecined.mkv"
    )
    return folder


def frames_of(filtering: Filtering, *stretches: Segment, length: SegmentLength | None = None) -> list[Frame]:
    wanted = [Stretch(segment) for segment in stretches or (filtering.given_segment,)]
    return list(FilteredReader(filtering, wanted, length=length, stop=StopSignal()).frames())


def md5(frame: Frame) -> str:
    return hashlib.md5(b"".join(plane.tobytes() for plane in frame.planes)).hexdigest()


def filtered(path: Path, chain: str, segment: Segment | None = None) -> Filtering:
    return Filtering.of(probe(path), segment or Segment(), parse_chain(chain))


def seen(filtering: Filtering) -> Clip:
    frames = frames_of(filtering)
    return [frame.time for frame in frames], [md5(frame) for frame in frames]


def ffmpeg_sees(path: Path, chain: str) -> Clip:
    """The same chain run by ffmpeg, its time stamps in milliseconds or finer where the chain says so."""
    rows = decoded(path, "-vf", chain, "-enc_time_base", "filter")
    return [row.pts for row in rows], [row.md5 for row in rows]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        ("hflip", [("hflip", "")]),
        (" crop=32:48:x=2 , hflip ", [("crop", "32:48:x=2"), ("hflip", "")]),
        ("select='gt(n,3)',hflip", [("select", "gt(n,3)"), ("hflip", "")]),
        (r"select=gt(n\,3)", [("select", "gt(n,3)")]),
        ("hflip@second=", [("hflip", "")]),
    ],
)
def test_chains_are_read_with_quotes_and_backslashes(text: str, steps: list[tuple[str, str]]) -> None:
    assert parse_chain(text) == tuple(FilterStep(*step) for step in steps)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[in]hflip", "labels or branches"),
        ("hflip;vflip", "labels or branches"),
        ("hflip,", "comma"),
        ("select='gt(n", "quote is not closed"),
    ],
)
def test_what_is_no_chain_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_chain(text)


def test_an_unknown_filter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_chain("bwdiff")
    assert "bwdif?" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("crop=9999:9999", "9999"),
        ("crop=nope=1", "nope"),
        ("split", "one picture as input"),
        ("overlay", "one picture as input"),
        ("nullsink", "one picture as input"),
        ("anull", "audio"),
        ("select=0", "let no picture through"),
    ],
)
def test_filters_that_cannot_work_are_refused_before_the_first_frame(
    shelf: Path, chain: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        filtered(shelf / "film.mkv", chain)


def test_crop_gives_a_part_of_every_plane(shelf: Path) -> None:
    whole = list(Reader(probe(shelf / "film.mkv")).frames())
    chain = filtered(shelf / "film.mkv", "crop=32:48:16:8")
    parts = frames_of(chain)
    assert (chain.info.width, chain.info.height) == (32, 48)
    assert [part.pts for part in parts] == [frame.pts for frame in whole]
    for frame, part in zip(whole, parts, strict=True):
        assert np.array_equal(part.planes[0], frame.planes[0][8:56, 16:48])
        assert np.array_equal(part.planes[2], frame.planes[2][4:28, 8:24])


@pytest.mark.parametrize("name", ["vfr.mkv", "vfr.mp4", "late.ts", "b_frames.mp4", "negative.ts"])
def test_uneven_time_stamps_pass_through_filters(clips: ClipShelf, name: str) -> None:
    source = probe(clips(name))
    before = [(frame.pts, frame.duration) for frame in Reader(source).frames()]
    after = filtered(clips(name), "hflip,unsharp")
    assert after.info.time_base == source.time_base
    assert [(frame.pts, frame.duration) for frame in frames_of(after)] == before


@pytest.mark.parametrize("chain", ["fps=10", "hue=s=0,transpose", "tmix"])
def test_filters_give_what_ffmpeg_gives(shelf: Path, chain: str) -> None:
    assert seen(filtered(shelf / "interlaced.mkv", chain)) == ffmpeg_sees(shelf / "interlaced.mkv", chain)


@pytest.mark.parametrize("chain", ["bwdif", "bwdif=mode=send_frame"])
def test_bwdif_gives_what_ffmpeg_gives(shelf: Path, chain: str) -> None:
    times, hashes = seen(filtered(shelf / "interlaced.mkv", chain))
    expected_times, expected_hashes = ffmpeg_sees(shelf / "interlaced.mkv", chain)
    assert times == expected_times
    assert hashes[INNER] == expected_hashes[INNER]


def test_deinterlacing_gives_ffmpegs_frames_at_the_sources_times(shelf: Path) -> None:
    source = probe(shelf / "interlaced.mkv")
    mode: Deinterlace
    for mode in ("auto", "bwdif"):
        chain = Filtering.of(source, Segment(), deinterlacing_steps(mode, source))
        times, hashes = seen(chain)
        assert times == [Fraction(n, 25) for n in range(25)]
        assert chain.info.time_base == source.time_base
        assert hashes[INNER] == ffmpeg_sees(shelf / "interlaced.mkv", "bwdif=mode=send_frame")[1][INNER]


def test_auto_leaves_frames_alone_that_are_not_marked(shelf: Path) -> None:
    source = probe(shelf / "film.mkv")
    original = [md5(frame) for frame in Reader(source).frames()]
    auto = Filtering.of(source, Segment(), deinterlacing_steps("auto", source))
    assert seen(auto)[1] == original
    every = Filtering.of(source, Segment(), deinterlacing_steps("bwdif", source))
    assert seen(every)[1] != original


def test_telecined_film_comes_back_as_it_was(shelf: Path) -> None:
    original = list(Reader(probe(shelf / "film.mkv")).frames())
    source = probe(shelf / "telecined.mkv")
    chain = Filtering.of(source, Segment(), deinterlacing_steps("ivtc", source))
    times, hashes = seen(chain)
    assert chain.info.average_rate == Fraction(24000, 1001)
    assert times == [Fraction(1001 * n, 24000) for n in range(len(original))]
    assert hashes == ffmpeg_sees(shelf / "telecined.mkv", "fieldmatch,decimate")[1]
    # ffmpeg does not get frame 36 back either: its field match is ambiguous in this moving test picture
    restored = [h == md5(frame) for h, frame in zip(hashes, original, strict=True)]
    assert sum(restored) >= 47


def test_a_gap_in_telecined_film_does_not_move_what_follows(shelf: Path, tmp_path: Path) -> None:
    gap = tmp_path / "gap.mkv"
    ffmpeg(
        "-v", "error", "-i", shelf / "telecined.mkv", "-vf", "select='not(between(n,20,29))'",
        "-fps_mode", "passthrough", "-c:v", "ffv1", gap,
    )  # fmt: skip
    source = probe(gap)
    times, hashes = seen(Filtering.of(source, Segment(), deinterlacing_steps("ivtc", source)))
    film = {md5(frame): frame.time for frame in Reader(probe(shelf / "film.mkv")).frames()}
    behind = [(t, film[h]) for t, h in zip(times, hashes, strict=True) if h in film and t > Fraction(13, 10)]
    assert len(behind) > 10
    assert all(abs(time - original) < Fraction(1, 20) for time, original in behind)


def test_ivtc_is_refused_for_other_rates(shelf: Path) -> None:
    with pytest.raises(UsageError, match=r"25\.000"):
        deinterlacing_steps("ivtc", probe(shelf / "interlaced.mkv"))


@pytest.mark.parametrize(
    ("name", "scan", "option"),
    [
        ("film.mkv", "progressive", None),
        ("interlaced.mkv", "interlaced", "--deinterlace auto"),
        ("telecined.mkv", "telecined", "--deinterlace ivtc"),
    ],
)
def test_the_note_names_the_option_to_pass(shelf: Path, name: str, scan: str, option: str | None) -> None:
    source = probe(shelf / name)
    assert scan_of(source) == scan
    note = interlace_note("off", scan_of(source), source)
    assert (option is None and note is None) or (option is not None and note is not None and option in note)


def test_a_range_is_filtered_as_if_the_file_began_there(shelf: Path) -> None:
    """At 24 frames a second none of its times is one of the source's 25."""
    chain = filtered(shelf / "interlaced.mkv", "fps=24", Segment(360, 800))
    frames = frames_of(chain)
    assert [frame.time for frame in frames] == [
        Fraction(36, 100) + Fraction(n, 24) for n in range(len(frames))
    ]
    assert len(frames) in (10, 11)  # 0.44 s
    assert chain.filtered_segment.start_pts == frames[0].pts
    assert chain.filtered_segment.end_pts == Fraction(8, 10) / chain.info.time_base


@pytest.mark.parametrize("chain", ["hflip", "bwdif", "fps=24,tmix", "decimate"])
def test_a_job_continued_in_the_middle_gets_the_same_frames(shelf: Path, chain: str) -> None:
    job = filtered(shelf / "interlaced.mkv", chain)
    whole = [(frame.pts, frame.index, md5(frame)) for frame in frames_of(job)]
    cut, end = whole[7][0], whole[15][0]
    pieces = frames_of(job, Segment(cut, end), Segment(end, None), Segment(None, cut))
    assert [(frame.pts, frame.index, md5(frame)) for frame in pieces] == [*whole[7:], *whole[:7]]


def test_segments_begin_in_the_same_places_as_without_filters(shelf: Path) -> None:
    job = filtered(shelf / "interlaced.mkv", "hflip")
    frames = frames_of(job, length=SegmentLength(10, 10))
    assert [frame.index for frame in frames if frame.starts_segment] == [0, 10, 20]


@pytest.mark.parametrize("name", ["full_range.mov", "gray.mkv", "yuv420p10le.mkv", "nv12.nut", "rgb24.nut"])
def test_a_filter_that_changes_nothing_changes_no_sample(clips: ClipShelf, name: str) -> None:
    source = probe(clips(name))
    plain = [(frame.format.name, md5(frame)) for frame in Reader(source).frames()]
    frames = frames_of(filtered(clips(name), "null"))
    assert [(frame.format.name, md5(frame)) for frame in frames] == plain


def test_the_sample_aspect_ratio_follows_the_filters(clips: ClipShelf) -> None:
    source = probe(clips("anamorphic.mkv"))
    own = source.sample_aspect_ratio
    assert own is not None
    assert filtered(clips("anamorphic.mkv"), "crop=48:32").info.sample_aspect_ratio == own
    halved = filtered(clips("anamorphic.mkv"), f"scale={source.width}:{source.height // 2}")
    assert halved.info.sample_aspect_ratio == own / 2
    assert filtered(clips("anamorphic.mkv"), "setsar=10/11").info.sample_aspect_ratio == Fraction(10, 11)
