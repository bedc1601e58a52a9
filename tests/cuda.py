"""What tests that need a CUDA device ask first."""

from __future__ import annotations

import os

import pytest
import torch


def require_cuda() -> torch.device:
    """The device; skips the test where there is none, or fails it where VIDSR_REQUIRE_CUDA is set."""
    if not torch.cuda.is_available():
        if os.environ.get("VIDSR_REQUIRE_CUDA"):
            pytest.fail("VIDSR_REQUIRE_CUDA is set, and there is no CUDA device")
        pytest.skip("no CUDA device")
    return torch.device("cuda", torch.cuda.current_device())
