# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Counters, rates and latencies of one stream, over bounded windows."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from vlo_ros.events import NS_PER_S
from vlo_ros.response_latency import ResponseLatency, has_meaning

WINDOW_S = 5.0
NUM_LATENCIES = 256


class Rate:
    """Events per second over the last WINDOW_S seconds."""

    def __init__(self) -> None:
        """Start counting now."""
        self._since = time.monotonic()
        self._times: deque[float] = deque(maxlen=8192)

    def count(self, num: int = 1) -> None:
        """Count events that happened now."""
        now = time.monotonic()
        self._times.extend([now] * num)

    def per_second(self) -> float:
        """Return the rate; while younger than the window, over its own age."""
        now = time.monotonic()
        recent = sum(moment > now - WINDOW_S for moment in tuple(self._times))
        return recent / min(WINDOW_S, max(now - self._since, 0.1))


class Pace:
    """How fast stamps advance, s a second: 1 of a camera, less of a recording played slowly."""

    def __init__(self) -> None:
        """Start without stamps."""
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=8192)

    def note(self, stamp_ns: int) -> None:
        """Note the stamp of an image that came now."""
        self._arrivals.append((time.monotonic(), stamp_ns))

    def seconds_per_second(self) -> float:
        """Return the pace over the last WINDOW_S seconds, at most 1; 1 where it cannot be told."""
        now = time.monotonic()
        recent = [arrival for arrival in tuple(self._arrivals) if arrival[0] > now - WINDOW_S]
        if not recent or recent[-1][0] - recent[0][0] < WINDOW_S / 2:
            return 1.0
        (begun, first_ns), (ended, last_ns) = recent[0], recent[-1]
        pace = (last_ns - first_ns) / NS_PER_S / (ended - begun)
        return min(pace, 1.0) if pace > 0 else 1.0


class Latency:
    """The last NUM_LATENCIES latencies in seconds."""

    def __init__(self) -> None:
        """Start empty."""
        self._values: deque[float] = deque(maxlen=NUM_LATENCIES)

    def add_ns(self, latency_ns: int | None) -> None:
        """Add one, unless it has no meaning."""
        if latency_ns is not None and has_meaning(latency_ns):
            self._values.append(latency_ns / NS_PER_S)

    def percentiles(self) -> tuple[float, float, float]:
        """Return p50, p95 and p99 in s; nan where nothing was measured."""
        values = tuple(self._values)
        if not values:
            return (float('nan'),) * 3
        return tuple(float(value) for value in np.percentile(values, (50, 95, 99)))


class StreamStatistics:
    """What one stream did since it was activated."""

    def __init__(self) -> None:
        """Start from zero."""
        self.restart()

    def restart(self) -> None:
        """Start from zero again."""
        self.frames_received = 0
        self.frames_judged = 0
        self.frames_skipped = 0
        self.frames_rejected = 0
        self.queries_received = 0
        self.queries_rejected = 0
        self.responses = 0
        self.resets = 0
        self.frames_forgotten = 0  # waiting to be judged when the stream was forgotten
        self.forwards_joined = 0  # done as one with another camera's
        self.failures_in_a_row = 0  # forwards that failed since a frame was judged
        self.received = Rate()
        self.judged = Rate()
        self.pace = Pace()
        self.decision_latency = Latency()
        self.first_token_latency = Latency()
        self.publish_latency = Latency()
        self.last_image_at: float | None = None  # monotonic s
        self.active_since = time.monotonic()

    def image_arrived(self) -> None:
        """Count one camera message."""
        self.frames_received += 1
        self.received.count()
        self.last_image_at = time.monotonic()

    def frame_judged(self) -> None:
        """Count one decision."""
        self.frames_judged += 1
        self.judged.count()
        self.failures_in_a_row = 0

    def response_ended(self, latency: ResponseLatency | None) -> None:
        """Count one response; the percentiles are those of what was said unasked."""
        self.responses += 1
        if latency is not None and not latency.is_answer:
            self.first_token_latency.add_ns(latency.first_token_ns)
            self.publish_latency.add_ns(latency.finished_ns)

    def seconds_without_image(self) -> float:
        """Since the last image, or since activation when there was none."""
        return time.monotonic() - (self.last_image_at or self.active_since)
