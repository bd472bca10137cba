# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens again and again is said once, then counted."""

from __future__ import annotations

import threading
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass

from vlo_ros.errors import VloError, one_line


@dataclass
class _Notice:
    said_at: float
    num_unsaid: int = 0


class Notices:
    """Logs the first of a kind at once, and later ones of that kind at most once a minute.

    Attributes:
        last: The line reported last, '' when there was none since `clear`.
        num_forgotten: Kinds that were forgotten for newer ones; each is a first again.
    """

    PAUSE_S = 60.0
    MAX_KINDS = 256  # some name who is at fault, and programs come and go

    def __init__(self, logger) -> None:
        """Log through an rclpy logger."""
        self._logger = logger
        self._kinds: OrderedDict[str, _Notice] = OrderedDict()
        self._lock = threading.Lock()
        self.num_forgotten = 0
        self.last = ''
        self._last_kind = ''
        self._last_at = 0.0  # monotonic s

    def recent(self, seconds: float) -> str:
        """Return the line reported last, '' when that is longer ago."""
        with self._lock:
            return self.last if time.monotonic() - self._last_at <= seconds else ''

    def error(self, kind: str, line: str) -> None:
        """Report what went wrong."""
        if text := self._admit(kind, line, line):
            self._logger.error(text)

    def failure(self, kind: str, where: str, error: Exception) -> None:
        """Report an exception: a line for what a person can mend, a traceback for our mistakes."""
        if isinstance(error, VloError):
            self.error(kind, f'{where}: {error}')
        else:
            trace = ''.join(traceback.format_exception(error))
            if text := self._admit(kind, f'{where}: {one_line(error)}', f'{where}:\n{trace}'):
                self._logger.error(text)

    def warn(self, kind: str, line: str) -> None:
        """Report what a person may want to mend."""
        if text := self._admit(kind, line, line):
            self._logger.warning(text)

    def settle(self, kind: str, line: str = '') -> None:
        """Say that `kind` is over, if it was reported; the next one is a first again."""
        with self._lock:
            was_said = self._kinds.pop(kind, None) is not None
            if self._last_kind == kind:
                self.last = ''
        if was_said and line:
            self._logger.info(line)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kinds.clear()
            self.last = ''

    def _admit(self, kind: str, line: str, text: str) -> str:
        """Note the line; return what to log now, '' or `text` with a count."""
        now = time.monotonic()
        with self._lock:
            self.last, self._last_kind, self._last_at = line, kind, now
            notice = self._kinds.get(kind)
            if notice is None:
                self._kinds[kind] = _Notice(now)
                if len(self._kinds) > self.MAX_KINDS:
                    self._kinds.popitem(last=False)
                    self.num_forgotten += 1
                return text
            if now - notice.said_at < self.PAUSE_S:
                notice.num_unsaid += 1
                return ''
            times = notice.num_unsaid + 1
            self._kinds[kind] = _Notice(now)
            self._kinds.move_to_end(kind)
            return f'{text} ({times} times in the last {now - notice.said_at:.0f} s)'


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, on whichever device."""
    # PyTorch has no exception of its own for the memory of the CPU.
    kinds = ('OutOfMemoryError', 'MemoryError')
    return type(error).__name__ in kinds or "can't allocate memory" in str(error)
