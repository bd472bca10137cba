# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Once a second: ~/status of every stream, and /diagnostics of the node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from vlo_ros import msg
from vlo_ros.errors import ConfigError
from vlo_ros.ros.camera_stream import CameraStream
from vlo_ros.ros.qos import create_publisher
from vlo_ros.ros.status import Vitals, arriving_share, diagnose, status_of

if TYPE_CHECKING:
    from vlo_ros.ros.vlo_node import VloNode

HEALTH = QoSProfile(depth=10)


class Reporter:
    """Publishes how the node and its streams are doing, in every state of the node."""

    def __init__(self, node: VloNode) -> None:
        """Create /diagnostics; the status topics come and go with the cameras."""
        self._node = node
        self._refused = ''  # why the QoS that was given for /diagnostics is not taken
        try:
            self._diagnostics = create_publisher(node, DiagnosticArray, '/diagnostics', HEALTH)
        except ConfigError as error:  # configure says so; meanwhile somebody may listen
            self._refused = str(error)
            self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', HEALTH)
        self._statuses: dict[str, Publisher] = {}
        # At the last look: when the stream was activated, frames dropped and judged since.
        self._seen: dict[str, tuple[float, int, int]] = {}

    def join(self, names: Iterable[str]) -> None:
        """Have a status topic for each of `names`, cameras that the node has now.

        Raises:
            ConfigError: One of them, or /diagnostics, was given a bad QoS.
        """
        if self._refused:
            raise ConfigError(self._refused)
        for name in names:
            self._join(name)

    def _join(self, name: str) -> None:
        if name not in self._statuses:
            topic = f'~/{name}/status' if name else '~/status'
            made = create_publisher(self._node, msg.StreamStatus, topic, HEALTH)
            self._statuses[name] = made

    def report(self) -> None:
        """Publish everything once."""
        node = self._node
        now = node.get_clock().now().to_msg()
        array = DiagnosticArray()
        array.header.stamp = now
        cameras = list(node.cameras)
        names = [camera.name for camera in cameras]
        if not cameras and node.failure:  # no stream is there to say so
            names = list(node.settings.cameras or ('',))
        for name in self._statuses.keys() - set(names):
            self._node.destroy_publisher(self._statuses.pop(name))
            self._seen.pop(name, None)
        for name in names:
            with contextlib.suppress(ConfigError):  # configure fails for it
                self._join(name)
        for camera in cameras:
            model = node.model
            status = status_of(camera, node.settings.model, str(model.device) if model else '')
            status.header.stamp = now
            if (topic := self._statuses.get(camera.name)) is not None:
                topic.publish(status)
            name = f'{node.get_fully_qualified_name()}: {camera.name or "image"}'
            vitals = Vitals(
                dropped_share=self._dropped_share(camera),
                arriving_share=arriving_share(camera),
                recent=camera.notices.recent(node.settings.warn_for),
            )
            diagnosis = diagnose(name, status, vitals, node.settings)
            joined = str(camera.statistics.forwards_joined)
            diagnosis.values.append(KeyValue(key='forwards_joined', value=joined))
            array.status.append(diagnosis)
        if not cameras:
            for name in names:
                self._publish_failure(name, now)
            array.status.append(
                DiagnosticStatus(
                    level=DiagnosticStatus.ERROR if node.failure else DiagnosticStatus.OK,
                    name=f'{node.get_fully_qualified_name()}: node',
                    message=node.failure or 'unconfigured',
                )
            )
        self._diagnostics.publish(array)

    def _publish_failure(self, name: str, now: Time) -> None:
        status = msg.StreamStatus(
            state=msg.StreamStatus.STATE_FAILED,
            model=self._node.settings.model,
            last_error=self._node.failure,
        )
        status.header.stamp = now
        if (topic := self._statuses.get(name)) is not None:
            topic.publish(status)

    def _dropped_share(self, camera: CameraStream) -> float:
        """Share of the frames since the last look, 0 to 1; a closed gate drops none by fault."""
        since = camera.statistics.active_since
        dropped, judged = camera.num_dropped, camera.statistics.frames_judged
        seen_since, seen_dropped, seen_judged = self._seen.get(camera.name, (since, 0, 0))
        self._seen[camera.name] = (since, dropped, judged)
        if not camera.is_open:
            return 0.0
        if seen_since == since:
            dropped, judged = max(dropped - seen_dropped, 0), max(judged - seen_judged, 0)
        return dropped / max(dropped + judged, 1)
