# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Table textures and the four stations, drawn once per station at 256 px and then warped."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

TEXTURE_SIZE = 256
_MARGIN = 0.25  # how far the texture reaches beyond the picture on every side

Picture = NDArray[np.uint8]


def _two_colours(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    grey = rng.uniform(70, 190)
    tint = rng.normal(0, 11, 3).clip(-20, 20)
    other = rng.normal(0, 5, 3) + rng.choice((-1, 1)) * rng.uniform(14, 32)
    first = np.array([grey + 8, grey, grey - 10]) + tint
    return first.astype(np.float32), (first + other).astype(np.float32)


def _mix(weight: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    a, b = _two_colours(rng)
    return a + (b - a) * weight[..., None]


def _smooth(rng: np.random.Generator, cells_x: int, cells_y: int) -> NDArray[np.float32]:
    noise = rng.random((cells_y, cells_x), dtype=np.float32)
    smooth: NDArray[np.float32] = cv2.resize(
        noise, (TEXTURE_SIZE, TEXTURE_SIZE), interpolation=cv2.INTER_CUBIC
    )
    return smooth


def draw_table(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """A table texture of a kind, (256, 256, 3) float32 in 0..255."""
    y, x = np.mgrid[0:TEXTURE_SIZE, 0:TEXTURE_SIZE].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    period = rng.uniform(22, 60)
    if kind == 'plain':
        weight = _smooth(rng, 3, 3) * 0.4
    elif kind == 'wood':
        weight = 0.5 + 0.5 * np.sin(u / period * 9 + 5 * _smooth(rng, 4, 12))
    elif kind == 'tiles':
        weight = ((x % period < 3) | (y % period < 3)).astype(np.float32)
    elif kind == 'stripes':
        weight = (u % period < period / 2).astype(np.float32)
    elif kind == 'weave':
        weight = 0.5 + 0.25 * np.sin(u * 60 / period) + 0.25 * np.sin(v * 60 / period)
    elif kind == 'cloudy':
        weight = _smooth(rng, 9, 9) * 0.7 + _smooth(rng, 25, 25) * 0.5
    elif kind == 'checks':
        weight = ((u % period < period / 2) ^ (v % period < period / 2)).astype(np.float32)
    elif kind == 'dots':
        weight = (np.hypot(u % period - period / 2, v % period - period / 2) < period / 4).astype(
            np.float32
        )
    elif kind == 'bricks':
        shift = (y // (period / 2)) % 2 * period / 2
        weight = (((x + shift) % period < 3) | (y % (period / 2) < 3)).astype(np.float32)
    elif kind == 'waves':
        weight = (np.sin(u / period * 6 + 2.2 * np.sin(v / period * 5)) > 0).astype(np.float32)
    else:
        raise ValueError(f'texture: got {kind!r}, which is not a known kind of table')
    return _mix(weight.astype(np.float32), rng)


def draw_station(station: int, kind: str, rng: np.random.Generator) -> Picture:
    """A station as seen when nothing lies there, (256, 256, 3) uint8, RGB.

    The picture covers view coordinates -0.25..1.25 in both directions; the station's own sign
    (basin, burners, window, boards) fills the strip above the slots.
    """
    image = np.ascontiguousarray(draw_table(kind, rng).clip(0, 255).astype(np.uint8))

    def at(x: float, y: float) -> tuple[int, int]:
        scale = TEXTURE_SIZE / (1 + 2 * _MARGIN)
        return round((x + _MARGIN) * scale), round((y + _MARGIN) * scale)

    def shade(r: float, g: float, b: float) -> tuple[int, int, int]:
        jitter = rng.normal(0, 8, 3)
        red, green, blue = np.clip(np.array([r, g, b]) + jitter, 0, 255)
        return int(red), int(green), int(blue)

    edge = 0.215 + float(rng.uniform(-0.01, 0.01))
    if station == 0:  # sink: a steel basin and a tap
        cv2.rectangle(image, at(-0.3, -0.3), at(1.3, edge), shade(170, 182, 190), -1)
        cv2.rectangle(image, at(0.08, -0.2), at(0.92, edge - 0.04), shade(95, 118, 135), -1)
        cv2.rectangle(image, at(0.46, -0.3), at(0.54, 0.12), shade(225, 230, 235), -1)
        cv2.circle(image, at(0.5, 0.12), 9, shade(235, 240, 245), -1)
    elif station == 1:  # stove: black glass with three red-hot rings
        cv2.rectangle(image, at(-0.3, -0.3), at(1.3, edge), shade(30, 30, 32), -1)
        for x in (0.0, 0.33, 0.67, 1.0):
            cv2.circle(image, at(x, 0.07), 18, shade(150, 62, 42), 4)
            cv2.circle(image, at(x, 0.07), 8, shade(120, 55, 40), 2)
    elif station == 2:  # table: a pale wall with a window
        cv2.rectangle(image, at(-0.3, -0.3), at(1.3, edge), shade(214, 200, 172), -1)
        cv2.rectangle(image, at(0.2, -0.3), at(0.8, 0.15), shade(250, 250, 245), -1)
        cv2.rectangle(image, at(0.23, -0.3), at(0.48, 0.12), shade(165, 205, 235), -1)
        cv2.rectangle(image, at(0.52, -0.3), at(0.77, 0.12), shade(165, 205, 235), -1)
    else:  # shelf: brown boards
        for row, y in enumerate((-0.3, -0.12, 0.06)):
            tone = 95 + 26 * (row % 2)
            cv2.rectangle(
                image, at(-0.3, y), at(1.3, edge), shade(tone + 30, tone - 12, tone - 52), -1
            )
            cv2.line(image, at(-0.3, y), at(1.3, y), shade(42, 28, 18), 4)
        for x in (0.15, 0.5, 0.85):
            cv2.line(image, at(x, -0.3), at(x, edge), shade(42, 28, 18), 4)
    cv2.line(image, at(-0.3, edge), at(1.3, edge), shade(50, 45, 42), 3)
    return image


def texture_to_view() -> NDArray[np.float64]:
    """Texture pixels to view coordinates, (2, 3)."""
    scale = (1 + 2 * _MARGIN) / TEXTURE_SIZE
    return np.array([[scale, 0, -_MARGIN], [0, scale, -_MARGIN]])
