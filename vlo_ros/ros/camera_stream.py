# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera: from its messages to its responses. All cameras share one model.

- receive lane: `ImageInput.on_image` looks at the stamp and keeps what frame_fps wants
- encode lane: `encode_some` takes a message to RGB, to frame tokens, to the backlog
- decode lane: `Judge` takes the backlog to decisions and responses, and those to their topics

What is here belongs to no lane: gate, settings, forgetting, health.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from std_srvs.srv import Trigger as TriggerService

from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.errors import one_line
from vlo_ros.ros.ask_action import AskAction
from vlo_ros.ros.forgetting import Forgetting
from vlo_ros.ros.image_input import ImageInput
from vlo_ros.ros.judge import Judge
from vlo_ros.ros.lanes import Lanes, surviving
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.notices import Notices, is_out_of_memory
from vlo_ros.ros.publishers import StreamPublishers
from vlo_ros.ros.query_desk import INACTIVE, QueryDesk
from vlo_ros.ros.statistics import StreamStatistics
from vlo_ros.stream import Stream

RESET_TIMEOUT_S = 10.0
ENCODING, JUDGING = 'encoding', 'judging'
# Forwards that fail one after the other before the stream is said to have failed.
MANY_FAILURES = 3


class CameraStream:
    """One camera's stream, with everything it has on the graph.

    Attributes:
        name: Name among the cameras, '' when there is only one.
        stream: The core's stream.
        statistics: What happened since activation.
        notices: What was reported since activation.
        images: The way in for images.
        queries: The way in for queries.
        topics: The way out.
        judge: What happens in between.
    """

    def __init__(
        self,
        node,
        name: str,
        model: VloModel,
        stream_config: StreamConfig,
        node_config: NodeConfig,
        lanes: Lanes,
    ) -> None:
        """Join the graph with the gate closed."""
        self.name = name
        self.stream = Stream(model, stream_config)
        self.statistics = StreamStatistics()
        self.notices = Notices(node.get_logger())
        self._node = node
        self._device = model.device
        self._config = node_config
        self._lanes = lanes
        self._forgetting = Forgetting()
        self._gave_up = ''  # why, until the next activation
        self._last_failure = ''
        self._dropped_before = 0  # by the queues, before activation
        prefix = f'{name}/' if name else ''
        with contextlib.ExitStack() as joined:  # one that is half made leaves again
            self.topics = topics = StreamPublishers(node, f'~/{prefix}', self.statistics)
            joined.callback(topics.destroy)
            shared = (lanes, topics, self.statistics, self.notices)
            self.images = ImageInput(
                node, prefix, model, stream_config.frame_fps, node_config, *shared, self._restart
            )
            joined.callback(self.images.destroy)
            self.queries = QueryDesk(
                node, f'~/{prefix}query', self.stream, *shared, lambda: self.images.newest_ns
            )
            joined.callback(self.queries.destroy)
            self.judge = Judge(
                self.stream,
                topics,
                self.queries,
                self.statistics,
                self.notices,
                self._forgetting,
                self._report,
                lanes.wake_encode,
            )
            joined.callback(self.judge.release)
            stop = surviving(node, self.notices, self.stop_response)
            topics.ask = AskAction(node, f'~/{prefix}ask', self.queries, lanes, stop)
            joined.callback(topics.ask.destroy)
            reset = node.create_service(
                TriggerService, f'~/{prefix}reset', self.on_reset, callback_group=lanes.serve
            )
            joined.callback(node.destroy_service, reset)
            self.configure(node_config, {})
            self._joined = joined.pop_all()

    def encode_some(self) -> bool:
        """Encode wanted images that wait; False when there are none. For the encode lane."""
        if self._forgetting.is_due or not self.is_open:
            # The decode lane wakes this one when it has forgotten; a closed gate drops what waits.
            return False
        try:
            encoded, epoch = self.images.encode_some()
        except Exception as error:
            self._report(f'{ENCODING} failed', error)
            return True
        if encoded is None:
            return False
        self.judge.take_in(encoded, epoch)
        self._lanes.wake_decode()
        return True

    # -- forgetting, from any thread -------------------------------------------------------

    def ask_reset(self) -> int:
        """Have the stream forgotten; return a ticket for `wait_reset`."""
        return self.images.inbox.restart(
            lambda: self._have_forgotten('the stream was reset', images_too=True)
        )

    def wait_reset(self, ticket: int, timeout_s: float) -> bool:
        """Wait for a reset; False when the decoder does not come to it in time."""
        return self._forgetting.wait(ticket, timeout_s)

    def reset(self) -> bool:
        """Forget the stream; False when the decoder did not come to it in time."""
        return self.wait_reset(self.ask_reset(), RESET_TIMEOUT_S)

    def on_reset(self, request, response: TriggerService.Response) -> TriggerService.Response:
        """Serve ~/reset."""
        response.success = self.reset()
        response.message = '' if response.success else 'the decoder is still busy'
        return response

    def stop_response(self, query_id: str) -> None:
        """End a response between two tokens, or refuse its query before it has begun."""
        self.queries.stop(query_id, 'the goal was canceled or its time was over')

    def _restart(self) -> int:
        return self._have_forgotten('the camera started afresh', images_too=True)

    def _have_forgotten(self, reason: str, *, images_too: bool = False) -> int:
        """Have the decode lane forget the stream before it does anything else."""
        ticket = self._forgetting.ask(reason, images_too=images_too)
        self._lanes.wake_decode()
        return ticket

    # -- gate and settings -----------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether images and queries are let in."""
        return self.images.is_open

    def open(self) -> None:
        """Let images and queries in; what was remembered still is, unless the stream failed."""
        self.statistics.restart()
        self.notices.clear()
        self._dropped_before += self.num_dropped
        if self._gave_up:
            reason = f'the stream had failed: {self._gave_up}'
            self.images.inbox.restart(lambda: self._have_forgotten(reason, images_too=True))
            self._gave_up = ''
        self._set_gate(is_open=True)
        self._lanes.wake_decode()

    def close(self) -> None:
        """Let nothing in, and stop a sentence between two tokens."""
        self._set_gate(is_open=False)
        self._lanes.wake_decode()

    def drain(self) -> None:
        """End what was begun. For a closed stream, while both lanes are held still."""
        try:
            self.judge.drain()
        except Exception as error:  # whoever closes the node must come through
            self.give_up(JUDGING, error)
        self.images.inbox.drop_waiting()

    def _set_gate(self, *, is_open: bool) -> None:
        self.queries.closed_reason = INACTIVE
        self.images.is_open = self.queries.is_open = self.judge.is_open = is_open

    def configure(self, node_config: NodeConfig, changes: dict[str, Any]) -> None:
        """Take live settings; `changes` may name some that are not this stream's."""
        self._config = node_config
        known = {spec.name for spec in dataclasses.fields(StreamConfig)}
        self.stream.configure(**{name: changes[name] for name in changes if name in known})
        self.images.inbox.set_frame_fps(self.stream.config.frame_fps)
        self.images.is_idle = self._is_idle if node_config.lazy else lambda: False
        self.queries.stale_after = node_config.stale_after
        self.queries.timeout = node_config.query_timeout

    def destroy(self) -> None:
        """Leave the graph; who still waits for an answer is told. For a closed stream.

        The executor may keep callbacks for a while: what they lead to lets go of the weights.
        """
        self.queries.refuse_all('the node was cleaned up')
        self._joined.close()
        del self.stream

    # -- health ----------------------------------------------------------------------------

    @property
    def is_stale(self) -> bool:
        """Whether images should come and do not."""
        return self.is_open and (
            self.statistics.seconds_without_image() > self._config.stale_after
        )

    @property
    def expects_image(self) -> bool:
        """Whether its next image will come before long."""
        return self.is_open and not self.is_stale

    @property
    def num_dropped(self) -> int:
        """Wanted frames lost since activation: a queue was full, or they were forgotten."""
        in_queues = self.images.inbox.num_dropped + self.stream.num_dropped
        return in_queues - self._dropped_before + self.statistics.frames_forgotten

    @property
    def failure(self) -> str:
        """Why nothing is judged any more, '' while all is well."""
        keeps_failing = self.statistics.failures_in_a_row >= MANY_FAILURES
        return self._gave_up or (self._last_failure if keeps_failing else '')

    def look_after(self) -> None:
        """Notice a camera that fell silent, and queries that no frame will follow."""
        if self.is_stale:
            seconds = self.statistics.seconds_without_image()
            self.notices.warn('stale', f'{self.images.topic}: no image for {seconds:.1f} s')
        self.images.look_after()
        self.queries.refuse_late()
        if self.queries.hurry_overdue(self.is_stale):
            self._lanes.wake_decode()

    def give_up(self, what: str, error: Exception) -> None:
        """Close the gate for a mistake that starting afresh does not mend; activating tries."""
        if not self._node.context.ok():
            return
        self._gave_up = f'{what} failed: {one_line(error)}'
        self._set_gate(is_open=False)
        self.queries.closed_reason = f'the stream has failed: {self._gave_up}'
        self.notices.failure('gave up', f'{self.images.topic}: gave up, {what} failed', error)
        # What the decode lane has taken is its own to end, unless it is what gave up.
        self.queries.refuse_all(self.queries.closed_reason, taken_too=what == JUDGING)

    def _is_idle(self) -> bool:
        return not self.queries.has_waiting and not self.topics.has_listeners()

    def _report(self, what: str, error: Exception) -> None:
        if not self._node.context.ok():
            return  # the program is ending
        self.statistics.failures_in_a_row += 1
        self.tell(what, error)
        self._last_failure = self.notices.last

    def tell(self, what: str, error: Exception) -> None:
        """Say what failed, without holding it against the stream."""
        where = f'{self.images.topic}: {what}'
        if is_out_of_memory(error):
            self.notices.error('memory', f'{where}: out of memory on {self._device}')
        else:
            self.notices.failure(what, where, error)
