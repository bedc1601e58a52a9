"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from tests.paths import SAMPLE
from tests.reference_ffmpeg import ffmpeg
from vidsr.models.compact import SRVGGNetCompact

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests run side by side, one a core: more threads, here and in the commands they start, wait for each
    # other at every layer. On 2 cores the whole suite took 332 s with them and 287 s without.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)

# A shell has what it starts in the background ignore interrupts, and nohup has it ignore that the terminal is
# closed; commands that tests send these signals to would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32":
    for _number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(_number) is signal.SIG_IGN:
            signal.signal(_number, signal.SIG_DFL)

_A_TEST_PROCESS_DIED = pytest.StashKey[bool]()
_WITH_ITS_PROCESS = "???"  # when a test failed that did so with its process, as xdist reports it
DIED_EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: no verdict; .ci/run asks once more


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController, error: object | None) -> None:
    """Says how a process that runs tests came to its end; xdist itself says only that it did."""
    if error:
        node.config.stash[_A_TEST_PROCESS_DIED] = True
        try:
            status = node.gateway._io.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = "it still runs"
        print(f"\n[{node.gateway.id}] exit status (a signal where negative): {status}", file=sys.__stderr__)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that failed is a verdict all the same: asked once more it may pass, and nobody would know."""
    if session.config.stash.get(_A_TEST_PROCESS_DIED, False):
        reporter: pytest.TerminalReporter | None = session.config.pluginmanager.get_plugin("terminalreporter")
        found = {} if reporter is None else reporter.stats
        failures = [*found.get("failed", ()), *found.get("error", ())]
        if all(report.when == _WITH_ITS_PROCESS for report in failures):
            session.exitstatus = DIED_EXIT_CODE


def pixel_repeating_weights(path: Path, scale: int) -> Path:
    """A weight file whose network repeats pixels: the body adds nothing to the enlarged input."""
    network = SRVGGNetCompact(num_feat=4, num_conv=1, upscale=scale)
    save_file({name: torch.zeros_like(value) for name, value in network.state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def repeat_2x(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a 2x network that repeats pixels."""
    return pixel_repeating_weights(tmp_path_factory.mktemp("weights") / "repeat_2x.safetensors", 2)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with a sixth of its pixels: 128x72, 72 frames, its sound and subtitles.

    Doubled, it is of whole macroblocks: of 320x180 x264 gives now these bits, now those (its "mbtree").
    """
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    ffmpeg(
        "-v", "error", "-i", SAMPLE, "-map", "0", "-vf", "scale=128:72", "-c:a", "copy", "-c:s", "copy", path
    )
    return path
