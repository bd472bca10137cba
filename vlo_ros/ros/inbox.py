# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera messages that are wanted, waiting for the encoder. Serialized: most are never read."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from vlo_ros.sampling import Sampler, Sampling


@dataclass(frozen=True)
class WantedImage:
    """A camera message that becomes frame `index`."""

    stamp_ns: int
    index: int
    serialized: bytes


class Arrival(Enum):
    """What became of a camera message."""

    WANTED = 'wanted'
    UNWANTED = 'unwanted'
    LATE = 'late'
    HELD = 'held'  # its stamp is far back: a stray, or the first of a new time
    RESTARTED = 'restarted'  # wanted; time went back, as when a bag loops


ARRIVALS = {
    Sampling.WANTED: Arrival.WANTED,
    Sampling.UNWANTED: Arrival.UNWANTED,
    Sampling.LATE: Arrival.LATE,
    Sampling.RESTARTED: Arrival.RESTARTED,
}


class ImageInbox:
    """Between the subscription, which must never wait, and the encoder, which takes its time.

    An image whose stamp goes back by more than a second is held until the next one: when that
    goes back too, and on from it, time went back and both are taken; otherwise it was a stray and
    is left out. Where a clock has said that time went back no second image is asked for.

    Attributes:
        num_dropped: Images dropped because the inbox was full, time began anew or the gate closed.
    """

    def __init__(
        self,
        frame_fps: float,
        capacity: int,
        on_restart: Callable[[], int],
        on_stray: Callable[[], None],
    ) -> None:
        """Make an empty inbox.

        Args:
            frame_fps: Frames wanted per second of header stamps.
            capacity: Images that may wait; one more drops the oldest.
            on_restart: Called when time goes back, before the first image of the new time waits;
                returns the number of the epoch that begins.
            on_stray: Called for each stray that is left out.
        """
        self.num_dropped = 0
        self._sampler = Sampler(frame_fps)
        self._capacity = capacity
        self._on_restart = on_restart
        self._on_stray = on_stray
        self._images: deque[WantedImage] = deque()
        self._held: tuple[int, bytes] | None = None
        self._clock_went_back = False
        self._epoch = 0
        self._lock = threading.Lock()

    def offer(self, stamp_ns: int, serialized: bytes) -> Arrival:
        """Let an image wait if the sampler wants it; say what became of it."""
        with self._lock:
            held, self._held = self._held, None
            goes_back = self._sampler.goes_back(stamp_ns)
            if held is not None and goes_back and held[0] < stamp_ns:
                self._take_in(*held)
                self._take_in(stamp_ns, serialized)
                return Arrival.RESTARTED
            if held is not None:
                self._on_stray()
            if goes_back and not self._clock_went_back:
                self._held = (stamp_ns, serialized)
                return Arrival.HELD
            return self._take_in(stamp_ns, serialized)

    def clock_went_back(self) -> None:
        """Take the next image whose stamp goes back for the first of a new time."""
        with self._lock:
            self._clock_went_back = True

    def _take_in(self, stamp_ns: int, serialized: bytes) -> Arrival:
        verdict = self._sampler.judge(stamp_ns)
        if verdict is Sampling.RESTARTED:
            self._clock_went_back = False
            self._drop_all()
            self._epoch = self._on_restart()
        if verdict in (Sampling.WANTED, Sampling.RESTARTED):
            if len(self._images) == self._capacity:
                self._images.popleft()
                self.num_dropped += 1
            self._images.append(WantedImage(stamp_ns, self._sampler.index, serialized))
        return ARRIVALS[verdict]

    def take(self, count: int) -> tuple[list[WantedImage], int]:
        """Remove and return the oldest images, at most `count`, and the epoch they are of."""
        with self._lock:
            num_taken = min(count, len(self._images))
            return [self._images.popleft() for _ in range(num_taken)], self._epoch

    def drop_waiting(self) -> None:
        """Drop what waits; the stream goes on, so what was sampled is not forgotten."""
        with self._lock:
            self._drop_all()

    def restart(self, on_restart: Callable[[], int] | None = None) -> int:
        """Forget what waits and what was sampled.

        Args:
            on_restart: Called before another image waits; returns the epoch that begins.

        Returns:
            The epoch.
        """
        with self._lock:
            self._drop_all()
            self._clock_went_back = False
            self._sampler.reset()
            if on_restart is not None:
                self._epoch = on_restart()
            return self._epoch

    def _drop_all(self) -> None:
        self.num_dropped += len(self._images) + (self._held is not None)
        self._images.clear()
        self._held = None

    def set_frame_fps(self, frame_fps: float) -> None:
        """Want more or fewer frames from the next image on."""
        with self._lock:
            self._sampler.frame_fps = frame_fps

    def __len__(self) -> int:
        return len(self._images)
