# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where hands, things and the camera are at any moment of a segment. Knows nothing of pixels.

View coordinates: x right, y down, both 0..1 over the picture before the camera moves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vlo_ros.rendered_world.script import SLOT_XY, Segment

THING_RADIUS = 0.118
GRIP = 0.9 * THING_RADIUS  # distance from a thing's middle to the hand that holds it
REST_XY = ((0.26, 0.92), (0.74, 0.92))

Point = tuple[float, float]


@dataclass(slots=True)
class HandPose:
    """One hand: where, what shape, and where what it holds is."""

    xy: Point
    shape: str  # 'open', 'grip', 'flat'
    thing: int  # what it carries in the picture, -1 for nothing (may differ from the world state)
    thing_xy: Point
    thing_rotation: float


@dataclass(slots=True)
class Pose:
    """All that moves, at one moment."""

    hands: tuple[HandPose, HandPose]
    effect: str  # what can be seen of an action under way: cut, stir, pour, wipe, or ''
    effect_xy: Point
    lifted_lid: int  # thing whose lid is in a hand, -1 for none
    pan: float  # walking: -1..1, how far the view has swung; 0 when standing


def _ease(a: Point, b: Point, fraction: float) -> Point:
    f = min(max(fraction, 0.0), 1.0)
    f = f * f * (3 - 2 * f)
    return a[0] + (b[0] - a[0]) * f, a[1] + (b[1] - a[1]) * f


def slot_xy(thing: int, slot: int) -> Point:
    """Where a thing lies in a slot: near its middle, always the same for a thing."""
    x, y = SLOT_XY[slot]
    return x + 0.02 * math.sin(5.1 * thing + slot), y + 0.018 * math.cos(3.7 * thing + 2 * slot)


def _held_xy(hand: Point, rotation: float = 0.0) -> Point:
    """Middle of a thing whose handle is in the hand, for a thing turned by `rotation`."""
    return hand[0] + GRIP * math.sin(rotation), hand[1] - GRIP * math.cos(rotation)


def _rest(side: int, tick: float) -> Point:
    x, y = REST_XY[side]
    return x + 0.012 * math.sin(tick * 0.31 + side), y + 0.012 * math.sin(tick * 0.23 + 2 * side)


def _at_slot(thing: int, slot: int) -> Point:
    x, y = slot_xy(thing, slot)
    return x, y + GRIP


def pose_at(segment: Segment, tick: float) -> Pose:
    """The pose at a tick (may lie between two ticks) inside the segment."""
    hands = []
    for side in (0, 1):
        thing = segment.before.held[side]
        xy = _rest(side, tick)
        hands.append(HandPose(xy, 'grip' if thing >= 0 else 'open', thing, _held_xy(xy), 0.0))
    pose = Pose((hands[0], hands[1]), '', (0.0, 0.0), -1, 0.0)
    if segment.action == 'walk':
        _walk(pose, segment, tick)
    elif segment.action in ('pick', 'put', 'hover', 'feint'):
        _move(pose, segment, tick)
    elif segment.action in ('cut', 'stir', 'pour', 'wipe'):
        _work(pose, segment, tick)
    elif segment.action in ('open', 'close'):
        _lid(pose, segment, tick)
    return pose


def _walk(pose: Pose, segment: Segment, tick: float) -> None:
    half = (segment.evidence - segment.start) / 2
    middle = segment.start + half
    if tick < middle:
        pose.pan = min((tick - segment.start) / half, 1.0)
    elif tick < segment.evidence:
        pose.pan = -(segment.evidence - tick) / half
    for hand in pose.hands:
        bob = 0.02 * math.sin(tick * 1.3)
        hand.xy = (hand.xy[0], hand.xy[1] + bob)
        hand.thing_xy = (hand.thing_xy[0], hand.thing_xy[1] + bob)


def _there_and_back(
    segment: Segment, tick: float, rest: Point, there: Point, back: float
) -> Point:
    if tick < segment.arrive:
        return _ease(rest, there, (tick - segment.start) / (segment.arrive - segment.start))
    if tick < segment.leave:
        return there
    return _ease(there, rest, (tick - segment.leave) / back)


