# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""~/overlay: the judged frames with what was thought of them drawn in. Drawn while watched."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import numpy.typing as npt
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from vlo_ros import msg
from vlo_ros.events import NS_PER_S
from vlo_ros.message_header import to_ns
from vlo_ros.overlay import CAPTION_S, Overlay, draw_overlay
from vlo_ros.response_latency import meaningful_s
from vlo_ros.ros.convert import image_message_of
from vlo_ros.ros.qos import create_publisher

# Frames kept until they are judged, and only while somebody watches.
KEPT_FRAMES = 32
CAPTION_NS = round(CAPTION_S * NS_PER_S)


class OverlayTopic:
    """Publishes one picture for each frame that is judged."""

    def __init__(self, node, topic: str) -> None:
        """Create the publisher; nothing is kept or drawn while nobody subscribes."""
        self._node = node
        self._frames: OrderedDict[int, npt.NDArray[np.uint8]] = OrderedDict()
        self._caption, self._said_ns = '', 0
        self._publisher = create_publisher(node, Image, topic, QoSProfile(depth=2))

    def destroy(self) -> None:
        """Take the publisher off the graph."""
        self._node.destroy_publisher(self._publisher)

    def has_watchers(self) -> bool:
        """Whether anybody subscribes."""
        return self._publisher.get_subscription_count() > 0

    def keep(self, stamp_ns: int, image_HWC: npt.NDArray[np.uint8]) -> None:
        """Keep a frame until it is judged."""
        if not self.has_watchers():
            self._frames.clear()
            return
        self._frames[stamp_ns] = image_HWC
        while len(self._frames) > KEPT_FRAMES:
            self._frames.popitem(last=False)

    def on_decision(self, decision: msg.Decision) -> None:
        """Draw and publish the frame that was judged."""
        stamp_ns = to_ns(decision.header.stamp)
        image_HWC = self._frames.pop(stamp_ns, None)
        if image_HWC is None or not self.has_watchers():
            return
        picture = draw_overlay(
            image_HWC,
            Overlay(
                caption=self._caption if 0 <= stamp_ns - self._said_ns <= CAPTION_NS else '',
                p_silence=decision.silence_probability,
                silence_threshold=decision.silence_threshold,
                latency_s=meaningful_s(to_ns(decision.latency)),
                is_speaking=decision.verdict != msg.Decision.VERDICT_SILENT,
            ),
        )
        self._publisher.publish(image_message_of(picture, stamp_ns, decision.header.frame_id))

    def on_response(self, response: msg.Response) -> None:
        """Let the next pictures carry what was said, for a while of the camera's time."""
        if response.text:
            self._caption, self._said_ns = response.text, to_ns(response.header.stamp)
