# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import random

import pytest

from training.datasets import DatasetError, build, teaches

LIVECHAT = 'ego4d_goalstep_livechat'
FILE = 'goalstep_livechat_trainval_filtered_21k.json'


@pytest.fixture
def dialogue(one_video, wish, short):
    """Build one dialogue from (role, time, text) and describe its conversation."""

    def describe(*lines, waiting=0, **options):
        messages = [{'role': r, 'time': t, 'content': c} for r, t, c in lines]
        contents = {FILE: [{'video_uid': 'v', 'conversation': messages}]}
        samples = one_video(LIVECHAT, contents, rng=wish(waiting), **options)
        return [(short(s.conversation), *s.load_ranges.values()) for s in samples]

    return describe


def test_frames_before_a_question_do_not_teach_to_stop_for_it(dialogue):
    """Corrected: officially the last of them teaches to close the stream for the user."""
    lines = [('user', 3.0, 'u'), ('assistant', 4.0, 'a'), ('user', 6.0, 'w')]
    assert dialogue(*lines) == [('U(u) S2 A(a) S4:3 U(w)', (7, 13))]
    assert dialogue(*lines, official=True) == [('U(u) S2 A(a) S4 U(w)', (7, 13))]
    near = [('user', 3.0, 'u'), ('user', 3.5, 'w')]
    assert dialogue(*near) == [('U(u) S1:0 U(w)', (7, 8))]


def test_an_answer_within_the_frame_of_its_question_is_kept(dialogue):
    """Corrected: officially it is dropped and the question stays without an answer."""
    lines = [
        ('user', 4.0, 'u'),
        ('assistant', 4.7, 'a'),
        ('user', 4.8, 'w'),
        ('assistant', 4.9, 'b'),
    ]
    assert dialogue(*lines) == [('U(u) S2 A(a) U(w) A(b)', (9, 11))]
    assert dialogue(*lines, official=True) == [('U(u) S2 A(a) U(w)', (9, 11))]


def test_of_two_answers_in_one_frame_the_later_stays(dialogue):
    lines = [('user', 3.0, 'u'), ('assistant', 3.2, 'a'), ('assistant', 3.4, 'b')]
    assert dialogue(*lines) == [('U(u) S1 A(b)', (7, 8))]
    assert dialogue(*lines, official=True) == [('U(u) S1 A(a)', (7, 8))]
    # what was said is as late as the answer that stayed
    assert dialogue(*lines, ('assistant', 3.3, 'c')) == [('U(u) S1 A(b)', (7, 8))]
    # the same annotated time: so officially, too
    lines[2] = ('assistant', 3.2, 'b')
    assert dialogue(*lines, official=True) == dialogue(*lines) == [('U(u) S1 A(b)', (7, 8))]


@pytest.mark.parametrize('official', [False, True])
@pytest.mark.parametrize(
    'lines, expected',
    [
        ([], None),
        ([('assistant', 1.0, 'a')], None),
        ([('user', 1.0, '')], None),
        ([('user', 0.0, 'u')], None),
        ([('user', -1.0, 'u')], None),
        ([('user', 20.6, 'u')], None),
        ([('user', 20.5, 'u')], 'U(u)'),
        ([('user', 3.3, 'u'), ('assistant', 3.3, 'a')], 'U(u) A(a)'),
        ([('user', 3.3, 'u'), ('assistant', 3.3, 'a'), ('user', 3.3, 'w')], 'U(u) A(a)'),
        ([('user', 3.3, 'u'), ('assistant', 3.0, 'a'), ('assistant', 9.0, 'b')], 'U(u)'),
        ([('user', 3.3, 'u'), ('assistant', 20.6, 'a'), ('assistant', 9, 'b')], 'U(u)'),
        ([('user', 3.1, 'u'), ('user', 3.4, 'w')], 'U(u) U(w)'),
    ],
)
def test_where_a_dialogue_starts_and_ends(dialogue, lines, expected, official):
    built = dialogue(*lines, official=official)
    assert [text for text, _ in built] == ([] if expected is None else [expected])


