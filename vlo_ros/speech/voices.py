# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Voices: programs that turn text on their standard input into a WAV file.

GPL voices (eSpeak NG, Piper) stay separate programs.

    espeak-ng          the program, from the system's packages
    espeakng-loader    the same voice out of the pip package of that name
    piper              `pip install piper-tts`; `voice` is the path of its .onnx model
    command            any program: `--command 'my_tts --model x --out {wav}'`
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

from vlo_ros.speech.program import SpeechError, file_command

ENGINES = ('auto', 'espeak-ng', 'espeakng-loader', 'piper', 'command')
PLAYERS = (
    ['pw-play', '{wav}'],
    ['paplay', '{wav}'],
    ['aplay', '-q', '{wav}'],
    ['ffplay', '-nodisp', '-autoexit', '-loglevel', 'error', '{wav}'],
)


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
        return file_command(command, 'write')
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
