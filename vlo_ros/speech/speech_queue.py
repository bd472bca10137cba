# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What to say next. A voice is slower than a model: what is late is left out, the newest is said.

A response that was begun is said to its end. Of those that wait, an answer comes before a remark,
and a newer remark before an older one, which is dropped and counted. Only when more than
MAX_ANSWERS wait is an answer dropped, the oldest, and counted too.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field

from vlo_ros.speech.sentences import SentenceSplitter

MAX_ANSWERS = 32


@dataclass
class _Spoken:
    """One response on its way to the loudspeaker."""

    sequence: int
    is_answer: bool
    splitter: SentenceSplitter = field(default_factory=SentenceSplitter)
    waiting: deque[str] = field(default_factory=deque)
    is_finished: bool = False


class SpeechQueue:
    """Sentences that wait; fed by one thread, emptied by another.

    Attributes:
        num_dropped: Responses that were left out, as a whole or in part.
    """

    def __init__(self) -> None:
        """Start with nothing to say."""
        self.num_dropped = 0
        self._lock = threading.Lock()
        self._current: _Spoken | None = None
        self._waiting: list[_Spoken] = []
        self._last_finished = -1

    def grow(self, sequence: int, text: str, *, is_answer: bool) -> None:
        """Take a response that is still being decoded."""
        with self._lock:
            if sequence <= self._last_finished:
                return  # partials may come behind their end
            spoken = self._find(sequence, is_answer)
            spoken.waiting.extend(spoken.splitter.grow(text))

    def finish(self, sequence: int, text: str, *, is_answer: bool) -> None:
        """Take a finished response."""
        with self._lock:
            spoken = self._find(sequence, is_answer)
            spoken.waiting.extend(spoken.splitter.finish(text))
            spoken.is_finished = True
            self._last_finished = sequence  # not the greatest: a node that restarts counts anew

    def cancel(self, sequence: int) -> None:
        """Leave out what is not said yet of a response that was stopped."""
        with self._lock:
            self._last_finished = max(self._last_finished, sequence)
            self._waiting = [spoken for spoken in self._waiting if spoken.sequence != sequence]
            if self._current is not None and self._current.sequence == sequence:
                self._current = None

    def clear(self) -> None:
        """Leave out everything."""
        with self._lock:
            self._current, self._waiting = None, []

    def take(self) -> str | None:
        """Return the sentence to say now; None when there is none yet."""
        with self._lock:
            current = self._current
            if current is not None and current.waiting:
                return current.waiting.popleft()
            if current is not None and not current.is_finished:
                return None  # its next sentence is still being decoded
            self._current = current = self._choose()
            return current.waiting.popleft() if current is not None else None

    def _choose(self) -> _Spoken | None:
        ready = [spoken for spoken in self._waiting if spoken.waiting]
        if not ready:
            return None
        answers = [spoken for spoken in ready if spoken.is_answer]
        chosen = answers[0] if answers else ready[-1]
        kept = []
        for spoken in self._waiting:
            if spoken is chosen:
                continue
            if spoken.is_answer or spoken.sequence > chosen.sequence:
                kept.append(spoken)
            else:
                self.num_dropped += 1
        self._waiting = kept
        return chosen

    def _find(self, sequence: int, is_answer: bool) -> _Spoken:
        known = [*self._waiting, *([self._current] if self._current else [])]
        for spoken in known:
            if spoken.sequence == sequence:
                return spoken
        spoken = _Spoken(sequence, is_answer)
        self._waiting.append(spoken)
        if not is_answer:
            # Only the newest remark has a chance to be said.
            older = [other for other in self._waiting[:-1] if not other.is_answer]
            self.num_dropped += len(older)
            self._waiting = [other for other in self._waiting if other not in older]
        elif len(self._waiting) > MAX_ANSWERS:
            self.num_dropped += 1
            del self._waiting[0]
        return spoken
