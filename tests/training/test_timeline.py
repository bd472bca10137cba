# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Windows cut out of conversations."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.timeline import timeline_of


def stream(num_frames: int, learn: bool | int = True) -> dict:
    return {'role': 'stream', 'num_frames': num_frames, 'learn': learn}


def says(text: str) -> dict:
    return {'role': 'assistant', 'content': text, 'learn': True}


def asks(text: str) -> dict:
    return {'role': 'user', 'content': text}


CONVERSATION = [
    stream(1, False), asks('Narrate.'), stream(3), says('A.'), stream(2, 1), asks('Why?'),
    says('So.'), stream(4),
]  # fmt: skip


def test_whole_window_is_the_conversation() -> None:
    window = timeline_of(CONVERSATION).window(0, 10)
    assert window[:-1] == CONVERSATION[:-1]
    assert window[-1] == stream(4, 3)  # what follows the last frame is not known


def test_window_begins_with_a_frame_and_the_instruction() -> None:
    assert timeline_of(CONVERSATION).window(2, 6) == [
        stream(1, False), asks('Narrate.'), stream(1), says('A.'), stream(2, 1), asks('Why?'),
        says('So.'), stream(2, 1),
    ]  # fmt: skip


def test_what_was_said_at_the_first_frame_is_left_out() -> None:
    window = timeline_of(CONVERSATION).window(3, 3)
    assert window == [
        stream(1, False), asks('Narrate.'), stream(2, 1), asks('Why?'), says('So.'),
    ]  # fmt: skip


def test_no_instruction() -> None:
    timeline = timeline_of([stream(4), says('A.'), stream(3)])
    assert timeline.window(1, 5) == [stream(3, 0), says('A.'), stream(2, 1)]


def test_window_outside_is_an_error() -> None:
    with pytest.raises(ValueError, match='within the 10 frames'):
        timeline_of(CONVERSATION).window(10, 1)


@given(first=st.integers(0, 9), size=st.integers(1, 12))
def test_window_has_the_frames_it_promises(first: int, size: int) -> None:
    window = timeline_of(CONVERSATION).window(first, size)
    frames = sum(message.get('num_frames', 0) for message in window)
    assert frames == min(size, 10 - first)
    roles = [message['role'] for message in window]
    assert all(pair != ('stream', 'stream') for pair in itertools.pairwise(roles))
