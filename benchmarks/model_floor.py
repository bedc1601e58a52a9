"""Seconds a frame of the network alone, run as vidsr would run it: no process can be faster.

model_floor.py WIDTH HEIGHT FRAMES [PRECISION] prints one JSON line.
"""

from __future__ import annotations

import json
import sys
from typing import cast

import torch

from vidsr.backends.choose import choose_device
from vidsr.backends.open import open_backend
from vidsr.bench.ceiling import seconds_a_call
from vidsr.job import Precision
from vidsr.presets import DEFAULT_MODEL, find_preset
from vidsr.weights.store import load_network


def main() -> None:
    width, height, frames = map(int, sys.argv[1:4])
    precision = cast("Precision", sys.argv[4] if len(sys.argv) > 4 else "auto")
    device = choose_device("auto")
    network = load_network(find_preset(DEFAULT_MODEL)).network
    backend = open_backend(network, device, precision=precision)
    picture = torch.rand(1, 3, height, width, device=device).to(backend.dtype)
    seconds = seconds_a_call(lambda: backend(picture), device, seconds=0, at_least=frames, warm_up=2)
    print(json.dumps({"seconds_a_frame": seconds, "words": backend.words}))


if __name__ == "__main__":
    main()
