# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draws one moment of an episode at any size. OpenCV and numpy only."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vlo_ros.rendered_world import shapes
from vlo_ros.rendered_world.look import Look
from vlo_ros.rendered_world.pose import THING_RADIUS, Pose, pose_at, slot_xy
from vlo_ros.rendered_world.script import Placement, Segment, Thing
from vlo_ros.rendered_world.textures import Picture, texture_to_view
from vlo_ros.rendered_world.vocabulary import OBJECT_TYPES

_SHIFT = 4  # sub-pixel bits of OpenCV's polygon functions
_WATER, _CHIP = (178, 222, 244), (252, 244, 214)


class Canvas:
    """A picture and the camera that looks at it."""

    def __init__(self, image: Picture, matrix: NDArray[np.float64]) -> None:
        self.image = image
        self.matrix = matrix
        self._linear = matrix[:, :2].T.copy()
        self._offset = matrix[:, 2]
        self.pixel = float(np.hypot(matrix[0, 0], matrix[1, 0]))  # pixels per unit of view

    def fill(
        self, view: NDArray[np.float64], rgb: tuple[int, int, int], outlined: bool = False
    ) -> None:
        """Fill a polygon given in view coordinates, (points, 2)."""
        points = ((view @ self._linear + self._offset) * (1 << _SHIFT)).round().astype(np.int32)
        cv2.fillPoly(self.image, [points], rgb, cv2.LINE_AA, _SHIFT)
        if outlined:
            width = max(1, round(self.pixel / 120))
            dark = (rgb[0] // 4, rgb[1] // 4, rgb[2] // 4)
            cv2.polylines(self.image, [points], True, dark, width, cv2.LINE_AA, _SHIFT)

    def line(self, view: NDArray[np.float64], rgb: tuple[int, int, int], width: float) -> None:
        """Draw an open line given in view coordinates; width in view units."""
        points = ((view @ self._linear + self._offset) * (1 << _SHIFT)).round().astype(np.int32)
        cv2.polylines(
            self.image,
            [points],
            False,
            rgb,
            max(1, round(width * self.pixel)),
            cv2.LINE_AA,
            _SHIFT,
        )


def _paint(rgb: tuple[int, int, int], paint: str | tuple[int, int, int]) -> tuple[int, int, int]:
    if not isinstance(paint, str):
        return paint
    if paint == 'body':
        return rgb
    if paint == 'shade':
        return int(rgb[0] * 0.7), int(rgb[1] * 0.7), int(rgb[2] * 0.7)
    return int(150 + rgb[0] * 0.41), int(150 + rgb[1] * 0.41), int(150 + rgb[2] * 0.41)


def draw_thing(
    canvas: Canvas,
    thing: Thing,
    place: Placement,
    xy: tuple[float, float],
    rotation: float,
    lid_up: bool,
) -> None:
    """Draw a thing with its lid, opening or cut marks."""
    name = OBJECT_TYPES[thing.kind]
    radius = THING_RADIUS * thing.scale
    c, s = math.cos(rotation) * radius, math.sin(rotation) * radius
    linear = np.array([[c, s], [-s, c]])
    parts = shapes.BODIES[thing.kind] if thing.blob < 0 else shapes.blob(thing.blob)
    if name in shapes.LIDS and thing.blob < 0:
        parts += shapes.OPENINGS[name] if place.is_open else shapes.LIDS[name]
    if place.is_cut:
        parts += shapes.CUT_MARKS
    for part in parts:
        canvas.fill(part.polygon @ linear + xy, _paint(thing.rgb, part.paint), part.outlined)
    if lid_up and name in shapes.LIDS and name != 'box':  # the lid leaves with the hand
        for part in shapes.LIDS[name]:
            canvas.fill(
                part.polygon @ linear * 0.9 + (xy[0], xy[1] - 0.075),
                _paint(thing.rgb, part.paint),
                True,
            )


def _draw_arm(canvas: Canvas, look: Look, xy: tuple[float, float], side: int) -> None:
    shoulder = np.array([0.1 if side == 0 else 0.9, 1.3])
    wrist = np.array([xy[0], xy[1] + 0.05])
    along = wrist - shoulder
    length = float(np.hypot(*along)) or 1.0
    across = np.array([-along[1], along[0]]) / length
    cuff = shoulder + along * max(0.0, 1 - 0.10 / length)
    sleeve = np.stack(
        [
            shoulder + 0.075 * across,
            cuff + 0.052 * across,
            cuff - 0.052 * across,
            shoulder - 0.075 * across,
        ]
    )
    skin = np.stack(
        [
            cuff + 0.04 * across,
            wrist + 0.036 * across,
            wrist - 0.036 * across,
            cuff - 0.04 * across,
        ]
    )
    canvas.fill(sleeve, look.sleeve, True)
    canvas.fill(skin, look.skin)


def _hand_part(
    canvas: Canvas, look: Look, polygon: shapes.Polygon, xy: tuple[float, float], side: int
) -> None:
    mirror = np.array([1.0 if side == 1 else -1.0, 1.0]) * 0.092
    canvas.fill(polygon * mirror + xy, look.skin, True)


def _draw_effect(canvas: Canvas, pose: Pose, segment: Segment, tick: float) -> None:
    x, y = pose.effect_xy
    beat = int(tick)
    sign = 1.0 if segment.hand == 1 else -1.0
    if pose.effect == 'cut':
        for i in range(6):
            a, r = 1.05 * i + 0.9 * beat, 0.085 + 0.02 * ((i + beat) % 3)
            cx, cy = x + r * math.cos(a), y + 0.03 + 0.7 * r * math.sin(a)
            canvas.fill(
                np.array([(cx - 0.014, cy), (cx, cy - 0.014), (cx + 0.014, cy), (cx, cy + 0.014)]),
                _CHIP,
            )
    elif pose.effect == 'stir':
        angle = np.linspace(0, 4.6, 9) + 0.8 * beat
        for radius in (0.09, 0.13):
            ring = np.stack(
                [x + radius * np.cos(angle), y - 0.03 + 0.55 * radius * np.sin(angle)], 1
            )
            canvas.line(ring, (250, 250, 250), 0.014)
    elif pose.effect == 'pour':
        mouth = (x + sign * 0.075, y - 0.15)
        middle = (x + sign * 0.02, y - 0.12)
        canvas.line(np.array([mouth, middle, (x, y - 0.02)]), _WATER, 0.034)
        for i in (-1, 1):
            canvas.line(
                np.array([(x, y - 0.03), (x + i * (0.03 + 0.01 * (beat % 3)), y - 0.075)]),
                _WATER,
                0.014,
            )
    elif pose.effect == 'wipe':
        for i in range(3):
            xs = np.linspace(x - 0.2, x + 0.2, 7)
            ys = y + 0.045 * i - 0.02 + 0.012 * np.sin(xs * 30 + beat)
            canvas.line(np.stack([xs, ys], 1), (238, 246, 250), 0.016)


def render(
    look: Look, things: tuple[Thing, ...], segment: Segment, tick: float, size: int
) -> Picture:
    """One moment as (size, size, 3) uint8 RGB."""
    pose = pose_at(segment, tick)
    world = segment.world_at(tick)
    station = world.station
    if segment.action == 'walk':
        station = segment.before.station if pose.pan > 0 else segment.after.station
    camera = look.camera.matrix(tick, size, pose.pan)
    away = camera.copy()
    away[:, 2] += camera[:, 0] * (-0.8 * pose.pan)
    to_view = np.vstack([texture_to_view(), [0, 0, 1]])
    image = cv2.warpAffine(
        look.station(station), np.vstack([away, [0, 0, 1]])[:2] @ to_view, (size, size),
        flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip

    # 1) what lies there, far row first
    canvas = Canvas(image, away)
    carried = {hand.thing for hand in pose.hands}
    lying = [
        i for i, p in enumerate(segment.before.places)
        if p.station == station and i not in carried
        and (p.hand < 0 or segment.after.places[i].hand < 0)
    ]  # fmt: skip
    for i in sorted(
        lying, key=lambda i: max(segment.before.places[i].slot, segment.after.places[i].slot)
    ):
        place = world.places[i]
        slot = max(segment.before.places[i].slot, segment.after.places[i].slot)
        draw_thing(
            canvas, things[i], place, slot_xy(i, slot), things[i].rotation, i == pose.lifted_lid
        )
    if segment.action == 'walk' and 0 < abs(pose.pan) < 1:
        blur = 1 + 2 * round(size * 0.05 * min(abs(pose.pan), 0.8))
        image = canvas.image = cv2.blur(image, (blur, 1))

    # 2) hands and what they hold, and what the action leaves in sight
    canvas = Canvas(image, camera)
    for side in (0, 1):
        _draw_hand(canvas, look, things, pose, segment, tick, side)
    if pose.effect:
        _draw_effect(canvas, pose, segment, tick)

    # 3) light and sensor
    return _expose(canvas.image, look, tick)


def _draw_hand(
    canvas: Canvas,
    look: Look,
    things: tuple[Thing, ...],
    pose: Pose,
    segment: Segment,
    tick: float,
    side: int,
) -> None:
    hand = pose.hands[side]
    _draw_arm(canvas, look, hand.xy, side)
    if hand.shape == 'open':
        for finger in shapes.FINGERS[1:]:
            _hand_part(canvas, look, finger, hand.xy, side)
        _hand_part(canvas, look, shapes.PALM, hand.xy, side)
    elif hand.shape == 'flat':
        flat = shapes.PALM * (1.5, 0.6)
        _hand_part(canvas, look, flat, hand.xy, side)
    else:
        _hand_part(canvas, look, shapes.FIST, hand.xy, side)
    if hand.thing >= 0:
        thing = things[hand.thing]
        place = segment.world_at(tick).places[hand.thing]
        rotation = hand.thing_rotation + thing.rotation * 0.5
        draw_thing(canvas, thing, place, hand.thing_xy, rotation, False)
        _hand_part(canvas, look, shapes.THUMB * (0.8, 0.8), hand.xy, side)


def _expose(image: Picture, look: Look, tick: float) -> Picture:
    size = image.shape[0]
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    light = 1 + look.slope[0] * ramp[None, :] + look.slope[1] * ramp[:, None]
    exposed = image * (light[..., None] * look.gain)
    rng = np.random.default_rng((*look.seed, 11, round(tick * 100)))
    noise = rng.integers(0, 256, (size // 2 + 1, size, 3), dtype=np.uint8).view(np.int8)
    scale = look.noise / 74.0  # standard deviation of a uniform int8
    exposed[: noise.shape[0]] += noise * scale
    exposed[noise.shape[0] :] += noise[: size - noise.shape[0]] * -scale
    picture: Picture = exposed.clip(0, 255).astype(np.uint8)
    return picture
