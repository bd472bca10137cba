# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outlines of things and hands as polygons, in a box of -1..1 (x right, y down)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vlo_ros.rendered_world.vocabulary import OBJECT_TYPES

Polygon = NDArray[np.float64]  # (points, 2)


@dataclass(frozen=True, slots=True)
class Part:
    """A polygon and how it is coloured.

    paint: 'body', 'shade', 'light' (from the thing's own colour) or a fixed RGB triple.
    """

    polygon: Polygon
    paint: str | tuple[int, int, int]
    outlined: bool = False


def _arc(
    cx: float, cy: float, rx: float, ry: float, a: float = 0, b: float = 360, n: int = 14
) -> Polygon:
    angle = np.radians(np.linspace(a, b, n, endpoint=b - a < 360))
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], 1)


def _box(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=float)


def _ring(cx: float, cy: float, rx: float, ry: float, width: float, a: float, b: float) -> Polygon:
    outer = _arc(cx, cy, rx, ry, a, b)
    inner = _arc(cx, cy, rx - width, ry - width, a, b)
    return np.concatenate([outer, inner[::-1]])


def _points(*xy: tuple[float, float]) -> Polygon:
    return np.array(xy, dtype=float)


_DARK, _GREY, _STEEL, _BLACK = (45, 40, 38), (150, 150, 152), (205, 210, 216), (22, 22, 24)
_INSIDE, _CREAM, _LEAF, _STEM = (62, 50, 44), (250, 238, 205), (30, 92, 40), (96, 62, 30)

_CUP = (
    Part(_ring(0.5, 0.05, 0.48, 0.5, 0.2, -80, 80), 'shade', True),
    Part(_points((-0.75, -0.7), (0.5, -0.7), (0.34, 0.9), (-0.6, 0.9)), 'body', True),
    Part(_arc(-0.12, -0.7, 0.62, 0.2), _INSIDE, True),
)
_BOWL = (
    Part(_arc(0, -0.2, 1.0, 1.0, 0, 180), 'body', True),
    Part(_arc(0, -0.2, 1.0, 0.3), 'light', True),
    Part(_arc(0, -0.2, 0.78, 0.18), _INSIDE),
)
_BOTTLE = (
    Part(
        _points(
            (-0.16, -0.8), (0.16, -0.8), (0.16, -0.45), (0.42, -0.1),
            (0.42, 1.0), (-0.42, 1.0), (-0.42, -0.1), (-0.16, -0.45),
        ),
        'body', True,
    ),
    Part(_box(-0.2, -1.05, 0.2, -0.76), _BLACK),
    Part(_box(-0.42, 0.25, 0.42, 0.6), 'light'),
)  # fmt: skip
_JAR = (
    Part(
        _points(
            (-0.5, -0.55), (0.5, -0.55), (0.72, -0.3), (0.72, 0.75),
            (0.55, 0.95), (-0.55, 0.95), (-0.72, 0.75), (-0.72, -0.3),
        ),
        'body', True,
    ),
    Part(_box(-0.5, 0.02, 0.5, 0.5), _CREAM),
)  # fmt: skip
_JAR_LID = (Part(_box(-0.62, -0.9, 0.62, -0.5), _GREY, True),)
_JAR_OPEN = (Part(_arc(0, -0.55, 0.5, 0.17), _INSIDE, True),)
_BOX = (
    Part(_box(-0.85, -0.35, 0.85, 0.9), 'body', True),
    Part(_box(-0.14, -0.35, 0.14, 0.9), 'shade'),
)
_BOX_LID = (
    Part(_points((-0.85, -0.35), (-0.6, -0.85), (0.95, -0.85), (0.85, -0.35)), 'light', True),
    Part(_points((-0.14, -0.35), (0.05, -0.85), (0.32, -0.85), (0.14, -0.35)), 'shade'),
)
_BOX_OPEN = (
    Part(_points((-0.85, -0.35), (-0.6, -0.7), (0.7, -0.7), (0.85, -0.35)), _INSIDE, True),
    Part(_points((-0.85, -0.35), (-1.1, -0.75), (-0.8, -1.0), (-0.6, -0.7)), 'light', True),
    Part(_points((0.85, -0.35), (1.1, -0.75), (0.85, -1.0), (0.7, -0.7)), 'light', True),
)
_POT = (
    Part(_box(-1.15, -0.2, 1.15, 0.08), _BLACK),
    Part(_points((-0.82, -0.4), (0.82, -0.4), (0.78, 0.8), (-0.78, 0.8)), 'body', True),
    Part(_box(-0.8, 0.45, 0.8, 0.62), 'shade'),
)
_POT_LID = (
    Part(_arc(0, -0.4, 0.86, 0.42, 180, 360), 'light', True),
    Part(_arc(0, -0.88, 0.17, 0.15), _BLACK),
)
_POT_OPEN = (Part(_arc(0, -0.4, 0.82, 0.26), _INSIDE, True),)
_KETTLE = (
    Part(_ring(0, -0.25, 0.72, 0.78, 0.2, 180, 360), _BLACK),
    Part(_points((-0.55, 0.4), (-1.15, -0.3), (-0.9, -0.4), (-0.35, 0.0)), 'body', True),
    Part(
        np.concatenate(
            [_arc(0.05, 0.3, 0.78, 0.72, 180, 360), _points((0.83, 0.85), (-0.73, 0.85))]
        ),
        'body',
        True,
    ),
    Part(_box(-0.73, 0.62, 0.83, 0.86), 'shade'),
)
_KNIFE = (
    Part(
        _points((-0.22, -0.1), (-0.22, -1.2), (0.14, -1.05), (0.34, -0.6), (0.34, -0.1)),
        _STEEL,
        True,
    ),
    Part(_points((-0.3, -0.1), (0.38, -0.1), (0.34, 1.05), (-0.26, 1.05)), 'body', True),
)
_SPOON = (
    Part(_box(-0.17, -0.3, 0.17, 1.1), 'body', True),
    Part(_arc(0, -0.62, 0.46, 0.52), 'body', True),
    Part(_arc(0, -0.62, 0.26, 0.32), 'shade'),
)
_SPONGE = (
    Part(_points((-0.95, -0.45), (0.95, -0.45), (0.95, 0.55), (-0.95, 0.55)), 'body', True),
    Part(_box(-0.95, 0.2, 0.95, 0.55), _DARK),
    *(
        Part(_arc(x, y, 0.13, 0.11, n=6), 'shade')
        for x, y in ((-0.6, -0.2), (-0.15, 0.0), (0.3, -0.2), (0.65, 0.0))
    ),
)
_APPLE = (
    Part(_box(-0.07, -1.05, 0.1, -0.6), _STEM),
    Part(
        np.concatenate(
            [_arc(-0.3, 0.1, 0.58, 0.8, 90, 300, 10), _arc(0.3, 0.1, 0.58, 0.8, -120, 90, 10)]
        ),
        'body',
        True,
    ),
    Part(_points((0.08, -0.75), (0.55, -1.05), (0.62, -0.72)), _LEAF),
)
_CARROT = (
    Part(
        _points(
            (-0.1, -0.5),
            (-0.55, -1.1),
            (-0.1, -0.95),
            (0.05, -1.2),
            (0.2, -0.95),
            (0.6, -1.1),
            (0.12, -0.5),
        ),
        _LEAF,
    ),
    Part(
        _points((-0.48, -0.55), (0.48, -0.55), (0.3, 0.1), (0.0, 1.15), (-0.3, 0.1)), 'body', True
    ),
    Part(_box(-0.34, -0.15, 0.0, -0.05), 'shade'),
    Part(_box(0.0, 0.2, 0.24, 0.3), 'shade'),
)

