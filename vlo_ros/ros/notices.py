# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens again and again is said once, then counted."""

from __future__ import annotations

import threading
import time
import traceback
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
    """

    PAUSE_S = 60.0

    def __init__(self, logger) -> None:
        """Log through an rclpy logger."""
        self._logger = logger
        self._kinds: dict[str, _Notice] = {}
        self._lock = threading.Lock()
        self.last = ''
        self._last_kind = ''

    def error(self, kind: str, line: str) -> None:
        """Report what went wrong."""
        self.last, self._last_kind = line, kind
        if text := self._admit(kind, line):
            self._logger.error(text)

    def failure(self, kind: str, where: str, error: Exception) -> None:
        """Report an exception: a line for what a person can mend, a traceback for our mistakes."""
        if isinstance(error, VloError):
            self.error(kind, f'{where}: {error}')
        else:
            trace = ''.join(traceback.format_exception(error))
            self.error(kind, f'{where}:\n{trace}')
            self.last = f'{where}: {one_line(error)}'

    def warn(self, kind: str, line: str) -> None:
        """Report what a person may want to mend."""
        self.last, self._last_kind = line, kind
        if text := self._admit(kind, line):
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

    def _admit(self, kind: str, line: str) -> str:
        """Return what to log now, or ''."""
        now = time.monotonic()
        with self._lock:
            notice = self._kinds.get(kind)
            if notice is None:
                self._kinds[kind] = _Notice(now)
                return line
            if now - notice.said_at < self.PAUSE_S:
                notice.num_unsaid += 1
                return ''
            times = notice.num_unsaid + 1
            self._kinds[kind] = _Notice(now)
            return f'{line} ({times} times in the last {now - notice.said_at:.0f} s)'


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, on whichever device."""
    # PyTorch has no exception of its own for the memory of the CPU.
    kinds = ('OutOfMemoryError', 'MemoryError')
    return type(error).__name__ in kinds or "can't allocate memory" in str(error)
