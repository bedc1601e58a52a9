"""What is asked for, which part of it, and what came of it: plain frozen records.

What is kept of a segment can be written as JSON and read back on another machine; nothing here opens a
file, decodes a frame or knows a tensor. `execute` turns a Job and a Segment into a Receipt.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from vidsr.damage import Damage
from vidsr.errors import UsageError

Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
"""The number format the network computes in; "auto" is the fastest good one of the device, never int8, which
costs some of the picture."""

BackendName = Literal["auto", "torch", "inductor", "openvino", "onnxruntime"]
"""What computes the network; "auto" is the fastest that is installed for the device and starts at once.
"inductor" is torch with the layers compiled, which takes half a minute."""

Deinterlace = Literal["off", "auto", "bwdif", "ivtc"]
"""What is done to interlaced video; see `media.interlace`."""

ReuseMode = Literal["off", "exact", "near"]
"""What of earlier frames is shown again instead of computing it: nothing, what did not change at all, or
what changed by no more than a tolerance."""
Resume = Literal["auto", "restart", "never"]
"""Continue what an earlier run left; throw it away first; make the output in one go and keep nothing."""

REUSE_TOLERANCE = 7.0
"""Of "near", in 8-bit code values; see `infer.changes.NearInput`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A half-open stretch [start_pts, end_pts) of the source, in the video stream's time base.

    None stands for the stream's own beginning or end.
    """

    start_pts: int | None = None
    end_pts: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.start_pts is None and self.end_pts is None

    def __contains__(self, pts: int) -> bool:
        after_start = self.start_pts is None or pts >= self.start_pts
        return after_start and (self.end_pts is None or pts < self.end_pts)


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """A part of the source as people name it: times in seconds or frame numbers, both half-open.

    first_frame and last_frame count decoded frames from 0; last_frame is not included.
    """

    start: Fraction | None = None
    end: Fraction | None = None
    first_frame: int | None = None
    last_frame: int | None = None

    def __post_init__(self) -> None:
        by_time = self.start is not None or self.end is not None
        by_frame = self.first_frame is not None or self.last_frame is not None
        if by_time and by_frame:
            raise UsageError("--frames cannot be combined with --start or --end", "give one kind of range")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise UsageError(
                f"--start {float(self.start):g} s is not before --end {float(self.end):g} s",
                "both are times of the source: --end is no length",
            )
        if (
            self.first_frame is not None
            and self.last_frame is not None
            and self.first_frame >= self.last_frame
        ):
            raise UsageError(
                f"--frames {self.first_frame}:{self.last_frame} holds no frame",
                "A:B is the frames A, A+1, ... B-1",
            )

    @property
    def is_whole(self) -> bool:
        return (self.start, self.end, self.first_frame, self.last_frame) == (None, None, None, None)


@dataclass(frozen=True, slots=True)
class SizeRequest:
    """The output size: a factor, a height or a width; nothing = the model's native factor."""

    scale: Fraction | None = None
    width: int | None = None
    height: int | None = None

    def resolve(
        self, source_width: int, source_height: int, native_scale: int | Fraction, multiple: tuple[int, int]
    ) -> tuple[int, int]:
        """(width, height) of the output.

        multiple: (height, width) multiples the pixel format needs. Sizes that follow from a factor or
        from the aspect ratio are rounded to them; a size that was asked for by number is kept, and the
        encoder has its say about it.
        """
        multiple_h, multiple_w = multiple
        if self.width is not None and self.height is not None:
            return self.width, self.height
        if self.width is not None:
            return self.width, _nearest(Fraction(self.width * source_height, source_width), multiple_h)
        if self.height is not None:
            return _nearest(Fraction(self.height * source_width, source_height), multiple_w), self.height
        scale = Fraction(native_scale) if self.scale is None else self.scale
        return _nearest(source_width * scale, multiple_w), _nearest(source_height * scale, multiple_h)


def _nearest(value: Fraction, multiple: int) -> int:
    return max(1, round(value / multiple)) * multiple


@dataclass(frozen=True, slots=True)
class EncoderRequest:
    """Wishes about the video encoder; None = the preset's or the source's own.

    program: the ffmpeg that is to encode, by path or name; None = FFmpeg's libraries in this process.
    """

    name: str | None = None
    crf: float | None = None
    preset: str | None = None
    pixel_format: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    program: str | None = None


BadFrames = Literal["keep", "error", "repeat", "skip"]
"""What becomes of frames that cannot be decoded well. "keep": what was decoded with errors is shown as
players show it, what cannot be decoded is left out. "error": the job ends there. "repeat": the last good
frame stands in for both, each time at their own time. "skip": both are left out."""

