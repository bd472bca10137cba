"""One camera: from its messages to its responses. All cameras share one model.

- receive lane: `ImageInput.on_image` looks at the stamp and keeps what frame_fps wants
- encode lane: `encode_some` takes a message to RGB, to frame tokens, to the backlog
- decode lane: `take_turn` takes the backlog to decisions and responses, and those to their topics
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

from std_srvs.srv import Trigger as TriggerService

from vlo_ros.checkpoint import VloModel
from vlo_ros.config import StreamConfig
from vlo_ros.errors import ConfigError
from vlo_ros.events import Decision, Finish, Outcome, Partial, Response, Verdict
from vlo_ros.ros.ask_action import AskAction
from vlo_ros.ros.image_input import ImageInput
from vlo_ros.ros.lanes import Lanes
from vlo_ros.ros.node_config import NodeConfig
from vlo_ros.ros.notices import Notices, is_out_of_memory, one_line
from vlo_ros.ros.publishers import StreamPublishers
from vlo_ros.ros.query_desk import QueryDesk
from vlo_ros.ros.statistics import StreamStatistics
from vlo_ros.stream import Stream

RESET_TIMEOUT_S = 10.0


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
        is_speaking: Whether a response is being decoded.
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
        self.is_speaking = False
        self._node = node
        self._model = model
        self._config = node_config
        self._lanes = lanes
        self._outcomes: Iterator[Outcome] | None = None  # what the decode lane is in the middle of
        self._partial: Partial | None = None
        self._spoke = False
        self._flush = False
        self._handover = threading.Lock()  # encode lane puts frames, decode lane forgets them
        self._epoch = 0
        self._forget_due = threading.Event()
        self._forgotten = threading.Event()
        self._forget_reason = ''
        self._accepted = stream_config  # settings that the stream was last reset with
        prefix = f'{name}/' if name else ''
        shared = (lanes, topics := StreamPublishers(node, f'~/{prefix}', self.statistics))
        shared = (*shared, self.statistics, self.notices)
        self.topics = topics
        self.images = ImageInput(
            node, prefix, model, stream_config.frame_fps, node_config, *shared, self._restart
        )
        self.queries = QueryDesk(
            node, f'~/{prefix}query', self.stream, *shared, lambda: self.images.newest_ns
        )
        topics.ask = AskAction(node, f'~/{prefix}ask', self.queries, lanes, self._stop_answer)
        self._reset_service = node.create_service(
            TriggerService, f'~/{prefix}reset', self.on_reset, callback_group=lanes.serve
        )
        self.configure(node_config, {})

    # -- encode lane -----------------------------------------------------------------------

    def encode_some(self) -> bool:
        """Encode wanted images that wait; False when there are none."""
        if self._forget_due.is_set():
            return False  # the decode lane wakes this one when it has forgotten
        epoch = self._epoch
        try:
            encoded = self.images.encode_some()
        except Exception as error:
            self._report('encoding failed', error)
            return True
        if encoded is None:
            return False
        with self._handover:
            for frame_tokens in encoded if epoch == self._epoch else ():
                self.stream.put_frame(frame_tokens)
        self._lanes.wake_decode()
        return True

    # -- decode lane -----------------------------------------------------------------------

    def take_turn(self) -> bool:
        """Advance by one outcome; False when nothing is due.

        While the gate is closed only a sentence that was begun is stopped and given its end.
        """
        if self._forget_due.is_set():
            self._forget()
            return True
        if not self.is_open:
            if not self.is_speaking:
                return False
            self.stream.cancel()  # it may have begun after the gate was closed
        if self._outcomes is None:
            self._outcomes = self.stream.advance(flush=self._flush)
            self._flush = False
        try:
            outcome = next(self._outcomes, None)
            if outcome is not None:
                self._publish(outcome)
        except Exception as error:
            if not self._node.context.ok():
                return False
            self._report('judging failed', error)
            self._have_forgotten(f'judging failed: {one_line(error)}')
            return True
        if outcome is None:
            self._outcomes = None
        return outcome is not None

    def _publish(self, outcome: Outcome, reason: str = '') -> None:
        if isinstance(outcome, Decision):
            self.is_speaking = outcome.verdict is not Verdict.SILENT
            self.statistics.frames_judged += 1
            self.statistics.judged.count()
            threshold = self.stream.config.threshold_after(self._spoke)
            self._spoke = False
            self.topics.decision(outcome, threshold)
        elif isinstance(outcome, Partial):
            self.is_speaking = True
            self._partial = outcome
            self.topics.partial(outcome)
        else:
            self.is_speaking = False
            self._partial = None
            self._spoke = True
            if outcome.query is not None:
                self.queries.settle(outcome.query)
            self.topics.response(outcome, reason)

    def _forget(self) -> None:
        """Make the stream as good as new, once a sentence that was begun has its end."""
        if self.is_speaking:
            self._end_sentence()
        if self._outcomes is not None:
            self._outcomes.close()
        self._outcomes, self.is_speaking, self._spoke = None, False, False
        with self._handover:
            self._epoch += 1
            try:
                self.stream.reset()
            except ConfigError as error:
                self.notices.error('reset', f'reset with the settings before: {error}')
                self.stream.config = self._accepted
                self.stream.reset()
            self._accepted = self.stream.config
        self._forget_due.clear()
        self.statistics.resets += 1
        self.queries.refuse_all(self._forget_reason)
        self._forgotten.set()
        self._lanes.wake_encode()

    def _end_sentence(self) -> None:
        """Give a growing sentence its end, from the decoder or, where that failed, from here."""
        self.stream.cancel()
        try:
            for outcome in self._outcomes or ():
                if isinstance(outcome, Response):
                    self._publish(outcome, self._forget_reason)
                    return
        except Exception as error:
            self._report('stopping a response failed', error)
        if self._partial is not None:
            fields = {
                spec.name: getattr(self._partial, spec.name)
                for spec in dataclasses.fields(Partial)
                if spec.name != 'num_tokens'
            }
            ended = Response(**fields, token_ids=(), finish=Finish.CANCELLED)
            self._publish(ended, self._forget_reason)

    # -- forgetting, from any thread -------------------------------------------------------

    def reset(self) -> bool:
        """Forget the stream; False when the decoder did not come to it in time."""
        self._forgotten.clear()
        self.images.inbox.restart()  # first, or an old image could be encoded for the new stream
        self._have_forgotten('the stream was reset')
        return self._forgotten.wait(RESET_TIMEOUT_S)

    def on_reset(self, request, response: TriggerService.Response) -> TriggerService.Response:
        """Serve ~/reset."""
        response.success = self.reset()
        response.message = '' if response.success else 'the decoder is still busy'
        return response

    def _stop_answer(self, query_id: str) -> None:
        """End an answer between two tokens, or take its query back before it has begun."""
        if not self.queries.withdraw(query_id, 'the goal was canceled or its time was over'):
            self.stream.cancel()

    def _restart(self) -> None:
        self._have_forgotten('the camera started afresh')

    def _have_forgotten(self, reason: str) -> None:
        """Have the decode lane forget the stream before it does anything else."""
        self._forget_reason = reason
        self._forget_due.set()
        self.stream.cancel()
        self._lanes.wake_decode()

    # -- gate and settings -----------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether images and queries are let in."""
        return self.images.is_open

    def open(self) -> None:
        """Let images and queries in; what was remembered still is."""
        self.statistics.restart()
        self.notices.clear()
        self.images.is_open = self.queries.is_open = True
        self._lanes.wake_decode()

    def close(self) -> None:
        """Let nothing in, and stop a sentence between two tokens."""
        self.images.is_open = self.queries.is_open = False
        if self.is_speaking:
            self.stream.cancel()

    def drain(self) -> None:
        """End what was begun. For a closed stream, while the decode lane is held still."""
        while self.take_turn():
            pass
        self.images.inbox.restart()

    def configure(self, node_config: NodeConfig, changes: dict[str, Any]) -> None:
        """Take live settings; `changes` may name some that are not this stream's."""
        self._config = node_config
        known = {spec.name for spec in dataclasses.fields(StreamConfig)}
        self.stream.configure(**{name: changes[name] for name in changes if name in known})
        self.images.inbox.set_frame_fps(self.stream.config.frame_fps)
        self.images.is_idle = self._is_idle if node_config.lazy else lambda: False
        self.queries.stale_after = node_config.stale_after

    def destroy(self) -> None:
        """Leave the graph; who still waits for an answer is told. For a closed stream.

        The executor may keep callbacks for a while: what they lead to lets go of the weights.
        """
        self.queries.refuse_all('the node was cleaned up')
        self.images.destroy()
        self.queries.destroy()
        self._node.destroy_service(self._reset_service)
        self.topics.ask.destroy()
        self.topics.destroy()
        del self._outcomes, self._model, self.stream

    # -- watching --------------------------------------------------------------------------

    @property
    def is_stale(self) -> bool:
        """Whether images should come and do not."""
        return self.is_open and (
            self.statistics.seconds_without_image() > self._config.stale_after
        )

    def look_after(self) -> None:
        """Notice a camera that fell silent, and queries that no frame will follow."""
        if self.is_stale:
            seconds = self.statistics.seconds_without_image()
            self.notices.warn('stale', f'{self.images.topic}: no image for {seconds:.1f} s')
        if self.queries.is_overdue(self.is_stale):
            self._flush = True
            self._lanes.wake_decode()

    def _is_idle(self) -> bool:
        return not self.queries.has_waiting and not self.topics.has_listeners()

    def _report(self, what: str, error: Exception) -> None:
        where = f'{self.images.topic}: {what}'
        if is_out_of_memory(error):
            self.notices.error('memory', f'{where}: out of memory on {self._model.device}')
        else:
            self.notices.failure(what, where, error)
