# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Reading never waits for recognition; what is lost is counted and said."""

import threading

import pytest

from tests.hearing.marked import Marked, frames_of
from vlo_ros.hearing.ear import CAPACITY, Ear
from vlo_ros.hearing.utterances import UtteranceCutter
from vlo_ros.speech.program import SpeechError

WAIT_S = 30


class Frames:
    """Sound that is written down."""

    def __init__(self, frames, is_live=True, error=None):
        self.all, self.is_live, self.error = frames, is_live, error
        self.is_read = threading.Event()

    def frames(self, num_bytes):
        yield from self.all
        self.is_read.set()
        if self.error:
            raise self.error

    def stop(self):
        pass


class Counter:
    """Recognises the number of the utterance; waits for leave, says it fails where it is told."""

    def __init__(self, failing=(), silent=(), is_free=True):
        self.failing, self.silent = failing, silent
        self.num = 0
        self.leave = threading.Event()
        self.is_busy = threading.Event()
        if is_free:
            self.leave.set()

    def recognise(self, utterance):
        self.num += 1
        number = self.num
        self.is_busy.set()
        self.leave.wait(WAIT_S)
        if number in self.failing:
            raise SpeechError('it is broken')
        return '' if number in self.silent else str(number)

    def stop(self):
        self.leave.set()


class Heard:
    """An ear that runs, and what it tells."""

    def __init__(self, sound, recogniser, is_deaf=lambda: False):
        self.texts, self.notes, self.reason = [], [], None
        self.is_over = threading.Event()
        self.ear = Ear(
            sound,
            UtteranceCutter(make=Marked),
            recogniser,
            now_ns=lambda: 7,
            is_deaf=is_deaf,
            on_text=lambda text, end_ns: self.texts.append((text, end_ns)),
            on_end=self.end,
            note=lambda kind, line: self.notes.append(kind),
        )
        self.ear.start()

    def end(self, reason):
        self.reason = reason
        self.is_over.set()

    def wait(self):
        assert self.is_over.wait(WAIT_S)
        self.ear.stop()
        return self


def utterances(num):
    return frames_of(*[40] * (2 * num + 1))


def test_what_is_said_comes_in_order_with_the_time_of_its_end():
    heard = Heard(Frames(utterances(3)), Counter()).wait()
    assert heard.texts == [('1', 7), ('2', 7), ('3', 7)]
    assert (heard.reason, str(heard.ear.counts)) == ('', '3 understood')


def test_reading_goes_on_while_recognition_is_busy_and_the_oldest_is_dropped():
    sound, recogniser = Frames([]), Counter(is_free=False)
    is_busy = recogniser.is_busy

    def frames(num_bytes):
        yield from utterances(1)
        assert is_busy.wait(WAIT_S)
        yield from utterances(CAPACITY + 3)
        sound.is_read.set()

    sound.frames = frames
    heard = Heard(sound, recogniser)
    assert sound.is_read.wait(WAIT_S)  # though the first is not recognised yet
    recogniser.leave.set()
    heard.wait()
    assert len(heard.texts) == 1 + CAPACITY
    assert heard.ear.counts.dropped == 3 == heard.notes.count('dropped')


def test_of_a_file_nothing_is_dropped():
    recogniser = Counter(is_free=False)
    heard = Heard(Frames(utterances(CAPACITY + 6), is_live=False), recogniser)
    assert recogniser.is_busy.wait(WAIT_S)
    recogniser.leave.set()
    heard.wait()
    assert (len(heard.texts), heard.ear.counts.dropped) == (CAPACITY + 6, 0)


def test_what_is_not_understood_and_what_fails_is_counted_and_said():
    heard = Heard(Frames(utterances(4)), Counter(failing={2}, silent={3})).wait()
    assert [text for text, _ in heard.texts] == ['1', '4']
    assert (heard.notes, heard.reason) == (['failed', 'nothing'], '')
    assert str(heard.ear.counts) == '2 understood, 1 not understood, 1 failed'


def test_it_hears_nothing_while_it_is_to_be_deaf_and_begins_afresh_after():
    frames = utterances(3)
    deaf = {'from': 40 + 20, 'to': 4 * 40 + 20}  # from within the first to behind the second
    num = iter(range(len(frames)))
    heard = Heard(
        Frames(frames), Counter(), is_deaf=lambda: deaf['from'] <= next(num) < deaf['to']
    ).wait()
    assert heard.ear.counts.interrupted == 1 == heard.notes.count('interrupted')
    assert len(heard.texts) == 1


def test_a_file_is_heard_even_by_the_deaf():
    heard = Heard(Frames(utterances(1), is_live=False), Counter(), is_deaf=lambda: True).wait()
    assert len(heard.texts) == 1


def test_why_the_sound_ended_is_told_after_all_of_it_is_recognised():
    heard = Heard(Frames(utterances(2), error=SpeechError('no microphone')), Counter()).wait()
    assert (len(heard.texts), heard.reason) == (2, 'no microphone')


def test_it_stops_in_the_middle_of_recognition():
    recogniser = Counter(is_free=False)
    heard = Heard(Frames(utterances(2)), recogniser)
    assert recogniser.is_busy.wait(WAIT_S)
    heard.ear.stop()
    assert (heard.texts, heard.reason) == ([], None)


@pytest.mark.parametrize('is_live', [True, False])
def test_what_was_not_recognised_when_it_stops_is_counted_once(is_live):
    sound, recogniser = Frames(utterances(3), is_live), Counter(is_free=False)
    heard = Heard(sound, recogniser)
    assert recogniser.is_busy.wait(WAIT_S)
    assert sound.is_read.wait(WAIT_S)
    heard.ear.stop()
    assert str(heard.ear.counts) == '3 interrupted'
    heard.ear.stop()
    assert str(heard.ear.counts) == '3 interrupted'


def test_what_was_begun_when_it_stops_is_counted_once():
    sound, goes_on = Frames([]), threading.Event()

    def frames(num_bytes):
        yield from frames_of(40, 40)
        sound.is_read.set()
        assert goes_on.wait(WAIT_S)
        yield bytes(num_bytes)

    sound.frames, sound.stop = frames, goes_on.set
    heard = Heard(sound, Counter())
    assert sound.is_read.wait(WAIT_S)
    heard.ear.stop()
    assert (heard.texts, str(heard.ear.counts)) == ([], '1 interrupted')


def test_what_was_begun_when_the_sound_breaks_off_is_counted_and_said():
    sound = Frames(frames_of(40, 40, 40, 40), error=SpeechError('no microphone'))
    heard = Heard(sound, Counter()).wait()
    assert str(heard.ear.counts) == '1 understood, 1 interrupted'
    assert (heard.notes, heard.reason) == (['interrupted'], 'no microphone')
