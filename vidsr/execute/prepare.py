"""Finds the parts of a job: what the source is, which network, what the output will be.

The order is the order of cheapness, so that a wrong word fails before a large import and everything that
can be refused is refused before the first frame is computed. Nothing runs here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import torch

from vidsr.backends.choose import choose_device
from vidsr.channel import StopSignal
from vidsr.execute.network import chosen_preset, load_model, open_network, usual_batch
from vidsr.execute.output_plan import container_of, encoder_words, plan_output
from vidsr.frames import PixelFormat
from vidsr.infer.picture import Picture
from vidsr.infer.upscaler import Upscaler
from vidsr.job import Job, Segment
from vidsr.media.encode.encoders import EncoderSettings
from vidsr.media.filters import parse_chain
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.filtered_reader import FilteredReader, Filtering
from vidsr.media.read.hardware import decodes_on_hardware
from vidsr.media.read.interlace import DEINTERLACERS, deinterlacing_steps, interlace_note, scan_of
from vidsr.media.read.locate import locate
from vidsr.media.read.probe import probe
from vidsr.media.read.scenes import SegmentLength
from vidsr.media.read.segment_reader import SegmentReader, Stretch
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.rec709 import rec709_steps
from vidsr.media.views import behind_filters
from vidsr.media.write.segment_writer import SegmentCoding
from vidsr.media.write.standard_streams import claim_stdout
from vidsr.media.write.writer import Writer
from vidsr.presets import Preset
from vidsr.progress.events import Show, Started
from vidsr.weights.store import LoadedGraph, LoadedNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A job with everything found that it needs.

    info: the source as the network sees it, behind the filters where there are some; segment: the part of
    it that is wanted. filtering: what lies before, None without filters. devices: where the network may
    run, in the order they were named. source, target: pictures as the network gets them and as they are
    encoded. hwaccel: what decodes, None = the processor. notes: lines for people.
    """

    job: Job
    preset: Preset | None
    info: SourceInfo
    segment: Segment
    devices: tuple[torch.device, ...]
    loaded: LoadedNetwork | LoadedGraph
    source: Picture
    target: Picture
    settings: EncoderSettings
    filtering: Filtering | None = None
    hwaccel: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The network's name, for people."""
        named = self.preset is not None and self.job.weights is None
        return self.preset.name if named and self.preset is not None else self.loaded.origin

    @property
    def frames_expected(self) -> int | None:
        """How many frames the job has, as far as it can be told without decoding; None if it cannot."""
        return _frames_expected(self.job, self.info, self.segment)[0]

    @property
    def frames_segment(self) -> Segment:
        """Where the frames of the job lie; with filters, the last one may lie behind `segment`."""
        return self.segment if self.filtering is None else self.filtering.given_segment

    def open_source(
        self,
        stretches: Iterable[Stretch],
        *,
        length: SegmentLength | None,
        stop: StopSignal,
        from_beginning: bool = False,
    ) -> SegmentReader | FilteredReader:
        """The frames of some stretches; see SegmentReader."""
        if self.filtering is None:
            return SegmentReader(
                self.info,
                stretches,
                length=length,
                stop=stop,
                from_beginning=from_beginning,
                rules=self.job.rules,
                hwaccel=self.hwaccel,
            )
        return FilteredReader(
            self.filtering,
            stretches,
            length=length,
            stop=stop,
            from_beginning=from_beginning,
            rules=self.job.rules,
            hwaccel=self.hwaccel,
        )

    def open_writer(self) -> Writer:
        """The output, begun. Raises as Writer does."""
        job, target = self.job, self.target
        return Writer(
            job.output,
            self.info,
            self.settings,
            width=target.width,
            height=target.height,
            color=target.color,
            segment=self.segment,
            audio=job.audio,
            subtitles=job.subtitles,
            strict=job.strict,
            overwrite=job.overwrite,
            pipe=claim_stdout() if job.is_piped else None,
            container=container_of(job),
        )

    def segment_coding(self, digest: str) -> SegmentCoding:
        """How the job's segments are coded. digest: of the job."""
        target = self.target
        return SegmentCoding(self.info, self.settings, target.width, target.height, target.color, digest)

    def started(self, engine: str, *, frames_before: int = 0) -> Started:
        """The first event of a run. engine: words for what computes the network."""
        total, exact = _frames_expected(self.job, self.info, self.segment)
        behind = f", then {self.job.post_filters}" if self.job.post_filters else ""
        return Started(
            source=str(self.job.source),
            output=str(self.job.output),
            model=self.model,
            source_picture=str(self.source),
            output_picture=f"{self.target}{behind}",
            engine=engine,
            encoder=encoder_words(self.settings),
            frames_total=total,
            frames_total_is_exact=exact,
            source_fps=None if self.info.average_rate is None else float(self.info.average_rate),
            frames_before=frames_before,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """The network on one device, ready for frames. words: for people, such as "torch fp16 on cuda:0"."""

    upscaler: Upscaler
    device: torch.device
    batch_size: int
    words: str


def prepare(job: Job, show: Show) -> Prepared:
    """Find everything the job needs; downloads the weights if need be.

    Raises a VidsrError for whatever cannot be had.
    """
    preset = chosen_preset(job.model, job.weights)
    info = probe(job.source, allow_network=job.allow_network)
    # on a cluster the nodes decide; this machine only needs to know what is wanted
    wish = job.device if job.ray is None else "auto"
    devices = tuple(choose_device(name.strip()) for name in wish.split(","))
    hwaccel, hardware_notes = _decoding(job, info, devices[0])
    segment = locate(info, job.range)
    filtering, coded_like, notes = _filtering(job, info, segment)
    notes = (*hardware_notes, *notes)
    if filtering is not None:
        info, segment = filtering.info, filtering.filtered_segment
    loaded = load_model(preset, job.weights, job.denoise, show)
    source = _source_picture(info)
    scale = loaded.requested_scale or Fraction(loaded.network.scale)
    settings, target, changes = plan_output(job, preset, source, coded_like, scale)
    notes += changes
    info = behind_filters(info, parse_chain(settings.post_filters))
    return Prepared(
        job, preset, info, segment, devices, loaded, source, target, settings, filtering, hwaccel, notes
    )


def open_engine(prepared: Prepared, device: torch.device, stop: StopSignal) -> Engine:
    """The job's network on a device. Raises DeviceError, DeviceMemoryError."""
    job, preset = prepared.job, prepared.preset
    backend = open_network(
        prepared.loaded, device, name=job.backend, precision=job.precision, checkpoint=stop.check
    )
    pixels = prepared.source.width * prepared.source.height
    batch = job.batch or usual_batch(preset, prepared.loaded, backend, pixels)
    upscaler = Upscaler(
        backend,
        prepared.source,
        prepared.target,
        batch_size=batch,
        tile=job.tile,
        reuse=job.reuse,
        reuse_tolerance=job.reuse_tolerance,
    )
    return Engine(upscaler, device, batch, backend.words)


def _decoding(job: Job, info: SourceInfo, device: torch.device) -> tuple[str | None, tuple[str, ...]]:
    """What decodes, of several GPUs the one that computes; a line for people if it is not what was wished.

    Raises as `demux.open_accelerated` does.
    """
    if job.hwaccel is None or job.ray is not None:
        return job.hwaccel, ()  # a cluster's nodes look for themselves
    wish = str(device) if job.hwaccel == device.type == "cuda" else job.hwaccel
    with info.open_accelerated(wish) as container:
        if decodes_on_hardware(container, info):
            return wish, ()
    return None, (f"{wish} does not decode this {info.codec} ({info.pixel_format}); the processor does",)


def _filtering(
    job: Job, info: SourceInfo, segment: Segment
) -> tuple[Filtering | None, PixelFormat, tuple[str, ...]]:
    """What the frames go through before the network, the layout the output imitates, notes for people."""
    wished = parse_chain(job.filters)
    notes: tuple[str, ...] = ()
    if not any(step.name in DEINTERLACERS for step in wished):
        note = interlace_note(job.deinterlace, scan_of(info), info)
        notes = (note,) if note else ()
    steps = (*deinterlacing_steps(job.deinterlace, info), *wished)
    filtering = Filtering.of(info, segment, steps) if steps else None
    picture = _source_picture(info if filtering is None else filtering.info)
    if job.colorspace == "bt709" and (converting := rec709_steps(picture.color, picture.format)):
        filtering = Filtering.of(info, segment, (*steps, *converting))
    return filtering, picture.format, notes


def _source_picture(info: SourceInfo) -> Picture:
    return Picture(info.width, info.height, planar_equivalent(info.pixel_format), source_color(info))


def _frames_expected(job: Job, info: SourceInfo, segment: Segment) -> tuple[int | None, bool]:
    """(frames to be expected, whether that is exact)."""
    counted = job.range.last_frame is not None and job.deinterlace != "ivtc" and not job.filters
    if counted and job.range.last_frame is not None and segment.end_pts is not None:
        return job.range.last_frame - (job.range.first_frame or 0), True
    rate = info.frames_a_second
    if segment.is_whole or rate is None or info.duration is None:
        return info.frame_count_estimate, info.is_frame_count_exact
    first = info.start_seconds
    start = first if segment.start_pts is None else segment.start_pts * info.time_base
    end = first + info.duration if segment.end_pts is None else segment.end_pts * info.time_base
    return max(round((end - start) * rate), 1), False
