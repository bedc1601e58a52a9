"""Shot one of the sample clip: a held background, and a girl who waves, hops and blinks on threes.

It owns the artwork and the poses; it knows nothing of files, codecs or time beyond "which drawing".
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from pens import Array, Canvas, Picture, Place, Points, box, curve, develop, ellipse, line, move, points

INK, SOFT_INK, SKIN_INK = "#2b1a24", "#3d4a3f", "#8f4a3c"
SKIN, SKIN_SHADE = "#ffe0c8", "#f2b598"
HAIR, HAIR_SHADE, HAIR_LIGHT = "#c2573f", "#8d3838", "#f0976a"
CLOTH, CLOTH_SHADE = "#fdfdff", "#c3cbe6"
NAVY, NAVY_LIGHT = "#2c3f7c", "#4560a8"


@dataclass(frozen=True, slots=True)
class Pose:
    """One drawing of the girl: lift in pixels, turns in degrees, openness from 0 to 1."""

    lift: float
    head: float
    arm: float
    hair: float
    eyes: float
    mouth: float


POSES = (
    Pose(0, 0, -14, 0, 1, 0.3),
    Pose(2, 2, 4, 4, 1, 0.6),
    Pose(6, 4, 24, -4, 1, 1),
    Pose(8, 3, 12, -10, 1, 1),
    Pose(4, 0, -8, -2, 1, 0.8),
    Pose(0, -3, -18, 12, 0.4, 0.5),
    Pose(-1, -4, -4, 8, 0, 0.3),
    Pose(2, -2, 16, -2, 0.4, 0.6),
    Pose(6, 1, 26, -8, 1, 1),
    Pose(7, 3, 8, -8, 1, 1),
    Pose(3, 1, -12, 4, 1, 0.7),
    Pose(0, 0, -16, 9, 1, 0.3),
)


@functools.cache
def draw_hillside(width: int, height: int, drawing: int) -> Picture:
    """The finished picture of one of the POSES on the held background."""
    canvas = Canvas(width, height, _background(width, height))
    _girl(canvas, POSES[drawing])
    return develop(canvas.pixels)


@functools.cache
def _background(width: int, height: int) -> Array:
    canvas = Canvas(width, height)
    canvas.gradient("#2f86dc", "#cdeffa", 0, height)
    _cloud(canvas, "320 72 22, 298 64 20, 232 80 12, 250 72 18, 272 54 24, 285 80 18, 262 84 14, 310 90 16")
    _cloud(canvas, "20 46 11, 34 38 14, 64 49 7, 51 44 11, 8 51 8")
    _cloud(canvas, "128 26 6, 150 26 6, 138 23 8")
    mountains = curve(
        "-5 104, 30 72, 62 86, 92 98, 118 82, 150 60, 184 86, 230 108, 262 90, 300 74, 330 96, 330 150,"
        "330 190, 160 190, -5 190"
    )
    canvas.fill(mountains, "#8dbfd8")
    light = curve("112 86, 146 62, 160 73, 152 82, 162 96, 140 92, 128 104, 124 92, 112 86")
    canvas.fill(light, "#a9d3e4", within=mountains)
    canvas.stroke(mountains, "#6a9cba", 0.8, close=True)
    meadow = curve(
        "-5 118, 60 96, 130 114, 200 128, 250 112, 300 100, 330 108, 330 150, 330 190, 160 190, -5 190"
    )
    canvas.fill(meadow, "#8ed06a")
    shade = curve("-5 126, 60 106, 140 122, 210 136, 330 116, 330 150, 330 190, 160 190, -5 190")
    canvas.fill(shade, "#79c15c")
    canvas.stroke(meadow, SOFT_INK, 0.9, close=True)
    for x, y, size in ((268, 110, 14), (290, 107, 18), (312, 108, 15), (20, 118, 27)):
        _tree(canvas, x, y, size)
    _house(canvas)
    path = curve("62 112, 66 128, 50 140, 26 158, 40 185, 70 188, 104 185, 74 156, 78 140, 84 126, 69 112")
    canvas.shape(path, "#ecd9a8", "#8a7a4e", 0.8)
    shade = curve("68 112, 80 126, 72 140, 66 156, 92 185, 98 186, 104 185, 74 156, 78 140, 84 126, 69 112")
    canvas.fill(shade, "#d2b982", within=path)
    _fence(canvas)
    _pole(canvas)
    _grass(canvas)
    return canvas.pixels


def _cloud(canvas: Canvas, puffs: str) -> None:
    """Puffs "x y radius" from back to front; a puff hides what is behind it, its shade included."""
    for x, y, r in points(puffs):
        whole = ellipse(x, y, r)
        canvas.fill(whole, "#ffffff")
        canvas.fill(ellipse(x + 0.18 * r, y + 0.55 * r, r * 0.95, r * 0.7), "#cfe2f3", within=whole)
        canvas.fill(ellipse(x - 0.12 * r, y - 0.22 * r, r * 0.76), "#ffffff", within=whole)


def _tree(canvas: Canvas, x: float, y: float, size: float) -> None:
    trunk = move(size * curve("-0.16 0, -0.06 -0.3, -0.08 -1, 0 -1, 0.08 -1, 0.06 -0.3, 0.18 0"), x, y)
    canvas.shape(trunk, "#7a5140", SOFT_INK, 0.8)
    puffs = size * points("-0.42 -0.95 0.38, 0.42 -0.98 0.36, -0.2 -1.35 0.42, 0.24 -1.4 0.38, 0 -1.02 0.46")
    leaves = [ellipse(x + px, y + py, r) for px, py, r in puffs]
    for leaf in leaves:
        canvas.stroke(leaf, SOFT_INK, 1.6, close=True)
    for leaf in leaves:
        canvas.fill(leaf, "#3f8f4e")
    for (px, py, r), leaf in zip(puffs, leaves, strict=True):
        canvas.fill(ellipse(x + px - 0.1 * size, y + py - 0.12 * size, r * 0.82), "#67b657", within=leaf)
    for px, py, r in puffs[:4]:
        canvas.stroke(ellipse(x + px, y + py, r * 0.55, start=200, end=290), "#9bd672", 0.9, taper=True)


def _house(canvas: Canvas) -> None:
    canvas.place = Place(66, 112)
    canvas.shape(box(15, -47, 22, -28), "#b9664f", SOFT_INK, 0.8)  # chimney
    canvas.shape(box(14, -49, 23, -46), "#d98a6c", SOFT_INK, 0.8)
    canvas.shape(points("-26 0, -26 -22, -9 -40, 8 -22, 8 0"), "#fff1d6", SOFT_INK, 0.9)  # gable
    canvas.shape(box(8, -22, 36, 0), "#e6cfae", SOFT_INK, 0.9)  # the wall in shade
    canvas.fill(points("-26 -18, -9 -36, 8 -18, 8 -22, -9 -40, -26 -22"), "#d9c09c")  # under the eaves
    roof = points("-9 -42, 28 -42, 41 -19, 9 -19")
    canvas.fill(roof, "#d4503f")
    for row in range(1, 7):
        y = -42 + row * 3.9
        canvas.stroke(line((-20, y), (50, y)), "#a8362f", 0.6, within=roof)
        for column in range(14):
            x = -16 + column * 4.6 + (row % 2) * 2.3
            canvas.stroke(line((x, y - 3.9), (x + 1.6, y)), "#a8362f", 0.5, within=roof)
    canvas.stroke(roof, SOFT_INK, 0.9, close=True)
    canvas.stroke(points("-30 -18.5, -9 -41.5, 9.5 -19"), "#8f2f2a", 2.6)
    canvas.stroke(points("-30 -19, -9 -42.3, 9.5 -19.8"), "#e9705a", 1.2)
    for x, y, w, h in ((-20, -17, 9, 8), (13, -14, 8, 8), (25, -14, 8, 8), (-12, -31, 6, 6)):
        pane = box(x, y, x + w, y + h)
        canvas.shape(pane, "#8fc7e8", SOFT_INK, 0.8)
        canvas.fill(
            line((x, y + h), (x + w * 0.7, y), (x + w, y), (x + w * 0.3, y + h)), "#c9ecfb", within=pane
        )
        canvas.stroke(line((x + w / 2, y), (x + w / 2, y + h)), "#fffaf0", 0.7)
        canvas.stroke(line((x, y + h / 2), (x + w, y + h / 2)), "#fffaf0", 0.7)
    canvas.shape(box(-7, -14, 2, 0), "#8a5a3c", SOFT_INK, 0.8)  # door
    canvas.fill(ellipse(0, -6.5, 0.7), "#ffd76a")
    canvas.place = Place()


def _fence(canvas: Canvas) -> None:
    feet = [(94 + k * 9.5, 128 + 0.9 * k + 0.12 * k * k) for k in range(10)]
    for x, y in feet:
        post = line((x, y), (x, y - 12), (x + 1.6, y - 14), (x + 3.2, y - 12), (x + 3.2, y))
        canvas.shape(post, "#fffdf4", SOFT_INK, 0.7)
    for rise in (9, 4.5):
        rail = move(line(*feet), -1, -rise)
        canvas.stroke(rail, SOFT_INK, 2.5)
        canvas.stroke(rail, "#fffdf4", 1.2)


def _pole(canvas: Canvas) -> None:
    canvas.stroke(points("118 190, 121 8"), INK, 3.6)
    canvas.stroke(points("118 190, 121 8"), "#8b8f98", 2.0)
    canvas.stroke(points("118.6 190, 121.6 8"), "#6c707b", 0.9)
    for y in (18, 27):
        canvas.shape(box(108, y, 133, y + 2), "#7c6a5c", INK, 0.7)
        for x in (110, 115, 126, 131):
            canvas.shape(box(x - 1, y - 3, x + 1, y), "#f2f2ee", INK, 0.5)
    canvas.shape(box(122.5, 33, 129, 44), "#9aa3ad", INK, 0.7)
    for x, y in ((110, 15), (115, 15), (131, 15), (110, 24), (131, 24)):
        canvas.stroke(curve(line((x, y), (x - 70, y + 22), (-10, y + 2))), "#39424f", 0.55)
        canvas.stroke(curve(line((x, y), (x + 110, y + 34), (330, y - 2))), "#39424f", 0.55)


def _grass(canvas: Canvas) -> None:
    rng = np.random.default_rng(7)
    bank = curve("-5 170, 80 156, 170 168, 260 178, 330 162, 330 175, 330 190, 160 190, -5 190")
    canvas.fill(bank, "#4fa04b")
    for x in np.arange(-2, 324, 2.7):
        y, lean, tall = 180 + rng.uniform(-2, 2), rng.uniform(-5, 5), rng.uniform(10, 19)
        blade = curve(line((-1.3, 0), (-0.6, -tall / 2), (lean, -tall), (0.9, -tall / 2), (1.5, 0)))
        canvas.fill(move(blade, x, y), ("#3c8a44", "#5fb354", "#7cc860")[int(rng.integers(3))])
    flowers = points("12 168, 30 173, 96 170, 146 174, 300 168")
    for (x, y), petal in zip(flowers, ("#ffffff", "#ffd84f", "#ffffff", "#ff9db8", "#ffffff"), strict=True):
        for px, py in ellipse(x, y, 2, end=288)[::8]:
            canvas.fill(ellipse(px, py, 1.4), petal)
        canvas.fill(ellipse(x, y, 1.1), "#f0a030")


def _girl(canvas: Canvas, pose: Pose) -> None:
    body = Place(212, 88 - pose.lift, pose.head * 0.3)
    head = Place(212, 86 - pose.lift * 1.1, pose.head)
    for left in (True, False):
        _tail(canvas, head.joint(-23 if left else 23, -12, pose.hair + (6 if left else -6), mirror=left))
    canvas.place = head
    canvas.shape(
        curve("-24 -10, -25 8, -17 15, 0 20, 17 15, 25 8, 24 -10, 0 -30, -24 -10"), HAIR_SHADE, INK, 1.1
    )
    _torso(canvas, body)
    _hanging_arm(canvas, body)
    _waving_arm(canvas, body, pose.arm)
    _face(canvas, head, pose)
    _fringe(canvas, head)
    for left in (True, False):
        _ribbon(canvas, head.joint(-23 if left else 23, -13, -20 if left else 20, mirror=left))
    canvas.place = Place()


def _tail(canvas: Canvas, place: Place) -> None:
    canvas.place = place
    tail = curve("0 -4, 17 -4, 18 18, 19 36, 9 52, 10 44, 7 40, 4 46, 1 47, 4 36, 0 22, -3 10, -2 2")
    canvas.fill(tail, HAIR)
    canvas.fill(curve("-2 0, 8 8, 8 26, 9 38, 4 48, -8 40, -6 10"), HAIR_SHADE, within=tail)
    canvas.stroke(curve("7 0, 14 8, 13 26"), HAIR_LIGHT, 2.2, taper=True)
    canvas.stroke(curve("4 6, 11 22, 9 40"), INK, 0.7, taper=True)
    canvas.stroke(tail, INK, 1.1, close=True)


def _ribbon(canvas: Canvas, place: Place) -> None:
    for mirror in (True, False):
        canvas.place = place.joint(0, 0, 0, mirror)
        loop = curve("0 0, 4 -8, 10 -6, 12 0, 9 5, 4 4, 0 0")
        canvas.shape(loop, "#35b8a6", INK, 1)
        canvas.fill(curve("0 1, 5 1, 10 4, 5 6, 0 1"), "#22867f", within=loop)
    canvas.shape(ellipse(0, 0, 2.6), "#5fdcc6", INK, 0.9)


def _torso(canvas: Canvas, place: Place) -> None:
    canvas.place = place
    neck = curve("-6 14, -5.5 24, -7.5 34, 0 46, 7.5 34, 5.5 24, 6 14")
    canvas.shape(neck, SKIN, INK, 1.1)
    canvas.fill(curve("-8 14, -8 28, 0 31, 6 33, 8 38, 10 20, 8 14"), SKIN_SHADE, within=neck)
    blouse = curve(
        "-8 31, -20 34, -23 44, -19 68, -19 112, 0 114, 19 112, 19 68, 23 44, 20 34, 8 31, 0 44, -8 31"
    )
    canvas.fill(blouse, CLOTH)
    canvas.fill(curve("26 38, 11 60, 12 112, 24 114, 30 112, 30 60, 26 38"), CLOTH_SHADE, within=blouse)
    canvas.stroke(blouse, INK, 1.1, close=True)
    canvas.stroke(curve("-17 72, -12 76, -5 75"), "#9aa4c8", 0.8, taper=True)
    canvas.stroke(curve("-18 80, -14 83, -10 83"), "#9aa4c8", 0.8, taper=True)
    for mirror in (True, False):
        canvas.place = place.joint(0, 0, 0, mirror)
        canvas.shape(curve("8 30, 15 32, 18 38, 16 48, 12 52, 7 50, 0 55, 4 42, 8 30"), NAVY, INK, 1)
        canvas.stroke(curve("15.5 38, 14 46, 11.5 49.5, 6.5 47.5, 2.2 51"), "#ffffff", 0.8)
    for mirror in (True, False):
        canvas.place = place.joint(0, -2, 0, mirror)
        scarf = curve("0 56, 7 58, 9 72, 4 70, 2 74, 1 64, 0 56")
        canvas.shape(scarf, "#e2483d" if mirror else "#b52f36", INK, 1)
    canvas.shape(ellipse(0, 56.5, 3.4, 2.8), "#ff6a55", INK, 1)


def _limb(canvas: Canvas, path: Points, colour: str, width: float) -> None:
    canvas.stroke(path, INK, width + 2)
    canvas.stroke(path, colour, width)


def _hanging_arm(canvas: Canvas, place: Place) -> None:
    canvas.place = place
    _limb(canvas, curve("-20 46, -29 66, -26 120"), SKIN, 7.6)
    canvas.stroke(curve("-22.5 60, -23.5 80, -22.5 120"), SKIN_SHADE, 1.6)
    _limb(canvas, curve("-18 41, -23 47, -26 57"), CLOTH, 11)
    canvas.stroke(points("-31.8 56.4, -20.6 59.4"), NAVY_LIGHT, 1.6)


def _waving_arm(canvas: Canvas, place: Place, swing: float) -> None:
    canvas.place = place
    canvas.stroke(points("26 48, 37 48"), INK, 9.6)
    canvas.place = place.joint(37, 48, swing)
    canvas.stroke(points("0 0, 3 -29"), INK, 9)
    fingers = [
        points(f)
        for f in (
            "1 -35, -5 -39.5",
            "1.5 -38, -1.6 -46",
            "3.4 -38, 2.8 -48",
            "5.4 -38, 7 -47.2",
            "6.6 -36, 10.4 -43.6",
        )
    ]
    for finger in fingers:
        canvas.stroke(finger, INK, 4.4)
    canvas.stroke(ellipse(3.6, -35, 4.4, 4.8), INK, 2, close=True)
    for finger in fingers:
        canvas.stroke(finger, SKIN, 2.5)
    canvas.fill(ellipse(3.6, -35, 4.4, 4.8), SKIN)
    canvas.stroke(points("0 0, 3 -29"), SKIN, 7)
    canvas.stroke(curve("3 -2, 4.6 -14, 5.6 -28"), SKIN_SHADE, 1.3)
    canvas.stroke(curve("0.8 -33, 3 -31.5, 5.4 -33"), SKIN_INK, 0.6, taper=True)
    canvas.place = place
    canvas.stroke(points("26 48, 37 48"), SKIN, 7.6)
    _limb(canvas, curve("18 41, 23 45, 28 47.5"), CLOTH, 11)
    canvas.stroke(curve("20 48.5, 26 51.5, 29 51.5"), CLOTH_SHADE, 2.2)
    canvas.stroke(points("31.4 43, 29.4 53"), NAVY_LIGHT, 1.6)


FACE = "-19 -8, -20 8, -14 15, -7 23, 0 25, 7 23, 14 15, 20 8, 19 -8, 12 -26, 0 -26, -12 -26, -19 -8"
FRINGE = (
    "-23 17, -28 -14, -13 -27, 0 -35, 13 -27, 28 -14, 23 17, 18.5 8, 18 -3,"
    "16 0, 12.5 3, 12 -3, 9 -8, 8 -1, 3.5 4, 3.5 -3, 1 -8, -1 -2, -6 3.5,"
    "-6.5 -3, -8.5 -8, -10 -1, -14.5 3, -14.5 0, -17.5 -4, -18.5 8, -23 17"
)


def _face(canvas: Canvas, place: Place, pose: Pose) -> None:
    canvas.place = place
    face = curve(FACE)
    canvas.fill(face, SKIN)
    canvas.fill(move(curve(FRINGE), 0.8, 3), SKIN_SHADE, within=face)  # the hair's shadow
    canvas.fill(curve("14 15, 20 8, 19 -8, 15 6, 14 15"), SKIN_SHADE, within=face)
    canvas.stroke(face, INK, 1.1, close=True)
    for x in (-13.0, 13.0):
        canvas.fill(ellipse(x, 13.5, 3.6, 2), "#ff9f93", within=face, alpha=0.55)
        for k in (-1.6, 0, 1.6):
            canvas.stroke(line((x + k + 0.6, 12.6), (x + k - 0.6, 14.6)), "#e0705f", 0.5)
    for mirror in (True, False):
        canvas.place = place.joint(-9.6 if mirror else 9.6, 5.5, 0, mirror)
        _eye(canvas, pose.eyes, light=-1.5 if not mirror else 1.5)
    canvas.place = place
    canvas.stroke(curve("0.4 11, 1.4 12.4, 0.2 12.8"), SKIN_INK, 0.8, taper=True)
    if pose.mouth < 0.4:
        canvas.stroke(curve("-4 17, 0 20, 4 17"), SKIN_INK, 1.1, taper=True)
    else:
        drop = 17 + 6.5 * pose.mouth
        mouth = curve(
            line((-4.6, 16.8), (0, 18.2), (4.6, 16.8), (4, drop), (0, drop), (-4, drop), (-4.6, 16.8))
        )
        canvas.fill(mouth, "#9c2f3a")
        canvas.fill(ellipse(0, drop, 3.2, 2.2), "#f08080", within=mouth)
        canvas.stroke(mouth, SKIN_INK, 0.9, close=True)


def _eye(canvas: Canvas, openness: float, light: float) -> None:
    """An eye about the origin, its outer corner to the right; light: x of the large highlight."""
    if openness == 0:
        canvas.stroke(curve("-5 1, 0 5.5, 5 1"), INK, 1.5, taper=True)
    else:
        top = -6.2 * openness
        lid = line((-5, 0.5), (-4.4, top), (0, top), (4.4, top), (5, 0.5))
        white = curve(np.concatenate([lid, points("4 6.4, 0 6.4, -4 6.4, -5 0.5")]))
        canvas.fill(white, "#ffffff")
        canvas.fill(ellipse(0, 0.2, 3.9, 6), "#1f6f8f", within=white)
        canvas.fill(ellipse(0, 2.2, 3.2, 3.8), "#4fc0d0", within=white)
        canvas.fill(ellipse(0, 0, 1.9, 3.3), "#15324a", within=white)
        canvas.stroke(curve(line((-5, top + 1.4), (0, top), (5, top + 1.4))), "#a9c3dc", 1.4, within=white)
        if openness > 0.5:
            canvas.fill(ellipse(light, -2.6, 1.5, 1.8), "#ffffff")
            canvas.fill(ellipse(-light, 3.2, 0.8), "#e8ffff")
        lash = line((-4.6, 0.2 - openness), (-3.6, top - 0.6), (0, top - 0.4), (4.8, top), (6.2, -0.5))
        canvas.stroke(curve(lash), INK, 2.2, taper=True)
        canvas.stroke(curve("-2.6 6.4, 0 7, 3 6.2"), SKIN_INK, 0.7, taper=True)
    canvas.stroke(curve("-5 -9.4, 0 -12.2, 5 -10.6"), HAIR_SHADE, 1.0, taper=True)


def _fringe(canvas: Canvas, place: Place) -> None:
    canvas.place = place
    fringe = curve(FRINGE)
    canvas.fill(fringe, HAIR)
    lock = curve("0 -9, -2 -2, -2.5 5, -4 -2, -4.5 -8, -2 -12, 0 -9")
    for shift in (-11.0, -3.0, 5.5):
        canvas.fill(move(lock, shift, 0), HAIR_SHADE, within=fringe)
    canvas.fill(curve("23 17, 28 -14, 13 -27, 21 -12, 18 -3, 19 8, 23 17"), HAIR_SHADE, within=fringe)
    x = np.linspace(-19, 18.8, 10)
    arch = np.sin(np.pi * (x + 19) / 38)
    teeth = np.where(np.arange(10) % 2, 2.6, -1.2)  # the light on the hair ends in a zigzag
    below, above = np.stack([x, -15.5 - 3.6 * arch + teeth], 1), np.stack([x, -18.5 - 4 * arch], 1)
    canvas.fill(np.concatenate([below, above[::-1]]), HAIR_LIGHT, within=fringe)
    canvas.stroke(fringe, INK, 1.1, close=True)
    canvas.stroke(curve("-2 -31, -10 -24, -11 -13"), INK, 0.7, taper=True)
    canvas.stroke(curve("3 -31, 9 -25, 9 -13"), INK, 0.7, taper=True)
    canvas.stroke(curve("-1 -30, -3 -38, -9 -38"), INK, 1.8, taper=True)  # a loose strand