def _move(pose: Pose, segment: Segment, tick: float) -> None:
    hand = pose.hands[segment.hand]
    there = _at_slot(segment.thing, segment.slot) if segment.slot >= 0 else (0.0, 0.0)
    if segment.action == 'feint':
        x, y = slot_xy(segment.thing, segment.before.places[segment.thing].slot)
        hand.xy = _there_and_back(segment, tick, hand.xy, (x, y + 1.3 * GRIP), 5)
        hand.thing_xy = _held_xy(hand.xy)
        return
    hand.xy = _there_and_back(segment, tick, hand.xy, there, 3 if segment.action == 'pick' else 4)
    carried = {
        'pick': tick >= segment.leave, 'put': tick < segment.leave, 'hover': True,
    }[segment.action]  # fmt: skip
    hand.thing = segment.thing if carried else -1
    gripping = carried or (segment.action == 'pick' and tick >= segment.arrive)
    hand.shape = 'grip' if gripping else 'open'
    hand.thing_xy = _held_xy(hand.xy)


def _work(pose: Pose, segment: Segment, tick: float) -> None:
    hand = pose.hands[segment.hand]
    sign = 1.0 if segment.hand == 1 else -1.0
    phase = max(tick - segment.arrive, 0.0)
    x, y = segment.spot
    if segment.target >= 0:
        x, y = slot_xy(segment.target, segment.before.places[segment.target].slot)
    turn, dx, dy = {
        'cut': (-70.0, 0.17 + 0.03 * math.sin(phase * 1.9), -0.05),
        'stir': (
            -140.0,
            0.11 + 0.025 * math.sin(phase * 1.2),
            -0.13 + 0.015 * math.cos(phase * 1.2),
        ),
        'pour': (-100.0, 0.19, -0.13),
        'wipe': (0.0, 0.13 * math.sin(phase * 0.55), -0.02),
    }[segment.action]
    rotation = sign * math.radians(turn)
    middle = (x + sign * dx, y + dy)
    # The hand goes where it must be for the thing's middle to be there.
    there = (middle[0] - GRIP * math.sin(rotation), middle[1] + GRIP * math.cos(rotation))
    hand.xy = _there_and_back(segment, tick, hand.xy, there, 5)
    if tick < segment.arrive:
        part = (tick - segment.start) / (segment.arrive - segment.start)
    else:
        part = 1.0 if tick < segment.leave else 1 - (tick - segment.leave) / 5
    hand.thing_rotation = rotation * min(max(part, 0.0), 1.0) ** 2
    hand.thing_xy = _held_xy(hand.xy, hand.thing_rotation)
    if segment.evidence <= tick < segment.leave:
        pose.effect, pose.effect_xy = segment.action, (x, y)


def _lid(pose: Pose, segment: Segment, tick: float) -> None:
    hand = pose.hands[segment.hand]
    sign = 1.0 if segment.hand == 1 else -1.0
    x, y = slot_xy(segment.target, segment.slot)
    hand.xy = _there_and_back(segment, tick, hand.xy, (x + sign * 0.13, y - 0.04), 5)
    if segment.action == 'open':
        hand.shape = 'grip' if segment.arrive <= tick < segment.leave else 'open'
        if segment.evidence <= tick < segment.leave:
            pose.lifted_lid = segment.target
    else:
        hand.shape = 'flat' if segment.evidence <= tick < segment.leave else 'open'


class CameraMotion:
    """Shake, roll, zoom and slow looking around: smooth, known at any time."""

    def __init__(self, rng: np.random.Generator, strength: float = 1.0) -> None:
        self._phase = rng.uniform(0, 2 * math.pi, (4, 3))
        self._speed = rng.uniform((0.02, 0.12, 0.7), (0.06, 0.3, 1.6), (4, 3))
        size = np.array(
            [
                [0.022, 0.012, 0.004],
                [0.016, 0.010, 0.004],
                [0.03, 0.02, 0.008],
                [0.03, 0.012, 0.004],
            ]
        )
        self._size = size * rng.uniform(0.4, 1.0) * strength

    def matrix(self, tick: float, size: int, pan: float) -> NDArray[np.float64]:
        """View coordinates to pixels, (2, 3), at a tick."""
        dx, dy, roll, zoom = (self._size * np.sin(self._speed * tick + self._phase)).sum(1)
        c, s = math.cos(roll) * (1 + zoom), math.sin(roll) * (1 + zoom)
        tx = 0.5 + dx - c * 0.5 + s * 0.5
        ty = 0.5 + dy - s * 0.5 - c * 0.5
        return np.array([[c, -s, tx], [s, c, ty]]) * size
