"""What is in a media file, told by a program that is not under test: the ffmpeg of imageio-ffmpeg.

Every function runs that program and reads its text output; none uses PyAV.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt


def ffmpeg(*arguments: str | Path, expect_success: bool = True) -> tuple[bytes, str]:
    """Run ffmpeg; give (stdout, stderr)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    stderr = done.stderr.decode(errors="replace")
    if expect_success and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{stderr}")
    return done.stdout, stderr


@dataclass(frozen=True)
class Row:
    """A packet or a decoded frame: times in seconds, md5 of the payload."""

    pts: Fraction
    duration: Fraction
    md5: str


@dataclass(frozen=True)
class StreamListing:
    """One stream as ffmpeg describes it on stderr."""

    index: int
    kind: str
    language: str
    description: str
    metadata: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def dispositions(self) -> set[str]:
        """Only words like (default) and (forced) behind the description."""
        return set(re.findall(r"\(([a-z ]+)\)", self.description)) & {
            "default", "forced", "comment", "attached pic", "original", "dub", "hearing impaired",
        }  # fmt: skip


def packets(path: Path) -> dict[int, list[Row]]:
    """All packets of all streams in presentation order, by stream index."""
    out, _ = ffmpeg(
        "-v", "error", "-copyts", "-i", path, "-map", "0", "-map", "-0:t?", "-c", "copy", "-copyinkf",
        "-f", "framehash", "-hash", "md5", "-",
    )  # fmt: skip
    carried = [s.index for s in streams(path) if s.kind != "attachment"]
    return {carried[number]: rows for number, rows in _rows(out).items()}


def decoded(path: Path, *options: str) -> list[Row]:
    """All frames of the main video as ffmpeg decodes them; options go before the output."""
    out, _ = ffmpeg(
        "-v", "error", "-copyts", "-noautorotate", "-i", path, "-map", "0:V:0", "-fps_mode", "passthrough",
        "-enc_time_base", "demux", *options, "-f", "framehash", "-hash", "md5", "-",
    )  # fmt: skip
    return _rows(out).get(0, [])


def decoded_sound(path: Path, number: int = 0) -> list[Row]:
    """All frames of a sound track as ffmpeg decodes them."""
    out, _ = ffmpeg(
        "-v", "error", "-copyts", "-i", path, "-map", f"0:a:{number}", "-f", "framehash", "-hash", "md5", "-"
    )
    return _rows(out)[0]


def sound_samples(path: Path, number: int) -> npt.NDArray[np.float32]:
    """The samples of a sound track in mono."""
    out, _ = ffmpeg("-v", "error", "-i", path, "-map", f"0:a:{number}", "-ac", "1", "-f", "f32le", "-")
    return np.frombuffer(out, np.float32)


def raw_video(path: Path, pixel_format: str) -> bytes:
    """All samples of the main video, frame after frame, in a pixel format."""
    out, _ = ffmpeg(
        "-v", "error", "-noautorotate", "-i", path, "-map", "0:V:0", "-fps_mode", "passthrough",
        "-f", "rawvideo", "-pix_fmt", pixel_format, "-",
    )  # fmt: skip
    return out


def streams(path: Path) -> list[StreamListing]:
    """The stream list, with metadata."""
    _, text = ffmpeg("-v", "verbose", "-i", path, expect_success=False)
    found: list[StreamListing] = []
    reading = False
    for line in text.splitlines():
        header = re.match(r"  Stream #0:(\d+)(?:\[\w+\])?(?:\((\w+)\))?: (\w+): (.*)", line)
        if header:
            found.append(StreamListing(int(header[1]), header[3].lower(), header[2] or "", header[4]))
            reading = True
        elif reading and (entry := re.match(r"      (\S.*?) *: (.*)", line)):
            found[-1].metadata[entry[1]] = entry[2]
        elif not line.startswith("    "):
            reading = False
    return found


