"""docs/speed.md tells what the layers say."""

from __future__ import annotations

import re

import pytest

from tests.paths import REPOSITORY
from vidsr.bench.work import work_of
from vidsr.models.architecture import Architecture
from vidsr.presets import find_preset

PAGE = (REPOSITORY / "docs" / "speed.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (\w[\w-]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \| (\d+) \| ([\d.]+) \|$", PAGE, re.MULTILINE
)


def test_every_packaged_model_is_on_the_page() -> None:
    packaged = {path.stem for path in (REPOSITORY / "presets").glob("*.toml")}
    assert {row[0] for row in ROWS} == packaged


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_page_s_figures_are_the_network_s(row: tuple[str, ...]) -> None:
    name, flops, by_layer, at_least, intensity, tflop = row
    preset = find_preset(name)
    work = work_of(Architecture(preset.architecture, preset.arguments))
    assert int(flops.replace(",", "")) == work.flops
    assert int(by_layer.replace(",", "")) == work.bytes_by_layer("bf16")
    assert int(at_least) == work.bytes_at_least("fp16")
    assert float(intensity) == pytest.approx(work.flops / work.bytes_by_layer("bf16"), abs=0.5)
    assert float(tflop) == pytest.approx(work.flops * 640 * 480 / 1e12, abs=0.0006)
