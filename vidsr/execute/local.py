"""Runs a job in this process: finds the parts, joins them to a pipeline, and shows what happens.

The order of preparation is the order of cheapness, so that a wrong word fails before a large import and
everything that can be refused is refused before the first frame is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from fractions import Fraction

from vidsr.backends.base import Backend
from vidsr.backends.choose import choose_device
from vidsr.backends.open import open_backend
from vidsr.channel import StopSignal
from vidsr.errors import DamagedSourceError, SourceError
from vidsr.frames import ChromaLocation, Color, Frame, Matrix, PixelFormat, Range
from vidsr.infer.upscaler import Picture, Upscaler
from vidsr.job import Job, Receipt, Segment
from vidsr.media.color import assume
from vidsr.media.containers import OutputFormat
from vidsr.media.encoders import EncoderSettings, settings_for
from vidsr.media.pixels import planar_equivalent
from vidsr.media.probe import SourceInfo, probe
from vidsr.media.reader import Reader, locate_frames, locate_times
from vidsr.media.writer import Writer
from vidsr.pipeline import Run, Snapshot
from vidsr.presets import DEFAULT_MODEL, EncoderDefaults, Preset, find_preset
from vidsr.progress import Event, Fetching, Finished, Note, Started, Working
from vidsr.weights.store import LoadedNetwork, load_network, load_weights_file

QUEUE_BYTES = 512 * 2**20
"""What the queue of upscaled frames may hold: a hiccup of the encoder is bridged, memory stays flat."""
QUEUE_FRAMES = (3, 24)
"""Its bounds in frames: three keep the stages apart even at 8K, past 24 nothing more is gained."""

Show = Callable[[Event], None]


@dataclass
class SegmentSource:
    """Opens the reader in the thread that decodes, and keeps what it saw."""

    info: SourceInfo
    segment: Segment
    stop: StopSignal
    damage: list[str] = field(default_factory=list)
    first_pts: int | None = None
    last_pts: int | None = None

    def frames(self) -> Generator[Frame, None, None]:
        with Reader(self.info, self.segment) as reader:
            self.stop.subscribe(reader.stop)
            for frame in reader.frames():
                if self.first_pts is None:
                    self.first_pts = frame.pts
                self.last_pts = frame.pts
                yield frame
            self.stop.check()  # a reader that was stopped ends as if the file did
            self.damage.extend(str(damage) for damage in reader.damage)


def run_job(job: Job, *, show: Show, stop: StopSignal | None = None) -> Receipt:
    """Do everything the job asks for.

    show: called in this thread with every event. Raises a VidsrError for whatever cannot be done; the
    output exists under its name only if this returns.
    """
    stop = stop or StopSignal()
    preset = (
        None if job.model is None and job.weights is not None else find_preset(job.model or DEFAULT_MODEL)
    )
    info = probe(job.source)
    segment = _segment(job, info)
    device = choose_device(job.device)
    loaded = _load(job, preset, show)
    backend = open_backend(
        loaded.network, device, name=job.backend, precision=job.precision, checkpoint=stop.check
    )

    source = _source_picture(info)
    settings, target = _plan_output(job, preset, source, loaded.requested_scale or Fraction(backend.scale))
    batch = job.batch or (preset.batch if preset and device.type == "cuda" else 1)
    upscaler = Upscaler(backend, source, target, batch_size=batch, tile=job.tile)

    with Writer(
        job.output,
        info,
        settings,
        width=target.width,
        height=target.height,
        color=target.color,
        segment=segment,
        audio=job.audio,
        subtitles=job.subtitles,
        strict=job.strict,
        overwrite=job.overwrite,
    ) as writer:
        show(_started(job, info, segment, loaded, backend, source, target, settings, preset))
        for text in (*loaded.notes, *writer.notes):
            show(Note(text))
        begun = time.perf_counter()
        frames = SegmentSource(info, segment, stop)
        run = Run(
            frames,
            upscaler,
            writer,
            stop=stop,
            decoded_frames=max(4, 2 * batch),
            upscaled_frames=max(_queue_frames(target), batch),
        )
        run.start()
        end = run.join(lambda snapshot: show(_working(snapshot)))
        _check_frames(job, frames, end)

    receipt = Receipt(
        output=job.output,
        frames_read=end.frames_decoded,
        frames_written=end.frames_written,
        first_pts=frames.first_pts,
        last_pts=frames.last_pts,
        size_bytes=job.output.stat().st_size,
        elapsed_seconds=time.perf_counter() - begun,
        damage=tuple(frames.damage),
    )
    show(_finished(receipt, end, device.type))
    return receipt


def _segment(job: Job, info: SourceInfo) -> Segment:
    wish = job.range
    if wish.first_frame is not None or wish.last_frame is not None:
        return locate_frames(info.path, wish.first_frame, wish.last_frame)
    if wish.start is not None or wish.end is not None:
        return locate_times(info, wish.start, wish.end)
    return Segment()


def _load(job: Job, preset: Preset | None, show: Show) -> LoadedNetwork:
    if preset is not None:
        return load_network(
            preset,
            weights=job.weights,
            denoise=job.denoise,
            on_progress=lambda progress: show(Fetching.of(progress)),
        )
    assert job.weights is not None
    return load_weights_file(job.weights)


def _source_picture(info: SourceInfo) -> Picture:
    pixel_format = planar_equivalent(info.pixel_format)
    return Picture(info.width, info.height, pixel_format, assume(info.color, info.height, pixel_format))


def _plan_output(
    job: Job, preset: Preset | None, source: Picture, native_scale: Fraction
) -> tuple[EncoderSettings, Picture]:
    defaults = preset.encoder if preset else EncoderDefaults()
    name = job.encoder.name or defaults.name
    is_default = name == defaults.name
    settings = settings_for(
        name,
        crf=job.encoder.crf if job.encoder.crf is not None else (defaults.crf if is_default else None),
        preset=job.encoder.preset or (defaults.preset if is_default else None),
        pixel_format=job.encoder.pixel_format,
        options=dict(job.encoder.options),
        source=source.format,
        container=OutputFormat.of_path(job.output).muxer,
    )
    pixel_format = PixelFormat.parse(settings.pixel_format)
    width, height = job.size.resolve(source.width, source.height, native_scale, pixel_format.size_multiple)
    return settings, Picture(width, height, pixel_format, _target_color(source, pixel_format, height))


def _target_color(source: Picture, pixel_format: PixelFormat, height: int) -> Color:
    """The source's colours, said in the terms of another sample layout where that is another family.

    Taken from the source's assumed tags, so that an untagged 480-line source stays BT.601 at 1920 lines.
    """
    color = source.color
    if pixel_format.family == "rgb":
        return replace(color, matrix=Matrix.RGB, range=Range.FULL)
    if color.matrix is Matrix.RGB:
        matrix = Matrix.BT2020_NCL if color.primaries == 9 else Matrix.BT709
        color = replace(color, matrix=matrix, range=Range.LIMITED)
    if pixel_format.log2_chroma_w == 0:
        return replace(color, chroma_location=ChromaLocation.UNSPECIFIED)
    return assume(color, height, pixel_format)


def _queue_frames(target: Picture) -> int:
    samples = sum(
        rows * columns
        for rows, columns in (
            target.format.plane_shape(i, target.height, target.width)
            for i in range(target.format.plane_count)
        )
    )
    bytes_a_frame = samples * (1 if target.format.bits == 8 else 2)
    low, high = QUEUE_FRAMES
    return min(max(QUEUE_BYTES // bytes_a_frame, low), high)


def _check_frames(job: Job, source: SegmentSource, end: Snapshot) -> None:
    """Rule 1: every decoded frame was written."""
    if end.frames_written != end.frames_decoded:
        raise SourceError(
            f"{end.frames_decoded} frames were decoded but {end.frames_written} written; "
            f"{job.output} was not made"
        )
    if end.frames_decoded == 0:
        detail = f" ({source.damage[0]})" if source.damage else ""
        raise DamagedSourceError(
            f"{job.source} gave no frame that can be decoded{detail}",
            "choose another range, or check that a player can show the file",
        )


def _started(
    job: Job,
    info: SourceInfo,
    segment: Segment,
    loaded: LoadedNetwork,
    backend: Backend,
    source: Picture,
    target: Picture,
    settings: EncoderSettings,
    preset: Preset | None,
) -> Started:
    total, exact = _frames_total(job, info, segment)
    return Started(
        source=str(job.source),
        output=str(job.output),
        model=preset.name if preset and job.weights is None else loaded.origin,
        source_picture=str(source),
        output_picture=str(target),
        engine=backend.words,
        encoder=_encoder_words(settings),
        frames_total=total,
        frames_total_is_exact=exact,
        source_fps=None if info.average_rate is None else float(info.average_rate),
    )


def _frames_total(job: Job, info: SourceInfo, segment: Segment) -> tuple[int | None, bool]:
    """(frames to be expected, whether that is exact)."""
    if job.range.last_frame is not None and segment.end_pts is not None:
        return job.range.last_frame - (job.range.first_frame or 0), True
    if segment.is_whole or info.average_rate is None or info.duration is None:
        return info.frame_count_estimate, info.frame_count_origin == "header"
    first = info.start_seconds
    start = first if segment.start_pts is None else segment.start_pts * info.time_base
    end = first + info.duration if segment.end_pts is None else segment.end_pts * info.time_base
    return max(round((end - start) * info.average_rate), 1), False


def _encoder_words(settings: EncoderSettings) -> str:
    words = [settings.name]
    if settings.crf is not None:
        words.append(f"crf {settings.crf:g}")
    if settings.preset:
        words.append(settings.preset)
    return " ".join(words)


def _working(snapshot: Snapshot) -> Working:
    return Working(
        frames_done=snapshot.frames_written,
        frames_decoded=snapshot.frames_decoded,
        elapsed_seconds=snapshot.elapsed_seconds,
        decoded_queue=snapshot.decoded_queue,
        upscaled_queue=snapshot.upscaled_queue,
        stages=tuple((stage.name, stage.busy) for stage in snapshot.stages),
        bottleneck=snapshot.bottleneck,
    )


def _finished(receipt: Receipt, end: Snapshot, device_type: str) -> Finished:
    advice = None
    if end.bottleneck == "encode":
        advice = "a faster --encoder-preset would help"
    elif end.bottleneck == "upscale" and device_type == "cpu":
        advice = "a GPU would help"
    return Finished(
        output=str(receipt.output),
        frames=receipt.frames_written,
        elapsed_seconds=receipt.elapsed_seconds,
        size_bytes=receipt.size_bytes,
        media_seconds=None,
        bottleneck=end.bottleneck,
        advice=advice,
        damage=receipt.damage,
    )
