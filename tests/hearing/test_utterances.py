# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sound is cut at pauses; what is kept is bounded."""

import sys

import pytest

from tests.hearing.marked import FRAME_BYTES, FRAME_S, Marked, frames_of
from vlo_ros.hearing.utterances import AFTER_S, BEFORE_S, UtteranceCutter
from vlo_ros.speech.program import SpeechError

MS = 1_000_000


def numbers_in(utterance):
    sound = utterance.sound
    return [
        int.from_bytes(sound[start + 1 : start + 5]) for start in range(0, len(sound), FRAME_BYTES)
    ]


def cut(frames, **options):
    """Cut frames, whose stamps are their numbers times 30 ms; also return the cutter."""
    cutter = UtteranceCutter(make=Marked, **options)
    taken = [cutter.take(frame, number * 30 * MS) for number, frame in enumerate(frames)]
    return [utterance for utterance in taken if utterance is not None], cutter


def in_frames(seconds):
    return round(seconds / FRAME_S)


def test_an_utterance_is_the_speech_and_a_little_around_it():
    (utterance,), _ = cut(frames_of(100, 50, 40))
    numbers = numbers_in(utterance)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] == 100 + Marked.LAG - 1 - in_frames(BEFORE_S)
    assert numbers[-1] == 149 + in_frames(AFTER_S)
    assert utterance.end_ns == 149 * 30 * MS
    assert not utterance.is_cut


def test_a_short_pause_belongs_to_the_utterance_and_a_long_one_ends_it():
    together, _ = cut(frames_of(30, 30, 15, 30, 40), pause_s=0.6)
    assert len(together) == 1
    assert set(range(30, 105)) <= set(numbers_in(together[0]))
    apart, _ = cut(frames_of(30, 30, 25, 30, 40), pause_s=0.6)
    assert [utterance.end_ns for utterance in apart] == [59 * 30 * MS, 114 * 30 * MS]


def test_no_sound_is_in_two_utterances():
    found, _ = cut(frames_of(30, 30, 12, 30, 40), pause_s=0.3)
    first, second = (set(numbers_in(utterance)) for utterance in found)
    assert set(range(72, 102)) <= second
    assert not first & second


def test_speech_without_a_pause_is_cut_once_and_its_rest_left_out():
    found, _ = cut(frames_of(30, 1000, 40, 50, 40), longest_s=3.0)
    assert [utterance.is_cut for utterance in found] == [True, False]
    assert found[0].seconds == pytest.approx(3.0)
    assert set(range(1070, 1120)) <= set(numbers_in(found[1]))


def test_what_is_kept_of_endless_silence_and_endless_speech_is_bounded():
    for lengths in ((5000,), (0, 5000)):
        _, cutter = cut(frames_of(*lengths), longest_s=3.0)
        assert len(cutter._frames) == len(cutter._stamps) <= in_frames(3.0)


def test_the_end_of_the_sound_is_a_pause():
    none, cutter = cut(frames_of(30, 40))
    utterance = cutter.finish()
    assert none == []
    assert set(range(30, 70)) <= set(numbers_in(utterance))
    assert utterance.end_ns == 69 * 30 * MS
    assert cutter.finish() is None


def test_what_is_forgotten_does_not_come():
    none, cutter = cut(frames_of(30, 40))
    assert none == [] and cutter.is_open
    cutter.forget()
    assert not cutter.is_open
    assert cutter.finish() is None
    assert all(cutter.take(frame, 0) is None for frame in frames_of(100))


def test_without_its_package_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'pocketsphinx', None)
    with pytest.raises(SpeechError, match='pip install pocketsphinx'):
        UtteranceCutter()
