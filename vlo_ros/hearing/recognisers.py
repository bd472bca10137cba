# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Recognisers: programs that read a WAV file with one utterance and print its words.

One entry of ENGINES each:

    pocketsphinx    the package of that name: one of the given phrases, or (poorly) any words
    command         any program: `--command 'whisper-cli -m model.bin -nt -f {wav}'`
"""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vlo_ros.hearing.phrases import read_phrases, words_in
from vlo_ros.hearing.sound import SAMPLE_BYTES, SAMPLE_RATE
from vlo_ros.hearing.utterances import Utterance
from vlo_ros.speech.program import Program, SpeechError, file_command

TIME_LIMIT_S = 30.0
MOST_CHARS = 2000
# What recognisers write where nobody speaks: [BLANK_AUDIO], (music).
_ASIDE = re.compile(r'\[[^\]]*\]|\([^)]*\)')


@dataclass(frozen=True)
class Wanted:
    """What a person says about the recogniser."""

    phrases: str = ''  # path
    command: str = ''


def _pocketsphinx(wanted: Wanted) -> list[str]:
    if wanted.command:
        raise SpeechError('command: engine command alone takes one')
    if importlib.util.find_spec('pocketsphinx') is None:
        raise SpeechError('engine pocketsphinx: pip install pocketsphinx')
    program = [sys.executable, '-m', 'vlo_ros.hearing.sphinx_child', '{wav}']
    if not wanted.phrases:
        return program
    import pocketsphinx

    path = Path(wanted.phrases).expanduser()
    read_phrases(path, words_in(Path(pocketsphinx.get_model_path('en-us/cmudict-en-us.dict'))))
    return [*program, str(path)]


def _command(wanted: Wanted) -> list[str]:
    if wanted.phrases:
        raise SpeechError('phrases: engine pocketsphinx alone takes them')
    return file_command(wanted.command, 'read')


ENGINES: dict[str, Callable[[Wanted], list[str]]] = {
    'pocketsphinx': _pocketsphinx,
    'command': _command,
}


def recogniser_command(engine: str, wanted: Wanted) -> list[str]:
    """Return the program of a recogniser; `{wav}` in it stands for the file to read.

    Args:
        engine: One of ENGINES; 'auto' takes the command if one is given, else pocketsphinx.
        wanted: What it is to be told.

    Raises:
        SpeechError: It is not installed, or not fully specified; one line.
    """
    if engine == 'auto':
        engine = 'command' if wanted.command else 'pocketsphinx'
    if engine not in ENGINES:
        raise SpeechError(f'engine {engine!r} is not one of auto, {", ".join(ENGINES)}')
    return ENGINES[engine](wanted)


class Recogniser:
    """Turns utterances into text, one after the other; another thread may stop it."""

    def __init__(self, command: list[str], time_limit_s: float = TIME_LIMIT_S) -> None:
        """Take a program, see recogniser_command, and how long one utterance may take it (s)."""
        self._program = Program(command, time_limit_s)

    def recognise(self, utterance: Utterance) -> str:
        """Return what was said; '' if nothing can be made of it, or it was stopped.

        Raises:
            SpeechError: The program failed, took too long, or wrote too much; one line.
        """
        with tempfile.TemporaryDirectory(prefix='vlo_hearing_') as folder:
            wav = Path(folder) / 'utterance.wav'
            with wave.open(str(wav), 'wb') as file:
                file.setnchannels(1)
                file.setsampwidth(SAMPLE_BYTES)
                file.setframerate(SAMPLE_RATE)
                file.writeframes(utterance.sound)
            text = ' '.join((self._program.read(wav) or '').split())
        if len(text) > MOST_CHARS:
            raise SpeechError(f'the recogniser wrote {len(text)} characters, {MOST_CHARS} at most')
        return text if re.search(r'\w', _ASIDE.sub('', text)) else ''

    def stop(self) -> None:
        """End what is being recognised."""
        self._program.stop()
