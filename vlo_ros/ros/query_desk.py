# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Queries to one stream: each is answered, or refused with a reason that its asker can read."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.qos import QoSProfile

from vlo_ros import msg
from vlo_ros.errors import one_line
from vlo_ros.events import NS_PER_S, Query
from vlo_ros.message_header import to_ns
from vlo_ros.ros.lanes import Lanes, surviving
from vlo_ros.ros.notices import Notices
from vlo_ros.ros.publishers import StreamPublishers
from vlo_ros.ros.qos import create_subscription
from vlo_ros.ros.statistics import StreamStatistics
from vlo_ros.stream import Stream

# A hundred people may ask at once, and none may be lost on the way.
QUERIES = QoSProfile(depth=1000)
INACTIVE = 'the node is not active'


@dataclass
class WaitingQuery:
    """A query that was accepted and whose response has not ended yet.

    Attributes:
        query: The query.
        means_now: It came without a stamp.
        since: Monotonic s.
        stop_reason: Why its response is to be stopped, '' while it is not.
    """

    query: Query
    means_now: bool
    since: float
    stop_reason: str = ''


class QueryDesk:
    """Takes the queries of one stream.

    Attributes:
        is_open: Whether queries are accepted.
        closed_reason: What a query is told while they are not.
        stale_after: Seconds that a query about the present waits for the next frame.
        timeout: Seconds that any query waits at most.
    """

    def __init__(
        self,
        node,
        topic: str,
        stream: Stream,
        lanes: Lanes,
        topics: StreamPublishers,
        statistics: StreamStatistics,
        notices: Notices,
        newest_image_ns: Callable[[], int | None],
    ) -> None:
        """Subscribe to `topic` with the desk closed; `newest_image_ns` tells the camera's time."""
        self.is_open = False
        self.closed_reason = INACTIVE
        self.stale_after = 2.0
        self.timeout = 600.0
        self._node = node
        self._stream = stream
        self._lanes = lanes
        self._topics = topics
        self._statistics = statistics
        self._notices = notices
        self._newest_image_ns = newest_image_ns
        self._waiting: list[WaitingQuery] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._subscription = create_subscription(
            node,
            msg.Query,
            topic,
            surviving(node, notices, self.on_query),
            QUERIES,
            callback_group=lanes.ask,
        )

    def destroy(self) -> None:
        """Unsubscribe, and let go of the stream."""
        self._node.destroy_subscription(self._subscription)
        del self._stream

    def on_query(self, message: msg.Query) -> None:
        """Take a query from the topic."""
        self.ask(message.text, message.query_id, to_ns(message.stamp))

    def ask(self, text: str, query_id: str = '', stamp_ns: int = 0) -> str:
        """Accept a query, or tell who asked why not; return the query's id.

        Args:
            text: What is asked.
            query_id: Returned in the response; '' is numbered here.
            stamp_ns: The moment on the camera's clock; 0 means now.
        """
        self._statistics.queries_received += 1
        query_id = query_id or f'q{next(self._numbers)}'
        query = Query(stamp_ns or self._now_on_camera_ns(), text, query_id)
        with self._lock:
            refusal = self._put(query) if self.is_open else self.closed_reason
            if refusal is None:
                self._waiting.append(WaitingQuery(query, not stamp_ns, time.monotonic()))
        if refusal is None:
            self._lanes.wake_decode()
        else:
            self._refuse(query, refusal)
        return query_id

    def _put(self, query: Query) -> str | None:
        try:
            return self._stream.put_query(query)
        except Exception as error:
            self._notices.failure('query', 'reading a query failed', error)
            return f'the query could not be read: {one_line(error)}'

    def stop(self, query_id: str, reason: str) -> None:
        """Refuse a query that still waits, or have its own response stopped, and no other."""
        for waiting in self._all_waiting():
            if waiting.query.query_id == query_id and not self._turn_away(waiting, reason):
                waiting.stop_reason = reason  # the decode lane asks after its next token

    def why_stopped(self, query: Query) -> str:
        """Why the response to a query is to be stopped, '' when it is not."""
        return next((w.stop_reason for w in self._all_waiting() if w.query is query), '')

    def settle(self, query: Query) -> None:
        """Take a query that was answered off the list."""
        with self._lock:
            self._waiting = [waiting for waiting in self._waiting if waiting.query is not query]

    def refuse_all(self, reason: str, *, taken_too: bool = True) -> None:
        """Tell everybody who waits that there will be no answer.

        Args:
            reason: Why.
            taken_too: Also whose query was taken for an answer; for the decode lane alone, which
                knows that no answer will come of it.
        """
        for waiting in self._all_waiting():
            self._turn_away(waiting, reason, taken_too=taken_too)

    def refuse_late(self) -> None:
        """Refuse queries that have waited too long."""
        for waiting in self._all_waiting():
            if time.monotonic() - waiting.since > self.timeout:
                line = f'no frame with its stamp or a later one came within {self.timeout:.7g} s'
                self._turn_away(waiting, line)

    def hurry_overdue(self, is_stale: bool) -> bool:
        """Have queries answered that no frame comes to; False when there are none.

        Args:
            is_stale: No images come. Otherwise a query with a stamp waits for its frame, however
                slowly a recording is replayed.
        """
        patience = max(self.stale_after, 2 / self._stream.config.frame_fps)
        overdue = [
            waiting.query
            for waiting in self._all_waiting()
            if (waiting.means_now or is_stale) and time.monotonic() - waiting.since > patience
        ]
        return any([self._stream.hurry(query) for query in overdue])

    def _all_waiting(self) -> list[WaitingQuery]:
        with self._lock:
            return list(self._waiting)

    def _turn_away(self, waiting: WaitingQuery, reason: str, *, taken_too: bool = False) -> bool:
        """Refuse a query, once, whichever threads want to; False when it was taken already."""
        with self._lock:
            if all(other is not waiting for other in self._waiting):
                return True
            if not self._stream.withdraw(waiting.query) and not taken_too:
                return False
            self._waiting = [other for other in self._waiting if other is not waiting]
        try:
            self._refuse(waiting.query, reason)
        except Exception:
            with self._lock:
                self._waiting.append(waiting)  # it was not told
            raise
        return True

    @property
    def has_waiting(self) -> bool:
        """Whether anybody waits for an answer."""
        return bool(self._waiting)

    def _now_on_camera_ns(self) -> int:
        """The present on the camera's clock: the node's, unless the two have nothing in common."""
        now_ns = self._node.get_clock().now().nanoseconds
        newest_ns = self._newest_image_ns()
        if newest_ns is None or 0 <= now_ns - newest_ns <= self.stale_after * NS_PER_S:
            return now_ns
        return newest_ns

    def _refuse(self, query: Query, reason: str) -> None:
        self._statistics.queries_rejected += 1
        self._notices.warn('refused', f'query {query.query_id[:40]!r} refused: {reason}')
        self._topics.refuse(query.query_id, query.stamp_ns, reason)
