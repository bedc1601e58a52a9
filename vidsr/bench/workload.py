"""One network run one way: how many frames a second it does alone, and within the real pipeline.

It runs in a process of its own (see `worker`), so that memory is this way's alone and a crash is too.
It measures; what the figures are compared with is `measure`'s business.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from vidsr.backends.choose import choose_device
from vidsr.bench.candidates import Way
from vidsr.bench.ceiling import seconds_a_call, synchronize
from vidsr.bench.machine import peak_memory_bytes
from vidsr.channel import StopSignal
from vidsr.execute.network import open_network
from vidsr.frames import Frame
from vidsr.infer.picture import Picture
from vidsr.infer.upscaler import Upscaler
from vidsr.job import EncoderRequest
from vidsr.media.encode.encoders import settings_for
from vidsr.media.pixels import planar_equivalent
from vidsr.media.read.probe import probe
from vidsr.media.read.reader import Reader
from vidsr.media.read.source_color import source_color
from vidsr.media.read.source_info import SourceInfo
from vidsr.media.write.writer import Writer
from vidsr.pipeline import FrameSink, Run
from vidsr.presets import find_preset
from vidsr.weights.store import load_network

QUEUE_FRAMES = 8
FEWEST_FRAMES = 4
"""Of a pipeline run: one to fill it, one to empty it, and some between."""


@dataclass(frozen=True, slots=True)
class PipelineSpeed:
    """bottleneck: the stage that waited least for the others."""

    frames: int
    fps: float
    bottleneck: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Peaks in bytes. host: of the process; device: what torch held on the GPU; None = unknown or none."""

    host: int | None
    device: int | None


class ClipSource:
    """The first frames of a clip, for the pipeline."""

    def __init__(self, info: SourceInfo, count: int, stop: StopSignal) -> None:
        self._info, self._count, self._stop = info, count, stop

    def frames(self) -> Generator[Frame, None, None]:
        with Reader(self._info) as reader, self._stop.waking(reader.stop):
            yield from islice(reader.frames(), self._count)


class NullSink:
    """Takes frames and forgets them: a run without encoder."""

    frames_held = 0

    def write(self, frame: Frame) -> None:
        pass

    def finish(self) -> None:
        pass


class Workload:
    """A network on a clip, ready to be timed again and again."""

    def __init__(self, model: str, way: Way, clip: Path) -> None:
        """Load and warm up: graphs are compiled, caches filled. Raises VidsrError where that cannot be."""
        self._preset = find_preset(model)
        self._device = choose_device(way.device)
        loaded = load_network(self._preset)
        self.backend = open_network(loaded, self._device, name=way.backend, precision=way.precision)
        self._info = probe(clip)
        layout = planar_equivalent(self._info.pixel_format)
        color = source_color(self._info)
        scale = self.backend.scale
        self._source = Picture(self._info.width, self._info.height, layout, color)
        self._target = Picture(self._info.width * scale, self._info.height * scale, layout, color)
        self.batch = self._preset.batch if self._device.type == "cuda" else 1
        self._clip_frames = self._info.frame_count_estimate or FEWEST_FRAMES
        self.output = clip.with_name(f"{clip.stem}-{model}-{way.backend}-{way.precision}.mkv")
        shape = (self.batch, 3, self._info.height, self._info.width)
        self._pixels = torch.rand(shape, device=self._device).to(self.backend.dtype)
        self._model_fps = 0.0
        self._upscale_once()
        self.measure_model(0.0)

    def measure_model(self, seconds: float) -> float:
        """Frames a second of the network alone: pixels on the device in, pixels on the device out."""
        # a first call on a GPU asks for memory, which was given back
        calls, warm_up = (4, 1) if self._device.type == "cuda" else (1, 0)
        taken = seconds_a_call(
            self._upscale_once, self._device, seconds=seconds, at_least=calls, warm_up=warm_up
        )
        self._give_memory_back()
        self._model_fps = self.batch / taken
        return self._model_fps

    def measure_pipeline(self, seconds: float, *, encode: bool) -> PipelineSpeed:
        """Frames a second from a compressed clip to a finished file, or to nowhere (encode = False).

        The clock runs from the first packet read to the last byte written; the network is loaded
        already. seconds: about how long, judged by the network's speed.
        """
        count = round(seconds * self._model_fps)
        count = min(max(count, FEWEST_FRAMES, 2 * self.batch), self._clip_frames)
        if not encode:
            return self._run(NullSink(), count)
        encoder = self._preset.encoder
        settings = settings_for(
            EncoderRequest(encoder.name, crf=encoder.crf, preset=encoder.preset),
            source=self._target.format,
            container="matroska",
        )
        with Writer(
            self.output,
            self._info,
            settings,
            width=self._target.width,
            height=self._target.height,
            color=self._target.color,
            overwrite=True,
        ) as writer:
            return self._run(writer, count)

    def peak_memory(self) -> Memory:
        on_cuda = self._device.type == "cuda"
        return Memory(peak_memory_bytes(), torch.cuda.max_memory_reserved(self._device) if on_cuda else None)

    def _upscale_once(self) -> None:
        self.backend(self._pixels)

    def _give_memory_back(self) -> None:
        """What torch keeps of a GPU's for next time: until then another process needs it."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _run(self, sink: FrameSink, count: int) -> PipelineSpeed:
        synchronize(self._device)
        stop = StopSignal()
        run = Run(
            ClipSource(self._info, count, stop),
            Upscaler(self.backend, self._source, self._target, batch_size=self.batch),
            sink,
            stop=stop,
            decoded_frames=max(4, 2 * self.batch),
            upscaled_frames=max(QUEUE_FRAMES, self.batch),
        )
        run.start()
        end = run.join(lambda _snapshot: None)
        self._give_memory_back()
        fps = end.frames_written / end.elapsed_seconds
        return PipelineSpeed(end.frames_written, fps, end.bottleneck)