def side_data(path: Path) -> str:
    """The whole description, for what only appears as text (display matrix, HDR metadata)."""
    return ffmpeg("-v", "verbose", "-i", path, expect_success=False)[1]


@dataclass(frozen=True)
class Chapter:
    start: Fraction
    end: Fraction
    title: str | None


def global_metadata(path: Path) -> dict[str, str]:
    """Tags of the whole file."""
    text = ffmpeg("-v", "error", "-i", path, "-f", "ffmetadata", "-")[0].decode()
    head = text.split("[", 1)[0]
    return dict(line.split("=", 1) for line in head.splitlines() if "=" in line)


def chapters(path: Path) -> list[Chapter]:
    text = ffmpeg("-v", "error", "-copyts", "-i", path, "-f", "ffmetadata", "-")[0].decode()
    found = []
    for block in text.split("[CHAPTER]")[1:]:
        fields = dict(line.split("=", 1) for line in block.split("[", 1)[0].splitlines() if "=" in line)
        unit = Fraction(fields["TIMEBASE"])
        found.append(Chapter(int(fields["START"]) * unit, int(fields["END"]) * unit, fields.get("title")))
    return found


def attachments(path: Path, folder: Path) -> dict[str, bytes]:
    """File name -> content of all attachments."""
    contents = {}
    for listing in streams(path):
        if listing.kind == "attachment":
            target = folder / f"attachment-{listing.index}"
            ffmpeg(
                "-v", "error", f"-dump_attachment:{listing.index}", target, "-i", path, expect_success=False
            )
            contents[listing.metadata.get("filename", "")] = target.read_bytes()
    return contents


def subtitle_text(path: Path, number: int) -> list[tuple[Fraction, Fraction, str]]:
    """(start, end, text) of a text subtitle track, without markup, from ffmpeg's conversion to SubRip."""
    text = ffmpeg("-v", "error", "-copyts", "-i", path, "-map", f"0:s:{number}", "-f", "srt", "-")[0].decode()
    lines = []
    for block in re.split(r"\n\s*\n", text.strip()):
        _, times, *words = block.splitlines()
        start, end = (_clock(t) for t in times.split(" --> "))
        lines.append((start, end, re.sub(r"<[^>]+>|\{[^}]+\}", "", "\n".join(words))))
    return lines


def silences(path: Path) -> list[tuple[float, float]]:
    """(start, end) in seconds of stretches of at least 0.2 s below -50 dB, with gaps filled by silence."""
    _, text = ffmpeg(
        "-copyts", "-i", path, "-map", "0:a:0", "-af",
        "aresample=async=1:first_pts=0,silencedetect=noise=-50dB:duration=0.2", "-f", "null", "-",
    )  # fmt: skip
    starts = [float(t) for t in re.findall(r"silence_start: ([\d.]+)", text)]
    ends = [float(t) for t in re.findall(r"silence_end: ([\d.]+)", text)]
    return list(zip(starts, ends, strict=False))


def _clock(text: str) -> Fraction:
    hours, minutes, seconds = text.strip().split(":")
    return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.replace(",", "."))


@cache
def has_encoder(name: str) -> bool:
    return re.search(rf"^ \S+ {re.escape(name)} ", ffmpeg("-encoders")[0].decode(), re.MULTILINE) is not None


def _rows(text: bytes) -> dict[int, list[Row]]:
    units: dict[int, Fraction] = {}
    rows: dict[int, list[Row]] = {}
    for line in text.decode().splitlines():
        if line.startswith("#tb"):
            number, tick = line.removeprefix("#tb").split(":")
            units[int(number)] = Fraction(tick.strip())
        elif line and not line.startswith("#"):
            fields = [item.strip() for item in line.split(",")]
            stream = int(fields[0])
            unit = units[stream]
            rows.setdefault(stream, []).append(Row(int(fields[2]) * unit, int(fields[3]) * unit, fields[5]))
    for found in rows.values():
        found.sort(key=lambda row: row.pts)
    return rows
