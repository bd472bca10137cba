# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Annotated seconds to frames: the exact clock, and the official one in floating point.

A position is a point of a video on the frame grid. The exact clock counts frames in integers; the
official clock keeps seconds in floats and turns differences into frame counts with `int()`.
"""

from __future__ import annotations

import math
from typing import Protocol

# A product time * fps that misses an integer by less than this is that integer: far above the
# rounding error of a double (6e-11 at 10 h and 30 fps), far below any annotated difference.
SNAP = 1e-9


def round_time(time: float, fps: float, low: float, high: float) -> float:
    """Return `time` rounded (half to even) to the grid of 1/fps, within low..high; all in s."""
    return min(max(round(time * fps) / fps, low), high)


def ceil_time(time: float, fps: float, low: float, high: float) -> float:
    """Return the grid point of 1/fps at or after `time`, within low..high; all in s."""
    return min(max(math.ceil(time * fps) / fps, low), high)


def floor_time(time: float, fps: float, low: float, high: float) -> float:
    """Return the grid point of 1/fps at or before `time`, within low..high; all in s."""
    return min(max(math.floor(time * fps) / fps, low), high)


class FrameClock(Protocol):
    """What a builder needs to know of time; times are s, positions the clock's own unit."""

    def end(self, duration: float) -> float:
        """Return the position of a video's last frame, which stands at `duration`."""

    def round(self, time: float, low: float, high: float) -> float:
        """Return the position nearest to `time`, within low..high."""

    def ceil(self, time: float, low: float, high: float) -> float:
        """Return the first position at or after `time`, within low..high."""

    def floor(self, time: float, low: float, high: float) -> float:
        """Return the last position at or before `time`, within low..high."""

    def shift(self, position: float, num_frames: int) -> float:
        """Return the position `num_frames` later."""

    def between(self, earlier: float, later: float) -> int:
        """Return the number of frames after `earlier` up to and including `later`."""

    def index(self, position: float) -> int:
        """Return the frame index of a position."""

    def seconds(self, position: float) -> float:
        """Return the time of a position in s."""


class ExactClock:
    """Positions are frame indices; nothing is lost to rounding.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps

    def _frames(self, time: float) -> float:
        frames = time * self._fps
        nearest = round(frames)
        return nearest if abs(frames - nearest) < SNAP else frames

    def end(self, duration: float) -> float:
        """Return the last whole frame; the official clock ends between frames here."""
        return math.floor(self._frames(duration))

    def round(self, time: float, low: float, high: float) -> float:
        """Return the nearest frame, halves to even, within low..high."""
        return min(max(round(self._frames(time)), low), high)

    def ceil(self, time: float, low: float, high: float) -> float:
        """Return the first frame at or after `time`, within low..high."""
        return min(max(math.ceil(self._frames(time)), low), high)

    def floor(self, time: float, low: float, high: float) -> float:
        """Return the last frame at or before `time`, within low..high."""
        return min(max(math.floor(self._frames(time)), low), high)

    def shift(self, position: float, num_frames: int) -> float:
        """Return the frame `num_frames` later."""
        return position + num_frames

    def between(self, earlier: float, later: float) -> int:
        """Return the number of frames from `earlier` (excluded) to `later`."""
        return int(later - earlier)

    def index(self, position: float) -> int:
        """Return the position: it is the index."""
        return int(position)

    def seconds(self, position: float) -> float:
        """Return the time of a frame in s."""
        return position / self._fps


class OfficialClock:
    """Positions are seconds in floats, with the errors of the official builders.

    Where 1/fps is not a binary fraction (fps 10) `between` can lose a frame, so a first stream can
    have no frame at all, and `ceil` can move a time that is on the grid to the next frame.

    Args:
        fps: frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps

    def end(self, duration: float) -> float:
        """Return the duration, on the grid or not."""
        return duration

    def round(self, time: float, low: float, high: float) -> float:
        """Return the nearest grid time in s, within low..high."""
        return round_time(time, self._fps, low, high)

    def ceil(self, time: float, low: float, high: float) -> float:
        """Return the grid time at or after `time` in s, within low..high."""
        return ceil_time(time, self._fps, low, high)

    def floor(self, time: float, low: float, high: float) -> float:
        """Return the grid time at or before `time` in s, within low..high."""
        return floor_time(time, self._fps, low, high)

    def shift(self, position: float, num_frames: int) -> float:
        """Return the time `num_frames` later in s."""
        return position + num_frames / self._fps

    def between(self, earlier: float, later: float) -> int:
        """Return the frame count, cut off rather than rounded."""
        return int((later - earlier) * self._fps)

    def index(self, position: float) -> int:
        """Return the frame index, cut off rather than rounded."""
        return int(position * self._fps)

    def seconds(self, position: float) -> float:
        """Return the position: it is the time in s."""
        return position


def make_clock(fps: float, official: bool) -> FrameClock:
    """Return the clock of the corrected or of the official builders."""
    return OfficialClock(fps) if official else ExactClock(fps)
