"""`vidsr preview` as people run it: the page, the picture files, the clip, and what is refused."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.paths import SAMPLE
from tests.preview.conftest import page_data, vidsr
from tests.preview.reference import reference_picture
from tests.reference_ffmpeg import describe, ffmpeg, frame_lines, video_line


def picture(data_uri: str, tmp_path: Path) -> np.ndarray:
    head, _, body = data_uri.partition(",")
    path = tmp_path / f"picture.{head.removeprefix('data:image/').removesuffix(';base64')}"
    path.write_bytes(base64.b64decode(body))
    return reference_picture(path).astype(int)


def test_a_page_holds_every_moment_by_every_model(two_models: Path, tmp_path: Path) -> None:
    data = page_data(two_models)
    assert data["name"] == "cel.mkv"
    assert [column["name"] for column in data["columns"]] == ["Source", "repeat_2x", "repeat_4x"]
    assert [shot["time"] for shot in data["shots"]] == ["0:01.001", "0:02.503"]
    for shot in data["shots"]:
        assert len(shot["pictures"]) == 3
        assert (shot["width"], shot["height"]) == (1280, 720)
        shapes = [picture(one, tmp_path).shape for one in shot["pictures"]]
        assert shapes == [(720, 1280, 3), (360, 640, 3), (720, 1280, 3)]


def test_a_page_names_no_address(two_models: Path) -> None:
    text = re.sub(r"data:image/[^\"']*", "", two_models.read_text(encoding="utf-8"))
    assert re.findall(r"https?:|//[a-z]", text.replace("http://www.w3.org/2000/svg", "")) == []
    assert "default-src 'none'; img-src data:" in text


def test_pictures_are_what_the_job_itself_writes(two_models: Path, repeat_2x: Path, tmp_path: Path) -> None:
    output = tmp_path / "job.mkv"
    done = vidsr(
        SAMPLE, output, "--weights", repeat_2x, "--backend", "torch", "--encoder", "ffv1", "--frames", "24:25"
    )
    assert done.returncode == 0, done.stderr
    expected = reference_picture(output, "scale=flags=bicubic+accurate_rnd+full_chroma_int").astype(int)
    folder = two_models.with_suffix("")
    assert sorted(path.name for path in folder.iterdir()) == [
        "01_0.01.001_Source.png",
        "01_0.01.001_repeat_2x.png",
        "01_0.01.001_repeat_4x.png",
        "02_0.02.503_Source.png",
        "02_0.02.503_repeat_2x.png",
        "02_0.02.503_repeat_4x.png",
    ]
    stored = reference_picture(folder / "01_0.01.001_repeat_2x.png").astype(int)
    # luma is the same to the bit; ffmpeg's own enlarging of chroma differs at edges
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs((stored - expected) @ weights).mean() < 0.6
    embedded = picture(page_data(two_models)["shots"][0]["pictures"][1], tmp_path)
    assert np.abs(embedded - stored).mean() < 1.5


def test_each_model_s_command_makes_the_whole_video(two_models: Path, repeat_2x: Path) -> None:
    columns = page_data(two_models)["columns"]
    assert columns[0]["command"] == ""
    assert columns[1]["command"] == (f"vidsr {SAMPLE} cel.upscaled.mkv --weights {repeat_2x} --backend torch")


def test_names_of_files_are_no_markup(repeat_2x: Path, tmp_path: Path) -> None:
    source = tmp_path / "<b>&amp; </script><script>alert(1)</script>.mkv".replace("/", "∕")
    os.link(SAMPLE, source) if SAMPLE.stat().st_dev == tmp_path.stat().st_dev else source.write_bytes(
        SAMPLE.read_bytes()
    )
    page = tmp_path / "page.html"
    done = vidsr("preview", source, page, "--weights", repeat_2x, "--at", "0", "--backend", "torch")
    assert done.returncode == 0, done.stderr
    assert "<b>" not in page.read_text(encoding="utf-8")
    assert page_data(page)["name"] == source.name


def test_filters_apply_before_and_after(repeat_2x: Path, tmp_path: Path) -> None:
    """At 1 s of 2, with a deinterlacer that needs neighbours and a crop; sizes are the crop's."""
    page = tmp_path / "page.html"
    done = vidsr(
        "preview", SAMPLE, page, "--weights", repeat_2x, "--at", "2.51", "--backend", "torch",
        "--vf", "crop=160:90:0:0", "--deinterlace", "bwdif", "--height", "90", "--lossless",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shot = page_data(page)["shots"][0]
    assert (shot["width"], shot["height"]) == (160, 90)
    expected = reference_picture(
        SAMPLE, "select=eq(n\\,60)", "bwdif=mode=send_frame:deint=all", "crop=160:90:0:0"
    )
    for number in (0, 1):
        ours = picture(shot["pictures"][number], tmp_path)
        assert np.abs(ours - expected).mean() < 6


def test_a_split_clip_shows_the_source_left_and_the_network_right(repeat_4x: Path, tmp_path: Path) -> None:
    page, clip = tmp_path / "page.html", tmp_path / "page.mp4"
    done = vidsr(
        "preview", SAMPLE, page, "--weights", repeat_4x, "--backend", "torch",
        "--clip", "--frames", "30:38", "--count", "1", "--height", "360",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "640x360" in video_line(clip)
    assert re.search(r"Audio: ", describe(clip))
    stamps = [pts for pts, _, _ in frame_lines(SAMPLE)]
    made = [pts for pts, _, _ in frame_lines(clip)]
    assert len(made) == 8
    scale = (stamps[37] - stamps[30]) / (made[-1] - made[0])
    assert [round((pts - made[0]) * scale) for pts in made] == [pts - stamps[30] for pts in stamps[30:38]]
    left = _gray(clip, "crop=310:360:0:0")
    right = _gray(clip, "crop=310:360:330:0")
    enlarged = "scale=640:360:flags=bicubic:param0=0:param1=0.5"
    repeated = "scale=1280:720:flags=neighbor,scale=640:360:flags=bicubic"
    for half, side in ((left, "0"), (right, "330")):
        soft = _gray(SAMPLE, f"select=gte(n\\,30),{enlarged},crop=310:360:{side}:0")[: len(half)]
        hard = _gray(SAMPLE, f"select=gte(n\\,30),{repeated},crop=310:360:{side}:0")[: len(half)]
        to_soft, to_hard = (np.abs(half - other).mean() for other in (soft, hard))
        assert min(to_soft, to_hard) < 3
        assert (to_soft < to_hard) == (half is left)
    middle = _gray(clip, "crop=2:360:320:0")
    assert middle.mean() > 225  # the line


def test_a_side_clip_shows_all_whole(repeat_2x: Path, repeat_4x: Path, tmp_path: Path) -> None:
    page, clip = tmp_path / "page.html", tmp_path / "page.mp4"
    done = vidsr(
        "preview", SAMPLE, page, "--weights", repeat_2x, "--weights", repeat_4x, "--backend", "torch",
        "--clip", "--layout", "side", "--frames", "30:33", "--at", "1", "--height", "180",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "960x180" in video_line(clip)
    panels = [_gray(clip, f"crop=320:180:{left}:0") for left in (0, 320, 640)]
    source = _gray(SAMPLE, "select=gte(n\\,30)")[: len(panels[0])]
    assert len(source) == 3 * 320 * 180
    assert all(np.abs(panel - source).mean() < 4 for panel in panels)


def _gray(path: Path, chain: str) -> np.ndarray:
    """Luma samples of all frames behind a chain of ffmpeg's filters."""
    from imageio_ffmpeg import get_ffmpeg_exe

    command = [
        get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), "-vf", f"{chain},format=gray",
        "-fps_mode", "passthrough", "-f", "rawvideo", "-",
    ]  # fmt: skip
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.uint8).astype(
        int
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--models", "realesr-animevideov3,realesr-animevideo4"), 2, "did you mean realesr-animevideov3"),
        (("--models", "a,,b"), 2, "empty name"),
        (("--at", "99"), 2, "ends before"),
        (("--at", "soon"), 2, "not a time"),
        (("--at", "1", "--frames", "0:9"), 2, "--at contradicts a range"),
        (("--scale", "2", "--height", "90"), 2, "cannot be combined"),
        (("--frames", "900:"), 2, "frame 900 does not exist"),
    ],
)
def test_wrong_words_are_refused_and_leave_nothing(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    done = vidsr("preview", SAMPLE, tmp_path / "page.html", *arguments)
    assert (done.returncode, list(tmp_path.iterdir())) == (code, [])
    assert words in done.stderr
    assert done.stderr.count("\n") == 2


def test_existing_files_stay_unless_they_may_be_replaced(repeat_2x: Path, tmp_path: Path) -> None:
    page, folder, clip = tmp_path / "page.html", tmp_path / "page", tmp_path / "page.mp4"
    page.write_text("mine")
    arguments = ("preview", SAMPLE, page, "--weights", repeat_2x, "--at", "0", "--backend", "torch")
    done = vidsr(*arguments)
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert page.read_text() == "mine"
    page.unlink()
    folder.mkdir()
    (folder / "holiday.png").write_bytes(b"mine")
    assert "folder" in vidsr(*arguments, "--png").stderr
    clip.write_bytes(b"mine")
    assert "is there already" in vidsr(*arguments, "--clip").stderr
    assert not page.exists()
    done = vidsr(*arguments, "--png", "--overwrite")
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["01_0.00.000_Source.png", "01_0.00.000_repeat_2x.png", "holiday.png"]
    assert clip.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page", "page.html", "page.mp4"]
    assert vidsr("preview", SAMPLE, tmp_path / "page.txt").returncode == 2


def test_an_interrupted_preview_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vidsr", "preview", SAMPLE, tmp_path / "page.html", "--png",
               "-m", "RealESRGAN_x4plus_anime_6B", "--backend", "torch", "--progress", "json"]  # fmt: skip
    with subprocess.Popen(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if '"rendering"' in line and "RealESRGAN_x4plus_anime_6B" in line:
                break
        time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=120)
    assert run.returncode == 130, errors
    assert "Interrupted" in errors
    assert list(tmp_path.iterdir()) == []


def test_standard_values_name_page_and_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default model on a source of a few pixels, in the current folder."""
    source = tmp_path / "tiny film.mkv"
    ffmpeg(
        "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=4:duration=1",
        "-vf", "format=yuv420p", "-c:v", "ffv1", source,
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = vidsr("preview", source.name, "--backend", "torch")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny film.mkv", "tiny film.preview.html"]
    columns = page_data(tmp_path / "tiny film.preview.html")["columns"]
    assert [column["name"] for column in columns] == ["Source", "realesr-animevideov3"]
    expected = "vidsr 'tiny film.mkv' 'tiny film.upscaled.mkv' -m realesr-animevideov3 --backend torch"
    assert columns[1]["command"] == expected
