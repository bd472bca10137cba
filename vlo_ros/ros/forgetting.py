# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Forgetting a stream: asked for by any thread, done by the decode lane before anything else."""

from __future__ import annotations

import threading


class Forgetting:
    """Numbered requests to forget; one that comes while another is carried out is not lost."""

    def __init__(self) -> None:
        """Start with nothing to forget."""
        self._reason = ''
        self._asked = 0
        self._done = 0
        self._epoch = 0
        self._changed = threading.Condition()

    @property
    def is_due(self) -> bool:
        """Whether the stream is to be forgotten."""
        return self._asked != self._done

    def ask(self, reason: str, *, images_too: bool = False) -> int:
        """Have the stream forgotten.

        Args:
            reason: Why; who waits for a response is told.
            images_too: Also what was taken for the encoder so far. Images that come after this
                are of the epoch that is returned.

        Returns:
            A ticket to wait for.
        """
        with self._changed:
            self._reason = reason
            self._asked += 1
            if images_too:
                self._epoch = self._asked
            return self._asked

    def begin(self) -> tuple[int, int, str]:
        """Return the newest ticket, which what follows will serve, the epoch, and the reason."""
        with self._changed:
            return self._asked, self._epoch, self._reason

    def end(self, ticket: int) -> None:
        """The stream was forgotten after `ticket` was asked for."""
        with self._changed:
            self._done = ticket
            self._changed.notify_all()

    def wait(self, ticket: int, timeout_s: float) -> bool:
        """Wait until the stream was forgotten; False when it takes longer."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done >= ticket, timeout_s)
