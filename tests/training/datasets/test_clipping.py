# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
from training.datasets.clipping import clip_frames
from training.datasets.sample import assistant, stream, teaches, user


def test_clipping_as_recorded(rules):
    for case in rules['max_frames_clip']:
        for official in (False, True):
            conversation, ranges = clip_frames(
                case['conversation'],
                {'f.pt': tuple(case['load_range'])},
                case['max_num_frames'],
                official=official,
            )
            assert conversation == case['out_conversation']
            if official or conversation != case['conversation']:
                assert list(ranges['f.pt']) == case['out_range']


def test_several_files_share_the_kept_frames():
    conversation = [stream(4), assistant('a'), stream(4), assistant('b')]
    ranges = {'one.pt': (10, 13), 'two.pt': (0, 5)}
    assert clip_frames(conversation, ranges, 7)[1] == {'one.pt': (10, 13), 'two.pt': (0, 1)}
    assert clip_frames(conversation, ranges, 7, official=True)[1] == {
        'one.pt': (10, 14),
        'two.pt': (0, 4),
    }


def test_a_clipped_sample_may_teach_nothing():
    conversation = [user('u'), stream(9), assistant('a')]
    assert teaches(conversation)
    assert not teaches(clip_frames(conversation, {'f.pt': (0, 9)}, 5)[0])
    assert not teaches([user('u'), stream(1, learn=0)])
