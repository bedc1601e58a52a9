"""The timed work itself: it is the real pipeline, and what it writes is a real file."""

from __future__ import annotations

import time

import pytest
from torch import Tensor

from tests.reference_ffmpeg import frame_lines, video_line
from vidsr.bench.candidates import Way
from vidsr.bench.clip import write_clip
from vidsr.bench.workload import Workload
from vidsr.presets import DEFAULT_MODEL


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    clip = write_clip(tmp_path_factory.mktemp("bench") / "clip.mkv", width=48, height=32, frames=12)
    return Workload(DEFAULT_MODEL, Way("cpu", "torch", "fp32"), clip)


def test_the_pipeline_writes_every_frame_it_counts(workload: Workload) -> None:
    speed = workload.measure_pipeline(0.0, encode=True)
    assert speed.frames == 4
    assert len(frame_lines(workload.output)) == 4
    assert "192x128" in video_line(workload.output)


def test_a_longer_measurement_takes_more_frames_but_never_more_than_the_clip_has(workload: Workload) -> None:
    workload.measure_model(0.0)
    assert workload.measure_pipeline(1e6, encode=False).frames == 12


def test_speeds_are_frames_by_the_clock(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes 50 ms more than it must cannot give 20 frames a second, alone or not."""
    backend = workload.backend
    waits = []

    class Waiting:
        scale, halo, input_multiple = backend.scale, backend.halo, backend.input_multiple
        streams = backend.streams
        device, dtype, words = backend.device, backend.dtype, backend.words

        def __call__(self, batch: Tensor) -> Tensor:
            waits.append(len(batch))
            time.sleep(0.05)
            return backend(batch)

    monkeypatch.setattr(workload, "backend", Waiting())
    begun = time.perf_counter()
    fps = workload.measure_model(0.2)
    elapsed = time.perf_counter() - begun
    assert 0.5 * sum(waits) / elapsed < fps < 20
    assert workload.measure_pipeline(0.0, encode=False).fps < 20


def test_the_memory_of_the_weights_is_in_the_peak(workload: Workload) -> None:
    memory = workload.peak_memory()
    assert memory.device is None
    assert memory.host is None or memory.host > 100e6  # torch alone takes more
