"""A small model that a server gives out, and its preset."""

from __future__ import annotations

import hashlib
import io

import torch

from tests.weights.samples import SRVGG, random_state
from vidsr.presets import Preset, WeightsFile, WeightsSource

STATE = random_state(SRVGG, seed=1)
PARTNER_STATE = random_state(SRVGG, seed=2)


def pth_bytes(state: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save({"params_ema": state}, buffer)
    return buffer.getvalue()


CONTENT = pth_bytes(STATE)
PINNED = hashlib.sha256(CONTENT).hexdigest()


def preset(base: str, *, pinned: bool = True) -> Preset:
    sha256, size = (PINNED, len(CONTENT)) if pinned else (None, None)
    file = WeightsFile("small.pth", url=f"{base}/releases/small.pth", sha256=sha256, size_bytes=size)
    return Preset(
        name="small",
        summary="a test's network",
        content="any",
        architecture="srvgg",
        arguments={"num_feat": 4, "num_conv": 2, "upscale": 2, "act_type": "prelu"},
        scale=2,
        sources=(WeightsSource((file,)),),
    )
