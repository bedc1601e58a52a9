"""The command on real Ray clusters of two nodes: shared folders, none shared, nodes killed, Ctrl+C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.execute.cluster.nodes import RayNodes, Worker, environment, ray_head
from tests.paths import REPOSITORY, SAMPLE
from tests.reference_ffmpeg import ffmpeg, frame_lines, packet_lines
from vidsr.models.compact import SRVGGNetCompact

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; clusters of Ray's are for Linux"),
]
needs_root = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="needs root to hide a folder from a node"
)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with a key frame every six frames: twelve segments."""
    path = tmp_path_factory.mktemp("film") / "film.mkv"
    ffmpeg("-v", "error", "-i", SAMPLE, "-map", "0", "-c", "copy", "-c:v", "libx264", "-g", "6", path)
    return path


@pytest.fixture(scope="module")
def weights(film: Path) -> Path:
    """A random network that takes long enough for things to happen meanwhile; it lies beside the film."""
    network = SRVGGNetCompact(num_feat=16, num_conv=4, upscale=2)
    generator = torch.Generator().manual_seed(5)
    state = {
        name: torch.randn(value.shape, generator=generator) * 0.05
        for name, value in network.state_dict().items()
    }
    path = film.with_name("random_2x.safetensors")
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, film: Path, weights: Path) -> Path:
    """What this machine makes of it alone, in one go."""
    output = tmp_path_factory.mktemp("expected") / "expected.mkv"
    process = begin(film, output, weights, "--no-resume")
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    return output


@pytest.fixture
def output(film: Path) -> Iterator[Path]:
    """Beside the film, in the folder that nodes see or do not see."""
    folder = film.with_name("made")
    folder.mkdir()
    yield folder / "out.mkv"
    shutil.rmtree(folder)


def command(film: Path, output: Path, weights: Path, *more: str) -> list[str]:
    words = [str(film), str(output), "--weights", str(weights), "--backend", "torch", "--precision", "fp32"]
    return [*words, "--encoder", "ffv1", "--progress", "plain", *more]


def begin(film: Path, output: Path, weights: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vidsr", *command(film, output, weights, *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=REPOSITORY,
        start_new_session=True,
    )


def begin_on(cluster: RayNodes, film: Path, output: Path, weights: Path, *more: str) -> subprocess.Popen[str]:
    return begin(film, output, weights, "--segment", "6", "--ray", cluster.address, *more)


def complete(process: subprocess.Popen[str]) -> str:
    """Wait for the end; gives what was said on the way."""
    printed, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert printed == ""  # Ray prints nothing of its own
    return said


def check_same(output: Path, expected: Path) -> None:
    assert frame_lines(output) == frame_lines(expected)
    for stream in ("a:0", "s:0"):
        assert packet_lines(output, stream) == packet_lines(expected, stream)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert list(Path(tempfile.gettempdir()).glob("vidsr-ray-*")) == []


@contextmanager
def held(cluster: RayNodes, process: subprocess.Popen[str], nodes: int) -> Iterator[set[Worker]]:
    """Workers of so many nodes stand still, each in the middle of a segment, until the block ends.

    The first waits for the last, so that the job cannot end before all have begun. A node may have several:
    while one of its workers waits for Ray itself, it begins another.
    """
    workers: set[Worker] = set()
    deadline = time.monotonic() + 200
    try:
        while len({worker.raylet for worker in workers}) < nodes:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            found = cluster.at_work() - workers
            signal_all(found, signal.SIGSTOP)
            ended = found - cluster.at_work()  # just before it was stopped
            signal_all(ended, signal.SIGCONT)
            workers |= found - ended
            time.sleep(0.02)
        yield workers
    finally:
        signal_all(workers, signal.SIGCONT)


def signal_all(workers: set[Worker], sent: signal.Signals) -> None:
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker.process, sent)


