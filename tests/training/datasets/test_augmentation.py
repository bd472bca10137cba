# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import random
from collections import defaultdict

import pytest

from training.datasets.augmentation import augment, outcomes
from training.datasets.sample import assistant, stream, user


def key(conversation):
    return repr([sorted(message.items()) for message in conversation])


def test_outcomes_as_recorded(rules):
    for case in rules['augmentation']:
        recorded = {key(o['conversation']): o['share'] for o in case['outcomes']}
        shares = defaultdict(float)
        for conversation, share in outcomes(case['conversation'], official=True):
            shares[key(conversation)] += share
        assert shares.keys() == recorded.keys()
        for outcome, share in shares.items():  # recorded from 1500 draws
            assert share == pytest.approx(recorded[outcome], abs=0.05)


def test_a_draw_is_one_of_the_outcomes_and_leaves_the_conversation_alone(rules):
    for case in rules['augmentation']:
        before = key(case['conversation'])
        possible = {key(conversation) for conversation, _ in outcomes(case['conversation'])}
        drawn = {key(augment(case['conversation'], random.Random(seed))) for seed in range(400)}
        assert drawn == possible
        assert key(case['conversation']) == before


def test_a_partly_learned_stream_stays_partly_learned(short):
    """The stream before a user turn does not teach its last frame, augmented or not."""
    conversation = [
        stream(4),
        assistant('a'),
        stream(5, learn=4),
        user('u'),
        assistant('b'),
    ]

    def texts(official):
        return {short(c) for c, _ in outcomes(conversation, official=official)}

    sorry = 'A(b)! S1 A((Sorry, the last response is wrong) a)'
    assert f'S4 {sorry} S4:3 U(u) A(b)' in texts(official=False)
    assert 'S5:3 A(a) S4:3 U(u) A(b)' in texts(official=False)
    assert f'S4 {sorry} S4 U(u) A(b)' in texts(official=True)
    assert 'S5:3 A(a) S4 U(u) A(b)' in texts(official=True)


def test_nothing_happens_to_a_single_response():
    conversation = [user('u'), stream(3), assistant('a')]
    assert augment(conversation, random.Random(0)) == conversation


def test_a_response_at_the_very_start_has_no_stream_before_it(short):
    conversation = [assistant('a'), stream(3), assistant('b'), stream(2)]
    assert 'S3:0 A(b) S2' in {short(c) for c, _ in outcomes(conversation)}
