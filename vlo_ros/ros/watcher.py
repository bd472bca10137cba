# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Brings `vlo` up, asks it things and hears how it does: for measurements over hours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile

from vlo_ros import msg
from vlo_ros.ros.children import Child

START_S = 300.0
QUERY = 'What am I doing?'


class Watcher:
    """A node that brings `vlo` up, asks it, and hears its status."""

    def __init__(self, namespace: str) -> None:
        """Join the graph."""
        self.context = rclpy.Context()
        rclpy.init(args=[], context=self.context)
        self.node = rclpy.create_node('soak', context=self.context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.status: msg.StreamStatus | None = None
        self.waiting: dict[str, float] = {}
        keep = QoSProfile(depth=1000)
        self._query = self.node.create_publisher(msg.Query, 'vlo/query', keep)
        self.node.create_subscription(msg.Response, 'vlo/response', self._on_response, keep)
        self.node.create_subscription(msg.StreamStatus, 'vlo/status', self._on_status, 10)
        self._client = self.node.create_client(ChangeState, 'vlo/change_state')

    def _on_response(self, response: msg.Response) -> None:
        self.waiting.pop(response.query_id, None)

    def _on_status(self, status: msg.StreamStatus) -> None:
        self.status = status

    def ask(self, query_id: str) -> None:
        """Ask the node something."""
        self.waiting[query_id] = time.monotonic()
        self._query.publish(msg.Query(text=QUERY, query_id=query_id))

    def has_node(self) -> bool:
        """Whether the node listens to queries and is heard."""
        return bool(
            self._query.get_subscription_count()
            and self.node.count_publishers('vlo/response')
            and self.status is not None
        )

    def bring_up(self, children: Sequence[Child]) -> None:
        """Configure and activate the node, the first of `children`."""
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            self._change(transition, children)

    def _change(self, transition_id: int, children: Sequence[Child]) -> None:
        self.wait_for(self._client.service_is_ready, START_S, children)
        request = ChangeState.Request(transition=Transition(id=transition_id))
        future = self._client.call_async(request)
        self.wait_for(future.done, START_S, children)
        if not future.result().success:
            raise RuntimeError(children[0].complaint())

    def wait_for(
        self, condition: Callable[[], Any], seconds: float, children: Sequence[Child]
    ) -> None:
        """Spin until something holds."""
        end = time.monotonic() + seconds
        while not condition():
            self.spin(children, 0.05)
            if time.monotonic() > end:
                raise TimeoutError(f'nothing came within {seconds:.0f} s')

    def spin(self, children: Sequence[Child], seconds: float) -> None:
        """Hear what comes, at most so long; an ended child is an error."""
        self._executor.spin_once(timeout_sec=max(seconds, 0.0))
        for child in children:
            if not child.is_running:
                raise RuntimeError(f'{child.log.stem} has ended: {child.complaint()}')

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)
