# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One place that decides which cameras' forwards are done, and which together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from vlo_ros.attention import Segment
from vlo_ros.ros.camera_stream import JUDGING, CameraStream


class DecodeLane:
    """Takes turns among the cameras.

    In every round each does one forward, so none waits for another's sentence. With `is_joined`
    the forwards of a round are one.

    Attributes:
        is_joined: Whether forwards of several cameras are done as one.
        wait_s: How long frames wait for those of the other cameras before they are judged.
        arrived: Set when there is something new to judge.
    """

    def __init__(self) -> None:
        """Every camera by itself."""
        self.is_joined = False
        self.wait_s = 0.0
        self.arrived = threading.Event()

    def run(self, cameras: Sequence[CameraStream]) -> None:
        """Judge and answer until nothing is due."""
        while due := _next_forwards(cameras):
            if self.is_joined and self.wait_s > 0:
                self._wait_for_others(cameras, due)
            if self.is_joined and len(due) > 1:
                _feed_together(due)
            else:
                for camera, segment in due.items():
                    camera.judge.feed_alone(segment)

    def _wait_for_others(
        self, cameras: Sequence[CameraStream], due: dict[CameraStream, Segment]
    ) -> None:
        """Let frames of cameras in step arrive; a sentence waits for nobody."""
        others = [camera for camera in cameras if camera not in due and camera.expects_image]
        deadline = time.monotonic() + self.wait_s
        while others and not any(camera.judge.is_speaking for camera in due):
            left = deadline - time.monotonic()
            if left <= 0 or not self.arrived.wait(left):
                return
            self.arrived.clear()
            due.update(_next_forwards(others))
            others = [camera for camera in others if camera not in due]


def _next_forwards(cameras: Sequence[CameraStream]) -> dict[CameraStream, Segment]:
    """What each camera needs next, for those that need something."""
    due = {}
    for camera in cameras:
        try:
            segment = camera.judge.next_forward()
        except Exception as error:  # not even starting afresh succeeds: the others go on
            camera.give_up(JUDGING, error)
        else:
            if segment is not None:
                due[camera] = segment
    return due


def _feed_together(due: dict[CameraStream, Segment]) -> None:
    """Do all forwards as one; if that fails, one by one, so that none suffers for another."""
    language = next(iter(due)).judge.language
    try:
        logits = language.forward(list(due.values()))
    except Exception as error:  # no cache has changed; whose fault it was shows below
        next(iter(due)).tell('a joint forward failed and is repeated one by one', error)
        for camera, segment in due.items():
            camera.judge.feed_alone(segment)
        return
    for camera, logits_RK in zip(due, logits, strict=True):
        camera.statistics.forwards_joined += 1
        camera.judge.take_logits(logits_RK)
