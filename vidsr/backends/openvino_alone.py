"""OpenVINO without its converters: everything else here takes it from this file.

`import openvino` loads openvino.tools.ovc too, which takes 0.1 s, starts a process at every start of the
program and has it tell Google Analytics of that start. Nothing of it is needed here, and nobody agreed.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

CONVERTERS = "openvino.tools.ovc"


def _load() -> None:
    if "openvino" in sys.modules:  # a program that uses vidsr has loaded it, in its own way
        return
    sys.modules[CONVERTERS] = None  # type: ignore[assignment] # "not installed", which OpenVINO allows for
    try:
        module = importlib.import_module("openvino")
    finally:
        del sys.modules[CONVERTERS]
    module.convert_model = _convert_model  # type: ignore[attr-defined]


def _convert_model(*arguments: Any, **options: Any) -> Any:
    """`openvino.convert_model`, for a program that uses both; loads the converters when it is called."""
    return importlib.import_module(CONVERTERS).convert_model(*arguments, **options)


_load()

import openvino as ov  # noqa: E402 (as it was imported above)
from openvino import opset13 as op  # noqa: E402

__all__ = ["op", "ov"]