BODIES: tuple[tuple[Part, ...], ...] = tuple(
    {
        'cup': _CUP, 'bowl': _BOWL, 'bottle': _BOTTLE, 'jar': _JAR, 'box': _BOX, 'pot': _POT,
        'kettle': _KETTLE, 'knife': _KNIFE, 'spoon': _SPOON, 'sponge': _SPONGE, 'apple': _APPLE,
        'carrot': _CARROT,
    }[name]
    for name in OBJECT_TYPES
)  # fmt: skip
LIDS = {'jar': _JAR_LID, 'box': _BOX_LID, 'pot': _POT_LID}
OPENINGS = {'jar': _JAR_OPEN, 'box': _BOX_OPEN, 'pot': _POT_OPEN}
CUT_MARKS = (
    Part(_points((-0.7, -0.16), (0.7, -0.4), (0.7, -0.26), (-0.7, -0.02)), _CREAM),
    Part(_points((-0.55, 0.32), (0.6, 0.1), (0.57, 0.24), (-0.5, 0.46)), _CREAM),
)

# Hands: drawn for the right side, mirrored for the left; box of about one thing's radius.
PALM = _arc(0, 0.25, 0.55, 0.6)
FIST = _arc(0, 0.15, 0.58, 0.5)
THUMB = _points((-0.62, 0.2), (-0.72, -0.25), (-0.45, -0.35), (-0.2, 0.1))
FINGERS = tuple(
    _points(
        (0.16 * i - 0.09, 0.1), (0.2 * i - 0.1, -0.72 + 0.06 * abs(i)),
        (0.2 * i + 0.1, -0.72 + 0.06 * abs(i)), (0.16 * i + 0.09, 0.1),
    )
    for i in (-2, -1, 0, 1, 2)
)  # fmt: skip


@lru_cache(maxsize=256)
def blob(seed: int) -> tuple[Part, ...]:
    """A shape without a name: a random outline with up to two random details."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(5, 10))
    angle = np.sort(rng.uniform(0, 2 * math.pi, count))
    radius = rng.uniform(0.45, 1.1, count)
    stretch = rng.uniform(0.6, 1.1, 2)
    outline = np.stack([np.cos(angle), np.sin(angle)], 1) * radius[:, None] * stretch
    parts = [Part(outline, 'body', True)]
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(-0.5, 0.5, 2)
        w, h = rng.uniform(0.1, 0.35, 2)
        paint = ('shade', 'light', _BLACK, _CREAM, _GREY)[int(rng.integers(5))]
        parts.append(Part(_box(x - w, y - h, x + w, y + h), paint))
    return tuple(parts)
