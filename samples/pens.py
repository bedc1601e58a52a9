"""Paper and pens: paths, and a sheet to fill and outline them on with smooth edges.

It knows geometry and coverage, never what is drawn. A path is an (N, 2) array of x, y in pixels of
the finished picture, y pointing down; the sheet is OVERSAMPLE times larger and is averaged in boxes
when it is developed, so that lines are crisp but not jagged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Window = tuple[int, int, int, int]  # top, bottom, left, right

OVERSAMPLE = 4


def points(text: str) -> Points:
    """Read "x y, x y, ..." into a path; what artwork is written in, as in the path data of SVG."""
    return np.array([pair.split() for pair in text.split(",")], dtype=np.float64)


def line(*corners: tuple[float, float]) -> Points:
    """Straight from point to point."""
    return np.array(corners, dtype=np.float64)


def curve(path: str | Points) -> Points:
    """Quadratic Bezier segments end to end: the start, then control point and end point in turns.

    Corners stay sharp where neighbouring control points do not line up.
    """
    nodes = points(path) if isinstance(path, str) else path
    t = np.linspace(0, 1, 9)[1:, None]
    pieces = [nodes[:1]]
    for start, control, end in zip(nodes[:-2:2], nodes[1:-1:2], nodes[2::2], strict=True):
        pieces.append((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end)
    return np.concatenate(pieces)


def ellipse(
    x: float, y: float, rx: float, ry: float | None = None, start: float = 0, end: float = 360
) -> Points:
    """A whole ellipse, or its arc between two angles in degrees (0 = right, 90 = down)."""
    angle = np.radians(np.linspace(start, end, max(8, int(abs(end - start) / 9)) + 1))
    if end - start == 360:
        angle = angle[:-1]
    return np.stack([x + rx * np.cos(angle), y + (rx if ry is None else ry) * np.sin(angle)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float) -> Points:
    """An upright rectangle."""
    return line((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def move(path: Points, x: float, y: float) -> Points:
    """The same path somewhere else."""
    moved: Points = path + np.array([x, y])
    return moved


def rgb(code: str) -> tuple[float, float, float]:
    """ "#rrggbb" as three numbers from 0 to 1."""
    return int(code[1:3], 16) / 255, int(code[3:5], 16) / 255, int(code[5:7], 16) / 255


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part hangs: its origin lies at (x, y), it is turned clockwise by `turn` degrees, and
    mirrored left to right first where `mirror` says so.
    """

    x: float = 0
    y: float = 0
    turn: float = 0
    mirror: bool = False

    def __call__(self, path: Points) -> Points:
        cos, sin = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        scale = (-1 if self.mirror else 1, 1)
        moved: Points = (path * scale) @ np.array([[cos, sin], [-sin, cos]]) + (self.x, self.y)
        return moved

    def joint(self, x: float, y: float, turn: float = 0, mirror: bool = False) -> Place:
        """A part that hangs on this one at (x, y)."""
        here = self(np.array([[x, y]]))[0]
        return Place(float(here[0]), float(here[1]), self.turn + turn, mirror)


