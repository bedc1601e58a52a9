"""Through the whole job, colours stay what they were, as an independent decoder shows them.

The network repeats pixels, so that every difference is the job's own. ffmpeg's zscale turns source and
output to R'G'B' by the tags it finds in each; means are compared within 1 of 255.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pytest

from tests.reference_ffmpeg import ffmpeg, video_line
from tests.straight import run_job
from vidsr.errors import StreamRefusedError
from vidsr.job import EncoderRequest, Job
from vidsr.progress.events import Event, Note


@dataclass(frozen=True)
class Clip:
    """A source: its samples, the matrix and range they were made with, and the tags it carries.

    primaries, transfer: ffmpeg's names, or "unknown"; with "unknown" the file has no tags at all, and a
    decoder must be told the matrix. output_says: what ffmpeg must print about the output.
    """

    pixel_format: str
    matrix: str
    range: str
    primaries: str
    transfer: str
    output_says: str
    size: str = "160x120"

    @property
    def is_tagged(self) -> bool:
        return self.primaries != "unknown"


SD, HD = "smpte170m", "bt709"
CLIPS = {
    "BT.601 SD": Clip("yuv420p", "170m", "limited", SD, SD, "yuv420p(tv, smpte170m"),
    "BT.601 SD, untagged": Clip("yuv420p", "170m", "limited", "unknown", "unknown", "yuv420p(tv, smpte170m"),
    "BT.709": Clip("yuv420p", "709", "limited", HD, HD, "yuv420p(tv, bt709"),
    "BT.709, 720 lines, untagged": Clip(
        "yuv420p", "709", "limited", "unknown", "unknown", "yuv420p(tv, bt709", "320x720"
    ),
    "full range": Clip("yuv420p", "709", "full", HD, HD, "yuvj420p(pc, bt709"),
    "10 bit": Clip("yuv420p10le", "709", "limited", HD, HD, "yuv420p10le(tv, bt709"),
    "PQ": Clip(
        "yuv420p10le", "2020_ncl", "limited", "bt2020", "smpte2084",
        "yuv420p10le(tv, bt2020nc/bt2020/smpte2084",
    ),
    "4:2:2": Clip("yuv422p", "709", "limited", HD, HD, "yuv422p(tv, bt709"),
    "4:4:4": Clip("yuv444p", "170m", "limited", SD, SD, "yuv444p(tv, smpte170m"),
}  # fmt: skip


def make(path: Path, clip: Clip) -> None:
    """Three frames of colour bars with moving parts, coded without loss."""
    convert = f"format=gbrp,zscale=m={clip.matrix}:r={clip.range}:c=left,format={clip.pixel_format}"
    tags = f"color_primaries={clip.primaries}:color_trc={clip.transfer}"
    if not clip.is_tagged:
        tags += ":colorspace=unknown:range=unknown"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size={clip.size}:rate=10:duration=0.3",
        "-vf", f"{convert},setparams={tags}", "-c:v", "libx264", "-qp", "0", path,
    )  # fmt: skip


def mean_rgb(path: Path, read_as: str) -> npt.NDArray[np.float64]:
    """Mean R', G', B' of the first frame in code values of 8 bits, from 16-bit samples."""
    options = ":".join(part for part in (read_as, "m=gbr:r=full") if part)
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), "-frames:v", "1",
        "-vf", f"zscale={options},format=gbrp16le", "-f", "rawvideo", "-",
    ]  # fmt: skip
    data = subprocess.run(command, capture_output=True, check=True).stdout
    green, blue, red = np.frombuffer(data, np.uint16).reshape(3, -1).mean(axis=1) / 257
    return np.array([red, green, blue])


@pytest.mark.parametrize("name", CLIPS)
def test_mean_colours_are_kept_within_one_code_value(name: str, tmp_path: Path, repeat_2x: Path) -> None:
    clip = CLIPS[name]
    source, output = tmp_path / "in.mkv", tmp_path / "out.mkv"
    make(source, clip)
    run_job(
        Job(source, output, weights=repeat_2x, encoder=EncoderRequest(crf=4), precision="fp32"),
        show=lambda _: None,
    )
    assert clip.output_says in video_line(output)
    read_as = "" if clip.is_tagged else f"min={clip.matrix}:rin={clip.range}"
    difference = mean_rgb(output, "") - mean_rgb(source, read_as)
    assert abs(difference).max() < 1, difference


@pytest.mark.parametrize(
    ("encoder", "name", "said"),
    [
        ("prores_ks", "full range", "from full to limited"),
        ("dnxhd", "BT.601 SD", "from smpte170m to bt709"),
        ("dnxhd", "full range", "from full to limited"),
    ],
)
def test_what_editing_codecs_cannot_name_is_converted_and_said(
    encoder: str, name: str, said: str, tmp_path: Path, repeat_2x: Path
) -> None:
    """The job verifies its output before it is done; the means are an independent decoder's."""
    source, output = tmp_path / "in.mkv", tmp_path / "out.mov"
    make(source, replace(CLIPS[name], size="256x128"))
    job = Job(source, output, weights=repeat_2x, encoder=EncoderRequest(name=encoder), precision="fp32")
    events: list[Event] = []
    run_job(job, show=events.append)
    assert any(said in event.text for event in events if isinstance(event, Note))
    difference = mean_rgb(output, "") - mean_rgb(source, "")
    assert abs(difference).max() < 1, difference
    with pytest.raises(StreamRefusedError, match=said):
        run_job(replace(job, output=tmp_path / "strict.mov", strict=True), show=lambda _: None)
    assert not (tmp_path / "strict.mov").exists()
