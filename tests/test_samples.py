"""The committed sample clip against the script that draws it, as an independent program reads it.

The picture tests compare decoded samples, not bytes: another build of the encoder may round
otherwise. Numbers come from the clip's description, from ITU-R BT.709 and from ffmpeg.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import make_samples
import numpy as np
import numpy.typing as npt
import pytest

SAMPLES = Path(__file__).parent.parent / "samples"
CLIP = SAMPLES / "cel.mkv"
LUMA, CHROMA = 320 * 180, 160 * 90


def _ffmpeg(*arguments: str, given: bytes | None = None) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *arguments, "-"]
    if given is not None:
        command.remove("-nostdin")
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _planes(raw: bytes) -> list[npt.NDArray[np.float64]]:
    """Y, U and V of every frame, (frames, samples)."""
    frames = np.frombuffer(raw, np.uint8).reshape(-1, LUMA + 2 * CHROMA).astype(np.float64)
    return np.split(frames, [LUMA, LUMA + CHROMA], axis=1)


@functools.cache
def _decoded() -> bytes:
    return _ffmpeg("-i", str(CLIP), "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo")


def _hashes(path: Path, *options: str) -> dict[int, str]:
    """pts -> MD5 of the decoded picture; the clip's time base must be one frame."""
    text = _ffmpeg(
        *options, "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5"
    ).decode()
    assert "#tb 0: 1001/24000" in text
    rows = [line.split(",") for line in text.splitlines() if not line.startswith("#")]
    return {int(row[2]): row[5].strip() for row in rows}


def test_clip_is_small_enough_to_be_committed() -> None:
    assert CLIP.stat().st_size < 500_000


def test_decoded_pictures_are_the_drawn_ones() -> None:
    drawn = b"".join(make_samples.draw_frame(i).tobytes() for i in range(72))
    source = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "320x180", "-i", "-")
    convert = (
        "scale=out_color_matrix=bt709:out_range=tv:flags=bicubic+accurate_rnd+full_chroma_inp,format=yuv420p"
    )
    expected = _planes(_ffmpeg(*source, "-vf", convert, "-f", "rawvideo", given=drawn))
    for name, ours, theirs in zip("YUV", _planes(_decoded()), expected, strict=True):
        assert ours.shape == theirs.shape
        error = np.maximum(np.square(ours - theirs).mean(axis=1), 1e-6)
        psnr = 10 * np.log10(255**2 / error)
        assert psnr.min() > 38, f"{name} of frame {psnr.argmin()} is at {psnr.min():.1f} dB"


def test_clip_has_72_frames_at_24000_1001_from_zero() -> None:
    assert list(_hashes(CLIP)) == list(range(72))


def test_key_frames_stand_at_the_start_and_the_cut_only() -> None:
    assert list(_hashes(CLIP, "-skip_frame", "nokey")) == [0, 36]


def test_held_frames_decode_to_exactly_the_same_picture() -> None:
    hashes = _hashes(CLIP)
    drawings = [{hashes[k], hashes[k + 1], hashes[k + 2]} for k in range(0, 36, 3)]
    assert [len(d) for d in drawings] == [1] * 12
    assert len(set.union(*drawings)) == 12


def test_every_frame_of_the_pan_differs() -> None:
    hashes = _hashes(CLIP)
    assert len({hashes[k] for k in range(36, 72)}) == 36


def test_background_stays_untouched_between_drawings() -> None:
    first = np.frombuffer(_decoded(), np.uint8).reshape(72, -1)[:36, :LUMA].reshape(36, 180, 320)
    left_half = first[:, :, :144]  # the girl never reaches over here
    assert (left_half == left_half[0]).all()


def test_streams_are_tagged_as_described() -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(CLIP)]
    text = subprocess.run(command, capture_output=True, check=False).stderr.decode()
    streams = re.findall(r"Stream #0:\d.*", text)
    assert len(streams) == 3
    assert re.search(
        r"Video: h264 .*yuv420p\(tv, bt709, progressive\), 320x180.* 23\.98 fps.*\(default\)", streams[0]
    )
    assert re.search(r"\(jpn\): Audio: opus, 48000 Hz, stereo", streams[1])
    assert re.search(r"\(eng\): Subtitle: ass", streams[2])
    assert "start: 0.000000" in text