ColorSpace = Literal["keep", "bt709"]
"""The output's colours: the source's own kind, or BT.709 (matrix, primaries and transfer)."""

SizeChange = Literal["error", "rescale"]
"""When the picture's size changes on the way: the job ends there, or later frames are fitted into the first
size."""


@dataclass(frozen=True, slots=True)
class ReadingRules:
    """What is done where a source is not as it should be. All of it is put on record."""

    on_bad_frame: BadFrames = "keep"
    on_size_change: SizeChange = "error"


PipeFormat = Literal["nut", "y4m"]
"""What is written to standard output: everything with its time stamps, or the bare picture."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request, complete: what the command line said and nothing about how it will be run.

    output: "-" is standard output, in `pipe_format`.
    model: a preset's name; None = the default one, or whatever network `weights` turns out to hold.
    ray: address of the Ray cluster that computes it, "auto" for the nearest one; None = this machine.
    filters: libavfilter's, for the frames before the network, behind `deinterlace`. post_filters: for
        those on their way from the network to the encoder.
    hwaccel: what decodes the source, by FFmpeg's name for it ("cuda"); None = the processor.
    allow_network: whether `source` may be an address, and a playlist that leads elsewhere.
    """

    source: Path
    output: Path
    pipe_format: PipeFormat = "nut"
    model: str | None = None
    weights: Path | None = None
    denoise: float | None = None
    hwaccel: str | None = None
    rules: ReadingRules = field(default_factory=ReadingRules)
    deinterlace: Deinterlace = "off"
    filters: str = ""
    colorspace: ColorSpace = "keep"
    post_filters: str = ""
    size: SizeRequest = field(default_factory=SizeRequest)
    range: RangeRequest = field(default_factory=RangeRequest)
    encoder: EncoderRequest = field(default_factory=EncoderRequest)
    device: str = "auto"
    ray: str | None = None
    backend: BackendName = "auto"
    precision: Precision = "auto"
    batch: int | None = None
    tile: int | None = None
    reuse: ReuseMode = "exact"
    reuse_tolerance: float = REUSE_TOLERANCE
    audio: str = "all"
    subtitles: str = "all"
    strict: bool = False
    overwrite: bool = False
    verify: bool = True
    allow_network: bool = False

    @property
    def is_piped(self) -> bool:
        """Whether the output is standard output."""
        return self.output == Path("-")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; fractions as "numerator/denominator"."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain

    def wishes(self) -> dict[str, Any]:
        """What of the request decides the pixels by itself, as JSON values.

        Left out is what is resolved before the first frame and known better then (the range's time stamps,
        the size, the encoder's settings, the weights, the device), what only matters when everything is put
        together (sound, subtitles), and where things are.
        """
        return {key: value for key, value in self.to_json().items() if key not in _RESOLVED_LATER}


_RESOLVED_LATER = frozenset(
    {
        "source",
        "output",
        "pipe_format",
        "overwrite",
        "verify",
        "allow_network",
        "audio",
        "subtitles",
        "strict",
    }
    | {"model", "weights", "denoise", "size", "range", "encoder"}
    | {"device", "ray", "backend", "precision", "batch"}
    | {"hwaccel"}  # decoders give the same samples, whatever they run on: their standards say which
)


@dataclass(frozen=True, slots=True)
class SegmentReceipt:
    """What came of a segment: a file of packets in the job's folder, and all that is to be known of it.

    file: its name; "" if the segment holds no frame. frames: as many as were decoded. first_pts, last_pts:
    of the frames, in the source's time base; None if there are none. reorder: by how many places at most
    a packet comes before its turn in presentation order. seconds: the time it took. damage: what of this
    segment could not be decoded.
    """

    segment: Segment
    file: str = ""
    frames: int = 0
    first_pts: int | None = None
    last_pts: int | None = None
    size_bytes: int = 0
    sha256: str = ""
    reorder: int = 0
    seconds: float = 0.0
    damage: tuple[Damage, ...] = ()

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> SegmentReceipt:
        """Raises KeyError, TypeError or ValueError for anything but what `to_json` gives."""
        fields = dict(fields)
        segment = Segment(**fields.pop("segment"))
        damage = tuple(Damage.from_json(entry) for entry in fields.pop("damage"))
        return cls(segment, **fields, damage=damage)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of a job. Frames were all read, computed and written, or `damage` names the missing.

    first_pts, last_pts: of the frames written, in the source's time base; None if there was none.
    """

    output: Path
    frames_read: int
    frames_written: int
    first_pts: int | None
    last_pts: int | None
    size_bytes: int
    elapsed_seconds: float
    damage: tuple[str, ...] = ()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, Path):
        return str(value)
    return value
