# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
from training.datasets.sentences import case_connect, clean_narration


def test_clean_narration_as_recorded(rules):
    for case in rules['clean_text']:
        assert clean_narration(case['raw']) == case['clean']


def test_case_connect_as_recorded(rules):
    for case in rules['case_connect']:
        assert case_connect(case['prefix'], case['suffix']) == case['out']


def test_nothing_is_still_a_sentence():
    assert clean_narration('') == '.'
    assert case_connect('', '') == ''
