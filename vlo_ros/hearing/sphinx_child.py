# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""pocketsphinx as a program: a WAV file in, its words out, or nothing.

    python -m vlo_ros.hearing.sphinx_child question.wav                 # anything, poorly
    python -m vlo_ros.hearing.sphinx_child question.wav phrases.txt     # one of these lines

A process of its own, since the library holds the lock of the interpreter while it works: whoever
reads sound meanwhile would lose some.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

from pocketsphinx import Decoder

from vlo_ros.hearing.phrases import grammar_of, read_phrases
from vlo_ros.hearing.sound import SAMPLE_BYTES, SAMPLE_RATE
from vlo_ros.hearing.utterances import AFTER_S, BEFORE_S, WINDOW_S

# Wide enough to come to the end of a phrase that is spoken unlike the model's; with the best path
# through the lattice that end would be left out again.
SEARCH = {'beam': 1e-60, 'wbeam': 1e-50, 'pbeam': 1e-60, 'bestpath': False}
FRAMES_PER_S = 100
QUIET_S = BEFORE_S - WINDOW_S + AFTER_S  # of every utterance
LEAST_SPOKEN = 0.5


def recognise(sound: bytes, phrases: dict[str, str] | None) -> str:
    """Return what is said in the sound (16 kHz, mono, 16 bit), '' if it cannot be told.

    Args:
        sound: One utterance.
        phrases: What may be said, see read_phrases; None: anything.
    """
    if phrases is None:
        return _decode(Decoder(loglevel='FATAL'), sound)
    decoder = Decoder(lm=None, loglevel='FATAL', **SEARCH)
    decoder.add_jsgf_string('questions', grammar_of(phrases))
    decoder.activate_search('questions')
    phrase = phrases.get(_decode(decoder, sound), '')
    if not phrase:
        return ''
    # A phrase also fits where most of another sentence is taken for silence between its words.
    num_spoken = sum(
        part.end_frame - part.start_frame + 1
        for part in decoder.seg()
        if not part.word.startswith(('<', '[', '+', '('))
    )
    seconds = len(sound) / (SAMPLE_RATE * SAMPLE_BYTES) - QUIET_S
    return phrase if num_spoken >= LEAST_SPOKEN * seconds * FRAMES_PER_S else ''


def _decode(decoder: Decoder, sound: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return '' if found is None else str(found.hypstr)


def main() -> None:
    """Recognise the utterance in one file."""
    with wave.open(sys.argv[1]) as file:
        sound = file.readframes(file.getnframes())
    phrases = read_phrases(Path(sys.argv[2])) if len(sys.argv) > 2 else None
    sys.stdout.write(recognise(sound, phrases) + '\n')


if __name__ == '__main__':
    main()
