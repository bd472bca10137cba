# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A stretch of an episode becomes the conversation that a true colleague would have."""

from itertools import pairwise

import numpy as np
import pytest

from training.rendered_world.conversation import (
    MAX_DRILLED,
    Stretch,
    converse,
    drill,
    narrations_by_frame,
)
from vlo_ros.rendered_world import Episode


def walk(conversation):
    """(message, index of the last frame before it) of every text message."""
    seen = 0
    for message in conversation:
        if message['role'] == 'stream':
            seen += message['num_frames']
        else:
            yield message, seen - 1


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('every', [0.0, 4.0])
def test_every_frame_is_there_once_and_every_sentence_is_true(seed, every):
    episode, stretch = Episode(seed, 'new'), Stretch(7.3, 90)
    conversation = converse(episode, stretch, np.random.default_rng(seed), every)
    frames = [m['num_frames'] for m in conversation if m['role'] == 'stream']
    assert sum(frames) == 90 and min(frames) > 0
    said = {}
    question = None
    for message, index in walk(conversation[2:]):
        time = stretch.time(index + 1)  # the first frame stands before the instruction
        if message['role'] == 'user':
            question = message['content']
        elif question:
            answers = {q.text: q.answer for q in episode.questions(time)}
            assert answers[question] == message['content']
            question = None
        else:
            said[index + 1] = message['content']
    assert said == narrations_by_frame(episode, stretch)


@pytest.mark.parametrize('seed', range(4))
def test_a_narration_comes_with_the_first_frame_that_shows_it(seed):
    episode, stretch = Episode(seed, 'train'), Stretch(3.0, 120)
    said = narrations_by_frame(episode, stretch)
    for narration in episode.narrations(3.01, 3.0 + 119 / 2):
        frame = next(i for i in range(120) if stretch.time(i) >= narration.time - 1e-6)
        assert said[frame] == narration.text


def test_silence_is_not_taught_where_the_user_speaks():
    conversation = converse(Episode(3), Stretch(0.0, 120), np.random.default_rng(0), 4.0)
    asked = 0
    for before, message in pairwise(conversation[2:]):
        if message['role'] == 'user':
            asked += 1
            frames = before['num_frames']
            assert before['learn'] == (frames - 1 if frames > 1 else False)
            assert before['learn'] is not True
    assert asked > 3


def test_no_last_action_is_asked_for_before_there_was_one():
    for seed in range(20):
        conversation = converse(Episode(seed), Stretch(20.0, 40), np.random.default_rng(seed), 1.0)
        narrated = False
        asked = False
        for message in conversation[2:]:
            if message['role'] == 'user':
                asked = True
                assert narrated or 'last' not in message['content']
            elif message['role'] == 'assistant':
                narrated, asked = narrated or not asked, False


@pytest.mark.parametrize('seed', range(4))
def test_a_drill_asks_much_about_one_frame_and_answers_truly(seed):
    episode, stretch = Episode(seed, 'train'), Stretch(5.0, 60)
    said = narrations_by_frame(episode, stretch)
    asked = {}
    for message, index in walk(drill(episode, stretch, np.random.default_rng(seed))[2:]):
        if message['role'] == 'user':
            asked.setdefault(index + 1, []).append(message['content'])
            answers = {q.text: q.answer for q in episode.questions(stretch.time(index + 1))}
        elif index + 1 in asked:
            assert answers[asked[index + 1][-1]] == message['content']
    assert not set(asked) & set(said)
    sizes = [len(questions) for questions in asked.values()]
    assert max(sizes) <= MAX_DRILLED and np.mean(sizes) > 3
    assert all(len(set(questions)) == len(questions) for questions in asked.values())
