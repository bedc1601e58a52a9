"""The network as an ONNX file for the peers that take one: export_onnx.py WEIGHTS.pth NETWORK.onnx."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from network import load

if __name__ == "__main__":
    weights, target = map(Path, sys.argv[1:])
    size = {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}
    torch.onnx.export(
        load(weights),
        (torch.zeros(1, 3, 64, 96),),
        target,
        input_names=["input"],
        output_names=["output"],
        dynamic_shapes=(size,),
        external_data=False,
    )
