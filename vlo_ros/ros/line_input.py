# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lines typed on the terminal while something else is drawn on it. Never waits."""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
import tty
from types import TracebackType

ENTER, BACKSPACE, CLEAR = '\r\n', '\b\x7f', '\x15'


class LineInput:
    """Standard input, key by key on a terminal, line by line from elsewhere.

        with LineInput() as typed:
            for line in typed.poll(): ...

    Attributes:
        text: What is typed of the line that is not finished.
    """

    def __init__(self) -> None:
        """Look at what standard input is."""
        self.text = ''
        self._fd = sys.stdin.fileno()
        self._is_terminal = os.isatty(self._fd)
        self._is_open = True
        self._decoder = codecs.getincrementaldecoder('utf-8')('replace')
        self._settings: list | None = None

    def __enter__(self) -> LineInput:
        """Have keys come one by one, not echoed; Ctrl-C still interrupts."""
        if self._is_terminal:
            self._settings = termios.tcgetattr(self._fd)
            tty.setcbreak(self._fd)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        if self._settings is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._settings)

    def poll(self) -> list[str]:
        """Return the lines finished since the last call."""
        lines: list[str] = []
        while self._is_open and select.select([self._fd], [], [], 0)[0]:
            data = os.read(self._fd, 4096)
            self._is_open = bool(data)
            characters = self._decoder.decode(data)
            if self._is_terminal and characters.startswith('\x1b'):
                continue  # an arrow or function key
            for character in characters:
                self._take(character, lines)
        return lines

    def _take(self, character: str, lines: list[str]) -> None:
        if character in ENTER:
            if self.text.strip():
                lines.append(self.text.strip())
            self.text = ''
        elif character in BACKSPACE:
            self.text = self.text[:-1]
        elif character in CLEAR:
            self.text = ''
        elif character.isprintable():
            self.text += character
