# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where sound comes from: a program that records, or a file.

Sound is 16 kHz, mono, 16 bit little-endian.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import av

from vlo_ros.errors import one_line
from vlo_ros.speech.program import (
    GRACE_S,
    SpeechError,
    failure_of,
    kill_group,
    output_of,
    words_of,
)

SAMPLE_RATE = 16_000  # Hz
SAMPLE_BYTES = 2
RECORDERS = (
    ['arecord', '-q', '-f', 'S16_LE', '-r', '16000', '-c', '1', '-t', 'raw'],
    ['parec', '--format=s16le', '--rate=16000', '--channels=1'],
)


class Sound(Protocol):
    """Sound in frames of one size.

    Attributes:
        is_live: Whether it goes on whether it is read or not.
    """

    is_live: bool

    def frames(self, num_bytes: int) -> Iterator[bytes]:
        """Yield it piece by piece; what is left at the end and fills no frame is left out.

        Raises:
            SpeechError: It cannot be read on; one line.
        """

    def stop(self) -> None:
        """End it now. From any thread."""


def recorder_command(command: str = '') -> list[str]:
    """Return the program that records here: `command`, or else what is installed.

    Raises:
        SpeechError: There is none.
    """
    if command:
        return words_of(command, 'recorder')
    for words in RECORDERS:
        if shutil.which(words[0]):
            return list(words)
    raise SpeechError('no recorder is installed: apt install alsa-utils, or pulseaudio-utils')


class Recorder:
    """A program that writes sound to its standard output.

    Attributes:
        is_live: It is.
    """

    is_live = True

    def __init__(self, command: list[str]) -> None:
        """Take a command, see recorder_command. It is started by `frames`."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_stopped = False

    def frames(self, num_bytes: int) -> Iterator[bytes]:
        """Start it and yield what it records, until it ends or is stopped.

        Raises:
            SpeechError: It failed; one line.
        """
        with self._lock:
            if self._is_stopped:
                return
            try:
                process = self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C on the terminal is for its parent
                )
            except OSError as error:
                raise SpeechError(f'recorder: {one_line(error)}') from error
        complaint = bytearray()
        with process:
            try:
                yield from _in_frames(output_of(process, complaint), num_bytes)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE_S)
            finally:
                kill_group(process)
                with self._lock:
                    self._process = None
        if process.returncode and not self._is_stopped:
            raise failure_of(self._command, process.returncode, bytes(complaint))

    def stop(self) -> None:
        """End it now."""
        with self._lock:
            self._is_stopped = True
            if self._process is not None:
                kill_group(self._process)


class SoundFile:
    """The sound of a file, brought to one rate and channel.

    Attributes:
        is_live: It is not.
    """

    is_live = False

    def __init__(self, path: Path) -> None:
        """Look whether there is sound in it.

        Raises:
            SpeechError: There is none; one line.
        """
        self._is_stopped = threading.Event()
        self._path = path
        self._open().close()

    def frames(self, num_bytes: int) -> Iterator[bytes]:
        """Yield it as fast as it is taken.

        Raises:
            SpeechError: It is damaged; one line.
        """
        return _in_frames(self._samples(), num_bytes)

    def stop(self) -> None:
        """Yield no more."""
        self._is_stopped.set()

    def _open(self) -> Any:
        try:
            container = av.open(str(self._path))
        except (av.FFmpegError, OSError) as error:
            raise SpeechError(f'{self._path}: no sound that FFmpeg reads') from error
        if not container.streams.audio:
            container.close()
            raise SpeechError(f'{self._path}: there is no sound in it')
        return container

    def _samples(self) -> Iterator[bytes]:
        resampler: Any = av.AudioResampler(format='s16', layout='mono', rate=SAMPLE_RATE)
        with self._open() as container:
            try:
                for frame in container.decode(audio=0):
                    for part in resampler.resample(frame):
                        yield part.to_ndarray().tobytes()
                    if self._is_stopped.is_set():
                        return
                for part in resampler.resample(None):
                    yield part.to_ndarray().tobytes()
            except (av.FFmpegError, OSError) as error:
                raise SpeechError(f'{self._path}: damaged: {one_line(error)}') from error


def _in_frames(pieces: Iterator[bytes], num_bytes: int) -> Iterator[bytes]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= num_bytes:
            yield bytes(waiting[:num_bytes])
            del waiting[:num_bytes]
