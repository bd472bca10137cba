# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Programs that run beside this one, each on one WAV file: voices, players, recognisers.

Each runs in a process of its own: one that hangs or crashes takes nobody along.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vlo_ros.errors import VloError

LONGEST_S = 60.0
GRACE_S = 1.0  # from the end of a program's output, or from its death, to its end
READ_BYTES = 4096
MOST_BYTES = 16_384  # of what a program writes; one that writes on and on is ended
COMPLAINT_BYTES = 1000  # of a program that complains for days the newest are kept


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


def file_command(command: str, use: str) -> list[str]:
    """Split a command line in which `{wav}` stands for a file.

    Args:
        command: As it would be typed.
        use: What it does with the file: 'read' or 'write'.

    Raises:
        SpeechError: As words_of, or it names no file; one line.
    """
    words = words_of(command, 'engine command')
    if not any('{wav}' in word for word in words):
        raise SpeechError(f'engine command: the command must name the file to {use} as {{wav}}')
    return words


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that leads a session of its own, and all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def failure_of(command: Sequence[str], status: int, complaint: bytes) -> SpeechError:
    """Return the error of a program that ended badly, with the last line that it wrote."""
    said = (complaint.decode(errors='replace').strip().splitlines() or ['nothing'])[-1]
    return SpeechError(f'{command[0]} failed ({status}), it said: {said}')


def output_of(
    process: subprocess.Popen[bytes], complaint: bytearray, until: float | None = None
) -> Iterator[bytes]:
    """Yield what a program writes, and keep the newest of its complaints in `complaint`.

    Args:
        process: Its stderr is a pipe; its stdout is one, or leads elsewhere.
        complaint: COMPLAINT_BYTES at most.
        until: Monotonic s; None: for ever.

    Raises:
        TimeoutError: It still writes, or might, at `until`.
    """
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            for key, _ in selector.select(left):
                data = os.read(key.fd, READ_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stdout:
                    yield data
                else:
                    complaint += data
                    del complaint[:-COMPLAINT_BYTES]


class Program:
    """Runs a command with a WAV file in it; another thread may stop it."""

    def __init__(self, command: Sequence[str], longest_s: float = LONGEST_S) -> None:
        """Take a command in which `{wav}` stands for the file, and how long it may take (s)."""
        self._command = command
        self._longest_s = longest_s
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_stopped = False

    def run(self, wav: Path, text: str = '', is_wanted: Callable[[], bool] = lambda: True) -> bool:
        """Run it to its end, with `text` on its standard input; False when it was stopped.

        Args:
            wav: The file.
            text: What it reads.
            is_wanted: Asked when it is about to begin: `stop` ends only what has begun. Whoever
                makes it false before calling `stop` can be sure that nothing runs on.

        Raises:
            SpeechError: It failed, or took too long.
        """
        return self._run(wav, text, subprocess.DEVNULL, is_wanted) is not None

    def read(self, wav: Path) -> str | None:
        """Run it to its end and return what it wrote; None when it was stopped.

        Raises:
            SpeechError: It failed, took too long, or wrote more than MOST_BYTES.
        """
        output = self._run(wav, '', subprocess.PIPE, lambda: True)
        return None if output is None else output.decode(errors='replace')

    def stop(self) -> None:
        """End it now, if it runs."""
        with self._lock:
            if self._process is not None:
                self._is_stopped = True
                kill_group(self._process)

    def _run(
        self, wav: Path, text: str, stdout: int, is_wanted: Callable[[], bool]
    ) -> bytes | None:
        command = [word.replace('{wav}', str(wav)) for word in self._command]
        process = self._start(command, text, stdout, is_wanted)
        if process is None:
            return None
        until = time.monotonic() + self._longest_s
        output, complaint = bytearray(), bytearray()
        try:
            for data in output_of(process, complaint, until):
                output += data
                if len(output) > MOST_BYTES:
                    raise SpeechError(f'{command[0]} wrote more than {MOST_BYTES} bytes')
            process.wait(max(until - time.monotonic(), 0.0))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise SpeechError(f'{command[0]} did not end in {self._longest_s:g} s') from error
        finally:
            self._end(process)
        if self._is_stopped:
            return None
        if process.returncode:
            raise failure_of(command, process.returncode, bytes(complaint))
        return bytes(output)

    def _start(
        self, command: list[str], text: str, stdout: int, is_wanted: Callable[[], bool]
    ) -> subprocess.Popen[bytes] | None:
        # A file, not a pipe: a program that reads slowly or not at all keeps nobody waiting.
        with tempfile.TemporaryFile() as words:
            words.write(text.encode())
            words.seek(0)
            with self._lock:
                if not is_wanted():
                    return None
                self._is_stopped = False
                self._process = subprocess.Popen(
                    command,
                    stdin=words,
                    stdout=stdout,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C on the terminal is for its parent
                )
                return self._process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.returncode is None:
            kill_group(process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
        with self._lock:
            self._process = None
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
