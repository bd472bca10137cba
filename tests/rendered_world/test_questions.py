# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every answer is true of the state, and of what can be seen."""

from itertools import pairwise

import pytest

from vlo_ros.rendered_world import Episode
from vlo_ros.rendered_world import vocabulary as words


@pytest.mark.parametrize('seed', range(6))
def test_answers_agree_with_the_state(seed):
    episode = Episode(seed, 'new')
    kinds = set()
    for tick in range(10, 1200, 7):
        time = tick / 10
        state = episode.state_at(time)
        questions = episode.questions(time)
        if state.action == 'walk':
            assert not questions
        for question in questions:
            kinds.add(question.kind)
            if question.kind == 'holding':
                side = 0 if 'left' in question.text else 1
                held = state.held[side]
                assert (held in question.answer) if held else ('is empty' in question.answer)
            elif question.kind == 'place':
                assert question.answer == f'You are at the {state.station}.'
            elif question.kind == 'colour':
                kind = question.text.split()[-1].rstrip('?')
                assert question.answer == f'The {kind} is {state.visible_colours[kind][0]}.'
                assert len(state.visible_colours[kind]) == 1
    assert kinds == {'holding', 'last', 'colour', 'place'}


def test_last_is_the_last_narration_in_the_past():
    episode = Episode(3, 'new')
    num_asked = 0
    for narration, following in pairwise(episode.narrations(0, 60)):
        middle = (narration.time + following.time) / 2
        answers = [q.answer for q in episode.questions(middle) if q.kind == 'last']
        if episode.state_at(middle).action == 'walk':
            continue
        present = narration.text.split(' the ')[0].removeprefix('You ')
        past = words.sentence(present, narration.text.split(present + ' ', 1)[1][:-1], 'past')
        assert answers == [past]
        num_asked += 1
    assert num_asked > 5


def test_questions_use_a_small_fixed_set_of_texts():
    texts = {
        q.text for seed in range(5) for t in range(5, 200, 3) for q in Episode(seed).questions(t)
    }
    assert len(texts) <= 2 + 1 + len(words.OBJECT_TYPES) + 1