def test_chapters_and_title_are_there() -> None:
    text = _ffmpeg("-i", str(CLIP), "-f", "ffmetadata").decode()
    head, *chapters = text.split("[CHAPTER]")
    assert "title=Until tomorrow" in head
    fields = [dict(line.split("=", 1) for line in chapter.split()[:3]) for chapter in chapters]
    assert {f["TIMEBASE"] for f in fields} == {"1/1000000000"}
    assert [(int(f["START"]), int(f["END"])) for f in fields] == [(0, 1501500000), (1501500000, 3003000000)]
    assert [re.findall("title=(.*)", c) for c in chapters] == [["Hillside"], ["City at night"]]


def test_subtitles_keep_times_and_styling() -> None:
    text = _ffmpeg("-i", str(CLIP), "-map", "0:s", "-c", "copy", "-f", "ass").decode()
    lines = [line.strip() for line in text.splitlines() if line.startswith("Dialogue:")]
    assert lines == [
        "Dialogue: 0,0:00:00.10,0:00:00.80,Girl,Girl,0,0,0,,Hey! Over here!",
        r"Dialogue: 0,0:00:00.80,0:00:01.45,Girl,Girl,0,0,0,,See you {\i1}tomorrow{\i0},\Nby the old pole!",
        r"Dialogue: 1,0:00:01.55,0:00:02.80,Place,,0,0,0,,{\fad(200,300)}The city, that night",
    ]
    assert text.count("\nStyle: ") == 2


def test_sound_is_the_synthesised_one_and_as_long_as_the_picture() -> None:
    raw = _ffmpeg("-i", str(CLIP), "-map", "0:a", "-f", "f32le")
    heard = np.frombuffer(raw, np.float32).reshape(-1, 2).T
    made = make_samples.play_sound()[:, make_samples.OPUS_DELAY :]
    assert heard.shape == (2, 144144 - 312)  # 72 frames less the encoder's delay
    assert np.abs(made).max() < 1  # nothing clips
    for channel in range(2):
        assert np.corrcoef(heard[channel], made[channel])[0, 1] > 0.95


def test_conversion_gives_the_code_values_of_bt709() -> None:
    # 100 % colour bars, limited range; ITU-R BT.709 item 3.2 with 8-bit quantisation of item 5
    bars = {
        (255, 255, 255): (235, 128, 128),
        (255, 255, 0): (219, 16, 138),
        (0, 255, 255): (188, 154, 16),
        (0, 255, 0): (173, 42, 26),
        (255, 0, 255): (78, 214, 230),
        (255, 0, 0): (63, 102, 240),
        (0, 0, 255): (32, 240, 118),
        (0, 0, 0): (16, 128, 128),
    }
    for colour, expected in bars.items():
        picture = np.full((4, 6, 3), colour, np.uint8)
        assert tuple(
            {int(v) for v in np.unique(plane)} for plane in make_samples.convert_to_yuv(picture)
        ) == tuple({v} for v in expected)


def test_front_layer_pans_by_seven_pixels_in_four_frames() -> None:
    head = np.s_[104:114, 149:163]  # inside the cat's outline, where no other layer shows
    there = make_samples.draw_frame(36)[head]
    assert len(np.unique(there.reshape(-1, 3), axis=0)) > 20  # eyes, nose and whiskers: not a flat patch
    assert (make_samples.draw_frame(40)[104:114, 149 - 7 : 163 - 7] == there).all()


def test_fade_ends_in_black_and_the_cut_is_the_largest_change() -> None:
    frames = np.stack([make_samples.draw_frame(i) for i in range(72)]).astype(np.int16)
    assert frames[71].max() == 0
    brightness = frames[59:].mean(axis=(1, 2, 3))
    assert (np.diff(brightness) < 0).all()
    assert np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3)).argmax() == 35


@pytest.mark.parametrize("index", [-1, 72])
def test_frames_outside_the_clip_are_refused(index: int) -> None:
    with pytest.raises(IndexError, match="72 frames"):
        make_samples.draw_frame(index)


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here.mkv", tmp_path / "there.mkv"
    make_samples.make_clip(here)
    command = [sys.executable, str(SAMPLES / "make_samples.py"), str(there)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{there}: 72 frames, 320x180, {there.stat().st_size / 1000:.0f} kB"]
    assert here.read_bytes() == there.read_bytes()


def test_unknown_option_ends_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert make_samples.main(["--help"]) == 2
    assert "usage" in capsys.readouterr().err
