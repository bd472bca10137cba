# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a Response message tells of latency: one rule for ~/status, `vlo latency` and bags.

Takes messages of rclpy and of rosbags alike. Knows nothing of ROS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vlo_ros.events import NS_PER_S
from vlo_ros.message_header import to_ns

# Beyond this the camera and the node do not share a clock, and a difference means nothing.
LONGEST_NS = 3600 * NS_PER_S
TRIGGER_QUERY, STATE_PARTIAL, STATE_CANCELLED = 1, 0, 3  # of vlo_ros/msg/Response


@dataclass(frozen=True)
class ResponseLatency:
    """How late a sentence was after its deciding frame; None where that was never stamped.

    Attributes:
        is_answer: It was asked for: the frame is the newest before the answer, however old, so
            that its latencies tell of the camera and the person, too.
        first_token_ns: Of its first token.
        finished_ns: Of its last token.
    """

    is_answer: bool
    first_token_ns: int | None
    finished_ns: int | None


def latency_of(response: Any) -> ResponseLatency | None:
    """Latency of a Response; None of one that is unfinished, refused or cancelled."""
    if response.state in (STATE_PARTIAL, STATE_CANCELLED):
        return None
    start_ns = to_ns(response.header.stamp)
    first_ns, last_ns = to_ns(response.first_token_stamp), to_ns(response.finished_stamp)
    return ResponseLatency(
        is_answer=response.trigger == TRIGGER_QUERY,
        first_token_ns=first_ns - start_ns if first_ns else None,
        finished_ns=last_ns - start_ns if last_ns else None,
    )


def meaningful_s(latency_ns: int) -> float | None:
    """A latency in seconds; None where it has no meaning."""
    return latency_ns / NS_PER_S if has_meaning(latency_ns) else None


def has_meaning(latency_ns: int) -> bool:
    """Whether a latency is one between clocks that have something in common."""
    return abs(latency_ns) <= LONGEST_NS
