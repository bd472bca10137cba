# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What eSpeak NG says, as the sound that a recorder gives: 16 kHz, mono, S16LE."""

import tempfile
import wave
from pathlib import Path

from vlo_ros.hearing.phrases import read_phrases
from vlo_ros.hearing.sound import SAMPLE_BYTES, SAMPLE_RATE, SoundFile
from vlo_ros.speech.program import Program
from vlo_ros.speech.voices import voice_command

PHRASES = Path(__file__).parents[2] / 'config' / 'questions.txt'
PAUSE_S = 1.2


def questions():
    """The questions that the package comes with."""
    return list(read_phrases(PHRASES).values())


def silence(seconds=PAUSE_S):
    return bytes(round(seconds * SAMPLE_RATE) * SAMPLE_BYTES)


def spoken(text, voice='en'):
    """One sentence, without the silence around it."""
    program = Program(voice_command('espeakng-loader', voice, 170, ''))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'said.wav'
        program.run(path, text)
        return b''.join(SoundFile(path).frames(SAMPLE_BYTES * SAMPLE_RATE // 100))


def with_pauses(*sounds):
    """Sounds one after the other, a pause before, between and behind them."""
    return silence() + b''.join(sound + silence() for sound in sounds)


def write_wav(path, sound):
    with wave.open(str(path), 'wb') as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(sound)
    return path
