# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one stream publishes: decisions, growing sentences, finished responses, refusals."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Duration
from rclpy.clock import Clock
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from vlo_ros import msg
from vlo_ros.events import NS_PER_S, Decision, Finish, Partial, Response, Trigger, Verdict
from vlo_ros.response_latency import latency_of
from vlo_ros.ros.convert import to_time
from vlo_ros.ros.overlay_topic import OverlayTopic
from vlo_ros.ros.qos import create_publisher
from vlo_ros.ros.statistics import StreamStatistics

if TYPE_CHECKING:
    from vlo_ros.ros.ask_action import AskAction

# Sentences are few and none may be lost, not even when a hundred queries are refused at once.
SENTENCES = QoSProfile(depth=1000)
DECISIONS = QoSProfile(depth=100)

VERDICTS = {
    Verdict.SILENT: msg.Decision.VERDICT_SILENT,
    Verdict.RESPOND: msg.Decision.VERDICT_RESPOND,
    Verdict.QUERY: msg.Decision.VERDICT_QUERY,
}
TRIGGERS = {
    Trigger.PROACTIVE: msg.Response.TRIGGER_PROACTIVE,
    Trigger.QUERY: msg.Response.TRIGGER_QUERY,
}
STATES = {
    Finish.EOS: msg.Response.STATE_FINISHED,
    Finish.LENGTH: msg.Response.STATE_TRUNCATED,
    Finish.CANCELLED: msg.Response.STATE_CANCELLED,
}
REMEMBERED_FRAMES = 1024


class StreamPublishers:
    """Publishers of one stream; called by whichever thread decodes, refusals by any.

    These are plain publishers, not lifecycle ones: a refusal must reach who asked in every state.
    What the node says while inactive is for the stream to decide.
    """

    def __init__(self, node, prefix: str, statistics: StreamStatistics) -> None:
        """Create the publishers `PREFIXresponse` and so on; `ask` is set by who offers it."""
        self._node = node
        self._statistics = statistics
        self._clock: Clock = node.get_clock()
        self._frame_ids: OrderedDict[int, str] = OrderedDict()
        self._newest_frame_id = ''
        self._sequence = 0
        self._first_token_ns: int | None = None
        self.ask: AskAction | None = None
        with contextlib.ExitStack() as joined:

            def publisher(message_type, name: str, qos: QoSProfile) -> Publisher:
                made = create_publisher(node, message_type, f'{prefix}{name}', qos)
                joined.callback(node.destroy_publisher, made)
                return made

            self.overlay = OverlayTopic(node, f'{prefix}overlay')
            joined.callback(self.overlay.destroy)
            self._response = publisher(msg.Response, 'response', SENTENCES)
            self._partial = publisher(msg.Response, 'response/partial', SENTENCES)
            self._decision = publisher(msg.Decision, 'decision', DECISIONS)
            self._joined = joined.pop_all()

    def destroy(self) -> None:
        """Take the publishers off the graph."""
        self._joined.close()

    def has_listeners(self) -> bool:
        """Whether anybody subscribes to anything that comes of judging a frame."""
        publishers = (self._response, self._partial, self._decision)
        has_subscribers = any(publisher.get_subscription_count() for publisher in publishers)
        return has_subscribers or self.overlay.has_watchers()

    def note_frame_id(self, stamp_ns: int, frame_id: str) -> None:
        """Remember which camera took the frame; what is said about it carries its frame_id."""
        self._newest_frame_id = frame_id
        self._frame_ids[stamp_ns] = frame_id
        if len(self._frame_ids) > REMEMBERED_FRAMES:
            self._frame_ids.popitem(last=False)

    def decision(self, decision: Decision) -> None:
        """Publish the verdict on one frame."""
        latency_ns = self._now_ns() - decision.stamp_ns
        self._statistics.decision_latency.add_ns(latency_ns)
        message = msg.Decision(
            header=self._header(decision.stamp_ns),
            frame_index=max(decision.index, 0),
            verdict=VERDICTS[decision.verdict],
            silence_probability=_or_nan(decision.p_silence),
            silence_threshold=decision.threshold,
            latency=_duration(latency_ns),
        )
        self._decision.publish(message)
        self.overlay.on_decision(message)

    def partial(self, partial: Partial) -> None:
        """Publish a sentence that grows, and note when its first token came."""
        if self._first_token_ns is None:
            self._first_token_ns = self._now_ns()
        is_awaited = self.ask is not None and self.ask.has_goals()
        if is_awaited or self._partial.get_subscription_count():
            message = self._sentence(partial, partial.num_tokens)
            message.state = msg.Response.STATE_PARTIAL
            self._partial.publish(message)
            if self.ask is not None:
                self.ask.on_partial(message)

    def response(self, response: Response, reason: str = '') -> None:
        """Publish a finished sentence."""
        message = self._sentence(response, len(response.token_ids))
        message.state = STATES[response.finish]
        message.finished_stamp = to_time(self._now_ns())
        message.reason = reason
        if self._first_token_ns is None:
            message.first_token_stamp = message.finished_stamp
        self._statistics.response_ended(latency_of(message))
        self._tell(message)
        self.overlay.on_response(message)
        self._sequence += 1
        self._first_token_ns = None

    def refuse(self, query_id: str, stamp_ns: int, reason: str) -> None:
        """Tell who asked that there will be no answer, and why."""
        now = to_time(self._now_ns())
        message = msg.Response(
            header=Header(stamp=to_time(stamp_ns), frame_id=self._newest_frame_id),
            query_id=query_id,
            reason=reason,
            trigger=msg.Response.TRIGGER_QUERY,
            state=msg.Response.STATE_CANCELLED,
            sequence=self._sequence,
            silence_probability=math.nan,
            first_token_stamp=now,
            finished_stamp=now,
        )
        self._tell(message)

    def _tell(self, message: msg.Response) -> None:
        self._response.publish(message)
        if self.ask is not None:
            self.ask.on_response(message)

    def _sentence(self, outcome: Partial | Response, num_tokens: int) -> msg.Response:
        message = msg.Response(
            header=self._header(outcome.frame_stamp_ns),
            text=outcome.text.strip(),
            query_id=outcome.query.query_id if outcome.query else '',
            trigger=TRIGGERS[outcome.trigger],
            sequence=self._sequence,
            silence_probability=_or_nan(outcome.p_silence),
            num_tokens=num_tokens,
        )
        if self._first_token_ns is not None:
            message.first_token_stamp = to_time(self._first_token_ns)
        return message

    def _header(self, stamp_ns: int) -> Header:
        frame_id = self._frame_ids.get(stamp_ns, self._newest_frame_id)
        return Header(stamp=to_time(stamp_ns), frame_id=frame_id)

    def _now_ns(self) -> int:
        return self._clock.now().nanoseconds


def _or_nan(probability: float | None) -> float:
    return math.nan if probability is None else probability


def _duration(nanoseconds: int) -> Duration:
    """Clip to what the message holds: stamps of another clock are decades away."""
    limit = (2**31 - 1) * NS_PER_S
    seconds, rest = divmod(max(-limit, min(limit, nanoseconds)), NS_PER_S)
    return Duration(sec=seconds, nanosec=rest)
