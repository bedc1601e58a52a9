"""Jobs with filters are verified too, and damage explains only what it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.media import ebml_tree
from tests.media.clips import ClipShelf
from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg
from tests.straight import run_job
from vidsr.cli.main import run as command
from vidsr.damage import Damage, Kind
from vidsr.errors import OutputError
from vidsr.execute.proof import is_explained
from vidsr.frames import Frame
from vidsr.job import EncoderRequest, Job, RangeRequest, Receipt
from vidsr.media.read.probe import probe
from vidsr.media.verify import Check
from vidsr.media.write.writer import Writer
from vidsr.progress.events import Event, Finished, Note

FILTERS: list[dict[str, object]] = [
    {"filters": "crop=48:32"},
    {"deinterlace": "bwdif"},
    {"colorspace": "bt709"},
    {"post_filters": "crop=96:64:4:4,setsar=10/11"},
    {"filters": "fps=10"},
    {"filters": "hflip", "post_filters": "unsharp"},
    {"filters": "hflip", "range": RangeRequest(first_frame=5, last_frame=30)},
]


def run(source: Path, output: Path, weights: Path, **more: object) -> tuple[Receipt, bool | None]:
    events: list[Event] = []
    job = Job(source, output, weights=weights, precision="fp32", **more)  # type: ignore[arg-type]
    receipt = run_job(job, show=events.append)
    last = events[-1]
    assert isinstance(last, Finished)
    return receipt, last.verified


@pytest.mark.parametrize("wish", FILTERS, ids=str)
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_filtered_job_is_verified(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, wish: dict[str, object], suffix: str
) -> None:
    source = clips("anamorphic.mkv" if "range" not in wish else "everything.mkv")
    _, verified = run(source, tmp_path / f"out.{suffix}", repeat_2x, **wish)
    assert verified is True


LEFT_HALF = "crop=iw/2:ih:0:0"


@pytest.mark.parametrize(
    ("wish", "is_kept"),
    [
        ({}, True),
        ({"filters": "unsharp"}, True),
        ({"deinterlace": "bwdif"}, True),
        ({"filters": LEFT_HALF}, False),
        ({"post_filters": LEFT_HALF}, False),
        ({"filters": "unsharp", "post_filters": LEFT_HALF}, False),
    ],
    ids=str,
)
def test_marks_of_two_views_end_where_filters_may_leave_one(
    tmp_path: Path, repeat_2x: Path, wish: dict[str, str], is_kept: bool
) -> None:
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.2", "-c:v", "libx264",
        "-metadata:s:v", "stereo_mode=left_right", source,
    )  # fmt: skip
    notes: list[str] = []
    job = Job(source, output, weights=repeat_2x, precision="fp32", **wish)  # type: ignore[arg-type]
    run_job(job, show=lambda event: notes.append(event.text) if isinstance(event, Note) else None)
    said = [note for note in notes if "stereoscopic" in note]
    what = "marks of stereoscopic pictures, of which filters may have left one view, inside the video"
    assert said == ([] if is_kept else [f"{what} are left out"])
    mode = dict(ebml_tree.children(ebml_tree.tracks(output)[0]["e0"])).get("53b8")
    assert mode == (b"\1" if is_kept else None)  # RFC 9559: 1 is side by side, the left view first


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "ffv1"])
@pytest.mark.parametrize("how", ["before the network", "by the encoder"])
def test_a_film_that_is_made_gray_is_verified(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, encoder: str, how: str
) -> None:
    """x264 and x265 need not tag a matrix then, and decoders of H.264 add chroma planes without colours."""
    wish = {"filters": "format=gray"} if how == "before the network" else {"pixel_format": "gray"}
    source = clips("anamorphic.mkv")
    settings = EncoderRequest(name=encoder, pixel_format=wish.pop("pixel_format", None))
    _, verified = run(source, tmp_path / "out.mkv", repeat_2x, encoder=settings, **wish)
    assert verified is True


WITHOUT_SOUND = ("-map", "-0:a")
LATE = ("-bsf:v", "setts=pts=PTS+100:dts=DTS+100")
SHORT = ("-frames:v", "40")
WITHOUT_CHAPTERS = ("-map_chapters", "-1")
WIDER = ("-aspect", "4:1")


@pytest.fixture
def spoil_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], None]:
    """Called with options of ffmpeg: each complete output is copied with them then, before it is verified."""

    def begin(options: Sequence[str]) -> None:
        whole = Writer.complete

        def complete(writer: Writer) -> None:
            whole(writer)
            spoilt = tmp_path / "spoilt.mkv"
            ffmpeg(
                "-v", "error", "-i", writer.temporary, "-map", "0", "-c", "copy", "-copyts",
                "-avoid_negative_ts", "disabled", *options, spoilt,
            )  # fmt: skip
            spoilt.replace(writer.temporary)

        monkeypatch.setattr(Writer, "complete", complete)

    return begin


@pytest.fixture(scope="module")
def coverless(clips: ClipShelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sound, subtitles and chapters, but no attachments, which ffmpeg copies into other things."""
    path = tmp_path_factory.mktemp("coverless") / "source.mkv"
    ffmpeg("-v", "error", "-i", clips("everything.mkv"), "-map", "0:v:0", "-map", "0:a", "-map", "0:s",
           "-c", "copy", path)  # fmt: skip
    return path


