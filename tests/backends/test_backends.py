"""One contract for every backend: the plain network's numbers, at any size, and a way out."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.cuda import require_cuda
from tests.paths import REPOSITORY
from vidsr.backends import open as opening
from vidsr.backends.base import Backend, Checkpoint, LostResultError, Result, never_stop
from vidsr.backends.choose import choose_device, choose_precision
from vidsr.backends.open import open_backend
from vidsr.backends.openvino import OpenVinoBackend, openvino_is_installed
from vidsr.backends.torch_eager import TorchBackend
from vidsr.channel import Stopped
from vidsr.errors import DeviceError, ToolMissingError, UsageError
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RRDBNet

Open = Callable[[Network, Checkpoint], Backend]


@dataclass(frozen=True)
class Case:
    """A way of running, and how far it may be from fp32: rounding of the number format alone."""

    open: Open
    tolerance: float


def _torch(device: str, dtype: torch.dtype) -> Open:
    return lambda network, checkpoint: TorchBackend(
        network, torch.device(device), dtype, checkpoint=checkpoint
    )


CASES = {
    "torch-fp32": Case(_torch("cpu", torch.float32), 1e-5),
    "torch-bf16": Case(_torch("cpu", torch.bfloat16), 2e-2),
    "openvino-fp32": Case(lambda n, c: OpenVinoBackend(n, "fp32", checkpoint=c), 1e-5),
    "openvino-bf16": Case(lambda n, c: OpenVinoBackend(n, "bf16", checkpoint=c), 2e-2),
    "cuda-fp32": Case(_torch("cuda", torch.float32), 1e-4),  # as TF32 about 1e-3
    "cuda-fp16": Case(_torch("cuda", torch.float16), 5e-3),
    "cuda-bf16": Case(_torch("cuda", torch.bfloat16), 2e-2),
}

NETWORKS: dict[str, Callable[[], Network]] = {
    "compact x4 prelu": lambda: SRVGGNetCompact(num_feat=24, num_conv=3, upscale=4),
    "compact x2 relu": lambda: SRVGGNetCompact(num_feat=16, num_conv=2, upscale=2, act_type="relu"),
    "compact x3 leakyrelu": lambda: SRVGGNetCompact(num_feat=8, num_conv=1, upscale=3, act_type="leakyrelu"),
    "compact x1": lambda: SRVGGNetCompact(num_feat=8, num_conv=1, upscale=1),
    "rrdb x4": lambda: RRDBNet(num_feat=16, num_block=2, num_grow_ch=8),
    "rrdb x2": lambda: RRDBNet(num_feat=16, num_block=1, num_grow_ch=8, scale=2),
    "rrdb x1": lambda: RRDBNet(num_feat=16, num_block=1, num_grow_ch=8, scale=1),
}


@pytest.fixture(
    params=[pytest.param(n, marks=[pytest.mark.cuda] * n.startswith("cuda"), id=n) for n in CASES]
)
def case(request: pytest.FixtureRequest) -> Case:
    name: str = request.param
    if name.startswith("cuda"):
        require_cuda()
    if name.startswith("openvino") and not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    return CASES[name]


@pytest.fixture(params=NETWORKS, ids=str)
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(7)
    made = NETWORKS[request.param]().eval()
    for parameter in made.parameters():  # random biases and slopes too, so that none can be forgotten
        torch.nn.init.normal_(parameter, std=0.1)
    return made.requires_grad_(False)


def picture(count: int, height: int, width: int, multiple: int) -> Tensor:
    """Random pixels of a size rounded up to the multiple a network needs."""
    generator = torch.Generator().manual_seed(height * width)
    return torch.rand(count, 3, height + -height % multiple, width + -width % multiple, generator=generator)


@pytest.mark.parametrize("size", [(1, 16, 24), (2, 17, 9), (1, 4, 4)], ids=str)
def test_every_backend_computes_the_plain_network(
    case: Case, network: Network, size: tuple[int, int, int]
) -> None:
    x = picture(*size, network.input_multiple)
    with torch.inference_mode():
        expected = network(x)
    backend = case.open(network, never_stop)
    got = backend(x.to(backend.device, backend.dtype)).float().cpu()
    assert got.shape == (x.shape[0], 3, x.shape[2] * network.scale, x.shape[3] * network.scale)
    # relative to the output's own size: random weights give outputs far above 1
    error = (got - expected).abs().max() / expected.abs().max().clamp(min=1)
    assert error < case.tolerance


def test_a_backend_leaves_the_network_as_it_was(case: Case, network: Network) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    backend = case.open(network, never_stop)
    x = picture(1, 8, 8, network.input_multiple)
    backend(x.to(backend.device, backend.dtype))
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(after[name].dtype == torch.float32 for name in after)


def test_different_sizes_one_after_another_are_all_right(case: Case) -> None:
    torch.manual_seed(1)
    network = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).eval().requires_grad_(False)
    backend = case.open(network, never_stop)
    for height in (8, 12, 8, 20, 6, 31, 12, 8):
        x = picture(1, height, 10, 1)
        with torch.inference_mode():
            expected = network(x)
        got = backend(x.to(backend.device, backend.dtype)).float().cpu()
        assert (got - expected).abs().max() < case.tolerance * expected.abs().max().clamp(min=1).item()


def test_a_window_of_a_larger_picture_is_computed_like_a_picture_of_its_own(case: Case) -> None:
    """Windows are views, which a backend may have to copy: the copy must live as long as it is read."""
    torch.manual_seed(1)
    network = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2).eval().requires_grad_(False)
    backend = case.open(network, never_stop)
    whole = picture(1, 64, 88, 1)
    for left in (0, 8, 16):
        window = whole[:, :, :48, left : left + 56]
        with torch.inference_mode():
            expected = network(window)
        got = backend(window.to(backend.device, backend.dtype)).float().cpu()
        assert (got - expected).abs().max() < case.tolerance * expected.abs().max().clamp(min=1).item()


@pytest.mark.parametrize("name", ["torch-fp32", "openvino-fp32"])
def test_a_computation_is_abandoned_at_the_next_checkpoint(name: str) -> None:
    if name.startswith("openvino") and not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    asked = 0

    def stop_at_the_second() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise Stopped

    network = RRDBNet(num_feat=32, num_block=4, num_grow_ch=16).eval()
    backend = CASES[name].open(network, stop_at_the_second)
    with pytest.raises(Stopped):
        backend(torch.rand(1, 3, 256, 256))
    assert asked == 2


def test_openvino_is_the_default_on_a_cpu_where_it_is_installed() -> None:
    network = SRVGGNetCompact(num_feat=4, num_conv=1, upscale=2).eval()
    backend = open_backend(network, torch.device("cpu"), precision="fp32")
    assert ("OpenVINO" in backend.words) == openvino_is_installed()
    assert "torch" in open_backend(network, torch.device("cpu"), name="torch", precision="fp32").words


def test_what_a_machine_lacks_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'cpuu' names no device"):
        choose_device("cpuu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no CUDA device"):
            choose_device("cuda:1")
    with pytest.raises(UsageError, match="fp16 is slower"):
        choose_precision("fp16", torch.device("cpu"))


def test_a_backend_that_is_not_installed_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "openvino_is_installed", lambda: False)
    network = SRVGGNetCompact(num_feat=4, num_conv=1, upscale=2).eval()
    with pytest.raises(ToolMissingError, match="needs OpenVINO, which is not installed") as caught:
        open_backend(network, torch.device("cpu"), name="openvino")
    assert '".[openvino]"' in str(caught.value.hint)


def openvino_compact(streams: int = 2) -> OpenVinoBackend:
    if not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    torch.manual_seed(2)
    network = SRVGGNetCompact(num_feat=16, num_conv=2, upscale=2).eval().requires_grad_(False)
    return OpenVinoBackend(network, "fp32", streams=streams)


def stoppable() -> tuple[threading.Event, OpenVinoBackend]:
    """A backend that takes its time, and whether what it computes is wanted."""
    if not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    wanted = threading.Event()
    wanted.set()

    def stop() -> None:
        if not wanted.is_set():
            raise Stopped

    network = RRDBNet(num_feat=32, num_block=4, num_grow_ch=16).eval()
    return wanted, OpenVinoBackend(network, "fp32", checkpoint=stop, streams=2)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_pictures_computed_beside_each_other_are_those_of_one_after_another(count: int) -> None:
    beside, alone = openvino_compact(streams=2), openvino_compact(streams=1)
    for height in (24, 33, 24):
        x = picture(count, height, 40, 1)
        assert torch.equal(beside(x), torch.cat([alone(part).clone() for part in torch.split(x, 1)]))


def test_no_picture_is_computed_any_more_when_a_batch_was_abandoned() -> None:
    wanted, backend = stoppable()
    x = torch.rand(3, 3, 128, 128)
    expected = backend(x).clone()
    wanted.clear()
    with pytest.raises(Stopped):
        backend(x)
    wanted.set()
    assert torch.equal(backend(x), expected)


def test_pictures_that_are_begun_are_those_of_calls() -> None:
    backend, plain = openvino_compact(), openvino_compact()
    for height in (24, 33, 24):
        pictures = torch.split(picture(7, height, 40, 1), 1)
        expected = [plain(one).clone() for one in pictures]
        results: list[Result] = []
        for number, one in enumerate(pictures):
            if number >= backend.under_way:
                assert torch.equal(
                    results[number - backend.under_way](), expected[number - backend.under_way]
                )
            results.append(backend.begin(one))
        for number in (5, 4, 6):  # the last ones, in any order, and more than once
            assert torch.equal(results[number](), expected[number])
            assert torch.equal(results[number](), expected[number])


def test_calls_do_not_disturb_what_was_begun() -> None:
    backend = openvino_compact()
    pictures = picture(6, 40, 48, 1)
    expected = torch.cat([backend(one).clone() for one in torch.split(pictures, 1)])
    results = [backend.begin(one) for one in torch.split(pictures[:3], 1)]
    assert torch.equal(backend(pictures[3:]), expected[3:])
    assert torch.equal(torch.cat([result() for result in results]), expected[:3])


def test_a_result_whose_memory_went_to_another_is_lost_and_never_wrong() -> None:
    backend = openvino_compact()
    pictures = torch.split(picture(5, 24, 40, 1), 1)
    results = [backend.begin(one) for one in pictures]
    for lost in results[: 5 - backend.under_way]:
        with pytest.raises(LostResultError):
            lost()
    assert torch.equal(results[-1](), openvino_compact()(pictures[-1]))
    other_size = backend.begin(picture(1, 16, 16, 1))
    with pytest.raises(LostResultError):
        results[-1]()
    assert other_size().shape == (1, 3, 32, 32)


def test_all_that_was_begun_is_abandoned_together() -> None:
    wanted, backend = stoppable()
    pictures = torch.split(torch.rand(3, 3, 128, 128), 1)
    expected = backend(pictures[0]).clone()
    results = [backend.begin(one) for one in pictures]
    wanted.clear()
    with pytest.raises(Stopped):
        results[0]()
    wanted.set()
    for result in results:
        with pytest.raises(LostResultError):
            result()
    assert torch.equal(backend.begin(pictures[0])(), expected)


BEGUN_AND_LEFT = """
import sys
import torch
from vidsr.backends.openvino import OpenVinoBackend
from vidsr.models.rrdb import RRDBNet

backend = OpenVinoBackend(RRDBNet(num_feat=32, num_block=4, num_grow_ch=16).eval(), "fp32")
for _ in range(3):
    backend.begin(torch.rand(1, 3, 192, 192))
if sys.argv[1] == "collected":
    del backend
    torch.rand(2**24)
print("end")
"""


@pytest.mark.parametrize("how", ["collected", "the process ends"])
def test_what_is_begun_and_left_crashes_nothing(how: str) -> None:
    if not openvino_is_installed():
        pytest.skip("the extra [openvino] is not installed")
    done = subprocess.run(
        [sys.executable, "-c", BEGUN_AND_LEFT, how],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
