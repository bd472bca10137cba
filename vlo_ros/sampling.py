# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which camera frames are wanted: `frame_fps` by header stamp."""

from __future__ import annotations

from enum import Enum

from vlo_ros.events import NS_PER_S

# Frames this much older than the newest are late, not a new beginning.
LATE_NS = NS_PER_S


class Sampling(Enum):
    """What the sampler says of one camera frame."""

    WANTED = 'wanted'
    UNWANTED = 'unwanted'
    LATE = 'late'
    RESTARTED = 'restarted'  # wanted; time went back, as when a bag loops


class Sampler:
    """Picks the first frame at or after each tick of a grid of 1 / frame_fps.

    A frame counts as at a tick when it comes a quarter of a camera period before it: stamps
    tremble, and a camera that is just as fast as frame_fps would lose every frame that is early.
    Depends on stamps alone, never on when frames arrive. The grid starts at the first frame; ticks
    in a gap without frames are passed over.

    Attributes:
        frame_fps: Frames wanted per second; may be changed at any time.
        index: Index of the frame wanted last, -1 before the first.
        num_late: Frames refused because they were older than the one before.
    """

    def __init__(self, frame_fps: float) -> None:
        """Start before the first frame."""
        self.frame_fps = frame_fps
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next frame is the first."""
        self.index = -1
        self.num_late = 0
        self._newest_ns: int | None = None
        self._anchor_ns = 0
        self._anchor_fps = self.frame_fps
        self._next_tick = 0

    def goes_back(self, stamp_ns: int) -> bool:
        """Whether a frame captured at `stamp_ns` is too old to be merely late."""
        return self._newest_ns is not None and stamp_ns < self._newest_ns - LATE_NS

    def judge(self, stamp_ns: int) -> Sampling:
        """Say whether the frame captured at `stamp_ns` is wanted, and count it."""
        if self._newest_ns is None:
            return self._restart(stamp_ns, Sampling.WANTED)
        if self.goes_back(stamp_ns):
            self.index = -1
            return self._restart(stamp_ns, Sampling.RESTARTED)
        if stamp_ns < self._newest_ns:
            self.num_late += 1
            return Sampling.LATE
        grace_ns = int(min(stamp_ns - self._newest_ns, NS_PER_S / self.frame_fps) / 4)
        self._newest_ns = stamp_ns
        if self._anchor_fps != self.frame_fps:
            return self._restart(stamp_ns, Sampling.WANTED)
        tick = int((stamp_ns + grace_ns - self._anchor_ns) * self.frame_fps / NS_PER_S)
        if tick < self._next_tick:
            return Sampling.UNWANTED
        self._next_tick = tick + 1
        self.index += 1
        return Sampling.WANTED

    def _restart(self, stamp_ns: int, verdict: Sampling) -> Sampling:
        self._newest_ns = self._anchor_ns = stamp_ns
        self._anchor_fps = self.frame_fps
        self._next_tick = 1
        self.index += 1
        return verdict
