"""Shot two of the sample clip: a city at night in four layers that pan at different speeds.

It owns the artwork and the speeds of the layers; it knows nothing of files, codecs or the fade.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from pens import OVERSAMPLE, Array, Canvas, Picture, box, curve, develop, ellipse, line, points

INK, FUR, RIM = "#0b0d1e", "#17142c", "#8f88d0"
WINDOW_LIGHTS = ("#ffd98a", "#ffeebc", "#ffb86b", "#9fd4ff")

# Steps of the layers from back to front, in oversampled pixels a frame: 0, 0.5, 1 and 1.75 pixels of
# the picture. Whole numbers, so that panning never resamples the artwork.
STEPS = (0, 2, 4, 7)


@functools.cache
def draw_city(width: int, height: int, step: int, steps: int) -> Picture:
    """The finished picture of one step of a pan of so many steps."""
    layers = _layers(width, height, steps)
    sheet = np.zeros((height * OVERSAMPLE, width * OVERSAMPLE, 4), np.float32)
    for layer, speed in zip(layers, STEPS, strict=True):
        left = step * speed
        part = layer[:, left : left + width * OVERSAMPLE]
        sheet *= 1 - part[..., 3:]
        sheet += part
    return develop(sheet)


@functools.cache
def _layers(width: int, height: int, steps: int) -> tuple[Array, Array, Array, Array]:
    widths = [width + -(-speed * (steps - 1) // OVERSAMPLE) for speed in STEPS]
    return (
        _sky(widths[0], height),
        _far(widths[1], height),
        _near(widths[2], height),
        _roof(widths[3], height),
    )


def _sky(width: int, height: int) -> Array:
    canvas = Canvas(width, height)
    canvas.gradient("#11123a", "#4a3a7c", 0, height * 0.5)
    canvas.gradient("#4a3a7c", "#e07a8a", height * 0.5, height)
    rng = np.random.default_rng(3)
    for _ in range(70):
        x, y, size = rng.uniform(0, width), rng.uniform(0, 95), rng.choice([0.35, 0.5, 0.8])
        canvas.fill(ellipse(x, y, size), "#ffffff" if size < 0.8 else "#fff1c0", alpha=0.9)
    for x, y in ((42.0, 22.0), (154.0, 14.0), (292.0, 56.0)):
        for reach in (line((x - 4, y), (x + 4, y)), line((x, y - 4), (x, y + 4))):
            canvas.stroke(reach, "#ffffff", 0.9, taper=True)
    moon = ellipse(236, 44, 21)
    for radius, alpha in ((36, 0.10), (29, 0.16)):
        canvas.fill(ellipse(236, 44, radius), "#ffe9b8", alpha=alpha)
    canvas.fill(moon, "#fff3c9")
    canvas.fill(ellipse(244, 50, 22), "#f1d9a0", within=moon)
    canvas.fill(ellipse(231, 40, 19.5), "#fff3c9", within=moon)
    for x, y, r in ((229, 36, 4.0), (241, 50, 5.0), (226, 52, 2.5), (243, 34, 2.2), (234, 57, 1.6)):
        canvas.fill(ellipse(x, y, r), "#e6cf96", within=moon)
        canvas.fill(ellipse(x + 0.5, y + 0.5, r * 0.8), "#efdcaa", within=moon)
    canvas.stroke(moon, "#b98f63", 0.8, close=True)
    for x, y, w in ((196, 58, 52.0), (246, 66, 40.0), (20, 84, 70.0), (110, 70, 44.0)):
        band = curve(
            line((x, y), (x + w * 0.2, y - 7), (x + w * 0.5, y - 3), (x + w * 0.7, y - 6), (x + w, y))
        )
        canvas.fill(band, "#6d5699", alpha=0.85)
    return canvas.pixels


def _far(width: int, height: int) -> Array:
    canvas = Canvas(width, height)
    rng = np.random.default_rng(11)
    x = -4.0
    while x < width:
        w, top = rng.uniform(12, 24), rng.uniform(78, 112)
        canvas.shape(box(x, top, x + w, height + 5), "#3b2f6b", "#241c4a", 0.8)
        for wy in np.arange(top + 4, 150, 4.5):
            for wx in np.arange(x + 2.5, x + w - 2.5, 3.6):
                if rng.random() < 0.3:
                    canvas.fill(box(wx, wy, wx + 1.6, wy + 2), "#c99a8f")
        if rng.random() < 0.4:
            canvas.stroke(line((x + w / 2, top), (x + w / 2, top - 9)), "#241c4a", 0.8)
        x += w + rng.uniform(-1, 3)
    _tower(canvas, 96, 150, 112)
    return canvas.pixels


def _tower(canvas: Canvas, x: float, foot: float, tall: float) -> None:
    """A lattice tower: two legs that curve together, crossed struts, two decks and a mast."""

    def half(t: float) -> float:
        return float(1.2 + 19 * (1 - t) ** 2.4)

    levels = np.linspace(0, 0.86, 15)
    for low, high in itertools.pairwise(levels):
        y0, y1, a, b = foot - tall * low, foot - tall * high, half(low), half(high)
        canvas.stroke(line((x - a, y0), (x + b, y1)), "#c8503f", 0.6)
        canvas.stroke(line((x + a, y0), (x - b, y1)), "#c8503f", 0.6)
        canvas.stroke(line((x - b, y1), (x + b, y1)), "#ffd9b0", 0.6)
    for side in (-1, 1):
        leg = line(*((x + side * half(float(t)), foot - tall * float(t)) for t in np.linspace(0, 0.86, 30)))
        canvas.stroke(leg, INK, 2.4)
        canvas.stroke(leg, "#ff6a4d", 1.3)
    for t, reach in ((0.42, 4.0), (0.7, 2.2)):
        y, w = foot - tall * t, half(t) + reach
        canvas.shape(box(x - w, y - 3, x + w, y + 1), "#fff0d8", INK, 0.8)
        for k in np.arange(x - w + 1.2, x + w - 1.2, 2.2):
            canvas.fill(box(k, y - 2, k + 1.2, y), "#ffb86b")
    canvas.stroke(line((x, foot - tall * 0.86), (x, foot - tall)), INK, 2)
    canvas.stroke(line((x, foot - tall * 0.86), (x, foot - tall)), "#fff0d8", 1)
    canvas.fill(ellipse(x, foot - tall, 1.3), "#ff4040")


def _near(width: int, height: int) -> Array:
    canvas = Canvas(width, height)
    rng = np.random.default_rng(23)
    x = -6.0
    while x < width:
        w, top = rng.uniform(26, 44), rng.uniform(96, 136)
        canvas.shape(box(x, top, x + w, height + 5), "#1d1d45", INK, 1)
        canvas.fill(box(x + w * 0.78, top + 0.5, x + w - 0.5, height), "#151536")
        canvas.shape(box(x - 1, top - 2, x + w + 1, top + 1.5), "#2c2c5e", INK, 0.9)
        for wy in np.arange(top + 6, 176, 7.5):
            for wx in np.arange(x + 4, x + w * 0.78 - 5, 6.4):
                lit = rng.random() < 0.55
                colour = WINDOW_LIGHTS[int(rng.integers(4))] if lit else "#2a2a58"
                canvas.shape(box(wx, wy, wx + 3.8, wy + 4.4), colour, INK, 0.7)
                if lit:
                    canvas.stroke(line((wx + 1.9, wy), (wx + 1.9, wy + 4.4)), "#7a5a48", 0.5)
        kind = int(rng.integers(3))
        middle = x + w * 0.4
        if kind == 0:  # water tank
            canvas.stroke(line((middle - 4, top - 2), (middle - 4, top - 8)), INK, 1.2)
            canvas.stroke(line((middle + 4, top - 2), (middle + 4, top - 8)), INK, 1.2)
            canvas.shape(box(middle - 6, top - 17, middle + 6, top - 7), "#3a3a70", INK, 1)
            canvas.shape(
                line((middle - 7, top - 17), (middle, top - 22), (middle + 7, top - 17)), "#50508c", INK, 1
            )
        elif kind == 1:  # aerial
            canvas.stroke(line((middle, top - 2), (middle, top - 20)), INK, 1.1)
            for k, reach in ((-19, 5), (-16, 4), (-13, 3)):
                canvas.stroke(line((middle - reach, top + k), (middle + reach, top + k)), INK, 0.8)
        else:  # neon sign
            canvas.shape(box(middle - 9, top - 15, middle + 9, top - 4), "#241038", INK, 1)
            canvas.stroke(box(middle - 7.5, top - 13.5, middle + 7.5, top - 5.5), "#ff5fa8", 0.9, close=True)
            canvas.stroke(
                curve(
                    line(
                        (middle - 4.5, top - 9.5),
                        (middle - 2, top - 14),
                        (middle, top - 9.5),
                        (middle + 2, top - 5),
                        (middle + 4.5, top - 9.5),
                    )
                ),
                "#6ff3ff",
                1,
            )
        x += w + rng.uniform(2, 7)
    return canvas.pixels


def _roof(width: int, height: int) -> Array:
    """The roof in front: a railing, and a cat that looks at the moon."""
    canvas = Canvas(width, height)
    canvas.fill(box(-5, 171, width + 5, height + 5), "#0d0d22")
    for x in np.arange(-4, width + 8, 9.0):
        canvas.stroke(line((x, 152), (x, 172)), INK, 2)
        canvas.stroke(line((x - 0.4, 152), (x - 0.4, 172)), "#4b4a86", 0.7)
    canvas.stroke(line((-5, 152), (width + 5, 152)), INK, 4)
    canvas.stroke(line((-5, 151.2), (width + 5, 151.2)), "#6f6cb4", 1)
    canvas.stroke(line((-5, 171), (width + 5, 171)), "#4b4a86", 1.2)
    tail = curve("142 149, 128 152, 131 164, 133 171, 127 170")
    canvas.stroke(tail, RIM, 4.2)
    canvas.stroke(tail, FUR, 3.0)
    canvas.shape(
        curve(
            "148 151, 138 151, 139 140, 140 126, 151 121, 156 118,160 121, 167 132, 165 146, 165 149, 168 151"
        ),
        FUR,
        RIM,
        0.9,
    )
    canvas.shape(
        curve(
            "147.5 104, 149 98, 147.6 95.5, 151 97, 153 100.4, 156 99.6, 159 100.4, 161 97, 164.4 95.5,"
            "163 98, 164.5 104, 166.6 110, 164.6 113, 162 117.5, 156 117.5, 150 117.5, 147.4 113,"
            "145.4 110, 147.5 104"
        ),
        FUR,
        RIM,
        0.9,
    )
    for x, slant in ((151.4, 0.6), (160.6, -0.6)):
        canvas.fill(
            curve(
                line(
                    (x - 2.6, 107.4 - slant),
                    (x, 104),
                    (x + 2.6, 107.4 + slant),
                    (x, 111.4),
                    (x - 2.6, 107.4 - slant),
                )
            ),
            "#ffe04a",
        )
        canvas.fill(ellipse(x, 107.4, 0.6, 1.9), FUR)
    canvas.fill(points("154.9 111, 157.1 111, 156 112.4"), "#e88aa0")
    canvas.stroke(curve("150 118.6, 156 122.4, 162 118.6"), "#e2483d", 1.6)
    canvas.fill(ellipse(156, 122, 1.6), "#ffd24a")
    for rise in (-0.8, 1.2):
        canvas.stroke(line((150, 112.2 + rise / 2), (142.6, 112.2 + rise * 1.6)), "#b9b4e6", 0.45)
        canvas.stroke(line((162, 112.2 + rise / 2), (169.4, 112.2 + rise * 1.6)), "#b9b4e6", 0.45)
    return canvas.pixels
