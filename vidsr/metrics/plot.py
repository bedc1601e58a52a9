"""A comparison as a picture: PSNR, SSIM and VMAF over time, in a PNG file.

Axes, ticks and letters are matplotlib's. It is large, and few want a plot: so it is an extra that is
loaded only here.
"""

from __future__ import annotations

import importlib.util
import io
import math
import statistics
from typing import TYPE_CHECKING

from vidsr.errors import ToolMissingError
from vidsr.metrics.compare import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES = (10.0, 2.4)
"""Width, and height of each of the curves."""
DOTS_AN_INCH = 120
COLORS = {"psnr": "#1f6fb4", "ssim": "#c4521a", "vmaf": "#2a8a43"}


def check_can_plot() -> None:
    """Raises ToolMissingError before any work is done."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ToolMissingError.of_extra("--plot needs matplotlib", "plot")


def draw(comparison: Comparison) -> bytes:
    """The plot as a PNG file. Raises ToolMissingError."""
    check_can_plot()
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 (an extra)
    from matplotlib.figure import Figure  # noqa: PLC0415

    frames = comparison.frames
    curves = {
        "psnr": ("PSNR, dB", [frame.psnr["all"] for frame in frames]),
        "ssim": ("SSIM", [frame.ssim["all"] for frame in frames]),
    }
    scores = [frame.vmaf for frame in frames if frame.vmaf is not None]
    if len(scores) == len(frames):
        curves["vmaf"] = ("VMAF", scores)
    width, height = SIZE_INCHES
    figure = Figure(figsize=(width, height * len(curves) + 0.6), dpi=DOTS_AN_INCH, layout="constrained")
    FigureCanvasAgg(figure)  # without it, pyplot's own would be asked for, and with it a display
    times = [float(frame.time) for frame in frames]
    axes = figure.subplots(len(curves), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (metric, (name, values)) in zip(axes, curves.items(), strict=True):
        _curve(axis, times, values, name, COLORS[metric])
    axes[0].set_title(f"{comparison.b.name} against {comparison.a.name}", parse_math=False)
    axes[-1].set_xlabel("seconds")
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def _curve(axis: Axes, times: list[float], values: list[float], name: str, color: str) -> None:
    """Frames whose value is infinite are dots at the upper edge."""
    finite = [value if math.isfinite(value) else math.nan for value in values]
    known = [value for value in values if math.isfinite(value)]
    marker = "o" if len(values) == 1 else None
    axis.plot(times, finite, color=color, linewidth=1.2, marker=marker)
    if known:
        mean = statistics.fmean(known)
        axis.axhline(mean, color=color, linewidth=0.8, linestyle=":")
        axis.annotate(
            f"mean {mean:.5g}", (1, mean), xycoords=("axes fraction", "data"),
            xytext=(-4, 3), textcoords="offset points", ha="right", color=color, fontsize=8,
        )  # fmt: skip
    same = [time for time, value in zip(times, values, strict=True) if math.isinf(value)]
    if same:
        axis.plot(
            same, [0.97] * len(same), transform=axis.get_xaxis_transform(), linestyle="", marker="o",
            markersize=2.5, color=color, label="identical",
        )  # fmt: skip
        axis.legend(loc="lower right", fontsize=8, frameon=False)
    axis.set_ylabel(name)
    axis.grid(visible=True, linewidth=0.4, alpha=0.5)
    axis.margins(x=0.01)