class Canvas:
    """A transparent sheet, (height * 4, width * 4, 4) premultiplied R'G'B'A float32 in [0, 1]."""

    def __init__(self, width: int, height: int, pixels: Array | None = None) -> None:
        shape = (height * OVERSAMPLE, width * OVERSAMPLE, 4)
        self.pixels: Array = np.zeros(shape, np.float32) if pixels is None else pixels.copy()
        self.place = Place()

    def fill(self, path: Points, colour: str, within: Points | None = None, alpha: float = 1) -> None:
        """Paint the inside of a closed path (even-odd), where asked only inside of another one."""
        path = self.place(path) * OVERSAMPLE
        window = self._window(path.min(axis=0), path.max(axis=0))
        if window is None:
            return
        mask = _coverage(path, *window)
        if within is not None:
            mask *= _coverage(self.place(within) * OVERSAMPLE, *window)
        self._blend(mask, window, colour, alpha)

    def stroke(
        self,
        path: Points,
        colour: str,
        width: float = 1,
        taper: bool = False,
        close: bool = False,
        within: Points | None = None,
        alpha: float = 1,
    ) -> None:
        """Draw a line with round ends; `taper` thins it to a quarter towards both ends."""
        path = self.place(path) * OVERSAMPLE
        if close:
            path = np.concatenate([path, path[:1]])
        radius = np.full(len(path), width * OVERSAMPLE / 2)
        if taper:
            along = np.linspace(0, 1, len(path))
            radius *= 0.25 + 0.75 * np.sqrt(np.sin(np.pi * along).clip(0))
        reach = radius.max() + 1
        window = self._window(path.min(axis=0) - reach, path.max(axis=0) + reach)
        if window is None:
            return
        top, bottom, left, right = window
        mask = np.zeros((bottom - top, right - left), np.float32)
        for a, b, ra, rb in zip(path[:-1], path[1:], radius[:-1], radius[1:], strict=True):
            part = self._window(np.minimum(a, b) - reach, np.maximum(a, b) + reach)
            if part is None:
                continue
            y0, y1, x0, x1 = part
            y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5 - a[1])
            x = np.arange(x0, x1, dtype=np.float32)[None, :] + np.float32(0.5 - a[0])
            dx, dy = float(b[0] - a[0]), float(b[1] - a[1])
            t = ((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9)).clip(0, 1)
            inside = (ra + (rb - ra) * t + 0.5 - np.hypot(x - t * dx, y - t * dy)).clip(0, 1)
            target = mask[y0 - top : y1 - top, x0 - left : x1 - left]
            np.maximum(target, inside, out=target)
        if within is not None:
            mask *= _coverage(self.place(within) * OVERSAMPLE, *window)
        self._blend(mask, window, colour, alpha)

    def shape(self, path: Points, colour: str, ink: str, width: float = 1) -> None:
        """Fill a closed path and draw its outline."""
        self.fill(path, colour)
        self.stroke(path, ink, width, close=True)

    def gradient(self, top: str, bottom: str, y0: float, y1: float) -> None:
        """Cover rows y0 to y1 with a vertical run from one colour to another."""
        rows = self.pixels[int(y0 * OVERSAMPLE) : int(y1 * OVERSAMPLE)]
        t = np.linspace(0, 1, len(rows), dtype=np.float32)[:, None, None]
        rows[..., :3] = (1 - t) * np.array(rgb(top), np.float32) + t * np.array(rgb(bottom), np.float32)
        rows[..., 3] = 1

    def _window(self, low: Points, high: Points) -> Window | None:
        rows, columns = self.pixels.shape[:2]
        left, top = max(0, int(np.floor(low[0]))), max(0, int(np.floor(low[1])))
        right, bottom = min(columns, int(np.ceil(high[0]))), min(rows, int(np.ceil(high[1])))
        return (top, bottom, left, right) if top < bottom and left < right else None

    def _blend(self, mask: Array, window: Window, colour: str, alpha: float) -> None:
        top, bottom, left, right = window
        target = self.pixels[top:bottom, left:right]
        cover = mask[..., None] * np.float32(alpha)
        target += cover * (np.array([*rgb(colour), 1], np.float32) - target)


def _coverage(path: Points, top: int, bottom: int, left: int, right: int) -> Array:
    """How much of each sample a closed path covers: exact across, four scan lines a sample down."""
    lines = 4
    y = np.arange(top, bottom, 1 / lines)[:, None] + 0.5 / lines
    a, b = path, np.roll(path, -1, axis=0)
    crosses = (a[:, 1] <= y) != (b[:, 1] <= y)
    rise = np.where(a[:, 1] == b[:, 1], 1, b[:, 1] - a[:, 1])
    x = np.where(crosses, a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / rise, np.inf)
    x = np.sort(x, axis=1)[:, : int(crosses.sum(axis=1).max(initial=0))].astype(np.float32)
    ends = np.arange(left + 1, right + 1, dtype=np.float32)
    cover = np.zeros((len(y), len(ends)), np.float32)
    for k in range(x.shape[1]):
        step = (ends - x[:, k : k + 1]).clip(0, 1)
        cover = cover - step if k % 2 else cover + step
    mean: Array = cover.reshape(-1, lines, len(ends)).mean(axis=1)
    return mean


def develop(pixels: Array) -> Picture:
    """Average the oversampled sheet (over black) to a finished picture, uint8 (H, W, 3) R'G'B'."""
    rows, columns = pixels.shape[:2]
    boxes = pixels[..., :3].reshape(rows // OVERSAMPLE, OVERSAMPLE, columns // OVERSAMPLE, OVERSAMPLE, 3)
    picture: Picture = np.rint(boxes.mean(axis=(1, 3)) * 255).clip(0, 255).astype(np.uint8)
    picture.setflags(write=False)  # drawings are kept and handed out again
    return picture