@pytest.mark.parametrize("chain", [{"filters": "hflip"}, {"post_filters": "hflip"}], ids=["before", "behind"])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (WITHOUT_SOUND, "streams: "),
        (LATE, "time stamps"),
        (SHORT, "frames"),
        (WITHOUT_CHAPTERS, "chapters: "),
        (WIDER, "shape: "),
    ],
)
def test_each_loss_of_a_filtered_job_is_found(
    coverless: Path, tmp_path: Path, repeat_2x: Path, spoil_outputs: Callable[[Sequence[str]], None],
    chain: dict[str, object], options: Sequence[str], words: str,
) -> None:  # fmt: skip
    spoil_outputs(options)
    with pytest.raises(OutputError, match=f"is not whole: {words}"):
        run(coverless, tmp_path / "out.mkv", repeat_2x, **chain)
    assert [path.name for path in tmp_path.iterdir()] == ["out.unverified.mkv"]


@pytest.mark.parametrize(
    "wish", [{"deinterlace": "bwdif"}, {"filters": "hflip"}, {"post_filters": "hflip"}], ids=str
)
def test_black_pictures_behind_filters_are_found(
    clips: ClipShelf,
    tmp_path: Path,
    repeat_2x: Path,
    monkeypatch: pytest.MonkeyPatch,
    wish: dict[str, object],
) -> None:
    """As a network in half precision gives them that computes NaN; from the 10th frame on."""
    original = Writer.write

    def write(writer: Writer, frame: Frame) -> None:
        if frame.index >= 10:
            y, *chroma = frame.planes
            black = (np.full_like(y, 16), *(np.full_like(plane, 128) for plane in chroma))
            frame = replace(frame, planes=black)
        original(writer, frame)

    monkeypatch.setattr(Writer, "write", write)
    with pytest.raises(OutputError, match=r"blank pictures: the picture at .* is black, its source is not"):
        run(clips("b_frames.mp4"), tmp_path / "out.mkv", repeat_2x, **wish)


def test_a_part_that_is_of_one_colour_by_itself_is_no_fault(tmp_path: Path, repeat_2x: Path) -> None:
    """Cropped to where only a third of the pictures show anything."""
    source = tmp_path / "source.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=1.2", "-vf",
        "drawbox=0:0:48:64:gray:fill:enable='lt(n,10)'", "-c:v", "ffv1", source,
    )  # fmt: skip
    _, verified = run(source, tmp_path / "out.mkv", repeat_2x, filters="crop=32:32:8:16")
    assert verified is True


def damaged(stream: int, kind: Kind) -> list[Damage]:
    return [Damage(kind, stream, 100, None, 1, "")]


@pytest.mark.parametrize(
    ("check", "stream", "kind", "explained"),
    [
        ("frames", 0, "undecodable", True),
        ("frames", 1, "undecodable", False),
        ("time stamps", 0, "backward", True),
        ("pictures", 0, "corrupt", True),
        ("pictures", 0, "truncated", False),
        ("pictures", 1, "undecodable", False),
        ("audio 1", 1, "undecodable", True),
        ("audio 1 timing", 1, "undecodable", True),
        ("audio 1", 2, "undecodable", False),
        ("audio 1", 0, "undecodable", False),
        ("audio 1", 0, "unreadable", True),
        ("subtitle 2", 0, "truncated", True),
        ("streams", 0, "unreadable", False),
        ("chapters", 0, "truncated", False),
        ("tags", 0, "undecodable", False),
        ("decoding", 0, "undecodable", False),
        ("file", 0, "truncated", False),
        ("frames written", 0, "undecodable", False),
    ],
)
def test_damage_explains_what_it_touches(check: str, stream: int, kind: Kind, explained: bool) -> None:
    words = check.split()
    about = int(words[1]) if words[0] in {"audio", "subtitle"} else None
    failed = Check(check, False, 1, 2, "", about)
    assert is_explained(failed, damaged(stream, kind), probe(SAMPLE)) is explained
    assert not is_explained(failed, [], probe(SAMPLE))


def test_a_loss_that_the_damage_does_not_explain_is_an_error(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, spoil_outputs: Callable[[Sequence[str]], None]
) -> None:
    """A source that breaks off, and a writer that loses a sound track besides."""
    source = tmp_path / "cut.mkv"
    data = clips("everything.mkv").read_bytes()
    source.write_bytes(data[: int(len(data) * 0.8)])
    receipt, verified = run(source, tmp_path / "good.mkv", repeat_2x)
    assert receipt.damage
    assert verified is not None
    spoil_outputs(WITHOUT_SOUND)
    with pytest.raises(OutputError, match="is not whole: streams"):
        run(source, tmp_path / "out.mkv", repeat_2x)
    assert not (tmp_path / "out.mkv").exists()


def test_what_was_not_compared_is_called_not_verified(
    clips: ClipShelf, tmp_path: Path, repeat_2x: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--weights", str(repeat_2x), "--precision", "fp32", "--frames", "0:3", "--progress", "plain"]
    assert command([str(clips("b_frames.mp4")), str(tmp_path / "out.mkv"), "--no-verify", *words]) == 0
    assert ", not verified, in " in capfd.readouterr().err
