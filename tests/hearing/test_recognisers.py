# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Any program may recognise; what it prints is taken, what it does wrong is said.

The real one: tests/ros/test_hearing_spoken.py, where it is installed.
"""

import shlex
import sys
import threading
import time

import pytest

from vlo_ros.hearing.recognisers import MOST_CHARS, Recogniser, Wanted, recogniser_command
from vlo_ros.hearing.sound import SAMPLE_RATE
from vlo_ros.hearing.utterances import Utterance
from vlo_ros.speech.program import COMPLAINT_BYTES, MOST_BYTES, SpeechError

WAIT_S = 30
SECOND = Utterance(bytes(2 * SAMPLE_RATE), 0)
TELL = (
    'import sys, wave; f = wave.open(sys.argv[1]); '
    'print(f.getnchannels(), f.getsampwidth(), f.getframerate(), f.getnframes())'
)


def recogniser(code, time_limit_s=WAIT_S):
    command = shlex.join([sys.executable, '-c', code, '{wav}'])
    return Recogniser(recogniser_command('auto', Wanted(command=command)), time_limit_s)


def test_any_program_can_be_the_recogniser_and_gets_a_wav():
    assert recogniser(TELL).recognise(SECOND) == '1 2 16000 16000'


@pytest.mark.parametrize(
    ('output', 'text'),
    [
        ('  What is\n\nthis? ', 'What is this?'),
        ('[BLANK_AUDIO]', ''),
        ('(music) [noise].', ''),
        ('what (about) this', 'what (about) this'),
        ('', ''),
    ],
)
def test_what_a_recogniser_prints_is_one_line_of_text_or_nothing(output, text):
    assert recogniser(f'print({output!r})').recognise(SECOND) == text


@pytest.mark.parametrize(
    ('code', 'words'),
    [
        ('exit("no model here")', 'no model here'),
        (f'print("x" * {MOST_CHARS + 1})', f'{MOST_CHARS + 1} characters'),
    ],
)
def test_a_recogniser_that_fails_says_why(code, words):
    with pytest.raises(SpeechError, match=words):
        recogniser(code).recognise(SECOND)


def test_a_recogniser_that_takes_too_long_is_ended_with_all_that_it_started():
    slow = Recogniser(['sh', '-c', 'sleep 600 & sleep 600'], 0.2)
    with pytest.raises(SpeechError, match=r'did not end in 0\.2 s'):
        slow.recognise(SECOND)


def test_a_recogniser_that_writes_on_and_on_is_ended_with_all_that_it_started():
    began = time.monotonic()
    with pytest.raises(SpeechError, match=f'wrote more than {MOST_BYTES} bytes'):
        Recogniser(['sh', '-c', 'yes & yes'], 10 * WAIT_S).recognise(SECOND)
    assert time.monotonic() - began < WAIT_S


def test_a_recogniser_that_complains_on_and_on_is_ended_in_time():
    with pytest.raises(SpeechError, match=r'did not end in 0\.5 s'):
        Recogniser(['sh', '-c', 'yes >&2'], 0.5).recognise(SECOND)


def test_of_what_a_recogniser_complains_the_newest_is_kept():
    code = 'import sys; sys.stderr.write("trouble " * 100_000); exit("no model here")'
    with pytest.raises(SpeechError, match='no model here') as caught:
        recogniser(code).recognise(SECOND)
    assert len(str(caught.value)) < COMPLAINT_BYTES + 200


def test_a_recogniser_can_be_stopped(tmp_path):
    began = tmp_path / 'began'
    slow = recogniser(f'open({str(began)!r}, "w"); import time; time.sleep(600)')
    results = []
    thread = threading.Thread(target=lambda: results.append(slow.recognise(SECOND)))
    thread.start()
    while not began.exists():
        thread.join(0.01)
    slow.stop()
    thread.join(WAIT_S)
    assert results == ['']


@pytest.mark.parametrize(
    ('engine', 'wanted', 'words'),
    [
        ('command', Wanted(), 'no command is given'),
        ('command', Wanted(command='cat'), r'as \{wav\}'),
        ('command', Wanted(command='no-such-asr {wav}'), 'no program'),
        ('command', Wanted(command="cat '{wav}"), 'No closing quotation'),
        ('command', Wanted(command='cat {wav}', phrases='x.txt'), 'pocketsphinx alone'),
        ('telepathy', Wanted(), 'not one of auto, pocketsphinx, command'),
    ],
)
def test_a_recogniser_that_is_not_there_says_so_in_one_line(engine, wanted, words):
    with pytest.raises(SpeechError, match=words) as caught:
        recogniser_command(engine, wanted)
    assert '\n' not in str(caught.value)
