"""Tiled equals untiled, for any picture, window and network."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vidsr.backends.torch_eager import TorchBackend
from vidsr.infer.tiles import TiledBackend, plan_spans
from vidsr.models.base import Network
from vidsr.models.compact import SRVGGNetCompact
from vidsr.models.rrdb import RRDBNet


@given(
    units=st.integers(1, 300),
    window=st.integers(1, 200),
    halo=st.integers(0, 40),
    multiple=st.sampled_from([1, 2, 4]),
)
def test_spans_cover_every_pixel_once_with_its_halo(
    units: int, window: int, halo: int, multiple: int
) -> None:
    length = units * multiple
    try:
        spans = plan_spans(length, window, halo, multiple)
    except ValueError:
        assert window - window % multiple < length
        assert window - window % multiple - 2 * (halo + -halo % multiple) < multiple
        return
    covered = [pixel for span in spans for pixel in range(span.keep_start, span.keep_stop)]
    assert covered == list(range(length))
    assert len({span.stop - span.start for span in spans}) == 1
    for span in spans:
        assert 0 <= span.start < span.stop <= length
        assert span.start % multiple == 0
        assert span.start == 0 or span.keep_start - span.start >= halo
        assert span.stop == length or span.stop - span.keep_stop >= halo


def test_spans_by_hand() -> None:
    # 100 pixels, windows of 40, halo 10: kept are 0-30, 30-50, 50-70, 70-100
    spans = plan_spans(100, 40, 10)
    assert [(s.start, s.stop, s.keep_start, s.keep_stop) for s in spans] == [
        (0, 40, 0, 30),
        (20, 60, 30, 50),
        (40, 80, 50, 70),
        (60, 100, 70, 100),
    ]


NETWORKS = [
    pytest.param(SRVGGNetCompact(num_feat=6, num_conv=3, upscale=4), id="compact"),
    pytest.param(RRDBNet(num_feat=4, num_block=1, num_grow_ch=2), id="rrdb x4"),
    pytest.param(RRDBNet(num_feat=4, num_block=1, num_grow_ch=2, scale=2), id="rrdb x2"),
]


@pytest.mark.parametrize("network", NETWORKS)
@settings(max_examples=6, deadline=None)
@given(height=st.integers(1, 70), width=st.integers(1, 70), extra=st.integers(0, 24))
def test_tiled_equals_untiled(network: Network, height: int, width: int, extra: int) -> None:
    torch.manual_seed(height * 100 + width)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    # float64, so that a wrong halo cannot hide behind rounding, nor rounding look like a wrong halo
    plain = TorchBackend(network.eval(), torch.device("cpu"), torch.float64)
    tiled = TiledBackend(plain, 2 * network.halo + extra)
    multiple = network.input_multiple
    x = torch.rand(1, 3, height * multiple, width * multiple, dtype=torch.float64)
    expected = plain(x)
    error = (tiled(x) - expected).abs().max() / expected.abs().max().clamp(min=1)
    assert error < 1e-12


def test_a_halo_one_pixel_short_would_be_seen() -> None:
    torch.manual_seed(3)
    network = SRVGGNetCompact(num_feat=6, num_conv=3, upscale=2).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    plain = TorchBackend(network, torch.device("cpu"), torch.float64)
    tiled = TiledBackend(plain, 32)
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    assert (tiled(x) - plain(x)).abs().max() < 1e-12
    tiled.halo -= 1
    assert (tiled(x) - plain(x)).abs().max() > 1e-9
