# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Voices: programs that turn text on their standard input into a WAV file.

Each runs in a process of its own, so that GPL voices (eSpeak NG, Piper) stay separate programs,
and a voice that hangs or crashes takes nobody along.

    espeak-ng          the program, from the system's packages
    espeakng-loader    the same voice out of the pip package of that name
    piper              `pip install piper-tts`; `voice` is the path of its .onnx model
    command            any program: `--command 'my_tts --model x --out {wav}'`
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from vlo_ros.errors import VloError

ENGINES = ('auto', 'espeak-ng', 'espeakng-loader', 'piper', 'command')
PLAYERS = (
    ['pw-play', '{wav}'],
    ['paplay', '{wav}'],
    ['aplay', '-q', '{wav}'],
    ['ffplay', '-nodisp', '-autoexit', '-loglevel', 'error', '{wav}'],
)
LONGEST_S = 60.0


class SpeechError(VloError):
    """A voice or a player that is not there, or fails."""


def voice_command(engine: str, voice: str, words_per_minute: int, command: str) -> list[str]:
    """Return the program of a voice; `{wav}` in it stands for the file to write.

    Raises:
        SpeechError: It is not installed, or not fully specified; one line.
    """
    has_program = shutil.which('espeak-ng') is not None
    has_package = importlib.util.find_spec('espeakng_loader') is not None
    if engine == 'auto':
        if not has_program and not has_package:
            raise SpeechError(
                'no voice is installed: apt install espeak-ng, or pip install espeakng-loader'
            )
        engine = 'espeak-ng' if has_program else 'espeakng-loader'
    if engine == 'espeak-ng':
        if not has_program:
            raise SpeechError('engine espeak-ng: apt install espeak-ng')
        rate = str(words_per_minute)
        return ['espeak-ng', '-v', voice or 'en', '-s', rate, '-w', '{wav}', '--stdin']
    if engine == 'espeakng-loader':
        if not has_package:
            raise SpeechError('engine espeakng-loader: pip install espeakng-loader')
        program = [sys.executable, '-m', 'vlo_ros.speech.espeak_child']
        return [*program, voice or 'en', str(words_per_minute), '{wav}']
    if engine == 'piper':
        if importlib.util.find_spec('piper') is None:
            raise SpeechError('engine piper: pip install piper-tts')
        if not Path(voice).is_file():
            raise SpeechError(f'engine piper: voice {voice!r} is not the path of a .onnx model')
        return [sys.executable, '-m', 'piper', '--model', voice, '--output-file', '{wav}']
    if engine == 'command':
        words = shlex.split(command)
        if not any('{wav}' in word for word in words):
            raise SpeechError('engine command: the command must name the file to write as {wav}')
        if shutil.which(words[0]) is None:
            raise SpeechError(f'engine command: there is no program {words[0]!r}')
        return words
    raise SpeechError(f'engine {engine!r} is not one of {", ".join(ENGINES)}')


def player_command() -> list[str]:
    """Return the program that plays a WAV file here.

    Raises:
        SpeechError: There is none.
    """
    for command in PLAYERS:
        if shutil.which(command[0]):
            return list(command)
    raise SpeechError('no player is installed: apt install pipewire-bin, or alsa-utils')


class Program:
    """Runs a command with a WAV file in it; another thread may stop it."""

    def __init__(self, command: Sequence[str]) -> None:
        """Take a command in which `{wav}` stands for the file."""
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._is_stopped = False

    def run(self, wav: Path, text: str = '') -> bool:
        """Run it to its end, with `text` on its standard input; False when it was stopped.

        Raises:
            SpeechError: It failed, or took more than LONGEST_S.
        """
        command = [word.replace('{wav}', str(wav)) for word in self._command]
        with self._lock:
            self._is_stopped = False
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C on the terminal is for the speaker
            )
        try:
            _, complaint = process.communicate(text.encode(), LONGEST_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise SpeechError(f'{command[0]} did not end in {LONGEST_S:.0f} s') from error
        finally:
            with self._lock:
                self._process = None
        if self._is_stopped:
            return False
        if process.returncode:
            said = (complaint.decode(errors='replace').strip().splitlines() or ['nothing'])[-1]
            raise SpeechError(f'{command[0]} failed ({process.returncode}), it said: {said}')
        return True

    def stop(self) -> None:
        """End it now, if it runs."""
        with self._lock:
            if self._process is not None:
                self._is_stopped = True
                self._process.kill()
