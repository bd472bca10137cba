# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs started beside this one, and ended with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

PATIENCE_S = 30.0  # a node that reads weights hears nothing for that long
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Loaded here, since little is safe between fork and exec.
_LIBC = ctypes.CDLL(None)


def _end_with(parent_pid: int) -> None:
    """Have the kernel end this process when its parent is gone, killed without a word or not."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        os._exit(0)


class Child:
    """One module of this package in a process of its own, its output in a file.

    Attributes:
        log: Where its output goes.
    """

    def __init__(self, module: str, arguments: list[str], folder: Path) -> None:
        """Start `python -m module arguments`; Ctrl-C on the terminal does not reach it."""
        self.log = folder / f'{module.rpartition(".")[2]}.log'
        parent_pid = os.getpid()
        with self.log.open('wb') as output:
            self._process = subprocess.Popen(
                [sys.executable, '-m', module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: _end_with(parent_pid),
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def complaint(self) -> str:
        """Return the last error that it logged, or its last line."""
        lines = self.log.read_text(errors='replace').strip().splitlines() or ['it said nothing']
        errors = [line for line in lines if '[ERROR]' in line or '[FATAL]' in line]
        return (errors or lines)[-1]

    def interrupt(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait until it has ended, make it end if need be, and return its exit status."""
        try:
            return self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
