"""Forgetting a stream: asked for by any thread, done by the decode lane before anything else."""

from __future__ import annotations

import threading


class Forgetting:
    """Numbered requests to forget; one that comes while another is carried out is not lost.

    Attributes:
        reason: Why the stream is to be forgotten; who waits for a response is told.
    """

    def __init__(self) -> None:
        """Start with nothing to forget."""
        self.reason = ''
        self._asked = 0
        self._done = 0
        self._changed = threading.Condition()

    @property
    def is_due(self) -> bool:
        """Whether the stream is to be forgotten."""
        return self._asked != self._done

    def ask(self, reason: str) -> int:
        """Have the stream forgotten; return a ticket to wait for."""
        with self._changed:
            self.reason = reason
            self._asked += 1
            return self._asked

    def begin(self) -> tuple[int, str]:
        """Return the newest ticket, which what follows will serve, and why it was asked for."""
        with self._changed:
            return self._asked, self.reason

    def end(self, ticket: int) -> None:
        """The stream was forgotten after `ticket` was asked for."""
        with self._changed:
            self._done = ticket
            self._changed.notify_all()

    def wait(self, ticket: int, timeout_s: float) -> bool:
        """Wait until the stream was forgotten; False when it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done >= ticket, timeout_s)
