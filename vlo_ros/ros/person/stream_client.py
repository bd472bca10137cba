# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream of a node `vlo` as seen from another program: hears it, asks it, resets it."""

from __future__ import annotations

from collections.abc import Callable

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from vlo_ros import msg
from vlo_ros.ros.person.outbox import PATIENCE_S, Outbox

# As deep as the node's own: a hundred refusals may come at once.
KEEP = QoSProfile(depth=1000)
FLUSH_S = 0.05


def stream_prefix(node_name: str, camera: str = '') -> str:
    """In front of a stream's topics: the node's full name, and the camera's if it has several."""
    return '/' + '/'.join(part.strip('/') for part in (node_name, camera) if part.strip('/'))


class StreamClient:
    """Subscribes to what a stream publishes, and sends it what a person wants.

    Questions and resets are held until the node is there to hear them, and given up with a reason
    when it does not come. The node they belong to must be spun.

    Attributes:
        prefix: Of the stream's topics.
    """

    def __init__(
        self,
        node: Node,
        prefix: str,
        *,
        on_decision: Callable[[msg.Decision], None],
        on_partial: Callable[[msg.Response], None],
        on_response: Callable[[msg.Response], None],
        on_status: Callable[[msg.StreamStatus], None],
        on_asked: Callable[[str, str], None],
        note: Callable[[str], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Join the graph through `node`.

        Args:
            node: Whose publishers and subscriptions these are.
            prefix: Of the stream's topics, see stream_prefix.
            on_decision: Hears every decision, on the thread that spins `node`, as the others do.
            on_partial: Hears every sentence that grows.
            on_response: Hears every finished sentence and refusal.
            on_status: Hears every status.
            on_asked: Told the query_id and the text of a question when it is sent.
            note: Told in one line of what was not sent, and of what a reset came to.
            patience_s: How long a question is held, s.
        """
        self.prefix = prefix
        self._node = node
        self._on_asked = on_asked
        self._note = note
        self._num_asked = 0
        self._outbox = Outbox(note, patience_s)
        self._query = node.create_publisher(msg.Query, f'{prefix}/query', KEEP)
        self._reset = node.create_client(Trigger, f'{prefix}/reset')
        for topic, kind, callback in (
            ('decision', msg.Decision, on_decision),
            ('response/partial', msg.Response, on_partial),
            ('response', msg.Response, on_response),
            ('status', msg.StreamStatus, on_status),
        ):
            node.create_subscription(kind, f'{prefix}/{topic}', callback, KEEP)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        node.create_timer(FLUSH_S, self._outbox.flush, clock=steady)

    @property
    def is_heard(self) -> bool:
        """Whether a question would be heard, and its answer too."""
        has_listener = self._query.get_subscription_count() > 0
        return has_listener and self._node.count_publishers(f'{self.prefix}/response') > 0

    @property
    def waiting(self) -> str:
        """One line about what is held, '' when nothing is."""
        held = self._outbox.waiting
        more = f' and {len(held) - 1} more' if len(held) > 1 else ''
        return f'waiting for {self.prefix}, to send: {held[0]}{more}' if held else ''

    def ask(self, text: str) -> None:
        """Send a question as soon as it is heard. From any thread."""
        self._outbox.put(text, lambda: self.is_heard, lambda: self._ask(text))

    def forget(self) -> None:
        """Have the node forget what it has seen. From any thread."""
        self._outbox.put('reset', self._reset.service_is_ready, self._ask_to_forget)

    def close(self) -> None:
        """Say what was never sent."""
        self._outbox.close()

    def _ask(self, text: str) -> None:
        self._num_asked += 1
        query_id = f'{self._node.get_name()}-{self._num_asked}'
        self._on_asked(query_id, text)
        self._query.publish(msg.Query(text=text, query_id=query_id))

    def _ask_to_forget(self) -> None:
        self._reset.call_async(Trigger.Request()).add_done_callback(self._on_reset)

    def _on_reset(self, future: rclpy.Future) -> None:
        answer = future.result()
        self._note('it has forgotten what it saw' if answer.success else answer.message)
