# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One stream of a node `vlo` as seen from another program: hears it, asks it, resets it."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import rclpy
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from rclpy.validate_full_topic_name import validate_full_topic_name
from std_srvs.srv import Trigger

from vlo_ros import msg
from vlo_ros.errors import ConfigError
from vlo_ros.ros.person.outbox import PATIENCE_S, Outbox

# As deep as the node's own: a hundred refusals may come at once.
KEEP = QoSProfile(depth=1000)
FLUSH_S = 0.05
ARRIVAL_S = 1.0


def stream_prefix(node_name: str, camera: str = '') -> str:
    """In front of a stream's topics: the node's full name, and the camera's if it has several.

    Raises:
        ConfigError: ROS takes no such name; one line.
    """
    prefix = '/' + '/'.join(part.strip('/') for part in (node_name, camera) if part.strip('/'))
    try:
        validate_full_topic_name(f'{prefix}/response/partial')
    except InvalidTopicNameException as error:
        raise ConfigError(
            f'{prefix!r} is not the full name of a node, such as /robot/vlo: letters, digits and '
            '_ between slashes, no digit first'
        ) from error
    return prefix


class Asker:
    """Sends questions to a stream as soon as they are heard there, and in order.

    The query_ids are those of no other asker: nodes of one name, or in containers that count their
    processes alike, may ask one stream.

    Attributes:
        prefix: Of the stream's topics.
        outbox: Holds what is not sent yet; the node spins it.
    """

    def __init__(
        self,
        node: Node,
        prefix: str,
        *,
        on_asked: Callable[[str, str], None],
        note: Callable[[str], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Join the graph through `node`.

        Args:
            node: Whose publisher it is.
            prefix: Of the stream's topics, see stream_prefix.
            on_asked: Told the query_id and the text of a question when it is sent.
            note: Told in one line of what was not sent.
            patience_s: How long a question is held, s.
        """
        self.prefix = prefix
        self._node = node
        self._on_asked = on_asked
        self._asker = f'{node.get_name()}_{secrets.token_hex(3)}'
        self._num_asked = 0
        self.outbox = Outbox(note, patience_s)
        self._query = node.create_publisher(msg.Query, f'{prefix}/query', KEEP)
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        node.create_timer(FLUSH_S, self.outbox.flush, clock=steady)

    @property
    def is_heard(self) -> bool:
        """Whether a question would be heard, and its answer too."""
        has_listener = self._query.get_subscription_count() > 0
        return has_listener and self._node.count_publishers(f'{self.prefix}/response') > 0

    def ask(self, text: str, stamp_ns: int = 0) -> None:
        """Send a question as soon as it is heard; stamp 0 means now. From any thread."""
        self.outbox.put(text, lambda: self.is_heard, lambda: self._ask(text, stamp_ns))

    def wait_until_sent(self) -> None:
        """Wait until what was sent has arrived, which the end of a program would cut off."""
        self._query.wait_for_all_acked(Duration(seconds=ARRIVAL_S))

    def _ask(self, text: str, stamp_ns: int) -> None:
        self._num_asked += 1
        query_id = f'{self._asker}-{self._num_asked}'
        self._on_asked(query_id, text)
        stamp = Time(nanoseconds=stamp_ns).to_msg()
        self._query.publish(msg.Query(stamp=stamp, text=text, query_id=query_id))


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
        self._note = note
        self._asker = Asker(node, prefix, on_asked=on_asked, note=note, patience_s=patience_s)
        self._reset = node.create_client(Trigger, f'{prefix}/reset')
        for topic, kind, callback in (
            ('decision', msg.Decision, on_decision),
            ('response/partial', msg.Response, on_partial),
            ('response', msg.Response, on_response),
            ('status', msg.StreamStatus, on_status),
        ):
            node.create_subscription(kind, f'{prefix}/{topic}', callback, KEEP)

    @property
    def is_heard(self) -> bool:
        """Whether a question would be heard, and its answer too."""
        return self._asker.is_heard

    @property
    def waiting(self) -> str:
        """One line about what is held, '' when nothing is."""
        held = self._asker.outbox.waiting
        more = f' and {len(held) - 1} more' if len(held) > 1 else ''
        return f'waiting for {self.prefix}, to send: {held[0]}{more}' if held else ''

    def ask(self, text: str) -> None:
        """Send a question as soon as it is heard. From any thread."""
        self._asker.ask(text)

    def forget(self) -> None:
        """Have the node forget what it has seen. From any thread."""
        self._asker.outbox.put('reset', self._reset.service_is_ready, self._ask_to_forget)

    def close(self) -> None:
        """Say what was never sent."""
        self._asker.outbox.close()

    def _ask_to_forget(self) -> None:
        self._reset.call_async(Trigger.Request()).add_done_callback(self._on_reset)

    def _on_reset(self, future: rclpy.Future) -> None:
        answer = future.result()
        self._note('it has forgotten what it saw' if answer.success else answer.message)
