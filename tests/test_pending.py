# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What waits to be fed is what closes one turn and opens the next."""

import pytest

from vlo_ros.events import Trigger
from vlo_ros.pending import Pending
from vlo_ros.template import ASSISTANT, USER

ASK = USER + 'what?' + ASSISTANT


@pytest.fixture
def template(live1plus):
    return live1plus.vlo.template


def ids_of(template, text):
    """Ids of a whole text, special tokens in it."""
    return template.tokenizer(text, add_special_tokens=False)['input_ids']


@pytest.mark.parametrize('protocol', ['template', 'official'])
def test_the_first_frame_comes_behind_the_system_prompt(template, protocol):
    pending = Pending(template, protocol, 'Watch.')
    assert pending.before_frame() == (ids_of(template, f'{template.bos}Watch.\n\n['), True)
    pending.end_with_frame()
    assert pending.before_frame() == (template.interval_ids, False)


def test_words_close_what_is_open_and_change_nothing(template):
    pending = Pending(template, 'template', 'Watch.')
    first = pending.before_words(ASK, Trigger.QUERY)
    assert first == ids_of(template, f'{template.bos}Watch.\n{ASK}')
    assert pending.before_words(ASK, Trigger.QUERY) == first
    pending.end_with_frame()
    assert pending.before_words(ASK, Trigger.QUERY) == template.encode(']' + ASK)


def test_an_instruction_waits_for_the_next_frame(template):
    pending = Pending(template, 'template', 'Watch.')
    pending.end_with_frame()
    pending.instruct('Narrate.')
    assert pending.before_frame() == (template.encode(']\nUser: Narrate.\n['), True)


def test_a_response_that_was_cut_ends_its_turn_unless_official(template):
    eos_id = template.eos_id
    for protocol, ids, wanted in (
        ('template', [5, eos_id], [eos_id, *template.encode('\n[')]),
        ('official', [5, eos_id], [eos_id, *template.encode('\n[')]),
        ('template', [5, 6], [6, eos_id, *template.encode('\n[')]),
        ('official', [5, 6], [6]),
        ('template', [eos_id], [*template.empty_response_ids, eos_id, *template.encode('\n[')]),
    ):
        pending = Pending(template, protocol, 'Watch.')
        pending.end_with_frame()
        pending.end_with_response(ids)
        assert pending.before_frame() == (wanted, True), (protocol, ids)


def test_official_queries_drop_what_was_pending(template):
    pending = Pending(template, 'official', 'Watch.')
    pending.end_with_frame()
    pending.end_with_response([5, template.eos_id])
    assert pending.before_words(ASK, Trigger.QUERY) == template.encode(']' + ASK)
    assert pending.before_words(ASSISTANT, Trigger.PROACTIVE)[0] == template.eos_id
