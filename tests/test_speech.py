# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sentences come out whole and once; the newest is said when there is no time for all."""

import shutil
import subprocess
import sys
import threading
import wave

import pytest

from vlo_ros.speech.program import Program, SpeechError
from vlo_ros.speech.sentences import SentenceSplitter
from vlo_ros.speech.speech_queue import MAX_ANSWERS, SpeechQueue
from vlo_ros.speech.voices import voice_command

TEXT = 'You lift the cup. Dr. Smith has 2.5 litres, e.g. water! "Is it hot?" Yes it is'
SENTENCES = [
    'You lift the cup.',
    'Dr. Smith has 2.5 litres, e.g. water!',
    '"Is it hot?"',
    'Yes it is',
]


@pytest.mark.parametrize('step', [1, 3, 7, len(TEXT)])
def test_sentences_come_out_whole_and_once_however_the_text_grows(step):
    splitter = SentenceSplitter()
    found = []
    for end in range(0, len(TEXT), step):
        found += splitter.grow(TEXT[:end])
    assert found + splitter.finish(TEXT) == SENTENCES
    assert splitter.finish(TEXT) == []


def test_a_sentence_is_given_out_before_the_text_is_finished():
    splitter = SentenceSplitter()
    assert splitter.grow('You lift the cup.') == []
    assert splitter.grow('You lift the cup. N') == ['You lift the cup.']


def say(queue, sequence, text, is_answer=False):
    queue.finish(sequence, text, is_answer=is_answer)


def take_all(queue):
    return list(iter(queue.take, None))


def test_a_response_is_said_as_it_streams():
    queue = SpeechQueue()
    queue.grow(0, 'One. Two', is_answer=False)
    assert queue.take() == 'One.'
    assert queue.take() is None
    queue.grow(0, 'One. Two. Thr', is_answer=False)
    assert queue.take() == 'Two.'
    say(queue, 0, 'One. Two. Three.')
    queue.grow(0, 'One. Two. Three.', is_answer=False)  # a partial behind its end
    assert take_all(queue) == ['Three.']


def test_the_newest_remark_is_said_when_several_wait():
    queue = SpeechQueue()
    for number in range(5):
        say(queue, number, f'Remark {number}.')
    assert take_all(queue) == ['Remark 4.']
    assert queue.num_dropped == 4


def test_what_was_begun_is_said_to_its_end():
    queue = SpeechQueue()
    say(queue, 0, 'One. Two.')
    assert queue.take() == 'One.'
    say(queue, 1, 'New.')
    assert take_all(queue) == ['Two.', 'New.']
    assert queue.num_dropped == 0


def test_answers_come_first_and_are_not_dropped():
    queue = SpeechQueue()
    say(queue, 0, 'Answer A.', is_answer=True)
    say(queue, 1, 'Remark.')
    say(queue, 2, 'Answer B.', is_answer=True)
    say(queue, 3, 'Newest remark.')
    assert take_all(queue) == ['Answer A.', 'Answer B.', 'Newest remark.']
    assert queue.num_dropped == 1


def test_an_answer_overtakes_a_remark_that_waits():
    queue = SpeechQueue()
    say(queue, 0, 'Remark.')
    say(queue, 1, 'Answer.', is_answer=True)
    assert take_all(queue) == ['Answer.']  # by then the remark is old
    assert queue.num_dropped == 1


def test_a_stopped_response_is_left_out():
    queue = SpeechQueue()
    queue.grow(0, 'One. Two. Thr', is_answer=False)
    assert queue.take() == 'One.'
    queue.cancel(0)
    assert take_all(queue) == []
    queue.grow(0, 'One. Two. Three. Fo', is_answer=False)
    assert take_all(queue) == []


def test_memory_is_bounded():
    queue = SpeechQueue()
    for number in range(10_000):
        queue.finish(number, 'An answer.', is_answer=number % 2 == 0)
    assert len(take_all(queue)) <= MAX_ANSWERS + 1
    assert queue.num_dropped >= 10_000 - MAX_ANSWERS - 1


