# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The real endpointer and recogniser hear what eSpeak NG says, and nothing where nobody speaks.

No ROS in it; here because the environment of the core tests has no package of the extra `person`.
"""

import threading

import numpy as np
import pytest

pytest.importorskip('pocketsphinx', reason='pocketsphinx is not installed')
pytest.importorskip('espeakng_loader', reason='espeakng-loader is not installed')

from tests.ros.spoken import PHRASES, questions, silence, spoken, with_pauses, write_wav
from vlo_ros.hearing.ear import Ear
from vlo_ros.hearing.recognisers import Recogniser, Wanted, recogniser_command
from vlo_ros.hearing.sound import SAMPLE_BYTES, SAMPLE_RATE, SoundFile
from vlo_ros.hearing.utterances import PAUSE_S, UtteranceCutter
from vlo_ros.speech.program import SpeechError

# Questions of 8 that must be heard; the model is American.
VOICES = {'en': 4, 'en-us': 6, 'en-gb-x-rp': 3}
MOST_WRONG = 3
OTHER = (
    'The weather will be fine on Tuesday.',
    'I would like a cup of coffee, please.',
    'Can you call my mother?',
    'He went to the station an hour ago.',
    'That is not what I meant at all.',
    'Two and two are four.',
    'What is your name?',
    'Where is the train?',
    'What did you say?',
    'Did he forget his keys?',
    'What should we eat tonight?',
    'Which bus goes to town?',
)
WAIT_S = 120


def heard_in(sound, folder, phrases=PHRASES):
    """Texts and counts of all that is said in a sound."""
    texts, is_over = [], threading.Event()
    wanted = Wanted(str(phrases) if phrases else '')
    ear = Ear(
        SoundFile(write_wav(folder / 'sound.wav', sound)),
        UtteranceCutter(),
        Recogniser(recogniser_command('pocketsphinx', wanted)),
        now_ns=lambda: 0,
        is_deaf=lambda: False,
        on_text=lambda text, end_ns: texts.append(text),
        on_end=lambda reason: is_over.set(),
        note=lambda kind, line: None,
    )
    ear.start()
    assert is_over.wait(WAIT_S)
    ear.stop()
    return texts, ear.counts


def noise(rng, num_samples, level):
    """White noise whose samples spread by `level`; the voice's spread by some 3800."""
    return rng.normal(0, level, num_samples)


def as_sound(samples):
    return samples.round().clip(-32768, 32767).astype('<i2').tobytes()


@pytest.mark.parametrize('voice', VOICES)
def test_most_questions_are_heard_and_none_is_taken_for_another(voice, tmp_path, measured):
    asked = questions()
    sounds = [spoken(question, voice) for question in asked]
    texts, counts = heard_in(with_pauses(*sounds), tmp_path)
    assert counts.understood + counts.not_understood == len(asked)  # none is in two pieces
    measured(f'questions heard of {len(asked)}, voice {voice}', len(texts))
    left = iter(asked)
    assert all(text in left for text in texts), texts  # in order, so none for another
    assert len(texts) >= VOICES[voice]


@pytest.mark.parametrize('voice', VOICES)
def test_of_other_sentences_few_are_taken_for_a_question(voice, tmp_path, measured):
    texts, counts = heard_in(with_pauses(*(spoken(text, voice) for text in OTHER)), tmp_path)
    assert counts.understood + counts.not_understood == len(OTHER)
    measured(f'other sentences of {len(OTHER)} taken for a question, voice {voice}', len(texts))
    assert len(texts) <= MOST_WRONG


def test_without_phrases_it_hears_words_but_few_of_them_right(tmp_path, measured):
    asked = questions()[:3]
    texts, counts = heard_in(with_pauses(*(spoken(text) for text in asked)), tmp_path, None)
    measured('dictation', texts)
    assert counts.understood == len(asked)


def test_a_fan_in_the_room_does_not_make_one_utterance_of_all(tmp_path, measured):
    seed = 7
    print(f'seed {seed}')
    asked = questions()[2:6]
    sound = with_pauses(*(spoken(question, 'en-us') for question in asked))
    samples = np.frombuffer(sound, '<i2')
    samples = samples + noise(np.random.default_rng(seed), len(samples), 600)
    texts, counts = heard_in(as_sound(samples), tmp_path)
    measured(f'questions heard of {len(asked)} in noise', len(texts))
    assert counts.understood + counts.not_understood == len(asked)


@pytest.mark.parametrize('kind', ['silence', 'quiet noise', 'loud noise', 'hum'])
def test_where_nobody_speaks_nothing_is_heard(kind, tmp_path):
    seed = 5
    print(f'seed {seed}')
    rng = np.random.default_rng(seed)
    time_s = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    sound = {
        'silence': lambda: silence(10),
        'quiet noise': lambda: as_sound(noise(rng, len(time_s), 30)),
        'loud noise': lambda: as_sound(noise(rng, len(time_s), 6000)),
        'hum': lambda: as_sound(8000 * np.sin(2 * np.pi * 50 * time_s)),
    }[kind]()
    texts, _ = heard_in(sound, tmp_path)
    assert texts == []


def test_an_utterance_ends_where_the_voice_does():
    sound = spoken('What did I do last?')
    voiced = np.flatnonzero(np.abs(np.frombuffer(sound, '<i2')) > 300)
    cutter = UtteranceCutter()
    stream = silence(1.0) + sound + silence(1.5)
    size = cutter.frame_bytes
    found = [
        utterance
        for start in range(0, len(stream) - size, size)
        if (utterance := cutter.take(stream[start : start + size], start // SAMPLE_BYTES))
    ]
    (utterance,) = found
    end_s = utterance.end_ns / SAMPLE_RATE  # here the stamps are numbers of samples
    assert end_s == pytest.approx(1.0 + voiced[-1] / SAMPLE_RATE, abs=0.2)
    assert utterance.seconds < len(sound) / (SAMPLE_RATE * SAMPLE_BYTES) + 2 * PAUSE_S


def test_a_word_that_the_recogniser_does_not_know_is_named(tmp_path):
    path = tmp_path / 'phrases.txt'
    path.write_text('Where is the zorgle?')
    with pytest.raises(SpeechError, match=r"line 1: .* no word 'zorgle'"):
        recogniser_command('pocketsphinx', Wanted(str(path)))


def test_a_command_beside_pocketsphinx_is_refused():
    with pytest.raises(SpeechError, match='engine command alone'):
        recogniser_command('pocketsphinx', Wanted(command='cat {wav}'))
