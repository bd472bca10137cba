# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from training.datasets import DatasetError, build

FILE = 'datasets/ego4d/v2/annotations/fho_lta_train.json'


def test_a_window_that_ends_before_it_starts(tree, files):
    """Corrected: it is named; officially it becomes a stream of negative length."""
    for clip in files[FILE]['clips']:
        if clip['action_idx'] == 7:
            clip['action_clip_end_sec'] = -9.0
    for clip in files[FILE]['clips']:
        clip['clip_parent_start_sec'] += 20
    root = tree(files)
    with pytest.raises(DatasetError, match=r'action_clip_end_sec is before the first action'):
        build('ego4d_lta', root)
    assert build('ego4d_lta', root, official=True)[0].conversation[1]['num_frames'] < 0


def test_a_clip_too_short_for_a_window_is_left_out(root, files, tree):
    files[FILE]['clips'] = [c for c in files[FILE]['clips'] if c['action_idx'] < 27]
    assert build('ego4d_lta', tree(files)) == []


def test_times_past_the_video_go_to_its_last_frame(files, tree):
    for clip in files[FILE]['clips']:
        clip['clip_parent_start_sec'] = 1000.0
    samples = build('ego4d_lta', tree(files))
    assert samples
    for sample in samples:
        assert sample.conversation[1]['num_frames'] == 1
        assert sample.conversation[0]['content'].startswith('After 1 video frames, ')
