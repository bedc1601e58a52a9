"""The default model's weights as a .pth in the official layout, for peers that would download it.

write_weights.py TARGET.pth; runs in vidsr's environment. Prints, as JSON, where the ncnn pair lies.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import torch

from vidsr.presets import DEFAULT_MODEL, find_preset
from vidsr.weights.store import load_network


def main() -> None:
    preset = find_preset(DEFAULT_MODEL)
    torch.save({"params": dict(load_network(preset).network.state_dict())}, sys.argv[1])
    pair: dict[str, str] = {}
    for source in preset.sources:
        for file in source.files:
            spec = importlib.util.find_spec(file.package) if file.package else None
            for folder in (spec.submodule_search_locations or []) if spec else []:
                path = Path(folder, file.path)
                if path.is_file():
                    pair[path.suffix.removeprefix(".")] = str(path)
    print(json.dumps(pair))


if __name__ == "__main__":
    main()