@pytest.mark.parametrize('official', [False, True])
def test_frames_before_the_first_question(dialogue, official):
    line = ('user', 3.3, 'u')
    assert dialogue(line, waiting=0, official=official) == [('U(u)', (7, 7))]
    assert dialogue(line, waiting=1, official=official) == [('S1:0 U(u)', (6, 7))]
    assert dialogue(line, waiting=4, official=official) == [('S4:3 U(u)', (3, 7))]
    assert dialogue(line, waiting=99, official=official) == [('S6:5 U(u)', (1, 7))]
    assert dialogue(('user', 19, 'u'), waiting=99, official=official) == [
        ('S20:19 U(u)', (19, 39))
    ]


@pytest.mark.parametrize('fps', [0.5, 1, 2, 4, 10, 15, 30])
def test_streams_are_whole(one_video, fps):
    """Frames add up to the range, nobody speaks twice at once, and no neighbours are untaught."""
    seed = 3
    print('seed', seed)
    rng = random.Random(seed)
    dialogues = []
    for _ in range(400):
        time, lines = rng.uniform(0.1, 8), [('user', 'u')]
        messages = []
        for role, text in lines + [(rng.choice(['user', 'assistant']), 'x') for _ in range(8)]:
            messages.append({'role': role, 'content': text, 'time': round(time, 2)})
            time += rng.choice([0, 0.05, 0.3, 0.5, 2.34])
        dialogues.append({'video_uid': 'v', 'conversation': messages})
    samples = one_video(LIVECHAT, {FILE: dialogues}, fps=fps)
    assert len(samples) == len(dialogues)
    allowed = {
        ('stream', 'user'),
        ('stream', 'assistant'),
        ('user', 'assistant'),
        ('user', 'stream'),
        ('user', 'user'),
        ('assistant', 'user'),
        ('assistant', 'stream'),
    }
    for sample in samples:
        ((first, end),) = sample.load_ranges.values()
        counts = [m['num_frames'] for m in sample.conversation if m['role'] == 'stream']
        assert sum(counts) == end - first
        assert all(count >= 1 for count in counts)
        assert 0 <= first <= end <= 20.5 * fps + 1
        for message, following in zip(sample.conversation, sample.conversation[1:], strict=False):
            assert (message['role'], following['role']) in allowed
            if message['role'] == 'stream':
                learned = message['num_frames'] - (following['role'] == 'user')
                assert message['learn'] in (True, learned) and (
                    following['role'] == 'assistant' or message['learn'] is not True
                )


def test_draws_follow_the_seed(root):
    def built(seed):
        return build(LIVECHAT, root, rng=random.Random(seed))

    assert built(5) == built(5)
    assert built(5) != built(6)


def test_train_only_leaves_validated_videos_out(root):
    """The published file mixes training and validation videos."""

    def videos(split):
        return [next(iter(s.load_ranges))[-8:-3] for s in build(LIVECHAT, root, split)]

    held_out = {'vid03', 'vid05', 'vid06', 'vid07'}
    assert videos('train') == videos('trainval')
    assert held_out <= set(videos('trainval'))
    assert videos('train_only') == [v for v in videos('trainval') if v not in held_out]
    assert set(videos('val_only')) == {'vid03', 'vid06', 'vid07'}


def test_a_dialogue_without_an_answer_teaches_nothing(dialogue, one_video, wish):
    contents = {
        FILE: [{'video_uid': 'v', 'conversation': [{'role': 'user', 'content': 'u', 'time': 3.0}]}]
    }
    (sample,) = one_video(LIVECHAT, contents, rng=wish(0))
    assert not teaches(sample.conversation)
    (sample,) = one_video(LIVECHAT, contents, rng=wish(2))
    assert teaches(sample.conversation)


def test_an_unknown_role_is_named(dialogue):
    with pytest.raises(DatasetError, match=r'\[0\].conversation\[0\].role must be user or assis'):
        dialogue(('system', 1.0, 'a'))