def seconds_of(path):
    with wave.open(str(path)) as file:
        assert file.getsampwidth() == 2
        samples = file.readframes(file.getnframes())
        assert any(samples), 'silence'
        return file.getnframes() / file.getframerate()


def engines_here():
    found = ['espeak-ng'] if shutil.which('espeak-ng') else []
    try:
        import espeakng_loader
    except ImportError:
        return found
    return [*found, 'espeakng-loader'] if espeakng_loader else found


@pytest.mark.parametrize('engine', ['espeak-ng', 'espeakng-loader'])
def test_a_voice_writes_speech_as_long_as_the_text(engine, tmp_path):
    if engine not in engines_here():
        pytest.skip(f'{engine} is not installed')
    program = Program(voice_command(engine, '', 170, ''))
    assert program.run(tmp_path / 'short.wav', 'Yes.')
    assert program.run(
        tmp_path / 'long.wav', 'You lift the blue cup and put it on the left shelf.'
    )
    short, long = seconds_of(tmp_path / 'short.wav'), seconds_of(tmp_path / 'long.wav')
    assert 0.2 < short < 1.5 < long < 8


@pytest.mark.parametrize('text', ['--help', '-w x.wav', '<speak>', '\x00\x1b[1m', '; rm -rf'])
def test_no_text_is_taken_for_an_option(text, tmp_path):
    if not engines_here():
        pytest.skip('no voice is installed')
    program = Program(voice_command('auto', '', 170, ''))
    assert program.run(tmp_path / 'out.wav', text)
    assert [path.name for path in tmp_path.iterdir()] == ['out.wav']


def test_any_program_can_be_the_voice(tmp_path):
    command = f'{sys.executable} -c "import sys; open(sys.argv[1], \'w\').write(input())" {{wav}}'
    Program(voice_command('command', '', 170, command)).run(tmp_path / 'o.wav', 'Hello')
    assert (tmp_path / 'o.wav').read_text() == 'Hello'


@pytest.mark.parametrize(
    ('engine', 'command', 'words'),
    [
        ('command', 'cat', r'as \{wav\}'),
        ('command', 'no-such-tts {wav}', 'no program'),
        ('piper', '', 'piper'),
        ('robot', '', 'not one of auto'),
    ],
)
def test_a_voice_that_is_not_there_says_so_in_one_line(engine, command, words):
    with pytest.raises(SpeechError, match=words) as caught:
        voice_command(engine, '', 170, command)
    assert '\n' not in str(caught.value)


def test_a_voice_that_fails_says_why(tmp_path):
    with pytest.raises(SpeechError, match='no model here'):
        Program([sys.executable, '-c', 'exit("no model here")']).run(tmp_path / 'o.wav')


def test_a_voice_can_be_stopped_in_the_middle(tmp_path):
    began = tmp_path / 'began'
    code = f'import time; open({str(began)!r}, "w"); time.sleep(600)'
    program = Program([sys.executable, '-c', code])
    results = []
    thread = threading.Thread(target=lambda: results.append(program.run(tmp_path / 'o.wav')))
    thread.start()
    while not began.exists():
        thread.join(0.01)
    program.stop()
    thread.join(30)
    assert results == [False]


def test_a_program_that_is_not_wanted_any_more_does_not_begin(tmp_path):
    program = Program([sys.executable, '-c', 'import sys; open(sys.argv[1], "w")', '{wav}'])
    is_muted = threading.Event()

    def is_wanted():  # a mute that comes between the caller's last look and the beginning
        is_muted.set()
        return not is_muted.is_set()

    assert not program.run(tmp_path / 'o.wav', is_wanted=is_wanted)
    assert list(tmp_path.iterdir()) == []
    assert program.run(tmp_path / 'o.wav', is_wanted=lambda: True)


def test_a_long_text_for_a_program_that_does_not_read_keeps_nobody_waiting(tmp_path):
    assert Program([sys.executable, '-c', '']).run(tmp_path / 'o.wav', 'word ' * 100_000)


def test_the_library_of_the_voice_is_loaded_in_no_other_process():
    code = 'import sys, vlo_ros.speech.voices; exit("espeakng_loader" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
