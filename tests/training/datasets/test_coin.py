# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from training.datasets import DatasetError, build


def test_steps_past_the_video_go_to_its_last_frame(root):
    samples = build('coin_step', root, 'test')
    ends = [r for s in samples for f, r in s.load_ranges.items() if f.endswith('coin4.pt')]
    assert ends[-1] == (20, 21)


@pytest.mark.parametrize('official', [False, True])
def test_videos_without_features_are_left_out(root, official):
    files = {f for s in build('coin_task', root, official=official) for f in s.load_ranges}
    assert files and not any('missing_video' in file for file in files)


def test_the_question_for_one_step_is_that_of_coin_next(root):
    singles = [
        sample.conversation[0]['content']
        for sample in build('coin_procedure', root)
        if len(sample.labels['labels']) == 1
    ]
    assert set(singles) == {build('coin_next', root)[0].conversation[0]['content']}


def test_a_segment_that_ends_before_it_starts(tree, files, short):
    """Corrected: it is named; officially it becomes a stream of negative length."""
    steps = files['datasets/coin/coin.json']['database']['coin3']['annotation']
    steps[1]['segment'] = [6.0, 3.984]
    root = tree(files)
    with pytest.raises(DatasetError, match=r'annotation\[1\]\.segment\[1\] is before the start'):
        build('coin_step', root)
    lengths = [s.conversation[1]['num_frames'] for s in build('coin_step', root, official=True)]
    assert min(lengths) == -3
