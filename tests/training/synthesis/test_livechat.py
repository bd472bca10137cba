# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Skeletons, what is read back from answers, and which dialogues are kept."""

import random

import pytest

from training.synthesis.filters import filter_dialogues, leaks_time, leaks_time_officially
from training.synthesis.livechat import (
    Dialogue,
    Line,
    make_plans,
    moments,
    parse_dialogue,
    parse_official,
)
from training.synthesis.outline import Outline, Step
from training.synthesis.prompts import default_path, load_livechat_prompt, load_refine_prompt
from training.synthesis.request import Tally
from vlo_ros.errors import ConfigError

OUTLINE = Outline('v', 'video', 'Make tea', (Step(3.2, 10, 'Boil'), Step(10, 61.5, 'Pour')))
SKELETON = (
    Line(4.5, 'user', 'What now?'),
    Line(4.5, 'assistant', '...'),
    Line(10, 'assistant', '...'),
    Line(20.1, 'user', '...'),
    Line(20.1, 'assistant', '...'),
    Line(62, 'assistant', '...'),
)
GOOD = """Sure!
4.5s User: What now?
4.5s Assistant: You boil
water.
**10s** **Assistant:** "You pour."
20.1s User: Where is it?
20.1s Assistant: Here.
62s Assistant: ...
"""


@pytest.fixture(scope='module')
def prompt():
    return load_livechat_prompt(
        default_path('synthesis.yaml'), default_path('synthesis_queries.yaml')
    )


def test_shipped_prompts_load(prompt):
    assert load_refine_prompt(default_path('synthesis.yaml')).examples
    for kind in ('past', 'current', 'future'):
        texts = prompt.queries[kind]
        assert len(set(texts)) == len(texts) >= 20


def test_moments_are_rounded_up_and_told_once():
    assert moments(OUTLINE) == [4, 10, 62]


def test_skeletons_depend_on_outline_and_seed_alone(prompt):
    other = Outline('w', 'video', 'Tidy', OUTLINE.steps)
    first = make_plans([OUTLINE, other], prompt, 5, Tally())
    again = make_plans([other, OUTLINE], prompt, 5, Tally())
    assert {(p.outline.uid, p.number): p.skeleton for p in first} == {
        (p.outline.uid, p.number): p.skeleton for p in again
    }
    assert first != make_plans([OUTLINE, other], prompt, 6, Tally())
    assert len(first) == 2 * prompt.dialogues_per_outline


def test_a_skeleton_begins_with_a_question_and_answers_each(prompt):
    for plan in make_plans([OUTLINE], prompt, random.Random(0).randint(0, 99), Tally()):
        roles = [line.role for line in plan.skeleton]
        assert roles[0] == 'user' and roles.count('user') == prompt.questions_per_dialogue
        times = [line.time for line in plan.skeleton]
        assert times == sorted(times) and times[0] >= 4 and times[-1] <= 62
        for line, following in zip(plan.skeleton, plan.skeleton[1:], strict=False):
            if line.role == 'user':
                assert (following.role, following.time) == ('assistant', line.time)


def test_an_outline_of_one_moment_is_left_out(prompt):
    tally = Tally()
    assert not make_plans([Outline('v', '0', 'x', (Step(3.2, 4.0, 'y'),))], prompt, 0, tally)
    assert tally.counts == {'outlines_too_short': 1}


def test_an_answer_is_read_back_line_by_line():
    assert parse_dialogue(GOOD, SKELETON) == (
        Line(4.5, 'user', 'What now?'),
        Line(4.5, 'assistant', 'You boil water.'),
        Line(10, 'assistant', 'You pour.'),
        Line(20.1, 'user', 'Where is it?'),
        Line(20.1, 'assistant', 'Here.'),
    )


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('20.1s User: Where is it?\n', ''),  # a question is missing
        ('20.1s Assistant: Here.\n', ''),  # an answer is missing
        ('Where is it?', '...'),  # nothing was asked
        ('**10s**', '11s'),  # another time
        ('4.5s User', '4.5s Assistant'),  # another speaker
        (GOOD, 'I cannot help with that.'),
    ],
)
def test_an_answer_off_the_skeleton_is_refused(old, new):
    assert parse_dialogue(GOOD.replace(old, new, 1), SKELETON) == ()


def test_officially_whatever_lines_there_are_are_taken():
    assert [
        line.content for line in parse_official('3s User: hi\nrubbish\n4.5s Assistant: ho')
    ] == [
        'hi',
        'ho',
    ]


@pytest.mark.parametrize(
    'text',
    ['42s: you cut.', 'You cut at 42s.', 'At 12.5 s you stir.', 'You did it 30 seconds ago.',
     'At 1:05 you leave.', 'As the timestamp says', 'From second 12 on', 'at the 20-second mark'],
)  # fmt: skip
def test_a_told_time_is_seen_anywhere(text):
    assert leaks_time(text)


@pytest.mark.parametrize(
    'text',
    ['You take the second cup.', 'Boil it for 30 seconds.', 'Wait a second.', 'Take 2 spoons.',
     'Add 3 sticks and 4 stones.', 'It is 10:30 am.', 'Step 2 is done.'],
)  # fmt: skip
def test_what_tells_no_time_is_kept(text):
    assert not leaks_time(text)


def test_the_published_rule_misses_and_overdoes():
    assert leaks_time_officially('42s: you cut.')
    assert not leaks_time_officially('You cut at 42s.')
    assert leaks_time_officially('You take the second cup.')


def dialogue(duration: float, text: str) -> Dialogue:
    lines = (Line(1.0, 'user', 'What?'), Line(1.0, 'assistant', text))
    return Dialogue('v', lines, duration, ('current',))


@pytest.mark.parametrize('official', [False, True])
def test_dialogues_are_filtered_by_length_and_told_times(official):
    made = [
        dialogue(59.9, 'short'), dialogue(60, 'ok'), dialogue(3600, 'ok'), dialogue(3601, 'long'),
        dialogue(100, 'You cut at 42s.'), dialogue(100, 'The second one.'),
    ]  # fmt: skip
    tally = Tally()
    kept = filter_dialogues(made, tally, official=official)
    assert [one.lines[1].content for one in kept] == [
        'ok', 'ok', 'You cut at 42s.' if official else 'The second one.',
    ]  # fmt: skip
    assert tally.counts == {'too_short': 1, 'too_long': 1, 'leaking': 1, 'kept': 3}


@pytest.mark.parametrize(
    ('old', 'new', 'key'),
    [
        ('{skeleton}', '{sceleton}', 'livechat.question'),
        ('attempts: 2', 'attempts: 0', 'livechat.attempts'),
        ('top_p: 0.9', 'top_p: 2', 'livechat.top_p'),
        ('past: 1.0', 'yesterday: 1.0', 'livechat.question_odds'),
        ('livechat:', 'livechats:', 'livechat'),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, old, new, key):
    text = default_path('synthesis.yaml').read_text()
    assert old in text
    path = tmp_path / 'synthesis.yaml'
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=key):
        load_livechat_prompt(path, default_path('synthesis_queries.yaml'))
