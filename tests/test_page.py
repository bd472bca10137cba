# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A conversation on a page: what is learned stands one position before it is fed."""

import pytest

from vlo_ros.errors import TemplateError
from vlo_ros.page import IGNORE, Page

FRAME, EOS, SILENCE = 1, 2, 3


def by_pairs(run, before):
    """Ids of two characters each, so that an edge can lie inside a token."""
    starts = range(0, len(run), 2)
    return [1000 + ord(run[at]) for at in starts], [(at, min(at + 2, len(run))) for at in starts]


@pytest.fixture
def page():
    return Page(by_pairs, FRAME)


def test_labels_stand_one_position_before_their_ids(page):
    page.write('ab')
    page.write('cd', learned=True)
    page.special('<e>', EOS, learned=True)
    rendered = page.finish()
    assert rendered.text == 'abcd<e>'
    assert rendered.input_ids == [1000 + ord('a'), 1000 + ord('c'), EOS]
    assert rendered.labels == [1000 + ord('c'), EOS, IGNORE]
    assert rendered.learn_ranges == [(2, 7)]


def test_frames_are_marked_and_the_end_of_a_stream_is_learned_with_what_follows(page):
    page.frame(2)
    page.close_stream(']', learned=True)
    page.write('\nX')
    rendered = page.finish()
    assert rendered.is_frame == [True, True, False, False]
    assert rendered.labels == [IGNORE, 1000 + ord(']'), IGNORE, IGNORE]
    assert rendered.learn_ranges == [(6, 8)]


def test_silence_may_be_learned_though_it_is_not_fed(page):
    page.frame(1)
    page.learn_silence(SILENCE)
    page.frame(1)
    rendered = page.finish()
    assert rendered.input_ids == [FRAME, FRAME]
    assert rendered.labels == [SILENCE, IGNORE]


def test_an_edge_inside_a_token_is_refused(page):
    page.write('a')
    page.write('b', learned=True)
    with pytest.raises(TemplateError, match="inside a token: 'ab'"):
        page.finish()
