# Copyright 2026 the vlo_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scores of what was said against what was true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.scoring import (
    Answer,
    Heard,
    Judged,
    Said,
    by_minute,
    match,
    score,
    transcript,
    word_f1,
)


def make(truth: list[float], said: list[float], text: str = 'You cut the apple.') -> Heard:
    due = tuple(Said(time, 'You cut the apple.') for time in truth)
    spoken = tuple(Said(time, text) for time in said)
    judged = tuple(Judged(k / 2, 0.9, k / 2 not in said) for k in range(240))
    return Heard(due, spoken, judged, (), 120.0, spoken)


def test_perfect() -> None:
    found = score([make([1, 5, 9.5], [1, 5, 9.5])])
    for name in (
        'speak_f1_1s',
        'speak_f1_0_5s',
        'exact',
        'exact_of_all',
        'silence_kept',
        'word_f1',
    ):
        assert found[name] == 1.0
    assert found['time_error_s'] == 0.0
    assert found['num_narrations'] == 3


def test_transcript_puts_what_was_said_beside_what_was_true() -> None:
    streams = [make([1, 5, 20], [1.5, 20, 40], 'You cut the Apple'), make([2], [2], 'You sit.')]
    lines = [(one['scene'], one['time'], one['said'], one['exact']) for one in transcript(streams)]
    assert lines == [
        (0, 1, 'You cut the Apple', True),
        (0, 5, None, False),
        (0, 20, 'You cut the Apple', True),
        (0, 40, 'You cut the Apple', False),
        (1, 2, 'You sit.', False),
    ]
    assert [one['truth'] is None for one in transcript(streams)] == [False] * 3 + [True, False]


def test_late_missed_and_invented() -> None:
    found = score([make([1, 5, 20], [1.5, 6, 40, 60])])
    assert found['speak_precision_1s'] == 0.5
    assert found['speak_recall_1s'] == pytest.approx(2 / 3)
    assert found['speak_recall_0_5s'] == pytest.approx(1 / 3)
    assert found['time_error_s'] == 0.75
    assert found['silence_kept'] < 1.0


def test_content() -> None:
    found = score([make([1.0], [1.0], 'You cut the carrot.')])
    assert found['exact'] == 0.0
    assert found['word_f1'] == 0.75
    assert word_f1('You cut the apple.', 'you cut the apple') == 1.0


def test_silence_is_counted_away_from_what_is_due() -> None:
    early = score([make([10.0], [9.5])])
    assert early['silence_kept'] == 1.0  # half a second early is a matter of time, not of silence
    assert early['silence_kept_strict'] == pytest.approx(1 - 1 / 239)


def test_answers() -> None:
    answers = (
        Answer(1.0, 'Where am I?', 'At the sink.', 'at the sink'),
        Answer(2.0, 'q', 'a', 'b'),
    )
    found = score([Heard((), (), (), answers, 3.0)])
    assert found['queries_right'] == 0.5
    assert found['speak_f1_1s'] == 0.0


def test_minutes() -> None:
    minutes = by_minute([make([10, 70], [10])])
    assert [row['minute'] for row in minutes] == [1, 2]
    assert [row['speak_f1_1s'] for row in minutes] == [1.0, 0.0]


times = st.lists(st.integers(0, 60), max_size=7, unique=True).map(sorted)


@given(truth=times, said=times)
def test_matching_finds_the_most_pairs(truth: list[int], said: list[int]) -> None:
    """Against every way of pairing."""

    def most(left: list[int], right: list[int]) -> int:
        if not left or not right:
            return 0
        best = most(left[1:], right)
        for index, time in enumerate(right):
            if abs(time - left[0]) <= 3:
                best = max(best, 1 + most(left[1:], right[:index] + right[index + 1 :]))
        return best

    pairs = match([Said(t, '') for t in truth], [Said(t, '') for t in said], 3.0)
    assert len(pairs) == most(truth, said)
    assert all(abs(wanted.time - given.time) <= 3 for wanted, given in pairs)
