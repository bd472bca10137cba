# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a person wants of a node, held until the node is there to hear it.

Two programs on a graph need a moment to find each other; what is published before that is lost.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

CAPACITY = 16
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Wish:
    """One thing to be sent."""

    what: str
    is_heard: Callable[[], bool]
    send: Callable[[], None]
    since: float  # monotonic s


class Outbox:
    """A first-in, first-out queue of wishes. Any thread may put, one flushes.

    Attributes:
        num_given_up: Wishes that were never sent; each was told, with the reason.
    """

    def __init__(
        self,
        give_up: Callable[[str], None],
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold nothing yet.

        Args:
            give_up: Told in one line of everything that is not sent.
            patience_s: How long a wish may wait, s.
            clock: Seconds that only grow.
        """
        self.num_given_up = 0
        self._give_up = give_up
        self._patience_s = patience_s
        self._clock = clock
        self._wishes: deque[Wish] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> tuple[str, ...]:
        """What has not been sent yet, the oldest first."""
        with self._lock:
            return tuple(wish.what for wish in self._wishes)

    def put(self, what: str, is_heard: Callable[[], bool], send: Callable[[], None]) -> None:
        """Hold a wish until `is_heard()`, then `send()`; one too many is given up at once."""
        with self._lock:
            is_full = len(self._wishes) == CAPACITY
            if not is_full:
                self._wishes.append(Wish(what, is_heard, send, self._clock()))
        if is_full:
            self._leave(what, f'{CAPACITY} others wait already')

    def flush(self) -> None:
        """Send what can be heard by now, in order, and give up what has waited too long."""
        while True:
            with self._lock:
                if not self._wishes:
                    return
                wish = self._wishes[0]
                is_heard = wish.is_heard()
                if not is_heard and self._clock() - wish.since < self._patience_s:
                    return
                self._wishes.popleft()
            if is_heard:
                wish.send()
            else:
                self._leave(wish.what, f'nobody listened for {self._patience_s:g} s')

    def close(self) -> None:
        """Give up what still waits."""
        with self._lock:
            wishes, self._wishes = tuple(self._wishes), deque()
        for wish in wishes:
            self._leave(wish.what, 'the end came first')

    def _leave(self, what: str, reason: str) -> None:
        self.num_given_up += 1
        self._give_up(f'not sent, {reason}: {what}')
