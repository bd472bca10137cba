# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
from training.datasets.temporal_iou import merge_overlapping, temporal_iou


def test_iou_as_recorded(rules):
    for case in rules['temporal_iou']:
        assert temporal_iou(case['a'], case['b']) == case['iou']
        assert temporal_iou(case['b'], case['a']) == case['iou']


def test_two_moments_do_not_overlap():
    assert temporal_iou([3, 3], [3, 3]) == 0.0


def test_merging():
    assert merge_overlapping([(5, 6), (0, 2), (1, 3), (3, 4)]) == [(0, 3), (3, 4), (5, 6)]
    assert merge_overlapping([(0, 1), (4, 5), (0.5, 4.5)]) == [(0, 5)]
    assert merge_overlapping([]) == []
