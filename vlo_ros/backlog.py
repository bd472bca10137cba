# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The queue between encoder and decoder: bounded, oldest frames dropped, queries never.

The only hand-over between the two executor threads of a stream.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence

from vlo_ros.events import Event, FrameTokens, Query


class Backlog:
    """Frames and queries that wait, in the order of their stamps.

    Attributes:
        num_dropped: Frames dropped because the queue was full.
    """

    def __init__(self, max_frames: int, max_queries: int, *, by_arrival: bool = False) -> None:
        """Make an empty backlog.

        Args:
            max_frames: Frames that may wait; one more drops the oldest.
            max_queries: Queries that may wait; one more is refused.
            by_arrival: Take queries in order of arrival, as the published loop does: one with a
                late stamp then holds up those behind it.
        """
        self.num_dropped = 0
        self._max_frames = max_frames
        self._max_queries = max_queries
        self._by_arrival = by_arrival
        self._frames: deque[FrameTokens] = deque()
        self._queries: list[Query] = []
        self._hurried: list[Query] = []  # some of them may have been taken since
        self._lock = threading.Lock()

    def put_frame(self, frame: FrameTokens) -> None:
        """Append; when full, drop the oldest frame and count it."""
        with self._lock:
            if len(self._frames) == self._max_frames:
                self._frames.popleft()
                self.num_dropped += 1
            self._frames.append(frame)

    def put_query(self, query: Query, *, before: Callable[[], None] | None = None) -> bool:
        """Insert by stamp, behind equal stamps; False when too many wait.

        Args:
            query: What is asked.
            before: Called where there is room, before the query can be taken.
        """
        with self._lock:
            if len(self._queries) == self._max_queries:
                return False
            if before is not None:
                before()
            place = len(self._queries)
            while (
                not self._by_arrival
                and place
                and self._queries[place - 1].stamp_ns > query.stamp_ns
            ):
                place -= 1
            self._queries.insert(place, query)
            return True

    def take(
        self, max_frames: int, *, flush: bool = False, before: Callable[[], None] | None = None
    ) -> list[Event]:
        """Remove and return what comes next; see `StreamDecoder.step` for the three shapes.

        A query is due when a frame with its stamp or a later one has arrived: then the answer is
        the same however fast frames come in.

        Args:
            max_frames: Most frames to take at once.
            flush: A query behind which no frame waits is due too.
            before: Called first; nothing is put in between that and the taking.
        """
        with self._lock:
            if before is not None:
                before()
            query = self._queries[0] if self._queries else None
            if not self._frames:
                is_due = flush or self._is_hurried()
                return [self._queries.pop(0)] if is_due and query is not None else []
            if query is None:
                return self._pop_frames(max_frames)
            if query.stamp_ns < self._frames[0].stamp_ns:
                return [self._queries.pop(0)]
            if query.stamp_ns == self._frames[0].stamp_ns:
                return [self._frames.popleft(), self._queries.pop(0)]
            num_before = sum(frame.stamp_ns < query.stamp_ns for frame in self._frames)
            return self._pop_frames(min(max_frames, num_before))

    def hurry(self, query: Query) -> bool:
        """Let a query, and those before it, be due without a frame; False when it is gone."""
        with self._lock:
            is_waiting = _holds(self._queries, query)
            self._hurried = [other for other in self._hurried if _holds(self._queries, other)]
            if is_waiting and not _holds(self._hurried, query):
                self._hurried.append(query)
            return is_waiting

    def withdraw(self, query: Query) -> bool:
        """Take back a query that still waits; False when it is gone."""
        with self._lock:
            for place, waiting in enumerate(self._queries):
                if waiting is query:
                    del self._queries[place]
                    return True
            return False

    def put_back(self, frames: Sequence[FrameTokens]) -> None:
        """Return frames that were taken but not judged to the front."""
        with self._lock:
            self._frames.extendleft(reversed(frames))
            while len(self._frames) > self._max_frames:
                self._frames.popleft()
                self.num_dropped += 1

    def clear(self) -> None:
        """Drop everything that waits."""
        with self._lock:
            self._frames.clear()
            self._queries.clear()
            self._hurried.clear()

    @property
    def num_frames(self) -> int:
        """Frames waiting."""
        return len(self._frames)

    @property
    def num_queries(self) -> int:
        """Queries waiting."""
        return len(self._queries)

    def _is_hurried(self) -> bool:
        return any(_holds(self._queries, query) for query in self._hurried)

    def _pop_frames(self, count: int) -> list[Event]:
        return [self._frames.popleft() for _ in range(min(count, len(self._frames)))]


def _holds(queries: list[Query], query: Query) -> bool:
    """Whether this very query is among them: two may be alike."""
    return any(other is query for other in queries)