def read_until(words: str, process: subprocess.Popen[str]) -> str:
    """What a process says up to these words."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        more = os.read(process.stderr.fileno(), 2**16)
        assert more, said
        said += more.decode()
    return said


def test_two_nodes_that_share_a_folder_give_what_one_process_gives(
    film: Path, weights: Path, output: Path, expected: Path
) -> None:
    with ray_head(cpus=1) as cluster:
        cluster.add()
        process = begin_on(cluster, film, output, weights)
        with held(cluster, process, 2) as workers:
            pass
        said = complete(process)
    assert {worker.is_head for worker in workers} == {False, True}
    assert "Ray cluster of 2 nodes: up to 2 workers with 1 core each" in said
    assert "sent through Ray" not in said
    check_same(output, expected)


@needs_root
def test_a_node_that_shares_nothing_is_sent_everything(
    film: Path, weights: Path, output: Path, expected: Path
) -> None:
    """The head has no core to compute on: all frames come from the node that does not see the folder."""
    with ray_head(cpus=0) as cluster:
        cluster.add(hidden=film.parent)
        said = complete(begin_on(cluster, film, output, weights))
    assert "they are sent through Ray" in said
    check_same(output, expected)


@pytest.mark.parametrize("is_shared", [True, pytest.param(False, marks=needs_root)], ids=["shared", "not"])
def test_the_segment_of_a_killed_node_is_computed_elsewhere(
    film: Path, weights: Path, output: Path, expected: Path, is_shared: bool
) -> None:
    with ray_head(cpus=1) as cluster:
        cluster.add(hidden=None if is_shared else film.parent)
        process = begin_on(cluster, film, output, weights)
        with held(cluster, process, 2) as workers:
            doomed = {worker for worker in workers if not worker.is_head}
            (raylet,) = {worker.raylet for worker in doomed}
            os.kill(raylet, signal.SIGKILL)
            signal_all(doomed, signal.SIGKILL)
            said = read_until("has left the cluster", process)
        said += complete(process)
    assert ("sent through Ray" in said) is not is_shared
    if not is_shared:  # a dead machine cannot clear up; the next one that runs there does
        for left in Path(tempfile.gettempdir()).glob("vidsr-ray-*"):
            shutil.rmtree(left)
    check_same(output, expected)


@needs_root
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl+C", "SIGTERM"])
def test_an_interrupt_saves_what_every_node_has(
    film: Path, weights: Path, output: Path, expected: Path, sent: signal.Signals
) -> None:
    """Also from a node that shares nothing; the same command, or this machine alone, continues there."""
    with ray_head(cpus=1) as cluster:
        cluster.add(hidden=film.parent)
        process = begin_on(cluster, film, output, weights)
        with held(cluster, process, 2):
            pass
        folder = output.with_name(f".{output.name}.vidsr")
        deadline = time.monotonic() + 60
        while len(list(folder.glob("*.packets"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, sent)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        word = "Interrupted" if sent == signal.SIGINT else "Terminated"
        kept = re.search(rf"{word}; (\d+) of about 72 frames are finished and kept", said)
        assert kept is not None, said
        assert int(kept[1]) >= 12
        assert "Traceback" not in said
        assert cluster.at_work() == set()
    process = begin(film, output, weights, "--segment", "6")
    assert f"continuing: {kept[1]} of about 72 frames" in complete(process)
    check_same(output, expected)


def test_another_version_on_a_node_is_refused_by_name(film: Path, weights: Path, output: Path) -> None:
    with ray_head(cpus=1) as cluster:
        program = "import sys, vidsr; vidsr.__version__ = '999'; from vidsr.cli.main import main; main()"
        words = command(film, output, weights, "--ray", cluster.address)
        said = subprocess.run(
            [sys.executable, "-c", program, *words],
            env=environment(), cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert said.returncode == 1
    assert re.search(
        r"Error: vidsr is \S+ on node \S+ and 999 here\nHint: install vidsr 999 there", said.stderr
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="the GPU that is claimed here is there")
def test_a_worker_computes_on_what_ray_gave_it(
    film: Path, weights: Path, output: Path, expected: Path
) -> None:
    """A GPU that is only claimed is tried and fails; the CPU is taken where it is asked for."""
    with ray_head(cpus=1, gpus=1) as cluster:
        process = begin_on(cluster, film, output, weights)
        _, said = process.communicate(timeout=200)
        assert process.returncode == 1
        assert "Error: no CUDA device can be used here" in said
        assert list(output.parent.iterdir()) == []
        said = complete(begin_on(cluster, film, output, weights, "--device", "cpu"))
    assert "torch fp32 on cpu" in said
    check_same(output, expected)
