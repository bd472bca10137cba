# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that run beside this one, each on one WAV file: voices, players, recognisers.

Each runs in a process of its own: one that hangs or crashes takes nobody along.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from vlo_ros.errors import VloError

LONGEST_S = 60.0
GRACE_S = 1.0  # from the end of a program's output, or from its death, to its end


class SpeechError(VloError):
    """A voice, a player, a recorder or a recogniser that is not there, or fails."""


def words_of(command: str, what: str) -> list[str]:
    """Split a command line that a person gave.

    Args:
        command: As it would be typed.
        what: In front of a complaint.

    Raises:
        SpeechError: It is empty, badly quoted, or there is no such program; one line.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SpeechError(f'{what}: {error}: {command}') from error
    if not words:
        raise SpeechError(f'{what}: no command is given')
    if shutil.which(words[0]) is None:
        raise SpeechError(f'{what}: there is no program {words[0]!r}')
    return words


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that leads a session of its own, and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def failure_of(command: Sequence[str], status: int, complaint: bytes) -> SpeechError:
    """Return the error of a program that ended badly, with the last line that it wrote."""
    said = (complaint.decode(errors='replace').strip().splitlines() or ['nothing'])[-1]
    return SpeechError(f'{command[0]} failed ({status}), it said: {said}')


class Program:
    """Runs a command with a WAV file in it; another thread may stop it."""

    def __init__(self, command: Sequence[str], longest_s: float = LONGEST_S) -> None:
        """Take a command in which `{wav}` stands for the file, and how long it may take (s)."""
        self._command = command
        self._longest_s = longest_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_stopped = False

    def run(self, wav: Path, text: str = '') -> bool:
        """Run it to its end, with `text` on its standard input; False when it was stopped.

        Raises:
            SpeechError: It failed, or took too long.
        """
        return self._run(wav, text, subprocess.DEVNULL) is not None

    def read(self, wav: Path) -> str | None:
        """Run it to its end and return what it wrote; None when it was stopped.

        Raises:
            SpeechError: It failed, or took too long.
        """
        output = self._run(wav, '', subprocess.PIPE)
        return None if output is None else output.decode(errors='replace')

    def stop(self) -> None:
        """End it now, if it runs."""
        with self._lock:
            if self._process is not None:
                self._is_stopped = True
                kill_group(self._process)

    def _run(self, wav: Path, text: str, stdout: int) -> bytes | None:
        command = [word.replace('{wav}', str(wav)) for word in self._command]
        with self._lock:
            self._is_stopped = False
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C on the terminal is for its parent
            )
        try:
            output, complaint = process.communicate(text.encode(), self._longest_s)
        except subprocess.TimeoutExpired as error:
            kill_group(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=GRACE_S)
            raise SpeechError(f'{command[0]} did not end in {self._longest_s:g} s') from error
        finally:
            with self._lock:
                self._process = None
        if self._is_stopped:
            return None
        if process.returncode:
            raise failure_of(command, process.returncode, complaint)
        return output or b''
